"""What there is to ask of AWS, and what was asked: the counts behind the cost."""

from collections import defaultdict
from datetime import date, datetime, timedelta

from django.db.models import Count, QuerySet, Sum

from migration.domain import cost
from migration.models import Account, ApiDay, Instance, Scope
from migration.queries.access import among
from migration.queries.evidence import owes

HOUR = 3600


def loads(accounts: QuerySet[Account], *, now: datetime) -> list[cost.ScopeLoad]:
    """What each account-Region that is collected gives to ask about."""
    scopes = Scope.objects.filter(account__in=accounts, account__enabled=True, enabled=True).order_by()
    places = scopes.values_list("account_id", "region")
    living = Instance.objects.filter(account__in=accounts, gone_at__isnull=True).order_by()
    counted = {
        (account, region): (count, owing)
        for account, region, count, owing in living.values_list("account_id", "region").annotate(
            count=Count("pk"), owing=Count("pk", filter=owes())
        )
    }
    hours: dict[tuple[int, str], list[float]] = defaultdict(list)
    watched = living.filter(watch_until__gt=now).values_list("account_id", "region", "watch_until")
    for account, region, until in watched:
        if until is not None:
            hours[account, region].append((until - now).total_seconds() / HOUR)
    return [
        cost.ScopeLoad(
            instances=counted.get(place, (0, 0))[0],
            owing=counted.get(place, (0, 0))[1],
            watched=len(hours[place]),
            watch_hours=sum(hours[place]),
            watch_longest=max(hours[place], default=0.0),
        )
        for place in places
    ]


def asked(accounts: QuerySet[Account], *, today: date, days: int) -> list[cost.Asked]:
    """What was asked in the last `days` UTC days, today's part included, by operation."""
    rows = (
        ApiDay.objects.filter(among(accounts, "scope__account"), day__gt=today - timedelta(days=days))
        .order_by()
        .values_list("operation")
        .annotate(Sum("calls"), Sum("throttled"), Sum("metrics"))
    )
    return [cost.Asked(operation, calls, throttled, metrics) for operation, calls, throttled, metrics in rows]
