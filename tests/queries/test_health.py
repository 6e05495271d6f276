"""How fresh the picture is: the banner's numbers."""

from datetime import timedelta

import pytest

from migration.domain.schedule import Cadences, Pulse
from migration.enums import ChangeState, Outcome, RequestState, RoleState, ScopeState
from migration.models import Account, ScheduledRun
from migration.queries import health
from tests import factories
from tests.factories import NOW
from tests.views.conftest import change_of, request_of, run_of

pytestmark = pytest.mark.django_db
EVERY = Cadences.of(collect_hours=6, usage_hours=24)


@pytest.fixture(autouse=True)
def _clock(time_machine):
    time_machine.move_to(NOW - timedelta(days=30), tick=False)


def fresh(accounts=None):
    return health.freshness(Account.objects.all() if accounts is None else accounts, now=NOW, every=EVERY)


def ticked(ago: timedelta, job: str = health.DISPATCHER) -> None:
    ScheduledRun.objects.create(job=job, window_start=NOW - ago, started_at=NOW - ago)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def test_nothing_is_known_of_an_empty_database(django_assert_num_queries):
    with django_assert_num_queries(1):
        found = fresh()

    assert (found, found.telling) == (health.NOTHING, False)


def test_freshness_costs_two_queries_whatever_there_is(django_assert_num_queries):
    for _ in range(3):
        factories.scope(factories.account())

    with django_assert_num_queries(2):
        fresh()


def test_what_is_missing_is_counted():
    ticked(hours(0))
    fine, shut = factories.account(), factories.account(role_state=RoleState.DENIED)
    factories.account(role_state=RoleState.UNTESTED)
    factories.scope(fine, "a-1")
    factories.scope(fine, "b-1", inventory_at=NOW - hours(10), complete_at=NOW - hours(10), usage_at=NOW)
    factories.scope(fine, "c-1", enabled=False, complete_at=None, inventory_at=None)
    factories.scope(shut, outcome=Outcome.DENIED, complete_at=None, inventory_at=None)

    found = fresh()

    assert (found.accounts, found.unreadable, found.untested) == (3, 1, 1)
    assert (found.scopes, found.complete, found.overdue, found.never) == (3, 2, 2, 1)
    assert (found.oldest_at, found.newest_at) == (NOW - hours(10), NOW)
    assert (found.telling, found.stopped, found.all_overdue) == (True, False, False)


@pytest.mark.parametrize(
    ("fields", "late"),
    [
        ({"inventory_at": NOW - hours(9), "usage_at": NOW - hours(36)}, 0),
        ({"inventory_at": NOW - hours(9.1), "usage_at": NOW}, 1),
        ({"inventory_at": NOW, "usage_at": NOW - hours(36.1)}, 1),
        ({"inventory_at": None, "usage_at": NOW}, 1),
        ({"inventory_at": NOW, "usage_at": None}, 1),
        ({"watch_due_at": NOW - hours(0.5)}, 0),
        ({"watch_due_at": NOW - hours(0.6)}, 1),
        ({"inventory_at": NOW - hours(50), "usage_at": NOW, "enabled": False}, 0),
    ],
)
def test_each_kind_of_reading_is_overdue_by_its_own_cadence(fields, late):
    factories.scope(factories.account(), **fields)

    assert fresh().overdue == late
    assert health.sweeps(now=NOW, every=EVERY).overdue == late


def test_what_was_never_read_is_not_late_while_it_is_new(time_machine):
    time_machine.move_to(NOW - hours(8), tick=False)
    factories.scope(factories.account(), inventory_at=None, usage_at=None, complete_at=None)

    assert (fresh().overdue, fresh().never) == (0, 1)


@pytest.mark.parametrize(
    ("inventory", "usage", "oldest"),
    [(10, 20, 10), (10, 40, 40), (1, 40, 40), (1, 20, None)],
)
def test_the_oldest_reading_is_one_that_is_overdue(inventory, usage, oldest):
    factories.scope(factories.account(), inventory_at=NOW - hours(inventory), usage_at=NOW - hours(usage))

    assert fresh().oldest_at == (None if oldest is None else NOW - hours(oldest))


def test_an_account_that_is_switched_off_is_missed_by_nobody():
    ticked(hours(0))
    factories.scope(factories.account(enabled=False, role_state=RoleState.DENIED), inventory_at=NOW - hours(99))
    factories.scope(factories.account())

    found = fresh()

    assert (found.accounts, found.unreadable, found.scopes, found.overdue, found.telling) == (1, 0, 1, 0, False)


def test_only_the_accounts_asked_about_count():
    ticked(hours(0))
    mine, other = factories.account(), factories.account(role_state=RoleState.DENIED)
    factories.scope(mine), factories.scope(other, inventory_at=None)

    found = fresh(Account.objects.filter(pk=mine.pk))

    assert (found.accounts, found.unreadable, found.overdue, found.telling) == (1, 0, 0, False)


@pytest.mark.parametrize(
    ("skew", "started", "told"),
    [(119.0, hours(1), False), (121.0, hours(1), True), (-300.0, hours(1), True), (300.0, hours(25), False)],
)
def test_a_clock_that_was_lately_wrong_by_more_than_two_minutes_is_told(skew, started, told):
    ticked(hours(0))
    account = factories.account()
    factories.scope(account, "a-1", clock_skew=skew, last_started_at=NOW - started)
    factories.scope(account, "b-1", clock_skew=1.0, last_started_at=NOW)

    found = fresh()

    assert (found.skewed, found.telling) == (told, told)
    assert found.skew == (skew if abs(skew) < 120 or told else 1.0)


@pytest.mark.parametrize(
    ("ticks", "found"),
    [
        ([(timedelta(seconds=40), health.DISPATCHER)], Pulse.ALIVE),
        ([(timedelta(minutes=4), health.DISPATCHER)], Pulse.STOPPED),
        ([(timedelta(minutes=4), health.DISPATCHER), (timedelta(0), "expire-requests")], Pulse.STOPPED),
        ([], Pulse.STOPPED),  # the accounts have been known for a month
    ],
)
def test_the_pulse_is_the_dispatchers_alone(ticks, found):
    for ago, job in ticks:
        ticked(ago, job)
    factories.scope(factories.account())

    assert fresh().pulse == found


def test_work_that_nobody_took_over_is_counted():
    lost, young = NOW - timedelta(minutes=16), NOW - timedelta(minutes=14)
    account = factories.account()
    factories.scope(account, "a-1", state=ScopeState.LEASED, lease_expires_at=lost)
    factories.scope(account, "b-1", state=ScopeState.LEASED, lease_expires_at=young)
    asks, decides = factories.user("asks"), factories.user("decides")
    run = run_of(request_of(account, asks, RequestState.APPROVED, decided_by=decides, decided_at=NOW))
    change_of(run, ChangeState.CALLING, lease_expires_at=lost)
    change_of(run, ChangeState.APPLIED, lease_expires_at=lost)  # waits for its verification, in nobody's hands

    assert health.lost_leases(NOW) == 2
