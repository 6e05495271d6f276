"""When does it call? The rhythm of IMDSv1 calls, named from hourly sums with what it rests on. Pure.

Sums are by the hour: a job at :00 and one at :59 look alike, so what is named is the hour. An hour without a datapoint
is neither a call nor a silence; where one could change the name, the name is said to be uncertain.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

HOURS = 24
Hours = tuple[int | None, ...]
MOST = 0.8  # of the occasions there were
MONTH = 62  # days that must be known before a monthly rhythm can be told
WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
STEPS = (2, 3, 4, 6, 8, 12)  # that divide a day
OFFICE = range(6, 20)  # UTC, wide enough for a few zones


class Rhythm(StrEnum):
    NONE = "none"
    UNKNOWN = "unknown"
    HOURLY = "hourly"
    STEPS = "every few hours"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    OFFICE = "office hours"
    ONCE = "once"
    IRREGULAR = "irregular"


@dataclass(frozen=True, slots=True)
class Pattern:
    """`words`: a sentence with its evidence. `certain` is False when unknown hours could make it another."""

    rhythm: Rhythm
    words: str
    certain: bool = True


@dataclass(frozen=True, slots=True)
class _Seen:
    calling: list[tuple[date, int]]  # day and hour of each hour with calls
    known: int
    unknown: int
    days: list[date]
    looked_at: int  # days of which an hour is known
    measured: int  # days of which at least half the hours are known
    elsewhere: float  # the part of the other days on which the hours it calls in are known; 1 where there are none
    gaps: int  # the other days on which they are not


def name(days: Mapping[date, Hours]) -> Pattern:
    """The rhythm of these UTC days."""
    seen = _look(days)
    if not seen.known:
        return Pattern(Rhythm.UNKNOWN, "No hour is measured, so nothing is known of when it calls.", certain=False)
    if not seen.calling:
        gaps = f"; {seen.unknown} hours are not known" if seen.unknown else ""
        return Pattern(Rhythm.NONE, f"No call in {seen.known} measured hours{gaps}.", certain=not seen.unknown)
    found = (
        _hourly(seen, days)
        or _rare(seen)
        or _steps(seen, days)
        or _daily(seen, days)
        or _office(seen)
        or _partly(seen, days)
    )
    rhythm, words = found or (
        Rhythm.IRREGULAR,
        f"At no fixed time: in {len(seen.calling)} of {seen.known} measured hours",
    )
    short = "" if seen.measured >= MONTH else f"; {_days(seen)} too few to tell a monthly job"
    gaps = f"; {seen.unknown} hours are not known" if seen.unknown else ""
    return Pattern(rhythm, f"{words}{gaps}{short}.", certain=not seen.unknown)


def _look(days: Mapping[date, Hours]) -> _Seen:
    calling = [(day, hour) for day in sorted(days) for hour, value in enumerate(days[day]) if value]
    known = sum(value is not None for hours in days.values() for value in hours)
    looked_at = sum(any(value is not None for value in hours) for hours in days.values())
    measured = sum(2 * sum(value is not None for value in hours) >= HOURS for hours in days.values())
    on, at = {day for day, _ in calling}, {hour for _, hour in calling}
    others = [hours for day, hours in days.items() if day not in on]
    quiet = sum(all(hours[hour] is not None for hour in at) for hours in others)
    share = quiet / len(others) if others else 1.0
    return _Seen(
        calling, known, HOURS * len(days) - known, sorted(days), looked_at, measured, share, len(others) - quiet
    )


def _days(seen: _Seen) -> str:
    """What there is of days. "14 measured days" beside "196 hours are not known" must not count days hardly known."""
    if seen.measured < seen.looked_at:
        return f"{seen.measured or 'none'} of {seen.looked_at} days measured for half their hours, which is"
    return "1 measured day is" if seen.measured == 1 else f"{seen.measured} measured days are"


def _hourly(seen: _Seen, days: Mapping[date, Hours]) -> tuple[Rhythm, str] | None:
    measured = [value for hours in days.values() for value in hours if value is not None]
    if len(measured) >= HOURS and len(seen.calling) >= MOST * len(measured):
        return Rhythm.HOURLY, f"All the time: in {len(seen.calling)} of {len(measured)} measured hours"
    return None


def _rare(seen: _Seen) -> tuple[Rhythm, str] | None:
    """A rhythm that rests on silence elsewhere. Where that silence was not measured, no rhythm is named."""
    found = _once(seen) or _monthly(seen) or _weekly(seen)
    if found is None or seen.elsewhere >= MOST:
        return found
    on = len({day for day, _ in seen.calling})
    many = "day has" if on == 1 else "days have"
    return (
        Rhythm.UNKNOWN,
        f"{on} {many} calls, and on {seen.gaps} others the same hours were not measured: no rhythm can be told",
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """Hours of the day, `every` so many from `first` on, in which it calls where they were measured."""

    every: int
    first: int
    calls: int  # hours with calls, of those `measured`
    measured: int
    covered: bool  # each of its hours, and the silence between them, was measured about as often as any


def _steps(seen: _Seen, days: Mapping[date, Hours]) -> tuple[Rhythm, str] | None:
    """In each second, third, ... hour of the day, counted from some hour, and hardly in another."""
    for one in _stepping(seen, days):
        if one.covered:
            words = f"Every {one.every} hours, from {one.first:02}:00 UTC on: in {one.calls} of {one.measured}"
            return Rhythm.STEPS, f"{words} such hours"
    return None


def _partly(seen: _Seen, days: Mapping[date, Hours]) -> tuple[Rhythm, str] | None:
    """Such a rhythm in part of the day. The rest was not measured, so it is not named, nor called irregular."""
    for one in _stepping(seen, days):
        words = f"Every {one.every} hours while it was measured: in {one.calls} of {one.measured} such hours"
        rest = "At other hours of the day it was hardly measured, so no rhythm can be told"
        return Rhythm.UNKNOWN, f"{words}. {rest}"
    return None


def _stepping(seen: _Seen, days: Mapping[date, Hours]) -> Iterator[_Step]:
    """The steps that what was measured agrees with, the shortest first."""
    known = [sum(days[day][hour] is not None for day in seen.days) for hour in range(HOURS)]
    calls = Counter(hour for _, hour in seen.calling)
    for step in STEPS:
        first = Counter(hour % step for _, hour in seen.calling).most_common(1)[0][0]
        hours = range(first, HOURS, step)
        measured, count = sum(known[hour] for hour in hours), sum(calls[hour] for hour in hours)
        if (
            measured >= HOURS // step * 2
            and count >= max(MOST * measured, MOST * len(seen.calling))
            and all(2 * calls[hour] >= known[hour] for hour in hours)
        ):
            yield _Step(step, first, count, measured, _covered(known, hours))


def _covered(known: list[int], hours: range) -> bool:
    """Each of these hours on two days at least and on half as many as the best known one, and the others likewise on
    the whole: an hour that is never measured must not be claimed, nor silence where nobody looked.
    """
    often = max(2, max(known) / 2)
    others = [count for hour, count in enumerate(known) if hour not in hours]
    return all(known[hour] >= often for hour in hours) and sum(others) >= often * len(others)


def _once(seen: _Seen) -> tuple[Rhythm, str] | None:
    on = sorted({day for day, _ in seen.calling})
    if len(on) == 1 and len(seen.days) > 1:
        hours = sorted(hour for _, hour in seen.calling)
        if hours[-1] - hours[0] <= 1:
            return Rhythm.ONCE, f"Once, on {on[0].isoformat()} in the hour from {hours[0]:02}:00 UTC, as a boot would"
    return None


def _monthly(seen: _Seen) -> tuple[Rhythm, str] | None:
    on = sorted({day for day, _ in seen.calling})
    if seen.measured < MONTH or len(on) < 2 or len({day.day for day in on}) != 1:  # noqa: PLR2004
        return None
    return Rhythm.MONTHLY, f"Monthly, on day {on[0].day}: {len(on)} times {_about(seen)}"


def _weekly(seen: _Seen) -> tuple[Rhythm, str] | None:
    on = sorted({day for day, _ in seen.calling})
    weekdays = {day.weekday() for day in on}
    if len(on) < 2 or len(weekdays) != 1:  # noqa: PLR2004
        return None
    there = [day for day in seen.days if day.weekday() in weekdays]
    if len(on) >= MOST * len(there):
        return Rhythm.WEEKLY, f"Weekly, on {WEEKDAYS[on[0].weekday()]}: {len(on)} of {len(there)} {_about(seen)}"
    return None


def _daily(seen: _Seen, days: Mapping[date, Hours]) -> tuple[Rhythm, str] | None:
    """In the same hour or two of nearly every day."""
    by_hour = Counter(hour for _, hour in seen.calling)
    (hour, count), *_ = by_hour.most_common(1)
    beside = by_hour[(hour + 1) % HOURS], by_hour[(hour - 1) % HOURS]
    measured = sum(days[day][hour] is not None for day in seen.days)
    if measured >= 3 and count >= MOST * measured and count + max(beside) >= MOST * len(seen.calling):  # noqa: PLR2004
        word = "Nightly" if hour < 6 or hour >= 22 else "Daily"  # noqa: PLR2004
        return Rhythm.DAILY, f"{word}, in the hour from {hour:02}:00 UTC: {count} of {measured} days"
    return None


def _office(seen: _Seen) -> tuple[Rhythm, str] | None:
    inside = sum(day.weekday() < 5 and hour in OFFICE for day, hour in seen.calling)  # noqa: PLR2004
    on = {day for day, _ in seen.calling}
    if len(on) >= 3 and len(seen.calling) >= 2 * len(on) and inside >= 0.95 * len(seen.calling):  # noqa: PLR2004
        return Rhythm.OFFICE, f"In working hours: {inside} of {len(seen.calling)} hours with calls, on {len(on)} days"
    return None


def _about(seen: _Seen) -> str:
    (hour, count), *_ = Counter(hour for _, hour in seen.calling).most_common(1)
    return (
        f"in the hour from {hour:02}:00 UTC"
        if count >= MOST * len({day for day, _ in seen.calling})
        else "at no fixed hour"
    )
