"""The rhythm of calls: a table of cases, and that a hole never makes it more certain."""

import re
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.domain.pattern import Rhythm, name

FIRST = date(2026, 9, 7)  # a Monday


def series(count: int, calls) -> dict:
    """So many days; `calls(day, hour)` is the sum of that hour."""
    return {
        FIRST + timedelta(days=n): tuple(calls(FIRST + timedelta(days=n), hour) for hour in range(24))
        for n in range(count)
    }


CASES = {
    "every hour": (series(14, lambda _, __: 3), Rhythm.HOURLY, "All the time: in 336 of 336 measured hours"),
    "each night at two": (
        series(14, lambda _, h: 9 * (h == 2)),
        Rhythm.DAILY,
        "Nightly, in the hour from 02:00 UTC: 14 of 14 days",
    ),
    "each noon, into the next hour": (
        series(14, lambda _, h: 9 * (h in {12, 13})),
        Rhythm.DAILY,
        "Daily, in the hour from 12:00 UTC",
    ),
    "every six hours": (
        series(14, lambda _, h: 5 * (h % 6 == 1)),
        Rhythm.STEPS,
        "Every 6 hours, from 01:00 UTC on: in 56 of 56 such hours",
    ),
    "every second hour": (series(3, lambda _, h: 5 * (h % 2)), Rhythm.STEPS, "Every 2 hours, from 01:00 UTC on"),
    "Sundays": (
        series(28, lambda d, h: 9 * (d.weekday() == 6 and h == 4)),
        Rhythm.WEEKLY,
        "Weekly, on Sundays: 4 of 4 in the hour from 04:00 UTC",
    ),
    "the first of the month": (
        series(100, lambda d, h: 9 * (d.day == 1 and h == 3)),
        Rhythm.MONTHLY,
        "Monthly, on day 1: 3 times in the hour from 03:00 UTC",
    ),
    "working hours": (
        series(14, lambda d, h: 5 * (d.weekday() < 5 and 8 <= h < 17 and (h + d.day) % 2)),
        Rhythm.OFFICE,
        "In working hours",
    ),
    "once": (
        series(14, lambda d, h: 5 * (d.day == 9 and h == 11)),
        Rhythm.ONCE,
        "Once, on 2026-09-09 in the hour from 11:00 UTC",
    ),
    "never": (series(14, lambda _, __: 0), Rhythm.NONE, "No call in 336 measured hours."),
    "not measured": (series(14, lambda _, __: None), Rhythm.UNKNOWN, "nothing is known"),
    "no day": ({}, Rhythm.UNKNOWN, "nothing is known"),
    "here and there": (
        series(14, lambda d, h: 5 * ((d.day * 7 + h * 5) % 23 == 0)),
        Rhythm.IRREGULAR,
        "At no fixed time",
    ),
}


@pytest.mark.parametrize(("days", "rhythm", "words"), CASES.values(), ids=CASES.keys())
def test_each_rhythm_is_named_with_its_evidence(days, rhythm, words):
    found = name(days)

    assert found.rhythm is rhythm
    assert words in found.words


def test_a_window_too_short_for_a_monthly_job_says_so():
    assert "14 measured days are too few to tell a monthly job" in name(CASES["each night at two"][0]).words
    assert "too few" not in name(CASES["the first of the month"][0]).words


def test_an_unknown_hour_is_no_quiet_hour():
    days = series(14, lambda _, h: None if h == 2 else 0)

    assert name(days).rhythm is Rhythm.NONE
    assert not name(days).certain
    assert "14 hours are not known" in name(days).words


def test_days_that_were_not_measured_do_not_make_a_window_long_enough():
    days = series(90, lambda d, h: 9 * (h == 2) if d < FIRST + timedelta(days=14) else None)

    assert "14 measured days are too few to tell a monthly job" in name(days).words


@pytest.mark.parametrize(
    ("count", "kept"),
    [(14, lambda d: d == FIRST), (28, lambda d: d.weekday() == 6), (100, lambda d: d.day == 1)],
    ids=["once", "weekly", "monthly"],
)
def test_a_nightly_job_of_which_most_nights_are_unknown_gets_no_rarer_name(count, kept):
    found = name(series(count, lambda d, h: (9 if kept(d) else None) if h == 2 else 0))

    assert found.rhythm is Rhythm.UNKNOWN
    assert "the same hours were not measured: no rhythm can be told" in found.words
    assert not found.certain


