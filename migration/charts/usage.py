"""IMDSv1 calls by day, with the strip under it that says how much was measured. A gap stays a gap."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from migration.charts.figure import DASH, Chart, Table, escaped, go, number, plain
from migration.charts.trend import calls_sentence

DAY_MS = 86_400_000
MONDAY = "2024-01-01T12:00:00"  # weekly ticks stand under the middle of Monday's bar
TODAY_OPACITY = 0.35
HOVER_DAY = "%a %-d %b %Y (UTC day)"


@dataclass(frozen=True)
class Mark:
    """A vertical line at a moment, with a few words."""

    at: datetime
    text: str


def _period(days: Sequence[date]) -> dict[str, Any]:
    return {"x": [day.isoformat() for day in days], "xperiod": DAY_MS, "xperiodalignment": "middle"}


def _strip(
    days: Sequence[date], measured: Sequence[int], expected: Sequence[int], strip: Literal["share", "count"]
) -> list[Any]:
    """Measured solid, not measured hatched; a day without any row is hatched whole."""
    if strip == "share":
        solid = [100 * have / want if want else 0 for have, want in zip(measured, expected, strict=True)]
        hatched = [100 - share for share in solid]
    else:
        top = max([*expected, 1])
        solid = [float(have) for have in measured]
        hatched = [
            float(max(want - have, 0)) if want else float(top) for have, want in zip(measured, expected, strict=True)
        ]
    said = [
        f"{number(have)} of {number(want)} instances" if want else "not measured"
        for have, want in zip(measured, expected, strict=True)
    ]
    return [
        go.Bar(
            **_period(days),
            y=solid,
            yaxis="y2",
            name="Measured",
            meta={"tone": "measured"},
            customdata=said,
            hovertemplate="%{customdata}<extra>Measured</extra>",
        ),
        go.Bar(
            **_period(days),
            y=hatched,
            yaxis="y2",
            name="Not measured",
            meta={"tone": "unmeasured"},
            marker={"pattern": {"shape": "/", "size": 5, "solidity": 0.25}},
            hoverinfo="skip",
        ),
    ]


def _marks(marks: Sequence[Mark]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    lines = [
        {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": mark.at.isoformat(),
            "x1": mark.at.isoformat(),
            "y0": 0.32,
            "y1": 1,
            "name": "mark",
            "line": {"width": 1.5, "dash": "dot"},
        }
        for mark in marks
    ]
    words = [
        {
            "x": mark.at.isoformat(),
            "xref": "x",
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "text": escaped(mark.text),
            "showarrow": False,
            "name": "mark",
        }
        for mark in marks
    ]
    return lines, words


def _table(
    days: Sequence[date], calls: Sequence[int | None], measured: Sequence[int], expected: Sequence[int], today: date
) -> Table:
    rows = [
        (
            f"{day.isoformat()} (today, so far)" if day == today else day.isoformat(),
            "not measured" if call is None else number(call),
            f"{number(have)} of {number(want)}" if want else DASH,
        )
        for day, call, have, want in zip(days, calls, measured, expected, strict=True)
    ]
    return Table("IMDSv1 calls by UTC day", ("Day (UTC)", "IMDSv1 calls", "Instances measured"), rows[::-1])


def calls_per_day(
    *,
    key: str,
    title: str,
    days: Sequence[date],
    calls: Sequence[int | None],
    measured: Sequence[int],
    expected: Sequence[int],
    today: date,
    marks: Sequence[Mark] = (),
    strip: Literal["share", "count"] = "share",
    height: str = "m",
) -> Chart:
    """Bars from zero; None draws no bar; today's unfinished day is pale."""
    lines, words = _marks(marks)
    bars = go.Bar(
        **_period(days),
        y=list(calls),
        name="IMDSv1 calls",
        meta={"tone": "v1"},
        marker={"opacity": [TODAY_OPACITY if day == today else 1 for day in days]},
        customdata=["today so far" if day == today else "IMDSv1 calls" for day in days],
        hovertemplate="%{y:,} %{customdata}<extra></extra>",
    )
    layout = {
        "barmode": "stack",
        "bargap": 0.18,
        "hovermode": "x unified",
        "showlegend": False,
        "shapes": lines,
        "annotations": words,
        "xaxis": {
            "type": "date",
            "anchor": "y2",
            "tick0": MONDAY,
            "tickformat": "%-d %b",
            "hoverformat": HOVER_DAY,
            "fixedrange": True,
        },
        "yaxis": {
            "domain": [0.32, 1],
            "rangemode": "tozero",
            "title": {"text": "IMDSv1 calls a day"},
            "tickformat": "~s",
            "fixedrange": True,
        },
        "yaxis2": {
            "domain": [0, 0.19],
            "anchor": "x",
            "range": [0, 100] if strip == "share" else None,
            "rangemode": "tozero",
            "title": {"text": "Measured" if strip == "share" else "Instances"},
            "tickvals": [0, 100] if strip == "share" else None,
            "ticktext": ["0", "100 %"] if strip == "share" else None,
            "nticks": 3,
            "fixedrange": True,
        },
    }
    drawn = any(call is not None for call in calls)
    return Chart(
        key=key,
        title=title,
        sentence=calls_sentence(days=days, calls=calls, today=today),
        figure=plain([bars, *_strip(days, measured, expected, strip)], layout),
        table=_table(days, calls, measured, expected, today),
        empty=""
        if drawn
        else "Nothing has been measured in this time. The first complete collection draws this chart.",
        height=height,
    )
