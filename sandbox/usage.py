"""How software on an instance calls IMDSv1: generated from (instance, UTC hour), never stored, so history is free."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

HOUR: Final = 3600
DAY: Final = 86400
FIVE_MINUTES: Final = 300
PROFILES: Final = ("quiet", "steady", "office", "nightly", "weekly", "monthly", "boot")


@dataclass(frozen=True, slots=True)
class Usage:
    """What v1 callers do, or would do were v1 not refused."""

    profile: str = "quiet"
    calls_per_hour: float = 12.0
    hour: int = 2
    weekday: int = 6
    day_of_month: int = 1
    fade_days: float = 14.0
    missing_hours: float = 0.0
    gap: tuple[float, float] | None = None


QUIET: Final = Usage()


def _weight(usage: Usage, date: dt.date, hour: int) -> float:
    """Share of the usual calls in this hour of this date."""
    at_hour = 1.0 if hour == usage.hour else 0.0
    match usage.profile:
        case "steady":
            return 1.0
        case "office":
            busy = 1.0 if hour in _OFFICE_HOURS else 0.15
            return busy * (0.2 if date.weekday() >= 5 else 1.0)  # noqa: PLR2004 - Saturday and Sunday
        case "nightly":
            return at_hour
        case "weekly":
            return at_hour if date.weekday() == usage.weekday else 0.0
        case "monthly":
            return at_hour if date.day == usage.day_of_month else 0.0
        case _:
            return 0.0


def _fade(usage: Usage, fixed_at: float, at: float) -> float:
    """1 before the owner began to mend the software, 0 once it is mended."""
    if at >= fixed_at:
        return 0.0
    if not usage.fade_days or fixed_at == math.inf:
        return 1.0
    return min(1.0, (fixed_at - at) / (usage.fade_days * DAY))


@lru_cache(maxsize=100_000)
def day_of_calls(usage: Usage, number: int, fixed_at: float, day: int) -> tuple[int | None, ...]:
    """The 24 hourly call counts of one UTC day (days since 1970); None is an hour without a datapoint."""
    means = _usual_day(usage, day)
    begin = day * DAY
    complete = not usage.missing_hours and usage.gap is None
    if complete and (begin >= fixed_at or not any(means)):
        return _ZEROS
    noise = struct.unpack(">24H", hashlib.blake2b(f"{number}:{day}".encode(), digest_size=48).digest())
    hours: list[int | None] = []
    for hour, (mean, word) in enumerate(zip(means, noise, strict=True)):
        at = begin + hour * HOUR
        shake = word / 65536
        if not complete and _absent(usage, shake, at):
            hours.append(None)
        elif mean:
            hours.append(math.ceil(mean * _fade(usage, fixed_at, at) * (0.6 + 0.8 * shake)))
        else:
            hours.append(0)
    return tuple(hours)


@lru_cache(maxsize=10_000)
def _usual_day(usage: Usage, day: int) -> tuple[float, ...]:
    """The mean calls of each hour of a day before any owner mends anything: the same for all that share a usage."""
    date = dt.date.fromordinal(_EPOCH_ORDINAL + day)
    return tuple(usage.calls_per_hour * _weight(usage, date, hour) for hour in range(24))


def _absent(usage: Usage, shake: float, at: float) -> bool:
    if usage.gap is not None and usage.gap[0] <= at < usage.gap[1]:
        return True
    return shake < usage.missing_hours


def five_minutes(calls: int, hour: int, number: int) -> list[int]:
    """The hour's calls in its twelve 5-minute parts; they sum to the hour."""
    base, rest = divmod(calls, 12)
    first = (number + hour) % 12
    return [base + (1 if (part - first) % 12 < rest else 0) for part in range(12)]


_ZEROS: Final[tuple[int | None, ...]] = (0,) * 24
_OFFICE_HOURS: Final = range(7, 19)
_EPOCH_ORDINAL: Final = dt.date(1970, 1, 1).toordinal()
