"""What the data quality page is made of."""

from datetime import timedelta
from typing import Any

import pytest

from migration.domain.schedule import Cadences
from migration.enums import GapKind, Outcome, RoleState, ScopeState
from migration.models import Account, Scope
from migration.queries import collection, completeness
from migration.queries.collection import QualityFilters
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
EVERY = Cadences.of(collect_hours=6, usage_hours=24)
TODAY = NOW.date()
OLD = NOW - timedelta(days=3)


@pytest.fixture(autouse=True)
def _clock(time_machine):
    time_machine.move_to(NOW, tick=False)


def everything():
    return Account.objects.all()


def gap(account: Account, region: str, kind: GapKind, words: str = "", **fields: Any) -> Scope:
    outcome = Outcome.DENIED if kind in {GapKind.DENIED, GapKind.WRONG_ACCOUNT} else Outcome.INCOMPLETE
    return factories.scope(account, region, outcome=outcome, gap=kind, gap_message=words, **fields)


# --- heaps ------------------------------------------------------------------------------------------------


def test_every_account_region_is_in_exactly_one_heap():
    account = factories.account()
    factories.scope(account, "a-1", throttled=3)
    factories.scope(account, "b-1", inventory_at=OLD)
    gap(account, "c-1", GapKind.DENIED, inventory_at=OLD)
    gap(account, "d-1", GapKind.THROTTLED, throttled=4)
    gap(account, "e-1", GapKind.NONE, "Being read: 9 instances have not had their first look yet.")
    factories.scope(account, "f-1", outcome=Outcome.NEVER, complete_at=None, inventory_at=None)
    factories.scope(account, "g-1", enabled=False)
    factories.scope(factories.account(enabled=False), "h-1")

    found = collection.heaps(everything(), now=NOW, every=EVERY)

    assert (found.fine, found.overdue, found.denied, found.incomplete, found.reading, found.never) == (1,) * 6
    assert (found.total, found.share, found.throttled) == (6, 1 / 6, 7)
    assert [heap.tone for heap in found.parts] == ["good", "stale", "warn", "bad", "busy", "unknown"]


def test_a_whole_pass_that_never_read_usage_is_not_in_time(time_machine):
    time_machine.move_to(NOW - timedelta(days=9))
    factories.scope(factories.account(), usage_at=None)

    found = collection.heaps(everything(), now=NOW, every=EVERY)

    assert (found.fine, found.overdue) == (0, 1)


def test_nothing_has_no_share():
    assert collection.heaps(everything(), now=NOW, every=EVERY) == collection.Heaps()
    assert collection.Heaps().share is None


# --- accounts that cannot be entered ------------------------------------------------------------------------


def test_accounts_turned_away_with_the_same_words_stand_together_the_largest_group_first():
    said = "not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::{}:role/r"
    for number in range(3):
        words = said.format(f"{number:012d}")
        factories.account(name=f"denied-{number}", role_state=RoleState.DENIED, role_message=words)
    factories.account(name="hangs", role_state=RoleState.UNREACHABLE, role_message="got no answer", failures=3)
    factories.account(name="fine")
    factories.account(name="off", role_state=RoleState.DENIED, enabled=False)

    found = collection.closed(everything())

    assert [[one.account.name for one in group.accounts] for group in found] == [
        ["denied-0", "denied-1", "denied-2"],
        ["hangs"],
    ]
    assert [group.label for group in found] == ["Access denied", "No answer"]
    assert found[0].words == said.format("000000000000")
    assert [group.accounts[0].left_alone for group in found] == [False, True]


def test_a_closed_account_tells_when_it_was_last_read():
    account = factories.account(role_state=RoleState.DENIED)
    factories.scope(account, "a-1", inventory_at=OLD)
    factories.scope(account, "b-1", inventory_at=None)

    assert collection.closed(everything())[0].accounts[0].read_at == OLD


# --- gaps ---------------------------------------------------------------------------------------------------


