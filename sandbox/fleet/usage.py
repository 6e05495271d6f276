"""`usage` of an instance group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.checks import Reader
from sandbox.usage import DAY, PROFILES, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

Span = tuple[float, float]


def read_usage(group: Reader, anchor: float) -> tuple[Usage, Span | None]:
    """The usage, and the span of `fixed_days_ago`. A bare word is a profile."""
    given = group.data.get("usage")
    data: Mapping[str, object] | object = {"profile": given} if isinstance(given, str) else given or {}
    group.has("usage")
    one = Reader(data, group.place("usage"))
    gap = one.span("gap_days_ago", None)
    usage = Usage(
        profile=one.choice("profile", PROFILES, "quiet"),
        calls_per_hour=one.number("calls_per_hour", 12.0, 0),
        hour=one.integer("hour", 2, 0, 23) or 0,
        weekday=one.integer("weekday", 6, 0, 6) or 0,
        day_of_month=one.integer("day_of_month", 1, 1, 31) or 1,
        fade_days=one.number("fade_days", 14.0, 0),
        missing_hours=one.number("missing_hours", 0.0, 0, 1),
        gap=(anchor - gap[1] * DAY, anchor - gap[0] * DAY) if gap else None,
    )
    fixed = one.span("fixed_days_ago", None, -3650)
    one.finish()
    return usage, fixed
