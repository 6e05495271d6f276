"""Asking CloudTrail about one instance: what it tells, what it cannot, and how seldom it is asked."""

import json

import pytest
from django.utils import timezone

from migration.actions import callers as rows
from migration.actions.errors import Refused
from migration.aws import cloudtrail
from migration.aws.pace import LIMITS, Rate
from migration.enums import FoundBy, Role
from migration.models import AuditEvent, Caller, Instance
from migration.tasks import callers
from tests import factories, fleets
from tests.tasks.story import collect_all

pytestmark = pytest.mark.django_db


def quiet(name: str, **more) -> dict:
    return {"name": name, "usage": "quiet", "launched_days_ago": 100, "restarted_days_ago": 2} | more


def asked(name: str) -> Instance:
    row = Instance.objects.get(name=name)
    by = factories.user(f"ellen-{name}", Role.ENGINEER)
    rows.ask(instance=row, by=by, now=timezone.now())
    callers.look_up(row.pk)
    row.refresh_from_db()
    return row


def test_credentials_that_imdsv1_delivered_name_role_and_user_agent(aws):
    sandbox = aws(fleets.alone(quiet("old", profile="web", usage={"profile": "steady", "calls_per_hour": 3})))
    collect_all()
    row = asked("old")

    found = Caller.objects.get()
    assert (found.of, found.found_by, found.known, found.calls) == (row, FoundBy.LOOKUP, "aws-cli-1", 4)
    assert found.role_arn.endswith(":role/web")
    assert (row.cloudtrail["events"], row.cloudtrail["by_v1"], row.cloudtrail["by_v2"]) == (12, 4, 8)
    assert len(sandbox.calls(operation="LookupEvents")) == 1


def test_case_36_no_credential_by_imdsv1_proves_nothing_and_changes_no_verdict(aws):
    aws(fleets.alone(quiet("new", profile="web"), quiet("bare")))
    collect_all()
    before = list(Instance.objects.values_list("status", "blockers"))

    assert asked("new").cloudtrail["by_v1"] == 0
    assert asked("bare").cloudtrail["events"] == 0
    collect_all()
    assert list(Instance.objects.values_list("status", "blockers")) == before


def test_what_it_tells_blocks_a_quiet_instance(aws):
    aws(fleets.alone(quiet("web", profile="web")))
    collect_all()
    row = Instance.objects.get()
    Caller.objects.create(
        account=row.account, region=row.region, of=row, instance_id=row.instance_id, user_agent="aws-cli/1.16.102",
        last_seen=timezone.now(), found_by=FoundBy.LOOKUP, key="x",
    )  # fmt: skip
    collect_all()

    row.refresh_from_db()
    assert row.status == "ready"
    assert "seen in use on" in row.blockers[0]


def test_a_refusal_is_said_in_awss_words(aws):
    aws(fleets.alone(quiet("web"), deny=["cloudtrail:LookupEvents"]))
    collect_all()

    assert "LookupEvents" in asked("web").cloudtrail["gap"]


def test_case_37_it_is_asked_by_a_click_two_times_a_second_and_not_twice_at_once(aws):
    aws(fleets.alone(quiet("web")))
    collect_all()
    row, ellen = Instance.objects.get(), factories.user("ellen", Role.ENGINEER)
    rows.ask(instance=row, by=ellen, now=timezone.now())
    row.refresh_from_db()
    with pytest.raises(Refused, match="being asked about it already"):
        rows.ask(instance=row, by=ellen, now=timezone.now())

    assert AuditEvent.objects.filter(verb="callers.asked").count() == 1
    assert LIMITS["LookupEvents"] == Rate(2, 2)


def test_nobody_asked_so_nothing_is_looked_up(aws):
    sandbox = aws(fleets.alone(quiet("web")))
    collect_all()
    callers.look_up(Instance.objects.get().pk)

    assert not sandbox.calls(operation="LookupEvents")


def test_looking_takes_the_role_engineer(aws):
    aws(fleets.alone(quiet("web")))
    collect_all()
    with pytest.raises(Refused, match="does not allow"):
        rows.ask(instance=Instance.objects.get(), by=factories.user("v", Role.VIEWER), now=timezone.now())


@pytest.mark.parametrize(
    "told",
    ["[]", "null", "no JSON", '{"userIdentity": null}', '{"userIdentity": {"sessionContext": null}}'],
)
def test_an_event_without_a_session_is_passed_over(told):
    found = cloudtrail.Looked()
    cloudtrail._take(found, {"CloudTrailEvent": told, "EventTime": timezone.now()}, "1" * 12, "us-east-1", "i-1")

    assert not found.sightings


def test_an_event_without_a_role_is_still_one_by_imdsv1():
    session = {"ec2RoleDelivery": "1.0", "sessionIssuer": None}
    event = {"userAgent": None, "userIdentity": {"sessionContext": session}}
    found = cloudtrail.Looked()
    told = {"CloudTrailEvent": json.dumps(event), "EventTime": timezone.now()}
    cloudtrail._take(found, told, "1" * 12, "us-east-1", "i-1")

    assert [(one.role_arn, one.user_agent) for one in found.sightings] == [("", "")]
