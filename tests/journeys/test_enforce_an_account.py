"""The whole story, in a real browser against a real server, worker and pretend AWS: click, approve, required."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests import fleets
from tests.journeys.walk import PASSWORD, WRITE, log_in
from tests.processes import House, Sandbox, house

pytestmark = pytest.mark.browser
READY, CALLING = 5, 2
FLEET = fleets.pair(
    {"count": READY, "name_prefix": "web", **fleets.QUIET},
    {"count": CALLING, "name_prefix": "legacy", "launched_days_ago": 40, "usage": "steady"},
)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Sandbox, str]]:
    with house(tmp_path_factory.mktemp("house"), FLEET, IMDSDASH_EXTERNAL_ID=fleets.EXTERNAL_ID) as (one, sandbox):
        for name in ("viewer", "engineer", "approver"):
            one.manage("people", "add", name, "--role", name, "--password-stdin", stdin=f"{PASSWORD}\n")
        one.manage("accounts", "add", fleets.MEMBER, "--name", "payments-prod")
        one.manage("collect")
        _, url = one.up()
        yield one, sandbox, url


def test_an_engineer_requests_an_approver_approves_and_the_instances_turn_required(installation, chromium):
    _, sandbox, url = installation
    engineer = log_in(chromium, url, "engineer")
    engineer.get_by_role("link", name="Accounts").first.click()
    engineer.get_by_role("link", name="payments-prod").first.click()
    engineer.get_by_role("button", name=f"Enforce IMDSv2 on {READY} ready instances").click()
    expect(engineer.get_by_text(f"+ {READY} to change")).to_be_visible()
    plan_url = engineer.url
    engineer.locator("textarea").first.fill("Quiet for two weeks.")
    engineer.get_by_role("button", name=re.compile("request approval", re.IGNORECASE)).click()

    expect(engineer.get_by_text(re.compile("someone else|somebody else")).first).to_be_visible()
    expect(engineer.get_by_role("button", name=re.compile("^approve", re.IGNORECASE))).to_have_count(0)
    assert engineer.request.post(f"{plan_url}approve/").status == 403  # no token, and no right

    asked = sandbox.calls(operation=WRITE)
    assert all(call["params"].get("DryRun") for call in asked), "nothing is written before the approval"
    approver = log_in(chromium, url, "approver")
    approver.get_by_role("link", name="Approvals").first.click()
    approver.get_by_role("link", name=re.compile("^review", re.IGNORECASE)).first.click()
    approver.get_by_label(re.compile("to confirm")).fill("payments-prod")
    approver.get_by_role("button", name=re.compile("^approve", re.IGNORECASE)).first.click()
    expect(approver).to_have_url(re.compile(r"/runs/\d+/"))
    settled = f"Done: {READY} of {READY} settled, {READY} verified, 0 failed."
    expect(approver.get_by_text(settled)).to_be_visible(timeout=60_000)

    calls = [call for call in sandbox.calls(operation=WRITE) if not call["params"].get("DryRun")]
    assert Counter(call["params"]["InstanceId"] for call in calls).most_common(1)[0][1] == 1
    assert len(calls) == READY
    sent = {name for call in calls for name in call["params"] if name not in {"Action", "Version", "InstanceId"}}
    assert sent == {"HttpTokens"}
    assert {call["params"]["HttpTokens"] for call in calls} == {"required"}
    assert {call["role_name"] for call in calls} == {"imdsdash-enforcer"}
    assert all(call["session_name"].endswith("approver") for call in calls)

    approver.goto(f"/accounts/{fleets.MEMBER}/?status=enforced")
    expect(approver.locator("table tbody tr", has_text="web-")).to_have_count(READY)
    expect(approver.locator("table tbody tr", has_text="legacy-")).to_have_count(0)


def test_a_viewer_sees_the_account_and_cannot_enforce(installation, chromium):
    _, sandbox, url = installation
    written = len(sandbox.calls(operation=WRITE))
    viewer = log_in(chromium, url, "viewer")
    viewer.goto(f"/accounts/{fleets.MEMBER}/")

    expect(viewer.get_by_role("heading", name="payments-prod")).to_be_visible()
    buttons = viewer.get_by_role("button", name=re.compile("^Enforce"))
    assert buttons.count() == 0 or buttons.first.is_disabled()
    assert len(sandbox.calls(operation=WRITE)) == written
