"""What the hours after a change say: refused calls, and how much of the time is known. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from migration.domain.readiness import HOURS, Hours
from migration.enums import WatchState

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Heard:
    """Of one instance since its change. `calls` None: not one hour is known."""

    calls: int | None
    last: datetime | None  # the start of the last hour with a refused call
    known: int  # hours with a datapoint
    hours: int  # whole hours since the change, up to `until`


def hear(days: Mapping[date, Hours], *, since: datetime, until: datetime) -> Heard:
    """Refused calls in the whole UTC hours of [since, until): the hour of the change itself is left out, for what was
    refused in it may have been before.
    """
    start, known, calls, last, hours = _next_hour(since.astimezone(UTC)), 0, 0, None, 0
    at = start
    while at + HOUR <= until:
        hours += 1
        day = days.get(at.date())
        value = day[at.hour] if day is not None and len(day) == HOURS else None
        if value is not None:
            known += 1
            calls += value
            last = at if value else last
        at += HOUR
    return Heard(calls if known else None, last, known, hours)


def _next_hour(at: datetime) -> datetime:
    start = at.replace(minute=0, second=0, microsecond=0)
    return start if start == at else start + HOUR


def outcome(heard: Iterable[Heard]) -> WatchState:
    """How a watch ends. Quiet only where every hour of every instance is known: silence is no zero."""
    all_of_them = list(heard)
    if any(one.calls for one in all_of_them):
        return WatchState.CALLED
    if all_of_them and all(one.hours and one.known == one.hours for one in all_of_them):
        return WatchState.QUIET
    return WatchState.BLIND