def test_gaps_are_grouped_by_reason_and_by_words_those_that_never_mend_first():
    one, two = factories.account(name="one"), factories.account(name="two")
    gap(one, "a-1", GapKind.THROTTLED, "Rate exceeded")
    gap(one, "b-1", GapKind.PARTIAL, "3 series incomplete")
    gap(two, "a-1", GapKind.THROTTLED, "Rate exceeded")
    gap(two, "b-1", GapKind.THROTTLED, "Slow down")
    gap(two, "c-1", GapKind.DENIED, "not authorized")
    factories.scope(two, "d-1")

    found = collection.gaps(everything())

    told = [
        (group.kind, [(saying.words, [f"{place.account_name} {place.region}" for place in saying.places])])
        for group in found.groups
        for saying in group.sayings
    ]
    assert told == [
        (GapKind.DENIED, [("not authorized", ["two c-1"])]),
        (GapKind.PARTIAL, [("3 series incomplete", ["one b-1"])]),
        (GapKind.THROTTLED, [("Rate exceeded", ["one a-1", "two a-1"])]),
        (GapKind.THROTTLED, [("Slow down", ["two b-1"])]),
    ]
    assert (found.count, found.cut, [group.count for group in found.groups]) == (5, False, [1, 1, 3])


def test_a_first_reading_that_goes_on_is_no_error():
    gap(factories.account(), "a-1", GapKind.NONE, "Being read: 9 instances have not had their first look yet.")

    group = collection.gaps(everything()).groups[0]

    assert (group.label, group.tone) == ("First reading goes on", "busy")


def test_an_account_that_cannot_be_entered_is_not_told_again_region_by_region():
    gap(factories.account(role_state=RoleState.DENIED), "a-1", GapKind.DENIED)

    assert collection.gaps(everything()).groups == []


def test_more_gaps_than_are_read_are_said_to_be_more(monkeypatch):
    monkeypatch.setattr(collection, "MOST_GAPS", 2)
    account = factories.account()
    for region in ("a-1", "b-1", "c-1"):
        gap(account, region, GapKind.ERROR, "boom")

    found = collection.gaps(everything())

    assert (found.count, found.cut) == (2, True)


def test_many_places_of_one_saying_are_shown_a_few_at_first():
    account = factories.account()
    for number in range(8):
        gap(account, f"r-{number}", GapKind.ERROR, "boom")

    saying = collection.gaps(everything()).groups[0].sayings[0]

    assert (len(saying.shown), len(saying.rest)) == (5, 3)


# --- the matrix ---------------------------------------------------------------------------------------------


def rows():
    return collection.matrix(list(everything()), now=NOW, every=EVERY)


def test_a_cell_wears_the_colour_of_its_worst_news():
    account = factories.account()
    factories.scope(account, "a-1")
    factories.scope(account, "b-1", inventory_at=OLD)
    gap(account, "c-1", GapKind.DENIED)
    gap(account, "d-1", GapKind.THROTTLED)
    gap(account, "e-1", GapKind.NONE)
    factories.scope(account, "f-1", outcome=Outcome.NEVER)
    factories.scope(account, "g-1", enabled=False)

    found = collection.cells([account], now=NOW, every=EVERY)

    assert [cell.tone for cell in found] == [
        "complete",
        "overdue",
        "denied",
        "incomplete",
        "reading",
        "never",
        "off",
    ]
    assert [cell.gap for cell in found][2:5] == ["Access denied", "Throttled", "First reading goes on"]


def test_only_regions_in_use_or_in_trouble_are_columns_and_the_others_are_summed_up():
    account = factories.account()
    factories.scope(account, "busy-1"), factories.instance(account, "busy-1")
    gap(account, "denied-1", GapKind.DENIED)
    for region in ("empty-1", "empty-2"):
        factories.scope(account, region)
    factories.scope(account, "empty-3", outcome=Outcome.NEVER)

    found = rows()

    assert found.regions == ["busy-1", "denied-1"]
    assert (found.others, found.rows[0].rest.tone) == (True, "never")
    assert found.rows[0].rest.counts == [("never", 1), ("complete", 2)]


