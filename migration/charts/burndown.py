"""How many instances of a wave are left, day by day, beside the straight line to its last day. A gap stays a gap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from migration.charts.figure import DASH, Chart, Table, go, number, plain
from migration.charts.svg import Spark, bars
from migration.charts.usage import HOVER_DAY


@dataclass(frozen=True)
class Ideal:
    """The straight line from what was left on the first day to nothing on the last."""

    begins: date
    left: int
    ends: date

    def at(self, day: date) -> float:
        """What would be left at the end of a day."""
        length = max((self.ends - self.begins).days, 1)
        gone = min(max((day - self.begins).days, 0), length)
        return self.left * (1 - gone / length)


def ideal(days: Sequence[date], left: Sequence[int | None], *, begins: date | None, ends: date | None) -> Ideal | None:
    """From the first counted day on or after `begins`; None where there is no such day, no end, or no time between."""
    if begins is None or ends is None:
        return None
    for day, value in zip(days, left, strict=True):
        if day >= begins and value is not None:
            return Ideal(day, value, ends) if ends > day else None
    return None


def burn_down(
    *,
    key: str,
    title: str,
    days: Sequence[date],
    left: Sequence[int | None],
    counted: Sequence[tuple[int, int]],
    due_on: date | None,
    line: Ideal | None,
    height: str = "m",
) -> Chart:
    """`counted`: of how many account-Regions, day by day, and of how many there were then."""
    end = max(days[-1], due_on) if due_on else days[-1]
    shapes, notes = _due(due_on) if due_on and due_on >= days[0] else ([], [])
    layout = {
        "hovermode": "x unified",
        "showlegend": False,
        "meta": {"labels": True},
        "shapes": shapes,
        "annotations": [*notes, *_label(days, left)],
        "xaxis": {
            "type": "date",
            "tick0": "2024-01-01",
            "range": [days[0].isoformat(), end.isoformat()],
            "tickformat": "%-d %b",
            "hoverformat": HOVER_DAY,
            "fixedrange": True,
        },
        "yaxis": {"rangemode": "tozero", "tickformat": ",d", "title": {"text": "Instances left"}, "fixedrange": True},
    }
    drawn = any(value is not None for value in left)
    return Chart(
        key=key,
        title=title,
        sentence=_sentence(days, left, counted, line),
        figure=plain(_traces(days, left, line), layout),
        table=_table(days, left, counted, line),
        empty="" if drawn else "No day has been counted in all of its account-Regions yet. The next collection does.",
        height=height,
    )


def _traces(days: Sequence[date], left: Sequence[int | None], line: Ideal | None) -> list[Any]:
    traces = [
        go.Scatter(
            x=[day.isoformat() for day in days],
            y=list(left),
            connectgaps=False,
            mode="lines+markers",
            name="Left",
            meta={"tone": "left"},
            line={"width": 2.5},
            marker={"size": 4},
            fill="tozeroy",
            hovertemplate="%{y:,} left<extra></extra>",
        )
    ]
    if line is not None:
        ahead = [line.begins + timedelta(days=step) for step in range((line.ends - line.begins).days + 1)]
        traces.append(
            go.Scatter(
                x=[day.isoformat() for day in ahead],
                y=[round(line.at(day), 1) for day in ahead],
                mode="lines",
                name="Ideal",
                meta={"tone": "muted"},
                line={"width": 1.5, "dash": "dash"},
                hovertemplate="%{y:,.0f} on the straight line<extra></extra>",
            )
        )
    return traces


def _due(due_on: date) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    at = due_on.isoformat()
    shape = {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "name": "mark"}
    note = {"x": at, "xref": "x", "y": 1, "yref": "paper", "yanchor": "bottom", "text": "due", "showarrow": False}
    return [shape | {"line": {"width": 1.5, "dash": "dot"}}], [note | {"name": "mark"}]


def _label(days: Sequence[date], left: Sequence[int | None]) -> list[Mapping[str, Any]]:
    known = [(day, value) for day, value in zip(days, left, strict=True) if value is not None]
    if not known:
        return []
    day, value = known[-1]
    place = {"x": day.isoformat(), "y": value, "xanchor": "left", "xshift": 6, "yshift": 8, "showarrow": False}
    return [place | {"text": f"{number(value)} left", "name": "left"}]


def _table(
    days: Sequence[date], left: Sequence[int | None], counted: Sequence[tuple[int, int]], line: Ideal | None
) -> Table:
    rows = [
        (
            day.isoformat(),
            "not counted" if value is None else number(value),
            number(round(line.at(day))) if line and line.begins <= day else DASH,
            f"{number(have)} of {number(want)}" if want else DASH,
        )
        for day, value, (have, want) in zip(days, left, counted, strict=True)
    ]
    columns = ("Day (UTC)", "Left", "Straight line", "Account-Regions counted")
    return Table("Instances left by UTC day", columns, rows[::-1])


def _sentence(
    days: Sequence[date], left: Sequence[int | None], counted: Sequence[tuple[int, int]], line: Ideal | None
) -> str:
    known = [(day, value, want) for day, value, (_, want) in zip(days, left, counted, strict=True) if value is not None]
    if not known:
        return "Nothing has been counted in all account-Regions of this wave yet."
    (first, then, few), (last, now, many) = known[0], known[-1]
    said = f"{number(now)} left on {last:%-d %B}"
    if few != many:
        said += f"; not comparable with {first:%-d %B}, when {few} account-Regions were counted and not {many}"
    elif last != first:
        word = "as many as" if now == then else f"{number(abs(then - now))} {'fewer' if now < then else 'more'} than"
        said += f", {word} on {first:%-d %B}"
    if line is not None:
        said += f". {_beside(now, line.at(last))}"
    begun = next(place for place, value in enumerate(left) if value is not None)
    gaps = sum(value is None for value in left[begun:-1])  # the last day, today, is not over
    return f"{said}." + (f" {_days(gaps)} since then not counted in all account-Regions: gaps." if gaps else "")


def _beside(now: int, wanted: float) -> str:
    ahead = round(wanted) - now
    if not ahead:
        return "That is on the straight line to the day it is due"
    return f"The straight line to the day it is due is at {number(round(wanted))}: {number(abs(ahead))} " + (
        "ahead" if ahead > 0 else "behind"
    )


def _days(count: int) -> str:
    return "1 day was" if count == 1 else f"{count} days were"


def small(left: Sequence[int | None]) -> Spark:
    """A little burn-down for a list: a bar a day; a day not counted is a grey tick on the ground."""
    known = [value for value in left if value is not None]
    if not known:
        return Spark(bars(left), f"Instances left, last {len(left)} days: not counted")
    missing = len(left) - len(known)
    gaps = f", {_days(missing)} not counted" if missing else ""
    return Spark(bars(left), f"Instances left, last {len(left)} days: {known[0]:,} to {known[-1]:,}{gaps}")
