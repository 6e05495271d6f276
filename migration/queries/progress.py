"""How far: counts by status, and the one way a percentage is made of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from migration.enums import DONE, LEFT, NOT_OURS, Status

# The order statuses are drawn and listed in: done first, then ever more work, then what is not known.
SHOWN = (
    Status.ENFORCED,
    Status.IMDS_OFF,
    Status.PENDING,
    Status.READY,
    Status.SETTLING,
    Status.WAIVED,
    Status.IN_USE,
    Status.REGRESSED,
    Status.UNKNOWN,
)


@dataclass(frozen=True)
class Part:
    """One status of a mix: how many, and its share of what is ours to do."""

    status: Status
    count: int
    share: float | None


@dataclass(frozen=True)
class Mix:
    """Instances counted by status. `share` is done of (done + left), or None when there is nothing to divide."""

    counts: Mapping[str, int] = field(default_factory=dict)

    def of(self, *statuses: Status) -> int:
        return sum(self.counts.get(status, 0) for status in statuses)

    @property
    def done(self) -> int:
        return self.of(*DONE)

    @property
    def left(self) -> int:
        return self.of(*LEFT)

    @property
    def ours(self) -> int:
        return self.done + self.left

    @property
    def share(self) -> float | None:
        return self.done / self.ours if self.ours else None

    @property
    def enforced(self) -> int:
        return self.of(Status.ENFORCED)

    @property
    def ready(self) -> int:
        return self.of(Status.READY)

    @property
    def in_use(self) -> int:
        return self.of(Status.IN_USE)

    @property
    def unknown(self) -> int:
        return self.of(Status.UNKNOWN)

    @property
    def regressed(self) -> int:
        return self.of(Status.REGRESSED)

    @property
    def waived(self) -> int:
        return self.of(Status.WAIVED)

    @property
    def managed(self) -> int:
        return self.of(Status.MANAGED)

    @property
    def gone(self) -> int:
        return self.of(Status.GONE)

    @property
    def parts(self) -> list[Part]:
        """What is ours, status by status, those that occur."""
        return [
            Part(status, self.counts[status], self.counts[status] / self.ours)
            for status in SHOWN
            if self.counts.get(status)
        ]

    @property
    def not_ours(self) -> list[Part]:
        return [Part(status, self.counts[status], None) for status in NOT_OURS if self.counts.get(status)]

    def __add__(self, other: "Mix") -> "Mix":
        names = {*self.counts, *other.counts}
        return Mix({name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in names})