def test_an_account_that_cannot_be_entered_makes_no_region_a_column():
    shut = factories.account(name="a-shut", role_state=RoleState.DENIED)
    fine = factories.account(name="b-fine")
    for region in ("a-1", "b-1"):
        gap(shut, region, GapKind.DENIED)
        factories.scope(fine, region)
    factories.instance(fine, "b-1")

    found = rows()

    assert found.regions == ["b-1"]
    assert [row.readable for row in found.rows] == [False, True]
    assert found.rows[0].rest.counts == [("denied", 1)]


def test_a_region_that_one_account_uses_and_another_has_not_is_an_empty_cell():
    one, two = factories.account(name="one"), factories.account(name="two")
    factories.scope(one, "a-1"), factories.instance(one, "a-1")
    factories.scope(two, "b-1"), factories.instance(two, "b-1")

    assert [[bool(cell) for cell in row.cells] for row in rows().rows] == [[True, False], [False, True]]


def test_an_instance_that_is_gone_keeps_no_column():
    from migration.enums import Status

    account = factories.account()
    factories.scope(account, "a-1")
    factories.instance(account, "a-1", status=Status.GONE, gone_at=NOW)

    assert rows().regions == []


def test_coverage_is_that_of_the_last_whole_day_that_was_read():
    scope = factories.scope(factories.account(), usage_until=NOW.replace(hour=3))
    factories.scope_day(scope, TODAY, instances_measured=1, instances_expected=9)
    factories.scope_day(scope, TODAY - timedelta(days=1), instances_measured=4, instances_expected=5)
    factories.scope_day(scope, TODAY - timedelta(days=2), instances_measured=9, instances_expected=9)

    cell = collection.cells([scope.account], now=NOW, every=EVERY)[0]

    assert (cell.measured, cell.expected, cell.coverage, cell.day) == (4, 5, 0.8, TODAY - timedelta(days=1))


def test_coverage_that_nobody_measured_is_not_zero():
    account = factories.account()
    scope = factories.scope(account, "a-1", usage_until=None)
    factories.scope_day(scope, TODAY - timedelta(days=1), instances_measured=4, instances_expected=5)
    factories.scope_day(factories.scope(account, "b-1"), TODAY - timedelta(days=1))

    unread, empty = collection.cells([account], now=NOW, every=EVERY)

    assert (unread.measured, unread.coverage) == (None, None)
    assert (empty.measured, empty.expected, empty.coverage) == (0, 0, None)


def test_a_cell_says_everything_in_one_line():
    scope = gap(
        factories.account(),
        "eu-west-1",
        GapKind.THROTTLED,
        throttled=12,
        inventory_at=NOW - timedelta(hours=1),
        usage_at=None,
        usage_until=None,
        next_due_at=NOW + timedelta(minutes=20),
    )

    assert collection.cells([scope.account], now=NOW, every=EVERY)[0].says == (
        "eu-west-1: Throttled; inventory read whole 2026-11-20 08:00 UTC; usage read whole never; no day measured yet; "
        "12 throttled; next try 2026-11-20 09:20 UTC"
    )


@pytest.mark.parametrize(
    ("role", "retry_in", "due_in", "next_in"),
    [
        (RoleState.OK, None, 20, 20),
        (RoleState.OK, None, -20, None),
        (RoleState.DENIED, 60, -300, 60),  # its Regions wait for the account
        (RoleState.DENIED, -1, 20, None),
    ],
)
def test_the_next_try_is_the_accounts_when_it_cannot_be_entered(role, retry_in, due_in, next_in):
    def at(minutes):
        return None if minutes is None else NOW + timedelta(minutes=minutes)

    scope = factories.scope(factories.account(role_state=role, retry_at=at(retry_in)), next_due_at=at(due_in))

    assert collection.cells([scope.account], now=NOW, every=EVERY)[0].next_at == at(next_in)


def test_a_page_of_the_matrix_costs_three_queries(django_assert_num_queries):
    for _ in range(3):
        account = factories.account()
        factories.scope(account, "a-1"), factories.scope(account, "b-1"), factories.instance(account, "a-1")
    accounts = list(everything())

    with django_assert_num_queries(3):
        collection.matrix(accounts, now=NOW, every=EVERY)


