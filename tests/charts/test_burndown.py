"""The burn-down: what was counted, the straight line, and gaps that stay gaps."""

from datetime import date, timedelta

import pytest

from migration import charts

FIRST = date(2026, 11, 1)
DAYS = [FIRST + timedelta(days=step) for step in range(10)]


def drawn(left, *, due_on=None, counted=None, begins=FIRST):
    days = DAYS[: len(left)]
    line = charts.ideal(days, left, begins=begins, ends=due_on)
    counted = counted or [(2 if value is not None else 1, 2) for value in left]
    return charts.burn_down(key="x", title="Left", days=days, left=left, counted=counted, due_on=due_on, line=line)


def test_a_day_that_is_not_counted_is_a_gap_in_the_line_and_in_the_table():
    chart = drawn([40, None, 30])

    (line,) = chart.figure["data"]
    assert (line["y"], line["connectgaps"]) == ([40, None, 30], False)
    assert chart.table.rows[1] == ("2026-11-02", "not counted", "\u2013", "1 of 2")
    assert "1 day was since then not counted in all account-Regions: gaps." in chart.sentence


def test_today_is_not_over_and_no_gap():
    assert "gap" not in drawn([40, 30, None]).sentence


def test_before_the_first_count_there_is_no_gap():
    assert "gap" not in drawn([None, None, 40, 30]).sentence


def test_the_straight_line_goes_from_the_first_counted_day_to_nothing_on_the_day_it_is_due():
    chart = drawn([None, 40, 36], due_on=FIRST + timedelta(days=9))

    _, ideal = chart.figure["data"]
    assert (ideal["x"][0], ideal["y"][0]) == ("2026-11-02", 40)
    assert (ideal["x"][-1], ideal["y"][-1]) == ("2026-11-10", 0)
    assert ideal["y"] == [40, 35, 30, 25, 20, 15, 10, 5, 0]
    assert "The straight line to the day it is due is at 35: 1 behind." in chart.sentence


@pytest.mark.parametrize(
    ("left", "begins", "ends"),
    [
        ([40, 30], FIRST, None),
        ([40, 30], None, FIRST + timedelta(days=9)),
        ([40, 30], FIRST, FIRST),
        ([None, None], FIRST, FIRST + timedelta(days=9)),
        ([40, None], FIRST + timedelta(days=1), FIRST + timedelta(days=9)),
    ],
)
def test_there_is_no_straight_line_without_a_start_a_day_and_time_between(left, begins, ends):
    assert charts.ideal(DAYS[: len(left)], left, begins=begins, ends=ends) is None


SAID = {
    "fewer": ([40, 30], "30 left on 2 November, 10 fewer than on 1 November."),
    "more": ([30, 40], "40 left on 2 November, 10 more than on 1 November."),
    "as many": ([30, 30], "30 left on 2 November, as many as on 1 November."),
    "one day": ([30], "30 left on 1 November."),
    "none": ([None], "Nothing has been counted in all account-Regions of this wave yet."),
}


@pytest.mark.parametrize(("left", "sentence"), SAID.values(), ids=SAID)
def test_the_sentence_says_how_many_are_left(left, sentence):
    assert drawn(left).sentence == sentence


def test_counts_of_different_regions_are_not_compared():
    sentence = drawn([10, 40], counted=[(1, 1), (3, 3)]).sentence

    assert sentence == (
        "40 left on 2 November; not comparable with 1 November, when 1 account-Regions were counted and not 3."
    )


def test_what_is_overdue_stays_at_nothing_on_the_straight_line():
    line = charts.Ideal(FIRST, 40, FIRST + timedelta(days=4))

    assert [line.at(day) for day in DAYS[:7]] == [40, 30, 20, 10, 0, 0, 0]


def test_the_axis_reaches_the_day_it_is_due():
    chart = drawn([40, 36], due_on=date(2026, 12, 31))

    assert chart.figure["layout"]["xaxis"]["range"] == ["2026-11-01", "2026-12-31"]


def test_with_nothing_counted_the_chart_says_what_happens_next():
    assert drawn([None, None]).empty.startswith("No day has been counted")


def test_the_small_one_says_the_same_in_words_and_ticks_the_gaps():
    spark = charts.small_burn_down([40, None, 12])

    assert spark.label == "Instances left, last 3 days: 40 to 12, 1 day was not counted"
    assert [bar.known for bar in spark.bars] == [True, False, True]
    assert charts.small_burn_down([None]).label == "Instances left, last 1 days: not counted"
