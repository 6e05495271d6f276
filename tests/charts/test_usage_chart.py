"""None in, a gap out. Never 0."""

from datetime import UTC, date, datetime, timedelta

import pytest
from plotly.offline.offline import get_plotlyjs_version

from migration import charts

TODAY = date(2026, 11, 20)


def days(count: int) -> list[date]:
    return [TODAY - timedelta(days=back) for back in range(count)][::-1]


def chart(calls, *, measured=None, expected=None, marks=(), strip="share"):
    count = len(calls)
    return charts.calls_per_day(
        key="calls",
        title="IMDSv1 calls per day",
        days=days(count),
        calls=calls,
        measured=[4] * count if measured is None else measured,
        expected=[5] * count if expected is None else expected,
        today=TODAY,
        marks=marks,
        strip=strip,
    )


def test_a_day_not_measured_is_a_gap_and_a_measured_zero_is_a_zero():
    assert chart([7, None, 0, 3]).figure["data"][0]["y"] == [7, None, 0, 3]


def test_the_table_says_not_measured_where_the_chart_has_a_gap():
    rows = chart([7, None, 0, 1234]).table.rows

    assert [row[1] for row in rows] == ["1,234", "0", "not measured", "7"]


def test_today_is_pale_and_named_as_unfinished():
    drawn = chart([7, 8, 9])

    assert drawn.figure["data"][0]["marker"]["opacity"] == [1, 1, 0.35]
    assert drawn.table.rows[0][0] == "2026-11-20 (today, so far)"


def test_the_strip_hatches_what_was_not_measured():
    solid, hatched = chart([1, 1, None], measured=[5, 4, 0], expected=[5, 5, 5]).figure["data"][1:]

    assert (solid["y"], hatched["y"]) == ([100, 80, 0], [0, 20, 100])
    assert hatched["marker"]["pattern"]["shape"] == "/"


def test_a_day_nobody_was_asked_about_is_hatched_whole():
    solid, hatched = chart([1, None], measured=[5, 0], expected=[5, 0], strip="count").figure["data"][1:]

    assert (solid["y"], hatched["y"]) == ([5, 0], [0, 5])


def test_bars_start_at_zero_and_nothing_has_two_axes_in_one_panel():
    layout = chart([7, 8]).figure["layout"]

    assert layout["yaxis"]["rangemode"] == "tozero"
    assert layout["yaxis"]["domain"][0] > layout["yaxis2"]["domain"][1]


def test_a_run_is_marked_and_its_words_are_escaped():
    mark = charts.Mark(datetime(2026, 11, 19, 14, tzinfo=UTC), '<a href="https://evil.example/">x</a>&')
    layout = chart([7, 8], marks=[mark]).figure["layout"]

    assert layout["annotations"][0]["text"] == '&lt;a href="https://evil.example/"&gt;x&lt;/a&gt;&amp;'
    assert layout["shapes"][0]["x0"] == "2026-11-19T14:00:00+00:00"


def test_no_colour_and_no_template_travel_with_the_figure():
    figure = chart([7, 8]).figure

    assert "template" not in figure["layout"]
    assert [trace["meta"] for trace in figure["data"]] == [
        {"tone": "v1"},
        {"tone": "measured"},
        {"tone": "unmeasured"},
    ]
    assert "color" not in str(figure)


def test_nothing_measured_at_all_is_an_empty_chart_with_a_reason():
    drawn = chart([None, None])

    assert drawn.empty.startswith("Nothing has been measured in this time.")
    assert drawn.sentence == "Nothing was measured in the 2 days shown."


def test_the_browser_draws_with_the_version_python_builds_for():
    import json
    from pathlib import Path

    vendored = json.loads(Path("static/vendor/VERSIONS.json").read_text())
    versions = {one["version"] for one in vendored if one["package"].startswith("plotly.js")}
    assert versions == {get_plotlyjs_version()}


@pytest.mark.parametrize(
    ("left", "sentence"),
    [
        ([None, None, None], "No daily count of instances exists yet; the first complete collection begins it."),
        ([None, None, 5], "5 instances left today; the first day of this count."),
        ([9, 7, 5], "5 instances left, 4 fewer than on 18 November."),
        ([5, 7, 9], "9 instances left, 4 more than on 18 November."),
        ([5, 7, 5], "5 instances left, as many as on 18 November."),
    ],
)
def test_the_line_of_instances_left_says_what_it_shows(left, sentence):
    drawn = charts.instances_left(
        key="left", title="Left", days=days(3), left=left, done=left, known_in=[2, 2, 2], today=TODAY
    )

    assert drawn.sentence == sentence
    assert drawn.figure["data"][1]["y"] == left
    assert [trace["connectgaps"] for trace in drawn.figure["data"]] == [False, False]


def test_counts_over_different_account_regions_are_not_compared():
    drawn = charts.instances_left(
        key="left", title="Left", days=days(2), left=[5, 9], done=[0, 0], known_in=[2, 3], today=TODAY
    )

    assert drawn.sentence == (
        "9 instances left. Not comparable with 19 November: 2 account-Regions were known then, 3 now."
    )