# --- filters ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["busy", "denied", "fine", "new", "old", "reading", "shut", "slow"]),
        ({"q": "sh"}, ["shut"]),
        ({"q": "ada"}, ["fine"]),
        ({"show": "closed"}, ["shut"]),
        ({"show": "attention"}, ["denied", "old", "shut", "slow"]),
        ({"show": "overdue"}, ["old"]),
        ({"show": "never"}, ["new"]),
        ({"show": "busy"}, ["busy"]),
        ({"show": "reading"}, ["reading"]),
        ({"show": "throttled"}, ["slow"]),
        ({"show": "denied"}, ["denied"]),
        ({"show": "throttled", "q": "denied"}, []),
    ],
)
def test_accounts_are_filtered_by_what_is_wrong_and_by_words(filters, names):
    factories.scope(factories.account(name="fine", owner="Ada"))
    factories.scope(factories.account(name="old"), inventory_at=OLD)
    factories.account(name="shut", role_state=RoleState.DENIED)
    lease: dict[str, Any] = {"state": ScopeState.LEASED, "lease_expires_at": NOW + timedelta(minutes=1)}
    factories.scope(factories.account(name="busy"), **lease)
    new: dict[str, Any] = {"outcome": Outcome.NEVER, "complete_at": None, "inventory_at": None}
    factories.scope(factories.account(name="new"), **new)
    gap(factories.account(name="slow"), "a-1", GapKind.THROTTLED)
    gap(factories.account(name="denied"), "a-1", GapKind.DENIED)
    gap(factories.account(name="reading"), "a-1", GapKind.NONE)

    found = collection.matching(everything(), QualityFilters(**filters), now=NOW, every=EVERY)

    assert sorted(account.name for account in found) == names


def test_every_filter_that_is_offered_can_be_asked():
    for show in collection.SHOWN:
        list(collection.matching(everything(), QualityFilters(show=show), now=NOW, every=EVERY))


# --- day by day ---------------------------------------------------------------------------------------------


def test_a_day_counts_the_account_regions_that_were_asked_about_it():
    account = factories.account()
    long, short = TODAY - timedelta(days=3), TODAY - timedelta(days=1)
    one = factories.scope(account, "a-1", history_from=long)
    two = factories.scope(account, "b-1", history_from=short)
    factories.scope_day(one, long), factories.scope_day(one, short), factories.scope_day(two, short, complete=False)
    off = factories.scope(account, "c-1", history_from=long, enabled=False)
    factories.scope_day(off, long)

    found = completeness.days(everything(), today=TODAY, count=5)

    assert [(day.complete, day.expected) for day in found] == [(0, 0), (1, 1), (0, 1), (1, 2), (0, 2)]
    assert found[0].day == TODAY - timedelta(days=4)


def test_what_could_never_be_asked_is_missing_from_every_day_that_another_has():
    """Nothing is known of it on those days either: a whole day of the others must not look like a whole day of all."""
    account = factories.account()
    long = TODAY - timedelta(days=2)
    factories.scope_day(factories.scope(account, "a-1", history_from=long), long)
    factories.scope(account, "b-1", history_from=None)

    found = completeness.days(everything(), today=TODAY, count=4)

    assert [(day.complete, day.expected) for day in found] == [(0, 0), (1, 2), (0, 2), (0, 2)]


def test_where_nothing_could_ever_be_asked_it_is_missing_from_the_day_its_account_was_added(time_machine):
    time_machine.move_to(NOW - timedelta(days=1), tick=False)
    factories.scope(factories.account(role_state=RoleState.DENIED), history_from=None)

    found = completeness.days(everything(), today=TODAY, count=3)

    assert [(day.complete, day.expected) for day in found] == [(0, 0), (0, 1), (0, 1)]


def test_days_of_accounts_one_may_not_see_are_left_out():
    mine, other = factories.account(), factories.account()
    for account in (mine, other):
        factories.scope_day(factories.scope(account, history_from=TODAY), TODAY)

    found = completeness.days(Account.objects.filter(pk=mine.pk), today=TODAY, count=1)

    assert [(day.complete, day.expected) for day in found] == [(1, 1)]
