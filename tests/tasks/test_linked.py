"""Usage read through a monitoring account: the same rows as by each account's own role, in far fewer calls."""

import pytest
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from migration.aws import cloudwatch
from migration.enums import Outcome, ScopeState, Status
from migration.models import ApiDay, Instance, InstanceDay, Scope, ScopeDay
from migration.tasks import edges, linked
from tests import fleets
from tests.tasks.story import stored
from tests.tasks.together import (
    CALLS,
    DAY,
    FIVE,
    HOUR,
    asked,
    calls,
    known_until,
    member,
    of,
    organization,
    read_apart,
    read_together,
)

pytestmark = pytest.mark.django_db

# --- the same, in fewer calls --------------------------------------------------------------------------


def everything_apart(settings) -> dict[str, list]:
    """What the same passes by each account's own role would leave. What they write is taken back."""
    monitoring = settings.IMDSDASH_MONITORING_ACCOUNT
    settings.IMDSDASH_MONITORING_ACCOUNT = ""
    with transaction.atomic():
        read_apart()
        found = stored()
        transaction.set_rollback(True)
    settings.IMDSDASH_MONITORING_ACCOUNT = monitoring
    return found


def test_one_call_reads_twelve_accounts_and_leaves_the_rows_that_twelve_would(yesterday, settings):
    sandbox = yesterday(organization(count=12))
    apart = everything_apart(settings)
    assert calls(sandbox) == {"AssumeRole": 12, "GetCallerIdentity": 12, "ListMetrics": 12, "GetMetricData": 12}
    sandbox.clear_calls()

    passed = read_together()

    assert calls(sandbox) == {"ListMetrics": 1, "GetMetricData": 1}
    assert [one.outcome for one in passed.values()] == [Outcome.COMPLETE] * 12
    assert stored() == apart
    assert Instance.objects.filter(usage_until=known_until()).count() == 60
    assert ScopeDay.objects.filter(day=known_until().date() - DAY, complete=True).count() == 12


def test_the_one_call_is_the_monitoring_accounts_and_says_whose_metric_each_is(yesterday):
    sandbox = yesterday(organization(count=12))

    read_together()

    (call,) = sandbox.calls(operation="GetMetricData")
    owners = {value for name, value in call["params"].items() if name.endswith(".AccountId")}
    assert (call["account_id"], asked(sandbox)) == (fleets.CENTRAL, [60])
    assert owners == {member(0), member(1)}  # the journal shows the first ten of the queries


def test_those_that_came_since_or_are_gone_are_read_in_shared_calls_too(yesterday, settings):
    """A group that scales has some of both every day: each would cost its account's own call."""
    came = {"name": "came", "launched_days_ago": 0.6, "usage": CALLS}
    went = {"count": 2, "state": "terminated", "launched_days_ago": 0.8, "stopped_days_ago": 0.4, "usage": CALLS}
    sandbox = yesterday(organization(*FIVE, came, went))
    new = Instance.objects.filter(name="came")
    InstanceDay.objects.filter(instance__in=new).delete()
    new.update(usage_until=None)
    Instance.objects.filter(status=Status.GONE).delete()
    apart = everything_apart(settings)
    sandbox.clear_calls()

    passed = read_together()

    assert asked(sandbox) == asked(sandbox, account_id=fleets.CENTRAL) == [18, 6]
    assert {one.outcome for one in passed.values()} == {Outcome.COMPLETE}
    assert Instance.objects.filter(status=Status.GONE, usage_until=known_until()).count() == 6
    assert InstanceDay.objects.filter(instance__status=Status.GONE, v1_calls__gt=0).exists()
    assert stored() == apart


def test_the_days_before_the_link_are_asked_of_the_accounts_own_role(yesterday, settings):
    """A first look, of one that was never measured; and older history."""
    sandbox = yesterday(organization())
    settings.IMDSDASH_HISTORY_DAYS = 40
    old = Instance.objects.filter(account__account_id=member(1)).order_by("pk")[0]
    Instance.objects.filter(pk=old.pk).update(usage_until=None)

    read_together()

    assert asked(sandbox, account_id=fleets.CENTRAL) == [14]
    assert [asked(sandbox, account_id=member(n)) for n in range(3)] == [[5], [1, 5], [5]]
    assert set(Scope.objects.values_list("outcome", flat=True)) == {Outcome.COMPLETE}


def test_metrics_count_for_the_scope_they_are_of_and_the_call_for_the_one_with_the_most(yesterday, settings):
    fleet = organization()
    fleet["accounts"][2]["instances"] = [*FIVE, {"name": "one more", **fleets.QUIET}]
    sandbox = yesterday(fleet)
    ApiDay.objects.all().delete()

    read_together()

    meter = ApiDay.objects.filter(operation="GetMetricData").order_by("scope__account__account_id")
    assert [(row.calls, row.metrics) for row in meter] == [(0, 5), (1, 6), (0, 5)]
    assert asked(sandbox) == [16]
    assert ApiDay.objects.filter(operation="ListMetrics").aggregate(Sum("calls")) == {"calls__sum": 1}


# --- who is asked by whom ------------------------------------------------------------------------------


def test_an_account_without_a_link_goes_by_its_own_role(yesterday):
    sandbox = yesterday(organization(linked_=2))

    passed = read_together()
    read_apart()

    assert set(passed) == {member(0), member(1)}
    assert asked(sandbox, account_id=fleets.CENTRAL) == [10]
    assert asked(sandbox, account_id=member(2)) == [5]
    assert Instance.objects.filter(usage_until=known_until()).count() == 15


