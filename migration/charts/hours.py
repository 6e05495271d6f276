"""Fourteen days hour by hour: a sheet that the server draws as a table. What has no datapoint is hatched, never 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from migration.charts.figure import number

HOUR = timedelta(hours=1)
STEPS = 5  # classes of the style sheet for hours with calls, by their share of the loudest


@dataclass(frozen=True)
class Cell:
    hour: int
    calls: int | None
    kind: str  # a class of the style sheet: gap, before, open, v0 to v5 by how loud
    words: str


@dataclass(frozen=True)
class Row:
    day: date
    cells: Sequence[Cell]
    total: int | None
    measured: int


@dataclass(frozen=True)
class Sheet:
    key: str
    noun: str  # "IMDSv1 calls", "rejected calls"
    rows: Sequence[Row]
    sentence: str


@dataclass(frozen=True)
class Span:
    """What can be known at all: from the launch on, up to the hour that CloudWatch was asked for."""

    born: datetime | None
    until: datetime

    def kind(self, start: datetime) -> str:
        """Of an hour without a datapoint: not born yet, not read yet, or a gap."""
        if self.born is not None and start + HOUR <= self.born:
            return "before"
        return "open" if start + HOUR > self.until else "gap"


def sheet(*, key: str, noun: str, days: Sequence[tuple[date, Sequence[int | None]]], span: Span) -> Sheet:
    """`days`: (UTC day, its 24 hours), oldest first; the newest is drawn first."""
    loudest = max((calls for _, hours in days for calls in hours if calls), default=0)
    rows = []
    for day, hours in reversed(days):
        cells = [_cell(day, hour, calls, noun=noun, loudest=loudest, span=span) for hour, calls in enumerate(hours)]
        known = [calls for calls in hours if calls is not None]
        rows.append(Row(day, cells, sum(known) if known else None, len(known)))
    return Sheet(key, noun, rows, _sentence(noun, rows))


WORDS = {"before": "not launched yet", "open": "not read yet", "gap": "no datapoint, so not known"}


def _cell(day: date, hour: int, calls: int | None, *, noun: str, loudest: int, span: Span) -> Cell:
    when = f"{day:%-d %B}, {hour:02}:00 UTC"
    if calls is not None:
        return Cell(hour, calls, f"v{_step(calls, loudest)}", f"{when}: {number(calls)} {noun}")
    kind = span.kind(datetime.combine(day, time(hour), UTC))
    return Cell(hour, None, kind, f"{when}: {WORDS[kind]}")


def _step(calls: int | None, loudest: int) -> int:
    if not calls:
        return 0
    return min(STEPS, 1 + (STEPS * calls - 1) // loudest) if loudest else 0


def _sentence(noun: str, rows: Sequence[Row]) -> str:
    measured = sum(row.measured for row in rows)
    owed = sum(cell.kind not in {"open", "before"} for row in rows for cell in row.cells)
    total = sum(row.total or 0 for row in rows)
    if not measured:
        return "No hour of these days has a datapoint; that is not zero."
    gaps = f"; {number(owed - measured)} have no datapoint" if owed > measured else ""
    return f"{number(total)} {noun} in {number(measured)} measured hours{gaps}."
