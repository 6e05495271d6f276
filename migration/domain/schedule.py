"""When a reading is late, and when the timetable that asks for readings has stopped. Pure: the clock is an argument."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

TICK = timedelta(minutes=1)  # CELERY_BEAT_SCHEDULE's interval of collect-what-is-due
MISSED = 3  # ticks that may fail to come in a row: one can be lost with its message, three are no accident
STARTING = timedelta(minutes=5)  # a fresh installation may take this long to its first tick
SKEW_LIMIT = timedelta(minutes=2)  # AWS refuses a request signed more than 5 minutes off; this leaves time to act
LEASE_LOST = timedelta(minutes=15)  # a lease this long past its end: nobody is left to take the work over
OPENS_AFTER = 3  # failures in a row before an account's circuit breaker opens
LEAST_GRACE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often one kind of reading is made."""

    every: timedelta

    @property
    def grace(self) -> timedelta:
        """How late a reading may be before anybody is told.

        Half the cadence forgives a pass that was throttled or cut off and tried again, and never one that was left
        out. At least 30 minutes, because a pass waits for its tick (1 min), for a free worker and for its slice
        (10 min): with a cadence of 15 minutes everything else would cry wolf.
        """
        return max(LEAST_GRACE, self.every / 2)

    @property
    def longest(self) -> timedelta:
        """The greatest age of a reading that is still in time."""
        return self.every + self.grace

    def overdue(self, last: datetime | None, *, since: datetime, now: datetime) -> bool:
        """Is the reading late? `last` None: never made; then it is late when its thing is known (`since`) that long."""
        return (since if last is None else last) < now - self.longest

    def late(self, due: datetime | None, *, now: datetime) -> bool:
        """Was the reading due longer ago than its grace? `due` None: nothing of its kind is to be read."""
        return due is not None and due < now - self.grace


@dataclass(frozen=True, slots=True)
class Cadences:
    """The three kinds of reading of an account-Region."""

    inventory: Cadence
    usage: Cadence
    watch: Cadence = Cadence(timedelta(hours=1))

    @classmethod
    def of(cls, *, collect_hours: float, usage_hours: float) -> "Cadences":
        return cls(Cadence(timedelta(hours=collect_hours)), Cadence(timedelta(hours=usage_hours)))


class Pulse(StrEnum):
    """How the timetable is."""

    ALIVE = "alive"
    STARTING = "starting"
    STOPPED = "stopped"


def pulse(last_tick: datetime | None, *, since: datetime | None, now: datetime) -> Pulse:
    """Is the timetable alive? `since`: when there first was something to tick for; None: not known, so a beginning.

    A tick is overdue after three intervals, the dead-man's switch: whoever hears nothing is told, rather than
    whoever hears an error.
    """
    if last_tick is not None:
        return Pulse.STOPPED if last_tick < now - MISSED * TICK else Pulse.ALIVE
    return Pulse.STARTING if since is None or since >= now - STARTING else Pulse.STOPPED


def breaker_open(failures: int) -> bool:
    """Is an account left alone until its `retry_at`, having failed this often in a row?"""
    return failures >= OPENS_AFTER