def test_a_link_younger_than_the_last_whole_reading_is_not_used(yesterday):
    """Hours from before it may be out of its reach (domain.md 14.12), and would stay unknown for ever."""
    sandbox = yesterday(organization(linked_days_ago=0.5))
    linked.read_links(edges.reader(), now=timezone.now())
    Scope.objects.update(linked_since=timezone.now() - 12 * HOUR)

    assert read_together() == {}
    read_apart()

    assert asked(sandbox, account_id=fleets.CENTRAL) == []
    assert InstanceDay.objects.filter(day=known_until().date() - DAY, measured_hours=24).count() == 15
    Scope.objects.update(usage_due_at=timezone.now())
    assert len(read_together()) == 3


def test_an_account_of_which_the_monitoring_account_names_no_metric_goes_by_its_own_role(yesterday, monkeypatch):
    """Its link may be narrowed to other namespaces, which no list tells: a silence there is no measurement."""
    sandbox = yesterday(organization())
    real = cloudwatch.published_by_account

    def without_the_first(*args, **options):
        for page in real(*args, **options):
            yield {account_id: ids for account_id, ids in page.items() if account_id != member(0)}

    monkeypatch.setattr(cloudwatch, "published_by_account", without_the_first)

    passed = read_together()

    assert {one.outcome for one in passed.values()} == {Outcome.COMPLETE}
    assert asked(sandbox, account_id=fleets.CENTRAL) == [10]
    assert asked(sandbox, account_id=member(0)) == [5]
    assert [call["account_id"] for call in sandbox.calls(operation="ListMetrics")] == [fleets.CENTRAL, member(0)]


def test_what_is_forbidden_is_asked_of_the_accounts_own_role_at_once_and_not_here_again(yesterday):
    fault = {"kind": "partial_data", "status_code": "Forbidden", "account_id": fleets.CENTRAL}
    sandbox = yesterday(organization())
    theirs = Instance.objects.filter(account__account_id=member(0)).values_list("instance_id", flat=True)
    sandbox.set_faults([fault | {"instances": list(theirs)}])

    passed = read_together()

    assert passed[member(0)].outcome is Outcome.COMPLETE
    assert asked(sandbox, account_id=member(0)) == [5]
    assert (of(0).linked_to, of(0).linked_since) == ("", None)
    assert of(1).linked_to == fleets.CENTRAL
    assert Instance.objects.filter(usage_until=known_until()).count() == 15
    Scope.objects.update(usage_due_at=timezone.now())
    assert set(read_together()) == {member(1), member(2)}


def test_without_its_own_role_what_is_forbidden_is_a_gap(yesterday):
    """Nothing that the monitoring account did not answer whole is called complete."""
    sandbox = yesterday(organization())
    theirs = list(Instance.objects.filter(account__account_id=member(0)).values_list("instance_id", flat=True))
    sandbox.set_faults([{"kind": "partial_data", "status_code": "Forbidden", "instances": theirs}])

    passed = read_together()

    assert {account_id: one.outcome for account_id, one in passed.items()} == {
        member(0): Outcome.INCOMPLETE,
        member(1): Outcome.COMPLETE,
        member(2): Outcome.COMPLETE,
    }


def test_one_series_that_is_not_whole_leaves_its_own_scope_incomplete_and_no_other(yesterday):
    sandbox = yesterday(organization())
    one = Instance.objects.filter(account__account_id=member(1))[0]
    sandbox.set_faults([{"kind": "partial_data", "status_code": "PartialData", "instances": [one.instance_id]}])

    passed = read_together()

    outcomes = [passed[member(n)].outcome for n in range(3)]
    assert outcomes == [Outcome.COMPLETE, Outcome.INCOMPLETE, Outcome.COMPLETE]
    assert "1 series incomplete" in of(1).gap_message
    behind = Instance.objects.exclude(usage_until=known_until())
    assert [row.pk for row in behind] == [one.pk]
    yesterday_ = known_until().date() - DAY
    assert [ScopeDay.objects.get(scope=of(n), day=yesterday_).complete for n in range(3)] == [True, False, True]
    assert of(1).linked_to == fleets.CENTRAL


def test_a_series_that_only_the_monitoring_account_gives_in_part_is_mended_by_the_accounts_own_role(yesterday):
    sandbox = yesterday(organization())
    one = Instance.objects.filter(account__account_id=member(1))[0]
    fault = {"kind": "partial_data", "status_code": "PartialData", "instances": [one.instance_id]}
    sandbox.set_faults([fault | {"account_id": fleets.CENTRAL}])

    passed = read_together()

    assert passed[member(1)].outcome is Outcome.COMPLETE
    assert asked(sandbox, account_id=member(1)) == [1]
    assert Instance.objects.filter(usage_until=known_until()).count() == 15


@pytest.mark.parametrize("operation", ["ListMetrics", "GetMetricData"])
def test_when_the_monitoring_account_refuses_each_scope_is_its_own_roles_next_turn(yesterday, operation):
    fault = {"kind": "access_denied", "operation": operation, "account_id": fleets.CENTRAL}
    sandbox = yesterday(organization(), faults=[fault])

    assert read_together() == {}
    assert set(Scope.objects.values_list("state", "outcome")) == {(ScopeState.IDLE, Outcome.COMPLETE)}
    assert read_together() == {}
    read_apart()

    assert [asked(sandbox, account_id=member(n)) for n in range(3)] == [[5]] * 3
    assert Instance.objects.filter(usage_until=known_until()).count() == 15
    assert sum(row.calls for row in ApiDay.objects.filter(operation=operation)) >= 4  # the refused one counts
