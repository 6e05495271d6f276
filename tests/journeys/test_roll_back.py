"""Putting back, in a real browser against a real server, worker and pretend AWS: what was, and nothing of others."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests import fleets
from tests.journeys import walk
from tests.processes import House, Sandbox, house

pytestmark = pytest.mark.browser
WEB = ["web-1", "web-2", "web-3", "web-4"]
TAPE = ["tape-1", "tape-2"]
FLEET = fleets.pair(
    {"name": "web-1", **fleets.QUIET},
    {"name": "web-2", "hop_limit": 2, "metadata_tags": "enabled", **fleets.QUIET},
    {"name": "web-3", "hop_limit": 3, "ipv6": "enabled", **fleets.QUIET},
    {"name": "web-4", **fleets.QUIET},
    {"name": "tape-1", "hop_limit": 2, **fleets.QUIET},
    {"name": "tape-2", **fleets.QUIET},
    {"name": "vault", "asg": "vaults", "http_tokens": "required", "enforced_days_ago": 30, "hop_limit": 2}
    | fleets.QUIET,
    roles=walk.ROLES,
)
# What the hourly pass would have stored of an instance whose software was refused since six hours ago, and the watch.
REFUSED = """
from datetime import timedelta
from migration.actions import watch
from migration.domain.hours import pack
now = timezone.now()
at = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=6)
change = Change.objects.get(run_id=%s, name=%r)
change.run.changes.update(called_at=at - timedelta(minutes=20))
for day in {(at + timedelta(hours=step)).date() for step in range(6)}:
    hours = [7 if 0 <= ((h := at.replace(year=day.year, month=day.month, day=day.day, hour=hour)) - at).total_seconds()
             < 6 * 3600 else None for hour in range(24)]
    known = [one for one in hours if one is not None]
    InstanceDay.objects.update_or_create(instance=change.instance, day=day, defaults={
        "rejected_hours": pack(hours), "rejected_calls": sum(known), "rejected_measured_hours": len(known)})
print(json.dumps(watch.tend(now=now)))
"""


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Sandbox, str]]:
    with house(tmp_path_factory.mktemp("house"), FLEET, IMDSDASH_EXTERNAL_ID=fleets.EXTERNAL_ID) as (one, sandbox):
        yield one, sandbox, walk.furnish(one, "engineer", "approver", "viewer", "admin")


@pytest.fixture(scope="module")
def people(installation, chromium):
    """The engineer and the approver, each in a window of their own."""
    return [walk.log_in(chromium, installation[2], name) for name in ("engineer", "approver")]


def enforce(engineer, approver, group: str) -> str:
    """Those of the account whose names begin so. Returns the run's address."""
    engineer.goto(f"/accounts/{fleets.MEMBER}/?q={group}")
    engineer.get_by_role("button", name="Plan for what the filter shows").click()
    return walk.approve(approver, walk.ask(engineer))


