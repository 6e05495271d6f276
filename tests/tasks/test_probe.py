"""Trying a role: what is there and what is missing, in AWS's words."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from migration.aws import probes
from migration.enums import GapKind, RoleState
from migration.models import Account, Scope
from migration.tasks import edges
from migration.tasks.probe import REGIONS, probe, probe_account
from tests import factories, fleets
from tests.factories import NOW

pytestmark = pytest.mark.django_db
READER = Path(__file__).parent.parent.parent / "deploy" / "reader-role.json"
ALL = ["ec2:DescribeRegions", *(one.action for one in probes.probes(NOW))]


def member(**fields) -> Account:
    arn = f"arn:aws:iam::{fleets.MEMBER}:role/imdsdash-reader"
    fields = {"reader_role_arn": arn, "external_id": fleets.EXTERNAL_ID, "role_state": RoleState.UNTESTED} | fields
    return factories.account(account_id=fleets.MEMBER, **fields)


def test_a_role_with_all_permissions_is_told_with_its_identity_and_regions(aws):
    aws(fleets.pair())

    found = probe(edges.reader(), member(), now=NOW)

    assert found.entered
    assert found.identity.startswith(f"arn:aws:sts::{fleets.MEMBER}:assumed-role/imdsdash-reader/imdsdash")
    assert (found.regions, found.region) == (("us-east-1",), "us-east-1")
    assert [(one.action, one.ok) for one in found.findings] == [(action, True) for action in ALL]
    assert found.missing == []


def test_every_permission_of_the_reader_role_is_tried():
    (statement,) = json.loads(READER.read_text())["Statement"]

    assert sorted(statement["Action"]) == sorted(ALL)


def test_what_is_refused_is_told_in_awss_words_and_the_rest_is_still_tried(aws):
    sandbox = aws(fleets.pair(deny=["cloudwatch:ListMetrics", "ec2:GetInstanceMetadataDefaults"]))

    found = probe(edges.reader(), member(), now=NOW)

    assert [one.action for one in found.missing] == ["ec2:GetInstanceMetadataDefaults", "cloudwatch:ListMetrics"]
    assert "UnauthorizedOperation" in found.missing[0].message
    assert "is not authorized to perform: cloudwatch:ListMetrics" in found.missing[1].message
    assert sandbox.calls(operation="DescribeScalingActivities")


def test_a_probe_asks_each_thing_once_and_takes_little(aws):
    sandbox = aws(fleets.pair())

    probe(edges.reader(), member(), now=NOW)

    sent = {call["operation"]: call["params"] for call in sandbox.calls(account_id=fleets.MEMBER)}
    assert sent["DescribeInstances"] == {"MaxResults": "5"}
    assert sent["DescribeScalingActivities"] == {"MaxRecords": "1"}
    assert sent["GetMetricData"]["MetricDataQueries.#"] == "1"


def test_a_closed_door_is_a_result_and_not_an_error(aws):
    aws(fleets.pair(deny_assume=True))

    found = probe(edges.reader(), member(), now=NOW)

    assert (found.gap, found.findings) == (GapKind.DENIED, ())
    assert "AssumeRole" in found.message


def test_credentials_that_answer_as_another_account_are_asked_nothing_more(aws):
    sandbox = aws(
        fleets.pair(),
        faults=[{"kind": "wrong_account", "operation": "GetCallerIdentity", "other_account": fleets.CLOSED}],
    )

    found = probe(edges.reader(), member(), now=NOW)

    assert found.gap is GapKind.WRONG_ACCOUNT
    assert {call["operation"] for call in sandbox.calls()} == {"AssumeRole", "GetCallerIdentity"}


def test_regions_that_are_refused_are_a_missing_permission_like_the_others(aws):
    aws(fleets.pair(deny=["ec2:DescribeRegions"]))
    account = member()

    found = probe(edges.reader(), account, now=NOW)
    assert (found.regions, [one.action for one in found.missing]) == ((), [REGIONS])

    probe_account(account.pk)
    account.refresh_from_db()
    assert account.role_state == RoleState.DENIED
    assert "DescribeRegions" in account.role_message


def test_the_task_writes_what_it_found(aws):
    aws(fleets.pair(deny=["cloudwatch:ListMetrics"]))
    account = member(probe={"discovery": {"organization": "o-x"}, "asked_at": "earlier"})

    probe_account(account.pk)

    account.refresh_from_db()
    assert (account.role_state, account.role_message) == (RoleState.OK, "")
    assert account.role_checked_at is not None
    assert account.probe["discovery"] == {"organization": "o-x"}
    assert "asked_at" not in account.probe
    assert [one["action"] for one in account.probe["findings"] if not one["ok"]] == ["cloudwatch:ListMetrics"]
    assert list(Scope.objects.values_list("region", flat=True)) == ["us-east-1"]


def test_the_task_writes_why_it_could_not_enter(aws):
    aws(fleets.pair())
    account = member(external_id="wrong-one")

    probe_account(account.pk)

    account.refresh_from_db()
    assert account.role_state == RoleState.DENIED
    assert "AccessDenied" in account.role_message
    assert account.probe["findings"] == []


def test_credentials_of_the_account_itself_tell_its_partition(aws, monkeypatch):
    aws(fleets.pair())
    account = factories.account(account_id=fleets.CENTRAL)
    arn = f"arn:aws-us-gov:sts::{fleets.CENTRAL}:assumed-role/imdsdash/web"
    monkeypatch.setattr(probes, "identity", lambda *_: arn)

    probe_account(account.pk)

    account.refresh_from_db()
    assert (account.partition, account.probe["identity"]) == ("aws-us-gov", arn)


def test_an_account_that_is_gone_meanwhile_is_nothing_to_do():
    probe_account(987654)


def test_a_second_try_does_not_lean_on_the_session_of_the_first(aws):
    sandbox = aws(fleets.pair())
    account = member()
    assert probe(edges.reader(), account, now=NOW).entered
    sandbox.world.accounts[fleets.MEMBER].deny_assume = True

    assert not probe(edges.reader(), account, now=NOW + timedelta(minutes=1)).entered


def test_a_role_that_answers_again_is_collected_at_once(aws):
    aws(fleets.pair())
    account = member(role_state=RoleState.DENIED, failures=9, retry_at=NOW + timedelta(days=1))

    probe_account(account.pk)

    account.refresh_from_db()
    assert (account.failures, account.retry_at) == (0, None)


def test_only_configured_regions_are_looked_at(aws, settings):
    aws(fleets.pair(regions=["eu-west-1", "us-east-1"]))
    settings.IMDSDASH_REGIONS = ["eu-west-1"]

    found = probe(edges.reader(), member(), now=NOW)

    assert (found.regions, found.region) == (("eu-west-1",), "eu-west-1")
