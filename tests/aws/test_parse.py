"""Payload to fact: what AWS did not say is None, and nothing is taken for granted."""

import json
from datetime import UTC, datetime
from pathlib import Path

from migration.aws import parse
from migration.domain.facts import DefaultsFact, MetadataOptions

DATA = Path(__file__).parent.parent / "data" / "aws"


def page() -> dict:
    """A canned DescribeInstances page: two reservations, three instances."""
    found: dict = json.loads((DATA / "describe_instances.json").read_text())
    for reservation in found["Reservations"]:
        for member in reservation["Instances"]:
            member["LaunchTime"] = datetime.fromisoformat(member["LaunchTime"])
            for interface in member.get("NetworkInterfaces", []):
                interface["Attachment"]["AttachTime"] = datetime.fromisoformat(interface["Attachment"]["AttachTime"])
    return found


def test_a_reservation_may_hold_several_instances():
    assert [fact.instance_id for fact in parse.instances(page())] == [
        "i-0aaaaaaaaaaaaaaa1",
        "i-0aaaaaaaaaaaaaaa2",
        "i-0aaaaaaaaaaaaaaa3",
    ]


def test_a_full_member_is_read_in_all_its_parts():
    fact = parse.instances(page(), keep_tags=["team"])[0]

    assert fact.options == MetadataOptions("optional", 2, "enabled", "disabled", "enabled", "applied")
    assert (fact.name, dict(fact.tags)) == ("web", {"team": "a"})
    assert (fact.asg_name, fact.launch_template_id, fact.launch_template_version) == ("web-asg", "lt-1", "7")
    assert (fact.public, fact.lifecycle, fact.instance_state) == (True, "spot", "running")
    assert fact.launched_at == datetime(2026, 11, 10, tzinfo=UTC)
    assert fact.first_launched_at == datetime(2026, 1, 5, tzinfo=UTC)


def test_the_first_launch_is_the_attach_time_of_the_primary_interface_not_the_last_start():
    """`LaunchTime` is the last start (domain.md 3.2)."""
    fact = parse.instances(page())[0]

    assert fact.first_launched_at < fact.launched_at


def test_a_stopped_member_tells_since_when():
    fact = parse.instances(page())[1]

    assert fact.stopped_at == datetime(2026, 11, 18, 10, 30, tzinfo=UTC)


def test_what_a_bare_member_does_not_say_is_none_or_empty():
    fact = parse.instances(page())[2]

    assert fact.options == MetadataOptions()
    assert (fact.first_launched_at, fact.stopped_at, fact.name, fact.public) == (None, None, "", False)


def test_operator_is_read():
    assert parse.instances(page())[1].operator_principal == "eks.amazonaws.com"
    assert parse.instances(page())[1].operator_managed


def test_an_empty_page_is_no_instance():
    assert parse.instances({"Reservations": []}) == []


def test_defaults_without_a_key_have_no_preference():
    assert parse.defaults({"AccountLevel": {"HttpTokens": "required"}}) == DefaultsFact(http_tokens="required")
    assert parse.defaults({}) == DefaultsFact()
