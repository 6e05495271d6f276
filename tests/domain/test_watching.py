"""What the hours after a change say."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.domain.watching import Heard, hear, outcome
from migration.enums import WatchState

DAY = date(2026, 11, 20)
MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)


def at(hours):
    return MIDNIGHT + timedelta(hours=hours)


def day(**hours):
    return tuple(hours.get(f"h{hour}") for hour in range(24))


def test_the_hour_of_the_change_is_left_out():
    heard = hear({DAY: day(h9=7, h10=0, h11=2)}, since=at(9.5), until=at(12))

    assert heard == Heard(calls=2, last=at(11), known=2, hours=2)


def test_a_change_on_the_hour_counts_that_hour():
    assert hear({DAY: day(h9=7)}, since=at(9), until=at(10)).calls == 7


def test_an_hour_that_is_not_over_does_not_count():
    assert hear({DAY: day(h9=7)}, since=at(9), until=at(9.9)) == Heard(None, None, 0, 0)


def test_hours_without_a_point_are_not_zero():
    heard = hear({DAY: day(h10=0)}, since=at(9), until=at(12))

    assert (heard.calls, heard.known, heard.hours) == (0, 1, 3)


def test_where_nothing_is_known_there_is_no_number():
    assert hear({}, since=at(9), until=at(12)) == Heard(None, None, 0, 3)


def test_days_follow_each_other():
    days = {DAY: day(h23=1), DAY + timedelta(days=1): day(h0=2)}

    assert hear(days, since=at(22.2), until=at(25)) == Heard(calls=3, last=at(24), known=2, hours=2)


@pytest.mark.parametrize(
    ("heard", "state"),
    [
        ([Heard(0, None, 24, 24)], WatchState.QUIET),
        ([Heard(0, None, 23, 24)], WatchState.BLIND),
        ([Heard(None, None, 0, 24)], WatchState.BLIND),
        ([Heard(0, None, 24, 24), Heard(1, at(3), 1, 24)], WatchState.CALLED),
        ([Heard(0, None, 24, 24), Heard(None, None, 0, 24)], WatchState.BLIND),
        ([Heard(0, None, 0, 0)], WatchState.BLIND),
        ([], WatchState.BLIND),
    ],
)
def test_a_watch_is_quiet_only_where_every_hour_is_known(heard, state):
    assert outcome(heard) is state


@given(st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=24, max_size=24), st.integers(0, 23))
def test_forgetting_an_hour_never_makes_a_watch_quiet(hours, forgotten):
    less = [None if hour == forgotten else value for hour, value in enumerate(hours)]

    def ends(some):
        return outcome([hear({DAY: tuple(some)}, since=at(0), until=at(24))])

    assert ends(less) is not WatchState.QUIET
