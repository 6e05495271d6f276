"""How fast a run may go: one alone, then as many again as are verified, and a look at the first in between. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from migration.domain import metrics
from migration.enums import CanaryState

POINT = timedelta(seconds=metrics.POINT)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run has come to. `in_flight`: claimed, being called, or not yet verified."""

    verified: int
    in_flight: int
    failed: int
    forgiven: int = 0  # failures that were there when a person resumed the run


def over_budget(seen: Seen, *, max_failures: int) -> bool:
    """True when more failed than may: no further call is begun. With n in flight at that moment, n more can fail."""
    return seen.failed - seen.forgiven > max_failures


def may_begin(seen: Seen, *, limit: int) -> int:
    """How many changes may be begun now, `limit` at most: until one is verified only one is on its way; after that as
    many as are verified, and one more (1, 2, 4, 8 …; AWS Systems Manager ramps its rate controls alike).
    """
    most = 1 if seen.verified == 0 else min(limit, seen.verified + 1)
    return max(0, most - seen.in_flight)


def judge_canary(points: Sequence[int | None], *, complete: bool, until: datetime, now: datetime) -> CanaryState:
    """What the canary's MetadataNoTokenRejected says since its change: `points` are the Sums of whole five minutes.

    A refused call is a refused call, however incomplete the answer. Quiet takes a datapoint that says zero, for it is
    not documented whether zeros are stored: no data is no evidence, and after `until` a matter for a person.
    """
    known = [point for point in points if point is not None]
    if any(known):
        return CanaryState.CALLED
    if known and complete:
        return CanaryState.QUIET
    return CanaryState.SILENT if now >= until else CanaryState.WATCHING


def first_point(called_at: datetime) -> datetime:
    """The start of the first five minutes that lie wholly after the change."""
    start = point_before(called_at)
    return start if start == called_at else start + POINT


def point_before(at: datetime) -> datetime:
    """The last full five minutes at or before a moment: where the points that are whole end."""
    return at.replace(minute=at.minute - at.minute % 5, second=0, microsecond=0)


def duration(per_region: Sequence[int], *, writes_per_second: float, canary_minutes: int) -> float:
    """Seconds a run takes at best: each Region's changes at the allowed pace, one Region after the other, and the
    watch of the canary. Change windows and what AWS turns away come on top.
    """
    total = sum(per_region)
    canary = canary_minutes * 60 if total > 1 else 0
    return canary + sum(max(0, count - 1) / writes_per_second for count in per_region)
