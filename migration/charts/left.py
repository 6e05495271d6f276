"""How many instances are left: the line that has to reach zero, under the thin line of all there are."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from migration.charts.figure import DASH, Chart, Table, go, number, plain
from migration.charts.usage import HOVER_DAY


def _sentence(days: Sequence[date], left: Sequence[int | None], known_in: Sequence[int], today: date) -> str:
    full = [
        (day, value, known)
        for day, value, known in zip(days, left, known_in, strict=True)
        if value is not None and day <= today
    ]
    if not full:
        return "No daily count of instances exists yet; the first complete collection begins it."
    (first, then, scopes_then), (_, now, scopes_now) = full[0], full[-1]
    if len(full) == 1:
        return f"{number(now)} instances left today; the first day of this count."
    if scopes_then != scopes_now:
        return (
            f"{number(now)} instances left. Not comparable with {first:%-d %B}: {scopes_then} account-Regions were "
            f"known then, {scopes_now} now."
        )
    if now == then:
        return f"{number(now)} instances left, as many as on {first:%-d %B}."
    word = "fewer" if now < then else "more"
    return f"{number(now)} instances left, {number(abs(then - now))} {word} than on {first:%-d %B}."


def instances_left(
    *,
    key: str,
    title: str,
    days: Sequence[date],
    left: Sequence[int | None],
    done: Sequence[int | None],
    known_in: Sequence[int],
    today: date,
    height: str = "m",
) -> Chart:
    x = [day.isoformat() for day in days]
    everything = [
        None if some is None or other is None else some + other for some, other in zip(left, done, strict=True)
    ]
    shared: dict[str, Any] = {"x": x, "connectgaps": False}
    traces = [
        go.Scatter(
            **shared,
            y=everything,
            mode="lines",
            name="All of ours",
            meta={"tone": "muted"},
            line={"width": 1.5, "dash": "dot"},
            hovertemplate="%{y:,} in all<extra></extra>",
        ),
        go.Scatter(
            **shared,
            y=list(left),
            mode="lines",
            name="Left to enforce",
            meta={"tone": "left"},
            line={"width": 2.5},
            fill="tozeroy",
            hovertemplate="%{y:,} left<extra></extra>",
        ),
    ]
    layout = {
        "hovermode": "x unified",
        "showlegend": False,
        "meta": {"labels": True},
        "xaxis": {
            "type": "date",
            "tick0": "2024-01-01",
            "range": [x[0], x[-1]],
            "tickformat": "%-d %b",
            "hoverformat": HOVER_DAY,
            "fixedrange": True,
        },
        "yaxis": {"rangemode": "tozero", "tickformat": ",d", "title": {"text": "Instances"}, "fixedrange": True},
        "annotations": _labels(x, everything, left),
    }
    rows = [
        (
            day.isoformat(),
            DASH if some is None else number(some),
            DASH if both is None else number(both),
            number(known),
        )
        for day, some, both, known in zip(days, left, everything, known_in, strict=True)
    ]
    drawn = any(value is not None for value in left)
    return Chart(
        key=key,
        title=title,
        sentence=_sentence(days, left, known_in, today),
        figure=plain(traces, layout),
        table=Table("Instances by day", ("Day (UTC)", "Left", "All of ours", "Account-Regions known"), rows[::-1]),
        empty="" if drawn else "Counts by day begin with the first complete collection.",
        height=height,
    )


def _labels(x: Sequence[str], everything: Sequence[int | None], left: Sequence[int | None]) -> list[dict[str, Any]]:
    """Words at the end of each line instead of a legend."""
    labels = []
    for name, values, words in (("muted", everything, "all"), ("left", left, "left")):
        known = [(place, value) for place, value in enumerate(values) if value is not None]
        if known:
            place, value = known[-1]
            labels.append(
                {
                    "x": x[place],
                    "y": value,
                    "text": f"{number(value)} {words}",
                    "showarrow": False,
                    "xanchor": "left",
                    "xshift": 6,
                    "name": name,
                }
            )
    return labels
