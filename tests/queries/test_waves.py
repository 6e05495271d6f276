"""How far a wave is, and its burn-down: measured days, and gaps where an account-Region is missing."""

from datetime import timedelta

import pytest

from migration.enums import Role, Status, WaveState
from migration.models import Account, Wave
from migration.queries import standing, waves
from migration.queries.churn import workloads
from migration.queries.fleet import mix
from migration.queries.progress import Mix
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
TODAY = NOW.date()


def day(back: int):
    return TODAY - timedelta(days=back)


@pytest.fixture
def edith():
    return factories.user("edith", Role.ENGINEER)


def count(scope, back: int, *, left: int, done: int = 0):
    return factories.scope_day(scope, day(back), by_status={Status.READY: left, Status.ENFORCED: done})


def left(wave, *, back: int = 4, accounts=None) -> list[int | None]:
    seen = Account.objects.all() if accounts is None else accounts
    return [one.left for one in waves.burn([wave.pk], seen, first=day(back), today=TODAY)[wave.pk]]


# --- the burn-down -------------------------------------------------------------------------------------------


def test_a_day_is_the_sum_over_the_regions_of_the_wave_s_accounts_and_no_others(edith):
    mine, other = factories.account(), factories.account()
    wave = factories.wave(mine, by=edith)
    for region in ("us-east-1", "eu-west-1"):
        scope = factories.scope(mine, region)
        count(scope, 1, left=4, done=3), count(scope, 0, left=3, done=4)
    count(factories.scope(other), 1, left=100)

    found = waves.burn([wave.pk], Account.objects.all(), first=day(2), today=TODAY)[wave.pk]

    assert [(one.left, one.done, one.counted, one.expected) for one in found] == [
        (None, None, 0, 0),
        (8, 6, 2, 2),
        (6, 8, 2, 2),
    ]


def test_today_is_counted_anew_where_it_was_counted():
    days = [waves.Burn(day(1), 5, 1, 1, 1), waves.Burn(day(0), 5, 1, 1, 1)]
    now, none = Mix({Status.READY: 2, Status.ENFORCED: 4}), Mix()

    assert [(one.left, one.done) for one in waves.with_today(days, now)] == [(5, 1), (2, 4)]
    assert waves.with_today(days, none) == days
    assert waves.with_today([days[0], waves.Burn(day(0))], now)[1].left is None


def test_a_day_on_which_one_region_is_missing_is_a_gap_not_progress(edith):
    account = factories.account()
    wave = factories.wave(account, by=edith)
    first, second = factories.scope(account, "us-east-1"), factories.scope(account, "eu-west-1")
    for back in range(5):
        count(first, back, left=10)
        if back not in {2, 0}:
            count(second, back, left=5)

    assert left(wave) == [15, 15, None, 15, None]


def test_a_day_before_the_first_collection_is_a_gap_though_its_calls_are_known(edith):
    account = factories.account()
    wave, scope = factories.wave(account, by=edith), factories.scope(account)
    factories.scope_day(scope, day(2), v1_calls=12, instances_measured=1)
    count(scope, 1, left=3), count(scope, 0, left=2)

    assert left(wave, back=2) == [None, 3, 2]


def test_a_day_of_which_only_the_calls_of_a_region_are_known_is_a_gap(edith):
    account = factories.account()
    wave = factories.wave(account, by=edith)
    first, second = factories.scope(account, "us-east-1"), factories.scope(account, "eu-west-1")
    for back in range(3):
        count(first, back, left=10)
    count(second, 2, left=5), count(second, 0, left=5)
    factories.scope_day(second, day(1), v1_calls=12, instances_measured=1)

    assert left(wave, back=2) == [15, None, 15]


def test_a_region_belongs_to_the_count_from_its_first_count_on(edith):
    account = factories.account()
    wave = factories.wave(account, by=edith)
    first, second = factories.scope(account, "us-east-1"), factories.scope(account, "eu-west-1")
    for back in range(5):
        count(first, back, left=10)
    for back in range(2):
        count(second, back, left=5)

    assert left(wave) == [10, 10, 10, 15, 15]


def test_a_region_that_is_no_longer_enabled_is_missed_no_more(edith):
    account = factories.account()
    wave = factories.wave(account, by=edith)
    first, second = factories.scope(account, "us-east-1"), factories.scope(account, "eu-west-1", enabled=False)
    for back in range(5):
        count(first, back, left=10)
    count(second, 4, left=5)

    assert left(wave) == [15, 10, 10, 10, 10]


def test_a_wave_without_accounts_has_nothing_but_gaps(edith):
    assert left(factories.wave(by=edith)) == [None] * 5


def test_what_a_person_does_not_see_is_not_in_the_sums(edith):
    mine, other = factories.account(), factories.account()
    wave = factories.wave(mine, other, by=edith)
    count(factories.scope(mine), 0, left=3), count(factories.scope(other), 0, left=100)

    assert left(wave, back=0, accounts=Account.objects.filter(pk=mine.pk)) == [3]


@pytest.mark.parametrize(("started", "first"), [(3, 13), (30, 37), (300, 179), (None, 27)])
def test_the_burn_down_begins_a_week_before_the_wave_within_what_can_be_drawn(edith, started, first):
    at = None if started is None else NOW - timedelta(days=started)
    wave = factories.wave(by=edith, started_at=at, created_at=NOW - timedelta(days=20))

    assert waves.begins(wave, today=TODAY) == day(first)