def test_a_run_is_put_back_exactly_and_what_others_changed_is_left_to_them(installation, people):
    one, sandbox, _ = installation
    engineer, approver = people
    before = walk.options(sandbox, WEB)
    run = enforce(engineer, approver, "web-")
    assert {held["http_tokens"] for held in walk.options(sandbox, WEB).values()} == {"required"}
    number = int(run.rstrip("/").rsplit("/", 1)[1])

    # Its software is refused: the watch proposes to put back just that one.
    assert one.ask(REFUSED % (number, "web-2")) == 1
    engineer.goto(run)
    expect(engineer.get_by_role("row", name=re.compile("web-2")).get_by_text("42 calls refused since")).to_be_visible()
    engineer.get_by_role("link", name="Open it").click()
    expect(engineer.get_by_text("Proposed by the watch")).to_be_visible()
    expect(engineer.locator("#changes tbody tr")).to_have_count(1)
    engineer.get_by_role("button", name="Discard draft").click()

    # Somebody has raised a hop limit by hand, and the next pass has seen it.
    ids = {held["name"]: held["instance_id"] for held in sandbox.instances(fleets.MEMBER, walk.REGION)}
    ec2 = walk.by_hand(sandbox)
    ec2.modify_instance_metadata_options(InstanceId=ids["web-4"], HttpPutResponseHopLimit=3)
    one.manage("collect", "--account", fleets.MEMBER)

    # Nothing but what was sent is put back, and what others changed is said before anybody is asked.
    engineer.goto(run)
    engineer.get_by_role("button", name="Plan to put it back").click()
    expect(engineer.get_by_role("heading", name=re.compile("put back"))).to_be_visible()
    for name in WEB[:3]:
        row = engineer.locator("#changes tbody tr", has_text=name)
        expect(row.locator(".diff")).to_have_text(["HttpTokens required → optional"])
        row.locator("summary").click()
        kept = before[name]
        expect(row.locator(".kept li")).to_have_text(
            [
                f"HttpPutResponseHopLimit {kept['http_put_response_hop_limit']}",
                f"HttpEndpoint {kept['http_endpoint']}",
                f"HttpProtocolIpv6 {kept['http_protocol_ipv6']}",
                f"InstanceMetadataTags {kept['instance_metadata_tags']}",
            ]
        )
    expect(engineer.locator("#changes tbody tr")).to_have_count(3)
    group = engineer.locator("details", has_text="In conflict with what stands there")
    group.locator("summary").click()
    conflict = "Changed since: HttpPutResponseHopLimit is 3, we left it at 1. It is not overwritten."
    expect(group.get_by_text(conflict)).to_be_visible()

    # While it waits for approval, another one is changed.
    plan = walk.ask(engineer, "Its software is older than IMDSv2.")
    ec2.modify_instance_metadata_options(InstanceId=ids["web-3"], InstanceMetadataTags="enabled")
    since = walk.last(sandbox)
    back = walk.approve(approver, plan)
    skipped = approver.locator("tbody tr", has_text="web-3")
    expect(skipped).to_contain_text("Skipped")
    expect(skipped).to_contain_text("InstanceMetadataTags was disabled and is enabled")

    after = walk.options(sandbox, WEB)
    assert {name: after[name] for name in WEB[:2]} == {name: before[name] for name in WEB[:2]}
    assert after["web-3"] == before["web-3"] | {"http_tokens": "required", "instance_metadata_tags": "enabled"}
    assert after["web-4"] == before["web-4"] | {"http_tokens": "required", "http_put_response_hop_limit": 3}
    calls = walk.writes(sandbox, since)
    assert sorted(call["params"]["InstanceId"] for call in calls) == sorted([ids["web-1"], ids["web-2"]])
    assert {call["params"]["HttpTokens"] for call in calls} == {"optional"}
    assert {name for call in calls for name in call["params"] if name.startswith(("Http", "Instance"))} == {
        "HttpTokens",
        "InstanceId",
    }
    assert {call["role_name"] for call in calls} == {"imdsdash-enforcer"}
    engineer.goto(run)
    expect(engineer.get_by_role("link", name=f"run {back.rstrip('/').rsplit('/', 1)[1]}")).to_be_visible()


