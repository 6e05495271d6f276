"""IMDSv1 calls by UTC day. Everything here reads ScopeDay alone; a day nobody measured is None, not 0."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Count, QuerySet, Sum

from migration.models import Account, Scope, ScopeDay
from migration.queries.access import everything


@dataclass(frozen=True)
class UsageDay:
    """One day of some accounts together."""

    day: date
    v1_calls: int | None = None
    rejected_calls: int | None = None
    measured: int = 0
    expected: int = 0
    calling: int = 0
    left: int | None = None  # instances not enforced; None before the first collection
    done: int | None = None
    scopes_known: int = 0  # account-Regions whose statuses are in left and done

    @property
    def coverage(self) -> float | None:
        return self.measured / self.expected if self.expected else None


def _of(accounts: QuerySet[Account]) -> QuerySet[ScopeDay]:
    """The rollups of some accounts; of all without asking of each row whose it is, or SQLite walks them by scope."""
    if everything(accounts):
        return ScopeDay.objects.all()
    return ScopeDay.objects.filter(scope__in=Scope.objects.filter(account__in=accounts))


def days(accounts: QuerySet[Account], *, today: date, count: int) -> list[UsageDay]:
    """The last `count` days up to today, without holes: a day with no row is a day not measured."""
    first = today - timedelta(days=count - 1)
    rows = (
        _of(accounts)
        .filter(day__gte=first, day__lte=today)
        .order_by()
        .values("day")
        .annotate(
            calls=Sum("v1_calls"),
            rejected=Sum("rejected_calls"),
            measured=Sum("instances_measured"),
            expected=Sum("instances_expected"),
            calling=Sum("instances_calling_v1"),
            left=Sum("instances_left"),
            done=Sum("instances_done"),
            known=Count("instances_left"),
        )
    )
    found = {
        row["day"]: UsageDay(
            day=row["day"],
            v1_calls=row["calls"],
            rejected_calls=row["rejected"],
            measured=row["measured"],
            expected=row["expected"],
            calling=row["calling"],
            left=row["left"],
            done=row["done"],
            scopes_known=row["known"],
        )
        for row in rows
    }
    return [found.get(day, UsageDay(day)) for day in (first + timedelta(days=step) for step in range(count))]


def calls_by_account(accounts: QuerySet[Account], *, today: date, count: int) -> dict[int, list[int | None]]:
    """By account (its primary key) the calls of the last `count` days, today's partial day left out. One that was not
    measured on any of them is not among them.
    """
    first = today - timedelta(days=count)
    rows = (
        _of(accounts)
        .filter(day__gte=first, day__lt=today, v1_calls__isnull=False)
        .order_by()
        .values_list("scope__account", "day")
        .annotate(calls=Sum("v1_calls"))
    )
    found: dict[int, list[int | None]] = defaultdict(lambda: [None] * count)
    for account, day, calls in rows:
        found[account][(day - first).days] = calls
    return dict(found)


def total(calls: Sequence[int | None]) -> int | None:
    """The sum of what is known, None when nothing is."""
    known = [call for call in calls if call is not None]
    return sum(known) if known else None


def last_full_day_coverage(accounts: QuerySet[Account], *, today: date) -> dict[int, tuple[int, int]]:
    """(measured, expected) instances of yesterday, account by account (its primary key)."""
    rows = (
        _of(accounts)
        .filter(day=today - timedelta(days=1))
        .order_by()
        .values_list("scope__account")
        .annotate(Sum("instances_measured"), Sum("instances_expected"))
    )
    return {account: (measured, expected) for account, measured, expected in rows}
