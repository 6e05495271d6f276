"""Whose usage is left to the reading through the monitoring account (docs/adr/0010), and whose own role reads it."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q

from migration.models import Scope

EARLY = timedelta(minutes=15)  # taken so long before it is due, with those that are: so that they are due together
LEFT_FOR = timedelta(minutes=30)  # overdue for longer, it is read by its own role


def is_shown(scope: Scope) -> bool:
    """The monitoring account reads the scope's usage: it is linked, and was read whole, by its own role, since then."""
    return (
        bool(settings.IMDSDASH_MONITORING_ACCOUNT)
        and scope.linked_to == settings.IMDSDASH_MONITORING_ACCOUNT
        and scope.linked_since is not None
        and scope.usage_until is not None
        and scope.usage_until >= scope.linked_since
    )


def is_left(scope: Scope, *, now: datetime) -> bool:
    """The scope's usage is left to the monitoring account: it is linked, and everything that is still to be asked lies
    after its link was known, for it was read whole by its own role, inventory and usage, since then; its last pass
    had no gap and nobody has it in hand; it is due, or nearly; and it has not waited for long.

    Whatever fails, or is not done in time, makes this False: then the scope's own role reads it, as without a link.
    """
    return (
        is_shown(scope)
        and scope.usage_at is not None
        and scope.inventory_at is not None
        and scope.attempts == 0
        and scope.usage_due_at is not None
        and scope.usage_due_at - EARLY <= now < scope.usage_due_at + LEFT_FOR
    )


def left(now: datetime) -> Q:
    """`is_left`, for the database. A test holds that the two say the same."""
    if not settings.IMDSDASH_MONITORING_ACCOUNT:
        return Q(pk__in=())
    return Q(
        linked_to=settings.IMDSDASH_MONITORING_ACCOUNT,
        usage_until__gte=F("linked_since"),
        usage_at__isnull=False,
        inventory_at__isnull=False,
        attempts=0,
        usage_due_at__lte=now + EARLY,
        usage_due_at__gt=now - LEFT_FOR,
    )


def only_left(now: datetime) -> Q:
    """Scopes of which nothing else is due: their own role has no work there."""
    quiet = Q(watch_due_at__isnull=True) | Q(watch_due_at__gt=now)
    return left(now) & Q(inventory_due_at__gt=now) & quiet
