"""Bad answers: what is missing leaves its day incomplete and no instance readier, and the next whole pass mends it."""

import time
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import combinations
from typing import Any
from unittest.mock import Mock

import pytest
import time_machine
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.actions import collection as rows
from migration.actions import usage
from migration.actions.collection import Kinds
from migration.aws import ec2, errors
from migration.aws.pace import LIMITS, Pace
from migration.domain.readiness import RANK
from migration.enums import Outcome, Status
from migration.models import Account, Instance, Scope, ScopeDay
from migration.queries import asking
from migration.tasks import collection, edges
from migration.tasks import scope as scopes
from migration.tasks.scope import asked_until
from tests import fleets
from tests.tasks.story import collect_all, enter, member, over_after, set_options, stored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hasty")]
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
CALLS = {"profile": "steady", "calls_per_hour": 10}
FLEET = (
    {"count": 4, "name_prefix": "quiet", **fleets.QUIET},
    {"count": 4, "name_prefix": "caller", "launched_days_ago": 40, "usage": CALLS},
    # One more whole day of zeros makes these ready: what does not come must not count as one.
    {"count": 3, "name_prefix": "nearly", "launched_days_ago": 15.2, "usage": "quiet"},
    {"count": 2, "state": "terminated", "launched_days_ago": 6, "stopped_days_ago": 3, "usage": CALLS},
)


