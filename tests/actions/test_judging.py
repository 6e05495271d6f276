"""A pass's verdicts in the tables: siblings together, what stands in the way, what was lost, who changed an option."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from migration.actions import collection, inventory, judging, workloads
from migration.actions.errors import Refused
from migration.domain.facts import DefaultsFact, InstanceFact, MetadataOptions
from migration.enums import RegressionKind, Role, Standing, Status
from migration.models import (
    AuditEvent,
    Change,
    Instance,
    Notification,
    OptionChange,
    RegionDefaults,
    Regression,
    Scope,
    Workload,
)
from migration.queries.planning import candidates
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
TODAY = date(2026, 11, 20)
UNTIL = datetime(2026, 11, 20, 6, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
TODAYS = [0] * 6 + [None] * 18


@pytest.fixture
def claim():
    return claimed(factories.scope(factories.account(name="shop"), usage_until=UNTIL))


def claimed(scope: Scope):
    claim = collection.claim_scope(scope=scope, owner="test", now=NOW)
    assert claim is not None
    return claim


def member(claim, *, born, asg="web", died=None, hours=None, **fields) -> Instance:
    """An instance of a group, born so many days ago at midnight UTC and quiet since; or dead since `died` days ago."""
    told: dict[str, Any] = {"status": Status.UNKNOWN, "usage_until": UNTIL} | fields
    if died is not None:
        ended = MIDNIGHT - died * DAY
        told |= {"status": Status.GONE, "gone_at": ended, "ended_at": ended}
    begin = MIDNIGHT - born * DAY
    account = Scope.objects.get(pk=claim.scope_id).account
    row = factories.instance(account, asg_name=asg, first_launched_at=begin, launched_at=begin, **told)
    for back in range(min(born, 16), died or 0, -1):
        factories.instance_day(row, TODAY - back * DAY, hours=hours)
    if died is None:
        factories.instance_day(row, TODAY, hours=TODAYS)
    return row


def daily(claim, **fields) -> None:
    """A group whose members live a day each, through the window."""
    for back in range(2, 16):
        member(claim, born=back, died=back - 1, **fields)


def judge(claim):
    return judging.judge_scope(claim=claim, until=UNTIL, now=NOW)


# --- siblings ------------------------------------------------------------------------------------------


def test_case_50_a_member_of_a_group_that_is_replaced_daily_is_ready(claim):
    daily(claim)
    young = member(claim, born=1)

    assert judge(claim) == {"ready": 1}
    young.refresh_from_db()
    assert young.status == Status.READY
    assert young.status_reason.startswith("Judged with its siblings, for it is younger than 14 days: 14 of 14 days")


def test_case_50_its_workload_says_what_it_rests_on(claim):
    daily(claim)
    member(claim, born=1)
    judge(claim)

    found = Workload.objects.get()
    assert (found.kind, found.name, found.standing) == ("asg", "web", Standing.READY)
    assert (found.instances, found.instances_gone, found.measured_days, found.missing_hours) == (1, 14, 14, 0)
    assert (found.v1_calls, found.instances_calling, found.next_step) == (
        0,
        0,
        "Plan the enforcement of 1 ready instance.",
    )


def test_a_dead_sibling_that_called_holds_the_young_back_and_puts_the_workload_in_use(claim):
    daily(claim)
    member(claim, born=5, died=4, hours=[0] * 23 + [7])
    young = member(claim, born=1)
    judge(claim)

    young.refresh_from_db()
    assert young.status == Status.SETTLING
    assert "Auto Scaling group web (16 instances, 15 of them gone) made 7 IMDSv1 calls" in young.status_reason
    found = Workload.objects.get()
    assert (found.standing, found.instances_calling, found.v1_calls) == (Standing.IN_USE, 1, 7)
    assert found.reason == "1 instance that came and went did (7 calls) in the last 14 days."


def test_a_dead_sibling_known_only_by_its_metric_holds_the_young_back(claim):
    daily(claim)
    lost = member(claim, born=5, died=4)
    Instance.objects.filter(pk=lost.pk).update(launched_at=None, ended_at=None, http_tokens=None)
    young = member(claim, born=1)
    judge(claim)

    young.refresh_from_db()
    assert young.status == Status.SETTLING
    assert young.status_reason.endswith("how long 1 of its siblings in Auto Scaling group web ran is not known.")


def test_members_of_another_group_or_region_say_nothing(claim):
    daily(claim, asg="other")
    young = member(claim, born=1)
    judge(claim)

    young.refresh_from_db()
    assert young.status == Status.SETTLING


def test_the_same_verdict_twice_is_written_once(claim, django_assert_num_queries):
    daily(claim)
    young = member(claim, born=1)
    judge(claim)
    since = Instance.objects.get(pk=young.pk).status_since
    judging.judge_scope(claim=claim, until=UNTIL, now=NOW + timedelta(minutes=5))

    assert Instance.objects.get(pk=young.pk).status_since == since


def test_a_workload_of_which_nothing_is_left_is_forgotten_unless_somebody_chose_for_it(claim):
    member(claim, born=40, asg="kept")
    member(claim, born=40, asg="over")
    judge(claim)
    Workload.objects.filter(name="kept").update(hop_limit=2)
    Instance.objects.update(gone_at=NOW - 30 * DAY, status=Status.GONE)
    judging.judge_scope(claim=claim, until=UNTIL, now=NOW + timedelta(minutes=5))

    assert list(Workload.objects.values_list("name", "instances", "by_status")) == [("kept", 0, {})]


# --- around --------------------------------------------------------------------------------------------


def test_risk_is_stored_with_the_verdict(claim):
    quiet = member(claim, born=40)
    loud = member(claim, born=40, hours=[1] * 24, public=True, instance_profile_arn="arn:aws:iam::1:instance-profile/x")
    done = member(claim, born=40, http_tokens="required", public=True)
    judge(claim)

    assert dict(Instance.objects.values_list("pk", "risk")) == {quiet.pk: 1, loud.pk: 36, done.pk: 0}
    assert Workload.objects.get().risk == 36


def test_case_14_a_region_that_enforces_takes_the_way_back_from_the_ready(claim):
    RegionDefaults.objects.create(scope_id=claim.scope_id, http_tokens_enforced="enabled", read_at=NOW)
    one = member(claim, born=40)
    judge(claim)

    one.refresh_from_db()
    assert any("HttpTokensEnforced" in warning for warning in one.warnings)


# --- choices -------------------------------------------------------------------------------------------


def test_a_person_chooses_the_hop_limit_of_a_workload_and_it_is_audited(claim):
    member(claim, born=40)
    judge(claim)
    one, ellen = Workload.objects.get(), factories.user("ellen", Role.ENGINEER)
    workloads.choose_hop_limit(workload=one, limit=2, by=ellen, now=NOW)

    assert Workload.objects.get().hop_limit == 2
    event = AuditEvent.objects.get(verb="workload.hop_limit_chosen")
    assert (event.actor, event.before, (event.after or {})["hop_limit"]) == ("ellen", {"hop_limit": None}, 2)


@pytest.mark.parametrize(
    ("role", "limit"), [(Role.VIEWER, 2), (Role.APPROVER, 2), (Role.ENGINEER, 1), (Role.ENGINEER, 64)]
)
def test_a_choice_that_is_not_theirs_or_makes_no_sense_is_refused(claim, role, limit):
    member(claim, born=40)
    judge(claim)
    with pytest.raises(Refused):
        workloads.choose_hop_limit(workload=Workload.objects.get(), limit=limit, by=factories.user("v", role), now=NOW)

    assert Workload.objects.get().hop_limit is None


# --- what was lost -------------------------------------------------------------------------------------


def lost() -> list[tuple[str, str, bool]]:
    return [(row.kind, row.subject, row.resolved_at is None) for row in Regression.objects.order_by("pk")]


def test_an_enforced_instance_that_is_optional_again_is_a_regression_until_it_is_required(claim):
    one = member(claim, born=40, http_tokens="required", asg="")
    judge(claim)
    Instance.objects.update(http_tokens="optional")
    judge(claim)
    judge(claim)
    assert lost() == [(RegressionKind.OPTIONAL_AGAIN, one.instance_id, True)]

    Instance.objects.update(http_tokens="required")
    judge(claim)
    assert lost() == [(RegressionKind.OPTIONAL_AGAIN, one.instance_id, False)]


def test_calls_after_it_was_ready_are_a_regression(claim):
    one = member(claim, born=40, asg="")
    judge(claim)
    assert lost() == []
    day = one.days.get(day=TODAY - DAY)
    day.v1_calls, day.v1_hours = 4, None
    day.delete()
    factories.instance_day(one, TODAY - DAY, hours=[*[0] * 23, 4])
    judge(claim)

    assert lost() == [(RegressionKind.V1_AFTER_READY, one.instance_id, True)]
    assert "4 IMDSv1 calls in the window" in Regression.objects.get().sentence


def launched(claim, **fields) -> Instance:
    """One that this pass sees for the first time."""
    born = NOW - timedelta(minutes=20)
    fields = {"status": Status.UNKNOWN, "status_since": None, "asg_name": "web", "usage_until": None} | fields
    return factories.instance(
        Scope.objects.get(pk=claim.scope_id).account, first_launched_at=born, launched_at=born, **fields
    )


def seen_an_hour_ago(claim) -> None:
    Scope.objects.filter(pk=claim.scope_id).update(inventory_at=NOW - timedelta(hours=1))


def test_a_launch_that_allows_imdsv1_in_a_workload_that_was_done_is_a_regression(claim):
    member(claim, born=40, http_tokens="required")
    member(claim, born=40, asg="other")
    judge(claim)
    seen_an_hour_ago(claim)
    new = launched(claim, name="web-7")
    judge(claim)
    assert lost() == [(RegressionKind.NEW_LAUNCH, "Auto Scaling group web", True)]
    assert Regression.objects.get().sentence == "web-7 was launched with IMDSv1 allowed, where nothing allowed it."

    Instance.objects.filter(pk=new.pk).update(http_tokens="required")
    judge(claim)
    assert lost() == [(RegressionKind.NEW_LAUNCH, "Auto Scaling group web", False)]


def test_a_launch_that_allows_imdsv1_where_much_allows_it_is_no_regression(claim):
    member(claim, born=40)
    judge(claim)
    seen_an_hour_ago(claim)
    launched(claim)
    judge(claim)

    assert lost() == []


def test_a_launch_against_the_regions_default_is_a_regression(claim):
    RegionDefaults.objects.create(scope_id=claim.scope_id, http_tokens="required", read_at=NOW)
    member(claim, born=40, asg="")
    judge(claim)
    seen_an_hour_ago(claim)
    launched(claim, asg_name="")
    judge(claim)

    assert lost() == [(RegressionKind.NEW_LAUNCH, judging.SINGLE, True)]


def test_what_the_first_look_finds_is_not_new(claim):
    Scope.objects.filter(pk=claim.scope_id).update(inventory_at=None)
    RegionDefaults.objects.create(scope_id=claim.scope_id, http_tokens="required", read_at=NOW)
    launched(claim)
    judge(claim)

    assert lost() == []


def test_a_region_default_that_is_taken_back_is_a_regression_until_it_is_put_right(claim):
    good = DefaultsFact(http_tokens="required", http_tokens_enforced="enabled")
    inventory.store_defaults(claim=claim, fact=good, now=NOW)
    assert lost() == []
    inventory.store_defaults(claim=claim, fact=DefaultsFact(http_tokens="required"), now=NOW)
    inventory.store_defaults(claim=claim, fact=DefaultsFact(), now=NOW)
    inventory.store_defaults(claim=claim, fact=DefaultsFact(), now=NOW)

    assert lost() == [
        (RegressionKind.DEFAULT_BACK, "HttpTokensEnforced", True),
        (RegressionKind.DEFAULT_BACK, "HttpTokens", True),
    ]
    assert Regression.objects.first().sentence.endswith("was HttpTokens=required and is no preference.")

    inventory.store_defaults(claim=claim, fact=good, now=NOW)
    assert [open_ for _, _, open_ in lost()] == [False, False]


def test_a_default_that_never_was_required_is_not_taken_back(claim):
    inventory.store_defaults(claim=claim, fact=DefaultsFact(http_tokens="optional"), now=NOW)
    inventory.store_defaults(claim=claim, fact=DefaultsFact(), now=NOW)

    assert lost() == []


def test_what_one_pass_found_lost_is_one_message(claim, settings):
    settings.IMDSDASH_WEBHOOK_URL = "https://example.com/hook"
    for _ in range(3):
        member(claim, born=40, http_tokens="required", asg="")
    judge(claim)
    Instance.objects.update(http_tokens="optional")
    judge(claim)
    judge(claim)

    message = Notification.objects.get()
    assert message.subject == "Allows IMDSv1 again: 3 in shop, us-east-1"
    assert len(message.lines) == 3


# --- the history of options ----------------------------------------------------------------------------

OPTIONS = MetadataOptions("optional", 1, "enabled", "disabled", "disabled", "applied")


def seen(claim, one: Instance, options: MetadataOptions, *, at=NOW) -> None:
    fact = InstanceFact(instance_id=one.instance_id, instance_state="running", options=options)
    inventory.store_page(claim=claim, facts=[fact], seen_at=at)


def told() -> list[tuple[str, str | None, str | None, int | None]]:
    return [(row.option, row.before, row.after, row.change_id) for row in OptionChange.objects.order_by("pk")]


def test_an_option_that_is_another_now_goes_into_the_history(claim):
    one = member(claim, born=40, last_seen_at=NOW - DAY)
    seen(claim, one, OPTIONS)
    assert told() == []
    seen(claim, one, replace(OPTIONS, http_tokens="required", http_put_response_hop_limit=2), at=NOW + DAY)

    assert told() == [("HttpTokens", "optional", "required", None), ("HttpPutResponseHopLimit", "1", "2", None)]
    row = OptionChange.objects.first()
    assert (row.since, row.at) == (NOW, NOW + DAY)


def test_an_option_that_aws_did_not_say_this_time_is_not_known_to_have_changed(claim):
    one = member(claim, born=40)
    seen(claim, one, replace(OPTIONS, http_tokens=None))

    assert told() == []


def test_a_change_of_ours_is_told_from_somebody_elses(claim):
    one = member(claim, born=40, last_seen_at=NOW - DAY)
    change = sent(one, called_at=NOW - timedelta(minutes=30))
    seen(claim, one, replace(OPTIONS, http_tokens="required", http_endpoint="disabled"))

    assert told() == [
        ("HttpTokens", "optional", "required", change.pk),
        ("HttpEndpoint", "enabled", "disabled", None),
    ]


def test_a_change_of_ours_long_before_is_not_what_changed_it_now(claim):
    one = member(claim, born=40, last_seen_at=NOW - DAY)
    sent(one, called_at=NOW - 3 * DAY)
    seen(claim, one, replace(OPTIONS, http_tokens="required"))

    assert told() == [("HttpTokens", "optional", "required", None)]


def sent(one: Instance, *, called_at: datetime) -> Change:
    return factories.change(factories.run(one.account), one, called_at=called_at)


def test_the_hop_limit_chosen_for_a_workload_stands_in_the_plan_of_its_members_alone(claim):
    member(claim, born=40)
    other = member(claim, born=40, asg="other")
    judge(claim)
    Workload.objects.filter(name="web").update(hop_limit=2)

    found = {one.instance_id: one.hop_limit for one in candidates(other.account, now=NOW)}
    assert sorted(found.values(), key=str) == [2, None]
    assert found[other.instance_id] is None


@pytest.mark.parametrize(
    ("answer", "standing"),
    [
        ("safe", Standing.DONE),
        ("v1_allowed", Standing.COMES_BACK),
        ("unknown", Standing.UNSURE),
        (None, Standing.UNSURE),
    ],
)
def test_case_28_a_workload_that_is_enforced_stands_as_what_its_group_launches_next(claim, answer, standing):
    one = member(claim, born=40, http_tokens="required")
    if answer:
        factories.launch_source(one.account, kind="asg", source_id="web", name="web", answer_now=answer)
    judge(claim)

    assert Workload.objects.get().standing == standing


def test_a_second_launch_into_an_open_regression_is_no_second_one(claim, settings):
    settings.IMDSDASH_WEBHOOK_URL = "https://example.com/hook"
    member(claim, born=40, http_tokens="required")
    judge(claim)
    seen_an_hour_ago(claim)
    launched(claim)
    RegionDefaults.objects.create(scope_id=claim.scope_id, http_tokens="required", read_at=NOW)
    judge(claim)
    launched(claim)
    judge(claim)

    assert lost() == [(RegressionKind.NEW_LAUNCH, "Auto Scaling group web", True)]
    assert Notification.objects.count() == 1


def test_what_a_sibling_called_before_it_was_enforced_holds_the_young_back(claim):
    daily(claim)
    member(claim, born=5, hours=[7] * 24, http_tokens="required")
    young = member(claim, born=1)
    judge(claim)

    young.refresh_from_db()
    assert young.status == Status.SETTLING
    assert "IMDSv1 calls in the window" in young.status_reason


# --- right after a change of ours -------------------------------------------------------------------------


def shown(row: Instance, **said: Any) -> InstanceFact:
    options = MetadataOptions("required", 1, "enabled", "disabled", "disabled", "applied")
    return InstanceFact(instance_id=row.instance_id, instance_state="running", options=replace(options, **said))


@pytest.mark.parametrize("count", [1, 25])
def test_what_is_read_after_a_change_takes_the_same_queries_for_one_and_for_many(
    claim, django_assert_num_queries, count
):
    rows = [member(claim, born=3, asg="") for _ in range(count)]
    upsert = {"sqlite": 1, "postgresql": 4}[connection.vendor]

    with django_assert_num_queries(14 + upsert):
        judging.refresh_instances(
            account_pk=claim.account_pk, region=claim.region, facts={row.pk: shown(row) for row in rows}, now=NOW
        )

    now = Instance.objects.values_list("http_tokens", "status", "first_enforced_at")
    assert list(now) == [("required", Status.ENFORCED, NOW)] * count
    assert OptionChange.objects.filter(option="HttpTokens", after="required").count() == count


def test_of_two_read_after_a_change_each_has_the_verdict_of_its_own(claim):
    first, second, beside = (member(claim, born=30, asg="") for _ in range(3))
    facts = {first.pk: shown(first), second.pk: shown(second, http_tokens="optional")}

    judging.refresh_instances(account_pk=claim.account_pk, region=claim.region, facts=facts, now=NOW)

    assert [Instance.objects.get(pk=row.pk).status for row in (first, second)] == [Status.ENFORCED, Status.READY]
    assert Instance.objects.get(pk=beside.pk).last_seen_at == beside.last_seen_at
