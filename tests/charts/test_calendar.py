"""The calendar of completeness: every day tells its share, and what is not due is no gap."""

from datetime import date, timedelta

import pytest

from migration import charts
from migration.charts.calendar import DayKind

TODAY = date(2026, 11, 20)  # a Friday


def calendar(*counts: tuple[int, int], open_days: int = 0):
    """Days up to today, oldest first; the last `open_days` are still being read."""
    first = TODAY - timedelta(days=len(counts) - 1)
    days = [(first + timedelta(days=place), *count) for place, count in enumerate(counts)]
    due_before = TODAY + timedelta(days=1 - open_days)
    return charts.calendar(days, due_before=due_before, today=TODAY)


def cells(found):
    return [one for week in found.weeks for one in week if one]


def test_weeks_begin_on_monday_and_are_whole():
    found = calendar(*[(1, 1)] * 10)

    assert [len(week) for week in found.weeks] == [7, 7]
    assert [one.day.weekday() if one else None for one in found.weeks[0]] == [None, None, 2, 3, 4, 5, 6]
    assert [one.today if one else None for one in found.weeks[1]] == [False, False, False, False, True, None, None]


@pytest.mark.parametrize(
    ("complete", "expected", "step", "percent"),
    [
        (0, 10, 0, "0 %"),
        (1, 2, 1, "50 %"),
        (8, 10, 2, "80 %"),
        (95, 100, 3, "95 %"),
        (9999, 10_000, 3, "99 %"),
        (10, 10, 4, "100 %"),
        (29, 100, 0, "29 %"),
    ],
)
def test_only_a_day_that_is_whole_looks_whole(complete, expected, step, percent):
    one = cells(calendar((complete, expected)))[0]

    assert (one.step, one.percent) == (step, percent)


def test_a_day_before_the_first_collection_is_not_an_incomplete_one():
    found = calendar((0, 0), (0, 5), (5, 5))

    assert [one.kind for one in cells(found)] == [DayKind.BEFORE, DayKind.DUE, DayKind.DUE]
    assert cells(found)[0].words == "18 November: before the first collection"
    assert [row[3] for row in found.table.rows] == ["complete", "0 % complete", "before the first collection"]


def test_a_day_that_is_still_being_read_is_no_gap():
    found = calendar((5, 5), (2, 5), (0, 5), open_days=2)

    assert [one.kind for one in cells(found)] == [DayKind.DUE, DayKind.OPEN, DayKind.OPEN]
    assert found.sentence == "Every account-Region is measured whole on the one day that is due."
    assert cells(found)[1].words == "19 November: 2 of 5 complete, still being read"


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        (
            [(5, 5), (3, 5), (4, 5), (5, 5)],
            "2 of 4 days that are due are whole; 18 November lacks most: 3 of 5 account-Regions (60 %).",
        ),
        (
            [(0, 0), (0, 0)],
            "No day is due yet: the first collection asks for the days before it, and they appear as they come in.",
        ),
    ],
)
def test_the_sentence_names_the_worst_day(counts, sentence):
    assert calendar(*counts).sentence == sentence


def test_the_table_has_every_day_the_youngest_first():
    found = calendar((1, 1), (0, 1))

    assert [row[:3] for row in found.table.rows] == [("2026-11-20", "0", "1"), ("2026-11-19", "1", "1")]