def test_only_who_has_the_emergency_right_need_not_wait_and_says_why(installation, people, chromium):
    one, sandbox, url = installation
    engineer, approver = people
    before = walk.options(sandbox, TAPE)
    run = enforce(engineer, approver, "tape-")
    written = walk.last(sandbox)
    engineer.goto(run)
    engineer.get_by_role("button", name="Plan to put it back").click()
    expect(engineer.get_by_text("2 to change")).to_be_visible()
    plan = engineer.url

    # No policy gives the right: there is no button, and the address itself refuses.
    expect(engineer.get_by_text("It cannot wait for a second person")).to_have_count(0)
    form = {"version": "0", "typed": walk.NAME, "reason": "Now!"}
    refused = walk.post(engineer, f"{plan}roll-back-now/", form)
    assert refused.status == 409
    assert "gives you no emergency right" in refused.text()
    viewer = walk.log_in(chromium, url, "viewer")
    viewer.goto(plan)
    assert walk.post(viewer, f"{plan}roll-back-now/", form).status == 403
    assert walk.writes(sandbox, written) == []

    # Two admins give it to who asked for a run and who approved it.
    one.manage("policies", "propose", "--account", fleets.MEMBER, "--emergency", "owner", "--reason", "Nights.")
    one.manage("policies", "approve", "1", "--by", "admin")

    # The draft was made under what held before: it says so, and another is made.
    engineer.reload()
    expect(engineer.get_by_text("The policy of this account has changed since the plan was made")).to_be_visible()
    expect(engineer.get_by_role("button", name="Request approval")).to_have_count(0)
    engineer.get_by_role("button", name="Discard draft").click()
    engineer.goto(run)
    engineer.get_by_role("button", name="Plan to put it back").click()
    expect(engineer.get_by_text("2 to change")).to_be_visible()
    plan = engineer.url
    engineer.get_by_text("It cannot wait for a second person").click()
    emergency = engineer.locator(".emergency")
    emergency.get_by_label(re.compile("to confirm")).fill(walk.NAME)
    emergency.get_by_role("button", name="Put back 2 instances now").click()
    expect(engineer).to_have_url(plan)  # the browser asks for the reason
    assert engineer.evaluate("document.activeElement.labels[0].textContent") == "Why can it not wait?"
    silent = walk.post(engineer, f"{plan}roll-back-now/", form | {"reason": " "})  # and so does the server
    assert (silent.status, "Say why it cannot wait" in silent.text()) == (409, True)
    assert walk.writes(sandbox, written) == []
    emergency.get_by_label("Why can it not wait?").fill("The tapes stand still.")
    emergency.get_by_role("button", name="Put back 2 instances now").click()
    walk.over(engineer)

    expect(engineer.get_by_text("by the emergency right")).to_be_visible()
    assert walk.options(sandbox, TAPE) == before
    assert len(walk.writes(sandbox, written)) == len(TAPE)
    engineer.goto(plan)
    expect(engineer.get_by_text("The tapes stand still.")).to_be_visible()
    open_instance(engineer, "tape-1")
    expect(engineer.get_by_text("asked by engineer, by the emergency right")).to_be_visible()


def open_instance(person: Page, name: str) -> None:
    person.goto(f"/accounts/{fleets.MEMBER}/?q={name}")
    person.get_by_role("link", name=name, exact=True).click()


def plan_off(person: Page) -> None:
    person.get_by_role("button", name="Plan to switch IMDS off").click()


def plan_hops(person: Page) -> None:
    person.get_by_label("Hop limit that a plan sets for this workload").select_option("3")
    person.get_by_role("button", name="Save the choice").click()
    person.get_by_role("button", name="Plan to raise the hop limit alone").click()


@pytest.mark.parametrize(
    ("plan", "moved", "back"),
    [
        (plan_off, {"http_endpoint": "disabled"}, "HttpEndpoint disabled → enabled"),
        (plan_hops, {"http_put_response_hop_limit": 3}, "HttpPutResponseHopLimit 3 → 2"),
    ],
)
def test_another_option_is_put_back_alone(installation, people, plan, moved, back):
    _, sandbox, _ = installation
    engineer, approver = people
    before = walk.options(sandbox, ["vault"])
    open_instance(engineer, "vault")
    plan(engineer)
    run = walk.approve(approver, walk.ask(engineer, "It is better so."))
    assert walk.options(sandbox, ["vault"]) == {"vault": before["vault"] | moved}

    since = walk.last(sandbox)
    engineer.goto(run)
    engineer.get_by_role("button", name="Plan to put it back").click()
    expect(engineer.locator("#changes .diff")).to_have_text([back])
    walk.approve(approver, walk.ask(engineer, "It is not."))

    assert walk.options(sandbox, ["vault"]) == before
    (call,) = walk.writes(sandbox, since)
    assert {name for name in call["params"] if name.startswith("Http")} == {back.split()[0]}