@pytest.fixture(autouse=True)
def clock():
    """Our clock and the pretend AWS's. It stands at twenty past, so that the passes of a test ask up to one hour."""
    with time_machine.travel(datetime(2026, 11, 20, 12, 20, tzinfo=UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch, settings):
    """Every list comes in several pages, so that there is something to lose in the middle."""
    settings.IMDSDASH_BACKFILL_DAYS = settings.IMDSDASH_HISTORY_DAYS = 20
    monkeypatch.setattr(ec2, "PAGE", 5)
    monkeypatch.setattr("sandbox.cloudwatch.MOST_POINTS", 700)
    monkeypatch.setattr("sandbox.cloudwatch._LIST_PAGE", 5)


def look(clock, *, days_ago: int = 0) -> scopes.Passed:
    """A pass, a minute after what went before. `days_ago`: it asks up to what was known so many days ago."""
    clock.shift(60)
    return collect_all(until=known_until(days_ago))["us-east-1"]


def known_until(days_ago: int = 0) -> datetime:
    return asked_until(timezone.now()) - days_ago * DAY


def ranks() -> dict[str, int]:
    return {row.name: RANK.get(Status(row.status), -1) for row in Instance.objects.exclude(name="")}


def totals() -> dict[date, int]:
    return {one.day: one.v1_calls or 0 for one in ScopeDay.objects.exclude(v1_calls=None)}


def complete_days() -> set[date]:
    return set(ScopeDay.objects.filter(complete=True).values_list("day", flat=True))


@cache
def undisturbed() -> dict[str, list[dict[str, Any]]]:
    """What two passes over FLEET leave when nothing goes wrong. The same in every test: the clock stands still."""
    Account.objects.all().delete()
    collect_all(until=known_until(2))
    collect_all()
    return stored()


# --- one fault after another ---------------------------------------------------------------------------

FAULTS = {
    "the inventory's first page dropped": {"kind": "drop", "operation": "DescribeInstances"},
    "its second page dropped": {"kind": "drop", "operation": "DescribeInstances", "after": 1},
    "its last page cut off": {"kind": "truncate", "operation": "DescribeInstances", "after": 2},
    "its second page refused": {"kind": "access_denied", "operation": "DescribeInstances", "after": 1},
    "an error of CloudWatch": {"kind": "error", "operation": "GetMetricData"},
    "the data's second page dropped": {"kind": "drop", "operation": "GetMetricData", "after": 1},
    "the data's second page cut off": {"kind": "truncate", "operation": "GetMetricData", "after": 1},
    "the data's second page throttled": {"kind": "throttle", "operation": "GetMetricData", "after": 1},
    "the data hung": {"kind": "hang", "operation": "GetMetricData", "seconds": 0.8},
    "PartialData": {"kind": "partial_data", "status_code": "PartialData"},
    "InternalError": {"kind": "partial_data", "status_code": "InternalError"},
    "Forbidden": {"kind": "partial_data", "status_code": "Forbidden"},
    "no Id in the answer": {"kind": "missing_ids"},
}
LISTS = {
    "no list of metrics": {"kind": "access_denied", "operation": "ListMetrics"},
    "its second page dropped": {"kind": "drop", "operation": "ListMetrics", "after": 1},
    "its first page cut off": {"kind": "truncate", "operation": "ListMetrics"},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_what_does_not_come_whole_makes_nothing_readier_or_gone_and_is_mended_by_the_next_pass(aws, clock, fault):
    sandbox = aws(fleets.alone(*FLEET))
    look(clock, days_ago=2)
    before, summed, complete = ranks(), totals(), complete_days()
    assert set(before.values()) == {0, 1, 2}
    sandbox.set_faults([fault])

    passed = look(clock)

    assert passed.outcome in {Outcome.INCOMPLETE, Outcome.DENIED}
    assert passed.message
    assert ranks().keys() == before.keys()
    assert all(after <= before[name] for name, after in ranks().items())
    assert not Instance.objects.exclude(name="").filter(gone_at__isnull=False).exists()
    assert all(totals()[day] >= calls for day, calls in summed.items())
    assert complete_days() == complete

    sandbox.clear_faults()
    assert look(clock).outcome is Outcome.COMPLETE
    assert known_until().date() - DAY in complete_days()
    assert stored() == undisturbed()


@pytest.mark.parametrize("fault", LISTS.values(), ids=LISTS.keys())
def test_without_the_whole_list_of_who_published_no_day_is_complete(aws, clock, fault):
    """Who is not listed may have called. Those that are listed have their own datapoints, and are judged by them."""
    sandbox = aws(fleets.alone(*FLEET))
    look(clock, days_ago=2)
    complete = complete_days()
    sandbox.set_faults([fault])

    assert look(clock).outcome is Outcome.INCOMPLETE
    assert complete_days() == complete

    sandbox.clear_faults()
    assert look(clock).outcome is Outcome.COMPLETE
    assert stored() == undisturbed()


def test_one_instance_whose_data_is_missing_stays_behind_alone(aws, clock):
    sandbox = aws(fleets.alone(*FLEET))
    look(clock, days_ago=2)
    one = Instance.objects.filter(name__startswith="nearly")[0]
    sandbox.set_faults([{"kind": "missing_ids", "instances": [one.instance_id]}])

    passed = look(clock)

    assert passed.outcome is Outcome.INCOMPLETE
    behind = Instance.objects.filter(gone_at__isnull=True, usage_until__lt=known_until())
    assert [(row.pk, row.status) for row in behind] == [(one.pk, Status.SETTLING)]
    assert Instance.objects.filter(name__startswith="nearly", status=Status.READY).count() == 2
    assert known_until().date() - DAY not in complete_days()


# --- gaps that last ------------------------------------------------------------------------------------


def test_days_that_were_incomplete_for_longer_than_is_read_again_become_complete(aws, clock):
    """Each day's data came, only the list of who published did not; nothing of these days would be asked again."""
    sandbox = aws(fleets.alone(*FLEET[:2]))
    look(clock, days_ago=8)
    sandbox.set_faults([{"kind": "access_denied", "operation": "ListMetrics"}])
    for days_ago in range(7, 0, -1):
        look(clock, days_ago=days_ago)
    assert known_until(7).date() not in complete_days()
    sandbox.clear_faults()

    assert look(clock).outcome is Outcome.COMPLETE

    assert {known_until(back).date() for back in range(1, 20)} <= complete_days()


def test_what_a_pass_had_read_that_was_killed_before_it_summed_up_is_summed_up_by_the_next(aws, clock, monkeypatch):
    """That one goes on from what is known, and has nothing left to ask."""
    aws(fleets.alone(*FLEET[:2]))
    look(clock, days_ago=6)
    with monkeypatch.context() as patched:
        patched.setattr(usage, "roll_up", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            look(clock)
    scope = Scope.objects.select_related("account").get()
    assert known_until(5).date() not in totals()

    passed = collection.collect_scope(edges.reader(), scope, until=known_until(), again=False)

    assert (passed.outcome, passed.metric_queries) == (Outcome.COMPLETE, 0)
    days = {known_until(back).date() for back in range(1, 20)}
    assert days <= complete_days()
    assert days <= totals().keys()


def test_the_watch_of_rejected_calls_makes_no_day_complete(aws, clock):
    """It asks one metric of a few instances; the day's IMDSv1 calls of all others are still unread."""
    sandbox = aws(
        fleets.alone({"name": "web", **fleets.QUIET}, {"name": "caller", "launched_days_ago": 40, "usage": CALLS})
    )
    look(clock, days_ago=2)
    set_options(sandbox, Instance.objects.get(name="web").instance_id, http_tokens="required")
    look(clock, days_ago=2)
    complete = complete_days()
    scope = Scope.objects.select_related("account").get()

    passed = scopes.collect(edges.reader(), scope, kinds=Kinds(inventory=False, usage=False, watch=True))

    assert passed.outcome is Outcome.COMPLETE
    assert passed.metric_queries == 1
    assert complete_days() == complete


def test_older_history_that_does_not_come_whole_makes_none_of_its_days_complete(aws, clock, settings):
    sandbox = aws(fleets.alone(*FLEET))
    look(clock)
    sandbox.clear_calls()
    look(clock)
    daily = len(sandbox.calls(operation="GetMetricData"))
    oldest = min(complete_days())
    settings.IMDSDASH_HISTORY_DAYS = 40
    sandbox.set_faults([{"kind": "drop", "operation": "GetMetricData", "after": daily + 1}])

    passed = look(clock)

    assert sandbox.calls(operation="GetMetricData", error_code="ConnectionCut")
    assert passed.outcome is Outcome.INCOMPLETE
    assert min(complete_days()) == oldest
    assert Scope.objects.get().history_from == oldest

    sandbox.clear_faults()
    assert look(clock).outcome is Outcome.COMPLETE
    assert min(complete_days()) == oldest - 20 * DAY


def test_older_history_whose_time_is_over_leaves_the_daily_reading_done(aws, clock, settings, monkeypatch):
    """Else a scope too large for one turn would be asked for the same slice again and again, and each time billed."""
    aws(fleets.alone(*FLEET))
    look(clock)
    settings.IMDSDASH_HISTORY_DAYS = 40
    monkeypatch.setattr(asking, "queries_per_call", lambda *_: 4)
    daily = len(list(asking.usage(Scope.objects.get(), until=known_until())))
    over_after(monkeypatch, daily + 1)

    passed = look(clock)

    scope = Scope.objects.get()
    assert (passed.outcome, passed.unfinished) == (Outcome.COMPLETE, False)
    assert scope.usage_due_at > timezone.now() + 23 * HOUR
    assert min(complete_days()) == scope.history_from == known_until(20).date()


def test_a_daily_reading_whose_time_is_over_is_not_done(aws, clock, settings, monkeypatch):
    aws(fleets.alone(*FLEET))
    look(clock, days_ago=2)
    settings.IMDSDASH_HISTORY_DAYS = 40
    complete = complete_days()
    monkeypatch.setattr(asking, "queries_per_call", lambda *_: 4)
    over_after(monkeypatch, 1)

    passed = look(clock)

    assert (passed.outcome, passed.unfinished) == (Outcome.INCOMPLETE, True)
    assert complete_days() == complete


def test_the_older_history_of_a_large_scope_comes_in_slices_that_fit_a_turn(aws, clock, settings, monkeypatch):
    settings.IMDSDASH_HISTORY_DAYS = 90
    aws(fleets.alone(*FLEET))
    look(clock)
    scope = Scope.objects.get()
    assert asking.history_slice(scope, until=known_until()) == (at(scope, 63), at(scope, 0))

    monkeypatch.setattr(asking, "SLICE_CALLS", 1)
    monkeypatch.setattr(asking, "POINTS_PER_CALL", 8 * 24 * 6)  # 8 of the 11 lived before: 6 days of them are a call

    assert asking.history_slice(scope, until=known_until()) == (at(scope, 6), at(scope, 0))


def at(scope: Scope, days: int) -> datetime:
    """A UTC midnight so many days before what the scope has read."""
    assert scope.history_from is not None
    return datetime.combine(scope.history_from - timedelta(days=days), datetime.min.time(), UTC)


# --- too fast ------------------------------------------------------------------------------------------


@pytest.fixture
def simulated(clock, monkeypatch):
    """Waiting for the pace moves the clock, ours and AWS's, and takes no time."""
    monkeypatch.setattr(edges, "pace", lambda: Pace(share=0.5, clock=time.time, sleep=clock.shift))


def listed(times: int) -> None:
    """The inventory so many times over, three pages each."""
    edge = edges.reader()
    for _ in range(times):
        list(ec2.instance_pages(edge, edge.ambient(), "us-east-1"))


def test_at_our_share_of_the_rate_aws_never_says_too_fast(aws, simulated, monkeypatch):
    """The pretend AWS counts as AWS does: 100 calls at once, 20 a second after that."""
    sandbox = aws(fleets.alone(*FLEET), faults=[{"kind": "request_limits", "operation": "DescribeInstances"}])

    listed(50)

    assert [call["error_code"] for call in sandbox.calls(operation="DescribeInstances")] == [None] * 150

    monkeypatch.setattr(edges, "pace", lambda: Pace(sleep=lambda _: None))
    edges._edge.cache_clear()
    with pytest.raises(errors.Throttled):
        listed(50)


def test_with_four_calls_in_ten_throttled_a_pass_is_whole_and_its_rate_stays_below_the_share(aws, clock, simulated):
    sandbox = aws(fleets.alone(*FLEET))
    throttled = ("DescribeInstances", "GetMetricData", "ListMetrics")
    sandbox.set_faults([{"kind": "throttle", "operation": name, "probability": 0.4} for name in throttled])

    assert [look(clock, days_ago=2).outcome, look(clock).outcome] == [Outcome.COMPLETE] * 2
    rows_ = stored()

    listed(40)
    for name in throttled:
        calls = sandbox.calls(operation=name)
        refused = [call for call in calls if call["error_code"] is not None]
        assert 0.2 < len(refused) / len(calls) < 0.6
        burst, refill = LIMITS[name].burst / 2, LIMITS[name].refill / 2
        at = [call["at"] for call in calls]
        for first, last in combinations(range(len(at)), 2):
            assert last - first + 1 <= burst + refill * (at[last] - at[first]) + 1e-6

    sandbox.clear_faults()
    assert rows_ == undisturbed()


# --- sessions ------------------------------------------------------------------------------------------


def test_a_session_is_renewed_in_the_middle_of_a_sweep_that_outlasts_it(aws, clock, monkeypatch):
    """Every call takes three minutes; sessions live for thirty, of which botocore leaves the last fifteen."""
    sandbox = aws(fleets.pair(*FLEET) | {"settings": {"session_seconds": 1800}})
    monkeypatch.setattr(Pace, "wait", lambda *_: clock.shift(180))

    enter(member())

    scope = Scope.objects.get()
    assert (scope.outcome, scope.gap_message) == (Outcome.COMPLETE, "")
    calls = sandbox.calls()
    assert {call["error_code"] for call in calls} == {None}
    renewed = [call for call in calls if call["operation"] == "AssumeRole"]
    assert 2 <= len(renewed) <= 1 + (calls[-1]["at"] - calls[0]["at"]) / 900


def test_a_session_that_aws_ends_before_its_time_is_renewed_and_the_pass_goes_on(aws):
    middle = [("DescribeInstances", 1), ("ListMetrics", 1), ("GetMetricData", 2)]
    expired = [{"kind": "expire_credentials", "operation": name, "after": after, "times": 1} for name, after in middle]
    sandbox = aws(fleets.pair(*FLEET), faults=expired)

    enter(member())

    scope = Scope.objects.get()
    assert (scope.outcome, scope.gap_message) == (Outcome.COMPLETE, "")
    assert sum((call["error_code"] or "").startswith(("Expired", "RequestExpired")) for call in sandbox.calls()) == 3
    assert len(sandbox.calls(operation="AssumeRole")) == 1 + 3


# --- clocks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [600, -600])
def test_a_clock_ten_minutes_off_is_told_and_changes_no_row(aws, clock, seconds):
    """Ours is off, and AWS's right: what a `clock` fault makes of the two."""
    sandbox = aws(fleets.alone(*FLEET))
    look(clock, days_ago=2)
    clock.shift(-seconds)
    sandbox.set_faults([{"kind": "clock", "seconds": seconds}])

    assert look(clock).outcome is Outcome.COMPLETE

    assert Scope.objects.get().clock_skew == seconds
    aws_now = time.time() + seconds
    assert all(float(call["params"]["EndTime"]) <= aws_now for call in sandbox.calls(operation="GetMetricData"))
    assert stored() == undisturbed()


@settings(deadline=None)
@given(
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    skew=st.timedeltas(timedelta(minutes=-10), timedelta(minutes=10)),
)
def test_by_a_clock_ten_minutes_off_no_hour_is_asked_for_that_has_not_ended(now, skew):
    assert asked_until(now) <= now + skew


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_lease_is_good_whatever_the_clocks_of_the_hosts_say(aws, clock, minutes):
    """It runs by the database's clock."""
    aws(fleets.alone())
    look(clock)
    scope = Scope.objects.select_related("account").get()
    held = rows.claim_scope(scope=scope, owner="another host", now=timezone.now())
    assert held is not None
    Scope.objects.update(next_due_at=None)

    clock.shift(minutes * 60)

    assert not collection._due(timezone.now()).exists()
    assert collection.collect_scope(edges.reader(), Scope.objects.select_related("account").get()) is None
    rows.hold(claim=held)
