"""What the numbers say in words. Today's unfinished day and days nobody measured never enter a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from statistics import median

from migration.charts.figure import number

WEEK = 7
WEEKS_NEEDED = 5
A_LITTLE = 0.02  # below this a change is called none


@dataclass(frozen=True)
class Trend:
    """Mean calls a day in the last seven full days and in the seven before; None when a week has no measured day."""

    recent: float | None
    before: float | None
    measured_days: int  # of the fourteen

    @property
    def change(self) -> float | None:
        """-0.25 is a quarter less. None when it cannot be said."""
        if self.recent is None or not self.before:
            return None
        return self.recent / self.before - 1


def _mean(values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _full(days: Sequence[date], values: Sequence[int | None], today: date) -> list[int | None]:
    return [value for day, value in zip(days, values, strict=True) if day < today]


def trend(*, days: Sequence[date], calls: Sequence[int | None], today: date) -> Trend:
    full = _full(days, calls, today)
    recent, before = full[-WEEK:], full[-2 * WEEK : -WEEK]
    known = sum(value is not None for value in full[-2 * WEEK :])
    return Trend(_mean(recent), _mean(before), known)


def calls_sentence(*, days: Sequence[date], calls: Sequence[int | None], today: date) -> str:
    """One sentence for the caption, and for whoever cannot see the bars."""
    found = trend(days=days, calls=calls, today=today)
    if all(value is None for value in calls):
        return f"Nothing was measured in the {len(calls)} days shown."
    missing = sum(value is None for value in _full(days, calls, today))
    gaps = f" {missing} of the {len(_full(days, calls, today))} full days shown were not measured." if missing else ""
    if found.recent is None:
        return f"No IMDSv1 measurement in the last seven full days.{gaps}"
    mean = f"{number(round(found.recent))} IMDSv1 calls a day on average over the last seven full days"
    if found.recent == 0:
        return f"No IMDSv1 call on any measured day of the last seven.{gaps}"
    if found.change is None:
        return f"{mean}; there is no week before to compare with.{gaps}"
    if abs(found.change) < A_LITTLE:
        return f"{mean}, about the same as the week before.{gaps}"
    word = "less" if found.change < 0 else "more"
    return f"{mean}, {abs(found.change):.0%} {word} than in the week before.{gaps}"


@dataclass(frozen=True)
class Pace:
    """How fast instances leave the list. `weeks_left` None: no honest forecast, and `sentence` says why."""

    weeks_left: float | None
    done_by: date | None
    sentence: str


def pace(*, days: Sequence[date], left: Sequence[int | None], today: date) -> Pace:
    """A forecast only from five full weeks of daily counts, and only while the count is falling."""
    known = [(day, value) for day, value in zip(days, left, strict=True) if value is not None and day < today]
    weeks = ((known[-1][0] - known[0][0]).days + 1) // WEEK if known else 0
    if known and known[-1][1] == 0:
        return Pace(0, None, "Nothing is left to enforce.")
    if weeks < WEEKS_NEEDED:
        return Pace(None, None, f"Not enough history for a forecast yet ({weeks} of {WEEKS_NEEDED} weeks).")
    last = known[-1][0]
    by_day = dict(known)
    ends = [by_day.get(last - timedelta(days=WEEK * step)) for step in range(WEEKS_NEEDED + 1)]
    steps = [old - new for new, old in pairwise(ends) if new is not None and old is not None]
    weekly = median(steps) if steps else 0
    if weekly <= 0:
        return Pace(None, None, "No net progress over the last five weeks, so no end date can be forecast.")
    weeks_left = known[-1][1] / weekly
    by = today + timedelta(weeks=weeks_left)
    return Pace(
        weeks_left,
        by,
        f"At the median pace of the last five weeks ({number(round(weekly))} a week) the last one is reached around "
        f"{by:%B %Y}.",
    )
