"""Sweeps by hand that were broken off, and what they had done."""

from collections import Counter
from datetime import datetime

from django.db.models import Count

from migration.models import CollectionRun, Instance, Scope


def broken_off(*, asked: dict[str, str], since: datetime) -> CollectionRun | None:
    """The newest sweep by hand of just these accounts and Regions that has no end, begun after `since`."""
    runs = CollectionRun.objects.filter(trigger="command", finished_at__isnull=True, started_at__gte=since)
    return next((run for run in runs if run.asked == asked), None)


def counted(scope: Scope) -> Counter[str]:
    """Instances of a scope by status; those that are gone are not counted."""
    live = Instance.objects.filter(account_id=scope.account_id, region=scope.region, gone_at__isnull=True)
    return Counter(dict(live.order_by().values_list("status").annotate(Count("pk"))))
