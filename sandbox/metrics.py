"""The two IMDS metrics of an instance, from its history of runs and options."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from sandbox.usage import DAY, FIVE_MINUTES, HOUR, day_of_calls, five_minutes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.instances import Instance

NO_TOKEN: Final = "MetadataNoToken"  # noqa: S105 - the name of a metric
REJECTED: Final = "MetadataNoTokenRejected"
METRICS: Final = (NO_TOKEN, REJECTED)
RETENTION: Final = 455 * DAY

_MODE: Final = {NO_TOKEN: "optional", REJECTED: "required"}


class Sample(NamedTuple):
    """What CloudWatch keeps of a 5-minute period."""

    at: int
    calls: int


def emitting(instance: Instance, metric: str, now: float) -> list[tuple[float, float]]:
    """The stretches of time in which the instance emits this metric: running, and in the metric's mode."""
    wanted = _MODE[metric]
    stretches: list[tuple[float, float]] = []
    for index, (since, mode) in enumerate(instance.modes):
        if mode != wanted:
            continue
        until = instance.modes[index + 1][0] if index + 1 < len(instance.modes) else now
        for run in instance.runs:
            start, end = max(since, run.start), min(until, now if run.end is None else run.end)
            if start < end:
                stretches.append((start, end))
    return stretches


def _calls(instance: Instance, hour: int) -> int | None:
    usage = instance.blueprint.usage
    day, second = divmod(hour, DAY)
    calls = day_of_calls(usage, instance.number, instance.fixed_at, day)[second // HOUR]
    if usage.profile == "boot" and calls is not None and hour < instance.fixed_at:
        booted = any(hour <= run.start < hour + HOUR for run in instance.runs)
        return round(usage.calls_per_hour) if booted else 0
    return calls


def _parts(instance: Instance, hour: int, start: float, end: float) -> Iterator[Sample]:
    """The 5-minute samples of one hour whose period began while the instance emitted."""
    calls = _calls(instance, hour)
    if calls is None:
        return
    for index, part in enumerate(five_minutes(calls, hour, instance.number)):
        at = hour + index * FIVE_MINUTES
        if start <= at < end:
            yield Sample(at, part)


def samples(instance: Instance, metric: str, start: float, end: float, now: float) -> Iterator[Sample]:
    """5-minute samples with start <= at < end, oldest first."""
    for since, until in emitting(instance, metric, now):
        first, last = max(since, start), min(until, end)
        hour = int(first // HOUR) * HOUR
        while hour < last:
            for sample in _parts(instance, hour, since, until):
                if start <= sample.at < end:
                    yield sample
            hour += HOUR


def hourly_sums(instance: Instance, metric: str, start: int, end: float, now: float) -> tuple[list[int], list[int]]:
    """Timestamps and sums of whole UTC hours, oldest first: the fast road for what everybody asks."""
    times: list[int] = []
    sums: list[int] = []
    for since, until in emitting(instance, metric, now):
        for hour, calls in _days(instance, max(start, int(since // HOUR) * HOUR), min(until, end)):
            whole = hour >= since and hour + HOUR <= until
            value = calls if whole else _partial(instance, hour, since, until)
            if value is None:
                continue
            if times and times[-1] == hour:
                sums[-1] += value
            else:
                times.append(hour)
                sums.append(value)
    return times, sums


def _days(instance: Instance, first: int, last: float) -> Iterator[tuple[int, int | None]]:
    """The hours with first <= hour < last and their calls, reading each day once."""
    if instance.blueprint.usage.profile == "boot":
        yield from ((hour, _calls(instance, hour)) for hour in range(first, math.ceil(last), HOUR))
        return
    for day in range(first // DAY, math.ceil(last / DAY)):
        calls = day_of_calls(instance.blueprint.usage, instance.number, instance.fixed_at, day)
        for hour in range(max(first, day * DAY), min(math.ceil(last), (day + 1) * DAY), HOUR):
            yield hour, calls[hour % DAY // HOUR]


def _partial(instance: Instance, hour: int, since: float, until: float) -> int | None:
    parts = [sample.calls for sample in _parts(instance, hour, since, until)]
    return sum(parts) if parts else None


def last_sample(instance: Instance, metric: str, now: float, *, zero_fill: bool) -> float | None:
    """When the metric last had a point, looking two weeks back; None means silent."""
    stretches = emitting(instance, metric, now)
    if not stretches or stretches[-1][1] < now - 14 * DAY:
        return None
    if zero_fill:
        for since, until in reversed(stretches):
            at = (math.ceil(until / FIVE_MINUTES) - 1) * FIVE_MINUTES
            if at >= since:
                return at
        return None
    found = [s.at for s in samples(instance, metric, now - 14 * DAY, now, now) if s.calls]
    return found[-1] if found else None