def test_a_daily_job_of_an_instance_that_runs_by_day_only_is_daily():
    found = name(series(14, lambda _, h: (9 * (h == 10)) if 8 <= h < 18 else None))

    assert found.rhythm is Rhythm.DAILY
    assert found.words == (
        "Daily, in the hour from 10:00 UTC: 14 of 14 days; 196 hours are not known; "
        "none of 14 days measured for half their hours, which is too few to tell a monthly job."
    )


@pytest.mark.parametrize("nightly", [set(), {2, 18}], ids=["quiet", "calling"])
def test_two_nights_are_too_few_to_make_a_daily_job_one_of_every_few_hours(nightly):
    awake = {FIRST, FIRST + timedelta(days=1)}
    found = name(series(20, lambda d, h: (9 * (h in {10, *nightly})) if 8 <= h < 18 or d in awake else None))

    assert found.rhythm is Rhythm.DAILY


def test_an_hour_of_a_rhythm_that_was_measured_and_quiet_refutes_it():
    found = name(series(14, lambda _, h: 9 * (h % 4 == 2 and h != 22)))

    assert found.rhythm is not Rhythm.STEPS


def test_silence_between_the_calls_that_was_not_measured_is_no_silence():
    found = name(series(3, lambda _, h: 9 if h % 4 == 2 else None))

    assert found.rhythm is Rhythm.UNKNOWN
    assert "no rhythm can be told" in found.words


def test_a_rhythm_of_which_some_hours_were_never_measured_is_told_as_far_as_it_was_seen():
    found = name(series(14, lambda _, h: (9 * (h % 2 == 0)) if 8 <= h < 18 else None))

    assert found.rhythm is Rhythm.UNKNOWN
    assert found.words.startswith(
        "Every 2 hours while it was measured: in 70 of 70 such hours. At other hours of the day it was hardly "
        "measured, so no rhythm can be told; 196 hours are not known"
    )
    assert not found.certain


def test_a_rhythm_outlives_one_hour_of_the_day_that_is_never_measured():
    found = name(series(14, lambda _, h: None if h == 5 else 9 * (h % 6 == 1)))

    assert found.rhythm is Rhythm.STEPS
    assert not found.certain


@settings(max_examples=300, deadline=None)
@given(
    data=st.data(), step=st.sampled_from([2, 3, 4, 6, 8, 12, 24]), first=st.integers(0, 23), count=st.integers(2, 21)
)
def test_every_hour_of_a_rhythm_that_is_named_was_measured_and_called_in(data, step, first, count):
    measured = data.draw(st.sets(st.integers(0, 23), min_size=1))
    awake = data.draw(st.sets(st.integers(0, count - 1), max_size=4))  # days on which all hours were measured
    days = series(
        count,
        lambda d, h: 9 * ((h - first) % step == 0) if h in measured or (d - FIRST).days in awake else None,
    )
    found = name(days)

    claim = re.match(r"Every (\d+) hours, from (\d\d):00 UTC on", found.words)
    assert bool(claim) == (found.rhythm is Rhythm.STEPS)
    for hour in range(int(claim[2]), 24, int(claim[1])) if claim else ():
        known = [hours[hour] for hours in days.values() if hours[hour] is not None]
        assert len(known) >= 2
        assert sum(map(bool, known)) >= len(known) / 2


@settings(max_examples=200, deadline=None)
@given(data=st.data(), case=st.sampled_from([key for key in CASES if CASES[key][0]]))
def test_a_hole_never_makes_the_name_certain(data, case):
    days = {day: list(hours) for day, hours in CASES[case][0].items()}
    places = data.draw(st.lists(st.tuples(st.sampled_from(sorted(days)), st.integers(0, 23)), min_size=1, max_size=60))
    for day, hour in places:
        days[day][hour] = None

    assert not name({day: tuple(hours) for day, hours in days.items()}).certain