# --- the list ------------------------------------------------------------------------------------------------


def test_a_row_says_how_far_it_is_and_how_long_there_is(edith):
    account = factories.account()
    for status in (Status.ENFORCED, Status.READY, Status.READY, Status.IN_USE, Status.MANAGED):
        factories.instance(account, status=status, blockers=["x"] if status == Status.IN_USE else [])
    factories.instance(account, blockers=["User data calls IMDSv1."])
    wave = factories.wave(account, by=edith, due_on=day(-3))

    (row,) = waves.rows([wave], user=edith, today=TODAY)

    assert (row.accounts, row.hidden, row.due, row.late) == (1, 0, "in 3 days", False)
    assert (row.mix.enforced, row.mix.ready, row.mix.in_use, row.mix.ours, row.enforceable) == (1, 3, 1, 5, 2)


@pytest.mark.parametrize(("state", "late"), [("draft", True), ("active", True), ("closed", False)])
def test_what_is_closed_is_not_overdue(edith, state, late):
    closed = {"closed_at": NOW} if state == "closed" else {}
    wave = factories.wave(by=edith, state=state, due_on=day(1), **closed)

    assert waves.is_late(wave, today=TODAY) == late


def test_what_a_person_does_not_see_is_counted_as_not_seen(edith):
    mine, other = factories.account(ou_path="Root/A"), factories.account(ou_path="Root/B")
    factories.instance(mine), factories.instance(other)
    wave = factories.wave(mine, other, by=edith)
    narrow = factories.user("narrow", Role.ENGINEER, ou_path="Root/A")

    (row,) = waves.rows([wave], user=narrow, today=TODAY)

    assert (row.accounts, row.hidden, row.mix.ours) == (1, 1, 1)
    assert list(waves.accounts(wave, narrow)) == [mine]


def test_who_sees_a_part_sees_the_waves_with_it_and_their_own(edith):
    mine, other = factories.account(ou_path="Root/A"), factories.account(ou_path="Root/B")
    narrow = factories.user("narrow", Role.ENGINEER, ou_path="Root/A")
    with_it, own = factories.wave(mine, other, by=edith), factories.wave(by=narrow)
    factories.wave(factories.account(ou_path="Root/B"), by=edith), factories.wave(by=edith)

    assert set(waves.visible(narrow)) == {with_it, own}
    assert waves.visible(edith).count() == 4
    assert not waves.visible(factories.user("nobody")).exists()


def test_waves_are_listed_in_their_order(edith):
    last, first = factories.wave(by=edith, position=9), factories.wave(by=edith, position=1)

    assert list(waves.visible(edith)) == [first, last]


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("narrow", [False, True])
def test_the_rows_cost_the_same_queries_for_one_and_for_four(django_assert_num_queries, edith, rows, narrow):
    for number in range(rows):
        accounts = [factories.account(ou_path="Root/A") for _ in range(number + 1)]
        for account in accounts:
            factories.instance(account)
            count(factories.scope(account), 0, left=1)
        factories.wave(*accounts, by=edith, state=WaveState.ACTIVE)
    person = factories.user("one", Role.VIEWER, ou_path="Root/A" if narrow else "")
    found = list(Wave.objects.all())

    with django_assert_num_queries(6):
        waves.rows(found, user=person, today=TODAY)


# --- where each account stands -------------------------------------------------------------------------------


def test_the_verdicts_on_many_are_those_on_each():
    accounts = [factories.account() for _ in range(5)]
    ready, in_use, safe, denied, _ = accounts
    for number in range(3):
        factories.instance(ready, blockers=["User data calls IMDSv1."] if number else [])
    factories.instance(ready, blockers=["A template allows IMDSv1."])
    factories.instance(in_use, status=Status.IN_USE, measured_days=3)
    gone = factories.instance(in_use, status=Status.GONE, gone_at=NOW - timedelta(days=2))
    factories.instance_day(gone, day(2), hours=[5, *[0] * 23])
    factories.instance(safe, status=Status.ENFORCED)
    factories.launch_reading(factories.scope(safe)), factories.launch_source(safe)
    factories.instance(denied)
    Account.objects.filter(pk=denied.pk).update(role_state="denied")

    found = standing.of_accounts(Account.objects.all(), today=TODAY, days=14)

    for account in Account.objects.all():
        here = mix(Account.objects.filter(pk=account.pk))
        alone = standing.of_account(account, mix=here, dead=workloads(account, today=TODAY, days=14))
        assert found[account.pk] == alone
    assert len({stand.standing for stand in found.values()}) == 5
    assert "came and went did (5 calls)" in found[in_use.pk].reason


@pytest.mark.parametrize("many", [1, 4])
def test_the_verdicts_cost_the_same_queries_for_one_and_for_four(django_assert_num_queries, many):
    for _ in range(many):
        account = factories.account()
        factories.instance(account, blockers=["x"]), factories.launch_source(account)
        factories.launch_reading(factories.scope(account))

    with django_assert_num_queries(8):
        standing.of_accounts(Account.objects.all(), today=TODAY, days=14)
