from datetime import date, timedelta

import pytest

from migration import charts

TODAY = date(2026, 11, 20)


def days(count):
    return [TODAY - timedelta(days=back) for back in range(count)][::-1]


def sentence(calls):
    return charts.calls_sentence(days=days(len(calls)), calls=calls, today=TODAY)


WEEK = 7


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        (
            [200] * WEEK + [100] * WEEK + [0],
            "100 IMDSv1 calls a day on average over the last seven full days, 50% less than in the week before.",
        ),
        (
            [100] * WEEK + [150] * WEEK + [0],
            "150 IMDSv1 calls a day on average over the last seven full days, 50% more than in the week before.",
        ),
        (
            [100] * WEEK + [101] * WEEK + [0],
            "101 IMDSv1 calls a day on average over the last seven full days, about the same as the week before.",
        ),
        ([5] * WEEK + [0] * WEEK + [0], "No IMDSv1 call on any measured day of the last seven."),
        (
            [5] * WEEK + [None] * WEEK + [9],
            "No IMDSv1 measurement in the last seven full days. 7 of the 14 full days shown were not measured.",
        ),
        (
            [None] * WEEK + [10] * WEEK + [0],
            (
                "10 IMDSv1 calls a day on average over the last seven full days; there is no week before to compare "
                "with. 7 of the 14 full days shown were not measured."
            ),
        ),
    ],
)
def test_the_caption_says_what_the_bars_show(calls, said):
    assert sentence(calls) == said


def test_todays_unfinished_day_is_in_no_comparison():
    quiet, loud = [100] * 14 + [0], [100] * 14 + [999_999]

    assert sentence(quiet) == sentence(loud)


def test_a_day_not_measured_does_not_lower_the_mean():
    calls = [100] * WEEK + [100, None, None, 100, 100, 100, 100] + [0]

    assert charts.trend(days=days(15), calls=calls, today=TODAY).recent == 100


def pace(left):
    return charts.pace(days=days(len(left)), left=left, today=TODAY)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ([], "Not enough history for a forecast yet (0 of 5 weeks)."),
        ([None] * 40 + [9] * 8, "Not enough history for a forecast yet (1 of 5 weeks)."),
        ([9] * 40, "No net progress over the last five weeks, so no end date can be forecast."),
        (list(range(1, 60)), "No net progress over the last five weeks, so no end date can be forecast."),
        ([3, 2, 1, 0, 0, 0], "Nothing is left to enforce."),
    ],
)
def test_no_forecast_without_enough_falling_history(left, said):
    assert (pace(left).done_by, pace(left).sentence) == (None, said)


def test_a_forecast_is_the_median_pace_and_says_so():
    falling = [140 - 2 * day for day in range(50)]

    assert pace(falling).done_by == date(2026, 12, 12)
    assert pace(falling).sentence == (
        "At the median pace of the last five weeks (14 a week) the last one is reached around December 2026."
    )


def test_a_spark_keeps_gaps_and_names_them():
    drawn = charts.spark([None, 0, 10])

    assert [bar.known for bar in drawn.bars] == [False, True, True]
    assert [bar.height for bar in drawn.bars] == ["2.00", "0.00", "28.00"]
    assert drawn.label == "IMDSv1 calls, last 3 days: 10, at most 10 a day, 1 days not measured"


def test_a_spark_of_nothing_known_says_so():
    assert charts.spark([None, None]).label == "IMDSv1 calls, last 2 days: not measured"


def test_segments_fill_the_bar_exactly():
    drawn = charts.segments([("ready", 1), ("in_use", 3)])

    assert [(one.name, one.x, one.width) for one in drawn] == [
        ("ready", "0.000", "25.000"),
        ("in_use", "25.000", "75.000"),
    ]


def test_nothing_to_stack_is_an_empty_bar():
    assert charts.segments([]) == []
