"""The rungs above the instance, in a real browser: Region defaults and a launch template, up and down again."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import fleets
from tests.journeys import walk
from tests.processes import House, Sandbox, house

pytestmark = pytest.mark.browser
SAFE = "New launches are safe"
FLEET = fleets.pair(
    {"count": 2, "name_prefix": "web", "http_tokens": "required", "enforced_days_ago": 30, **fleets.QUIET},
    images=[{"name": "plain"}],
    launch_templates=[{"name": "web", "versions": [{"ami": "plain", "http_tokens": "optional", "hop_limit": 2}]}],
    auto_scaling_groups=[
        {"name": "follows", "launch_template": "web:$Default"},
        {"name": "pins", "launch_template": "web:1"},
    ],
    roles=walk.ROLES,
)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Sandbox, str]]:
    with house(tmp_path_factory.mktemp("house"), FLEET, IMDSDASH_EXTERNAL_ID=fleets.EXTERNAL_ID) as (one, sandbox):
        yield one, sandbox, walk.furnish(one, "engineer", "approver", "viewer")


@pytest.fixture(scope="module")
def people(installation, chromium):
    return [walk.log_in(chromium, installation[2], name) for name in ("engineer", "approver")]


def options_of(version: dict[str, Any]) -> dict[str, Any]:
    return version["LaunchTemplateData"]["MetadataOptions"]


def account(person: Page) -> None:
    person.goto(f"/accounts/{fleets.MEMBER}/")


def rung(person: Page, title: str) -> tuple[str, str | None]:
    """What stands on a rung, and whether it is the next step ("step")."""
    one = person.locator(".ladder li", has_text=title)
    return one.locator(".quiet").inner_text(), one.get_attribute("aria-current")


def plan(engineer: Page, rung_of: str) -> None:
    account(engineer)
    engineer.get_by_role("button", name=f"Plan: {rung_of}").click()


def put_back(engineer: Page, approver: Page, run: str, shown: Sequence[str | re.Pattern[str]]) -> None:
    engineer.goto(run)
    engineer.get_by_role("button", name="Plan to put it back").click()
    expect(engineer.locator("#changes .diff")).to_have_text(shown)
    walk.approve(approver, walk.ask(engineer, "The new image is not ready."))


def test_defaults_and_a_template_are_climbed_the_rung_is_reached_and_both_are_put_back(installation, people):
    one, sandbox, _ = installation
    engineer, approver = people
    ec2, write = walk.by_hand(sandbox), "ModifyInstanceMetadataDefaults"
    account(engineer)
    assert rung(engineer, SAFE) == ("4 of 4 launch sources are not safe", "step")
    expect(engineer.get_by_role("button", name="Plan: Lift the refusal")).to_have_count(0)

    # The Region's defaults, with a hop limit.
    engineer.get_by_label("Hop limit of new launches").select_option("2")
    engineer.get_by_role("button", name="Plan: Region defaults").click()
    expect(engineer.locator("#changes .diff")).to_have_text(
        ["HttpTokens not set → required", "HttpPutResponseHopLimit not set → 2"]
    )
    asked = walk.ask(engineer)
    assert walk.writes(sandbox, operation=write) == []
    defaults = walk.approve(approver, asked)
    expect(approver.get_by_role("row", name=re.compile("us-east-1 Region defaults"))).to_contain_text("Verified")
    set_to = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "ManagedBy": "account"}
    assert ec2.get_instance_metadata_defaults()["AccountLevel"] == set_to
    account(engineer)
    region = engineer.get_by_role("row", name=re.compile("^us-east-1.*v2 required"))
    expect(region.get_by_role("cell", name="2", exact=True)).to_be_visible()

    # The template, its default, and the group that pins it.
    plan(engineer, "Launch templates and groups")
    options = ["MetadataOptions", "DefaultVersion", "LaunchTemplate"]
    expect(engineer.locator("#changes .diff .opt")).to_have_text(options)
    moved = walk.approve(approver, walk.ask(engineer))
    (template,) = ec2.describe_launch_templates()["LaunchTemplates"]
    found = ec2.describe_launch_template_versions(LaunchTemplateId=template["LaunchTemplateId"])
    assert template["DefaultVersionNumber"] == 2
    assert {row["VersionNumber"]: options_of(row) for row in found["LaunchTemplateVersions"]} == {
        1: {"HttpTokens": "optional", "HttpPutResponseHopLimit": 2},
        2: {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
    }

    # The rung is reached once it has been looked at, and the next one is named.
    one.manage("collect", "--account", fleets.MEMBER)
    account(engineer)
    assert rung(engineer, SAFE) == ("all 4 launch sources are", None)
    assert rung(engineer, "Every instance requires IMDSv2") == ("all 2 do", None)
    assert rung(engineer, "Watched, and quiet") == ("no run of imdsdash was watched here", "step")
    expect(engineer.locator("#ladder .card-head")).to_contain_text("next: watched, and quiet")

    # Down again: the default of the template, whose new version stays, and no preference in the Region.
    put_back(engineer, approver, moved, [re.compile("LaunchTemplate"), "DefaultVersion 2 → 1"])
    (template,) = ec2.describe_launch_templates()["LaunchTemplates"]
    assert (template["DefaultVersionNumber"], template["LatestVersionNumber"]) == (1, 2)
    since = walk.last(sandbox)
    shown = ["HttpTokens required → no preference", "HttpPutResponseHopLimit 2 → no preference"]
    put_back(engineer, approver, defaults, shown)
    assert ec2.get_instance_metadata_defaults()["AccountLevel"] == {"ManagedBy": "account"}
    (call,) = walk.writes(sandbox, since, write)
    assert (call["params"]["HttpTokens"], call["params"]["HttpPutResponseHopLimit"]) == ("no-preference", "-1")
    one.manage("collect", "--account", fleets.MEMBER)
    account(engineer)
    assert rung(engineer, SAFE) == ("4 of 4 launch sources are not safe", "step")


def test_a_viewer_sees_the_ladder_and_has_nothing_to_press(installation, chromium):
    viewer = walk.log_in(chromium, installation[2], "viewer")
    account(viewer)

    expect(viewer.locator(".ladder li")).to_have_count(5)
    expect(viewer.locator("#ladder button")).to_have_count(0)
