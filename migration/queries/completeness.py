"""Day by day: how many account-Regions were measured whole, of those there is something to measure in."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, timedelta

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDate

from migration.models import Account, Scope, ScopeDay
from migration.queries.access import among


@dataclass(frozen=True)
class DayCount:
    """One UTC day: how many account-Regions are whole, of those that it was asked of."""

    day: date
    complete: int
    expected: int  # 0: before the first collection


def days(accounts: QuerySet[Account], *, today: date, count: int) -> list[DayCount]:
    """The last `count` days up to today. An account-Region counts from the first day it was ever asked about; one
    that could never be asked is missing from every day that any other has, for nothing is known of it.
    """
    first = today - timedelta(days=count - 1)
    scopes = Scope.objects.filter(among(accounts, "account"), enabled=True, account__enabled=True).order_by()
    begun = scopes.annotate(added=TruncDate("account__added_at", tzinfo=UTC)).values_list("history_from", "added")
    known = list(begun.annotate(Count("pk")))
    earliest = min((asked for asked, _, _ in known if asked is not None), default=None)
    begins: Counter[date] = Counter()
    for asked, added, number in known:
        begins[asked or earliest or added] += number
    whole = ScopeDay.objects.filter(
        among(accounts, "scope__account"),
        # Joined, not `scope__in`: SQLite would go through the days scope by scope, three times as long.
        scope__enabled=True,
        scope__account__enabled=True,
        day__gte=first,
        complete=True,
    ).order_by()
    complete = dict(whole.values_list("day").annotate(Count("pk")))
    found = []
    for day in (first + timedelta(days=step) for step in range(count)):
        expected = sum(number for begin, number in begins.items() if begin <= day)
        found.append(DayCount(day, complete.get(day, 0), max(expected, complete.get(day, 0))))
    return found
