"""What the walks through a real installation share: people who sign in, and the road from a plan to its run."""

import re
from collections.abc import Iterable
from typing import Any

import boto3
from botocore.config import Config
from playwright.sync_api import APIResponse, Browser, Page, expect

from tests import fleets
from tests.processes import House, Sandbox

PASSWORD = "a-long-password-1"
WRITE = "ModifyInstanceMetadataOptions"
NAME = "payments-prod"  # of the account that is walked through
REGION = "us-east-1"
HAND = "by-hand"  # session of who changes something beside imdsdash
ROLES = [*fleets.ROLES, {"name": "admin", "kind": "admin", "external_id": fleets.EXTERNAL_ID}]


def furnish(one: House, *people: str) -> str:
    """People who are called by their roles, the account, its first collection. Returns the pages' address."""
    words = [["people", "add", name, "--role", name, "--password-stdin"] for name in people]
    words += [["accounts", "add", fleets.MEMBER, "--name", NAME], ["collect"]]
    script = f"from django.core.management import call_command\nfor words in {words!r}:\n    call_command(*words)"
    one.manage("shell", "--no-imports", "-c", script, stdin=f"{PASSWORD}\n" * len(people))  # one process, not seven
    _, url = one.up()
    return url


def log_in(chromium: Browser, url: str, name: str) -> Page:
    page = chromium.new_context(base_url=url).new_page()
    page.set_default_timeout(15_000)
    page.goto("/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name=re.compile("log in|sign in", re.IGNORECASE)).click()
    expect(page).to_have_url(f"{url}/")
    return page


def ask(person: Page, reason: str = "Quiet for two weeks.") -> str:
    """Ask for approval of the draft that is open. Returns the plan's address."""
    person.get_by_label(re.compile("^Why")).first.fill(reason)
    person.get_by_role("button", name="Request approval").click()
    expect(person.get_by_text("someone else must approve")).to_be_visible()
    return person.url


def approve(person: Page, plan: str) -> str:
    """Somebody else decides, and waits until the run is over. Returns the run's address."""
    person.goto(plan)
    person.get_by_label(re.compile("to confirm")).fill(NAME)
    person.get_by_role("button", name=re.compile("^Approve")).click()
    return over(person)


def over(person: Page) -> str:
    expect(person).to_have_url(re.compile(r"/runs/\d+/"))
    expect(person.locator("#run-line")).to_contain_text("Done:", timeout=60_000)
    return person.url


def post(person: Page, url: str, form: dict[str, Any]) -> APIResponse:
    """What the address itself answers to this person, without the page's button."""
    cookies = {one["name"]: one["value"] for one in person.context.cookies()}
    token = {"X-CSRFToken": cookies["csrftoken"], "Referer": person.url}
    return person.request.post(url, form=form, headers=token)


def by_hand(sandbox: Sandbox) -> Any:
    """The member's EC2 as its own administrator has it, beside imdsdash."""
    limits = Config(connect_timeout=5, read_timeout=20)
    there: dict[str, Any] = {"region_name": REGION, "endpoint_url": sandbox.url, "config": limits}
    role = f"arn:aws:iam::{fleets.MEMBER}:role/admin"
    asked: dict[str, Any] = {"RoleArn": role, "RoleSessionName": HAND, "ExternalId": fleets.EXTERNAL_ID}
    central = boto3.Session("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    given = central.client("sts", **there).assume_role(**asked)["Credentials"]
    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return session.client("ec2", **there)


def options(sandbox: Sandbox, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """All five metadata options of the named instances, as the sandbox holds them."""
    held = {one["name"]: one["options"] for one in sandbox.instances(fleets.MEMBER, REGION)}
    return {name: held[name] for name in names}


def writes(sandbox: Sandbox, since: int = 0, operation: str = WRITE) -> list[dict[str, Any]]:
    """What imdsdash wrote after that place of the journal: no DryRun, and nothing done by hand."""
    calls = [call for call in sandbox.calls(operation=operation) if call["seq"] > since]
    return [call for call in calls if not call["params"].get("DryRun") and call["session_name"] != HAND]


def last(sandbox: Sandbox) -> int:
    """The place in the journal now."""
    return max((call["seq"] for call in sandbox.calls()), default=0)
