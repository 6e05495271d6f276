"""Change windows: a weekly time on the wall of a zone, as the instants it means. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

LONGEST = 7 * 24 * 60  # minutes: a week, which is always open
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Window:
    """Opens on each of `days` (0 Monday to 6 Sunday) when the clocks of `zone` show `start`, for `minutes`.

    The minutes are real ones: where a clock change falls into the window, it ends an hour earlier or later on the
    wall. A start that the clocks skip opens it as much later as they skip; one that they show twice, the first time.
    """

    zone: str  # IANA: Europe/Berlin
    days: tuple[int, ...]
    start: time
    minutes: int

    def __str__(self) -> str:
        """As a person says it: Monday, Tuesday 22:00 for 4 h, Europe/Berlin."""
        hours, minutes = divmod(self.minutes, 60)
        lasts = " ".join(filter(None, (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "")))
        days = "every day" if len(self.days) == len(DAYS) else ", ".join(DAYS[day] for day in self.days)
        return f"{days} {self.start:%H:%M} for {lasts}, {self.zone}"


def problem(window: Window) -> str:
    """Why a window is refused, in a sentence, or "". One that never opens would hold every run for good."""
    if window.zone not in available_timezones():
        return f"{window.zone!r} is not a time zone of the IANA database; use for example Europe/Berlin."
    if not window.days or not set(window.days) <= set(range(len(DAYS))):
        return "It opens on no day of the week, so no run would ever go on; name at least one."
    if not 0 < window.minutes <= LONGEST:
        return f"It is open for {window.minutes} minutes; it must be 1 to {LONGEST:,}, a week."
    return ""


def is_open(window: Window | None, now: datetime) -> bool:
    """True while the window is open; without one always. `now` is aware."""
    if window is None:
        return True
    return any(opens <= now < closes for opens, closes in _around(window, now))


def closes(window: Window | None, now: datetime) -> datetime | None:
    """When an open window ends, UTC; None: it is closed, or there is none."""
    if window is None:
        return None
    return max((end for opens, end in _around(window, now) if opens <= now < end), default=None)


def opens_next(window: Window, now: datetime) -> datetime:
    """The first opening after `now`, UTC. `now` itself when it is open."""
    if is_open(window, now):
        return now.astimezone(UTC)
    return min(opens for opens, _ in _around(window, now) if opens > now)


def _around(window: Window, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Every opening from a week before to a week after, as half-open UTC intervals."""
    zone = ZoneInfo(window.zone)
    today = now.astimezone(zone).date()
    for ahead in range(-8, 9):
        day: date = today + timedelta(days=ahead)
        if day.weekday() in window.days:
            opens = datetime.combine(day, window.start, tzinfo=zone).astimezone(UTC)
            yield opens, opens + timedelta(minutes=window.minutes)
