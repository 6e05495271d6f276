"""Is the data complete, day by day: a sheet of weeks, Monday first, for the server to draw as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from migration.charts.figure import Table, number

# A step is a class of the style sheet: the share from which on it is worn. 100 % stands alone.
STEPS = (0.0, 0.5, 0.8, 0.95, 1.0)
WEEK = 7


class DayKind(StrEnum):
    BEFORE = "before"  # nothing was collected, and nothing was asked of that day
    OPEN = "open"  # its readings are not all due yet
    DUE = "due"


@dataclass(frozen=True)
class CalendarDay:
    day: date
    complete: int
    expected: int
    kind: DayKind
    today: bool = False

    @property
    def share(self) -> float | None:
        return self.complete / self.expected if self.expected else None

    @property
    def step(self) -> int:
        """0 to 4; only a day that is whole wears the last."""
        return max((place for place, least in enumerate(STEPS) if (self.share or 0) >= least), default=0)

    @property
    def percent(self) -> str:
        """Cut, not rounded: 99.96 % is not whole."""
        return f"{self.complete * 100 // self.expected} %" if self.expected else ""

    @property
    def words(self) -> str:
        if self.kind == DayKind.BEFORE:
            return f"{self.day:%-d %B}: before the first collection"
        unfinished = ", still being read" if self.kind == DayKind.OPEN else ""
        return f"{self.day:%-d %B}: {number(self.complete)} of {number(self.expected)} complete{unfinished}"


@dataclass(frozen=True)
class Calendar:
    weeks: Sequence[Sequence[CalendarDay | None]]
    sentence: str
    table: Table


def calendar(days: Sequence[tuple[date, int, int]], *, due_before: date, today: date) -> Calendar:
    """`days`: (UTC day, complete, expected) without holes, oldest first. Days from `due_before` on are still being
    read, so what they lack is no gap.
    """
    found = [
        CalendarDay(
            day=day,
            complete=complete,
            expected=expected,
            kind=DayKind.BEFORE if not expected else DayKind.OPEN if day >= due_before else DayKind.DUE,
            today=day == today,
        )
        for day, complete, expected in days
    ]
    lead: list[CalendarDay | None] = [None] * (found[0].day.weekday() if found else 0)
    cells = [*lead, *found]
    cells += [None] * (-len(cells) % WEEK)
    rows = [(one.day.isoformat(), number(one.complete), number(one.expected), _state(one)) for one in reversed(found)]
    return Calendar(
        weeks=[cells[start : start + WEEK] for start in range(0, len(cells), WEEK)],
        sentence=_sentence(found),
        table=Table("Completeness by day", ("Day (UTC)", "Complete", "Of", "State"), rows),
    )


def _state(one: CalendarDay) -> str:
    if one.kind == DayKind.BEFORE:
        return "before the first collection"
    if one.kind == DayKind.OPEN:
        return "still being read"
    return "complete" if one.complete == one.expected else f"{one.percent} complete"


def _sentence(days: Sequence[CalendarDay]) -> str:
    due = [one for one in days if one.kind == DayKind.DUE]
    if not due:
        return "No day is due yet: the first collection asks for the days before it, and they appear as they come in."
    short = [one for one in due if one.complete < one.expected]
    if not short:
        days_due = "the one day that is" if len(due) == 1 else f"all {len(due)} days that are"
        return f"Every account-Region is measured whole on {days_due} due."
    worst = min(short, key=lambda one: (one.share or 0, one.day))
    return (
        f"{len(due) - len(short)} of {len(due)} days that are due are whole; {worst.day:%-d %B} lacks most: "
        f"{number(worst.complete)} of {number(worst.expected)} account-Regions ({worst.percent})."
    )
