"""`churn` of an instance group: instances that came and went, as they do in a group that scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox import ids
from sandbox.checks import Mistake
from sandbox.instances import Run
from sandbox.usage import DAY, HOUR

if TYPE_CHECKING:
    from sandbox.checks import Reader
    from sandbox.fleet.usage import Span

_FORGOTTEN_SECONDS: Final = 3660
"""EC2 lists a terminated instance for an hour."""
_NOT_WITH_CHURN: Final = (
    "count", "state", "instance_id", "launched_days_ago", "restarted_days_ago", "stopped_days_ago", "enforced_days_ago",
    "regressed_days_ago", "options_state",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Churn:
    """Instances that came and went: so many a day, through so many days, each for some hours."""

    per_day: float
    days: float
    hours: Span

    @property
    def count(self) -> int:
        """How many there were."""
        return max(1, round(self.per_day * self.days))

    def run(self, instance_id: str, index: int, anchor: float) -> Run:
        """The life of one: launched within the days, each in its turn, and gone for more than an hour at the anchor."""
        hours = self.hours[0] + (self.hours[1] - self.hours[0]) * ids.fraction(instance_id, "lifetime")
        room = self.days * DAY - hours * HOUR - _FORGOTTEN_SECONDS
        share = (index + ids.fraction(instance_id, "launched")) / self.count
        launched = int(anchor - self.days * DAY + room * share)
        return Run(float(launched), float(launched + int(hours * HOUR)))


def read_churn(given: Reader) -> Churn | None:
    """`churn`, which says by itself how many there are and when they ran."""
    if not given.has("churn"):
        return None
    for name in _NOT_WITH_CHURN:
        if given.has(name):
            raise Mistake(given.place(name), "is not for a group with churn, which says itself how many ran and when")
    one = given.object("churn")
    churn = Churn(
        per_day=one.number("per_day", 10.0, 0.01, 100_000),
        days=one.number("days", 14.0, 0.1, 455),
        hours=one.span("lifetime_hours", (0.5, 6.0)) or (0.5, 6.0),
    )
    if churn.hours[0] <= 0 or churn.hours[1] * HOUR + _FORGOTTEN_SECONDS >= churn.days * DAY:
        raise Mistake(
            one.place("lifetime_hours"), f"must be more than 0, and so short that it fits in {churn.days:g} days"
        )
    one.finish()
    return churn
