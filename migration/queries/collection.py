"""What makes a zero believable: account by Region, when it was last read whole, and what stands in the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from migration.enums import Outcome
from migration.models import Account, Scope, ScopeDay
from migration.queries.fleet import UNREADABLE


@dataclass(frozen=True)
class Cell:
    scope: Scope
    stale: bool
    measured: int | None
    expected: int | None

    @property
    def coverage(self) -> float | None:
        return self.measured / self.expected if self.measured is not None and self.expected else None

    @property
    def tone(self) -> str:
        """The word that colours the cell."""
        if not self.scope.enabled:
            return "off"
        if self.scope.outcome == Outcome.COMPLETE:
            return "stale" if self.stale else "complete"
        return str(self.scope.outcome)


@dataclass(frozen=True)
class MatrixRow:
    account: Account
    cells: list[Cell | None]

    @property
    def readable(self) -> bool:
        return self.account.role_state not in UNREADABLE


@dataclass(frozen=True)
class Matrix:
    regions: list[str]
    rows: list[MatrixRow]
    gaps: list[Scope]


def matrix(accounts: Sequence[Account], *, now: datetime, today: date, cadence_hours: float) -> Matrix:
    too_old = now - timedelta(hours=2 * cadence_hours)
    scopes = list(Scope.objects.filter(account__in=[account.pk for account in accounts]).select_related("account"))
    yesterday = ScopeDay.objects.filter(scope__in=[scope.pk for scope in scopes], day=today - timedelta(days=1))
    measured = {day.scope_id: (day.instances_measured, day.instances_expected) for day in yesterday}
    regions = sorted({scope.region for scope in scopes})
    cells = {
        (scope.account_id, scope.region): Cell(
            scope=scope,
            stale=scope.complete_at is None or scope.complete_at < too_old,
            measured=measured.get(scope.pk, (None, None))[0],
            expected=measured.get(scope.pk, (None, None))[1],
        )
        for scope in scopes
    }
    return Matrix(
        regions=regions,
        rows=[MatrixRow(account, [cells.get((account.pk, region)) for region in regions]) for account in accounts],
        gaps=[scope for scope in scopes if scope.enabled and scope.outcome != Outcome.COMPLETE],
    )
