"""The outbox as people and the sender see it: which channels there are, what waits, what was given up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Max, Q, QuerySet

from migration.domain.notices import Notice
from migration.enums import Channel, NotificationState
from migration.models import Account, Notification
from migration.queries.access import everything

SHOWN = 10  # messages that were given up, of the latest


def channels() -> list[Channel]:
    """Those that are configured."""
    found = []
    if settings.IMDSDASH_MAIL_TO:
        found.append(Channel.MAIL)
    if settings.IMDSDASH_SLACK_WEBHOOK_URL:
        found.append(Channel.SLACK)
    if settings.IMDSDASH_WEBHOOK_URL:
        found.append(Channel.WEBHOOK)
    return found


def address(path: str) -> str:
    """A page of ours as a receiver may open it; the path alone when nobody said under which address we are reached."""
    return f"{settings.IMDSDASH_PUBLIC_URL}{path}" if path else ""


def notice_of(row: Notification) -> Notice:
    """A row as its receivers get it; `account` must be read with it."""
    return Notice(
        key=row.key,
        kind=row.kind,
        severity=row.severity,
        subject=row.subject,
        lines=tuple(row.lines),
        url=address(row.path),
        account_id=row.account.account_id if row.account else "",
        at=row.created_at,
    )


def due(now: datetime) -> QuerySet[Notification]:
    """What may be sent now: what waits, and what a worker took and never came back with. The oldest first."""
    waiting = Q(state=NotificationState.PENDING) & (Q(not_before__isnull=True) | Q(not_before__lte=now))
    lost = Q(state=NotificationState.LEASED, lease_expires_at__lte=now)
    return Notification.objects.filter(waiting | lost).order_by("pk")


def parked(accounts: QuerySet[Account]) -> QuerySet[Notification]:
    """What was given up, of these accounts; what is about no single account, only for who sees all of them."""
    rows = Notification.objects.filter(state=NotificationState.PARKED)
    return rows if everything(accounts) else rows.filter(account__in=accounts)


@dataclass(frozen=True, slots=True)
class ChannelState:
    channel: Channel
    last_sent_at: datetime | None
    waiting: int
    failing: int  # of those that wait, how many were tried in vain
    parked: int


@dataclass(frozen=True, slots=True)
class Outbox:
    channels: list[ChannelState]
    parked: Sequence[Notification]  # the latest of those that the person may know of
    given_up: int  # how many these are in all

    @property
    def rest(self) -> int:
        return self.given_up - len(self.parked)


def outbox(accounts: QuerySet[Account]) -> Outbox:
    """How each channel stands: those configured, and those that something is left of. Three queries."""
    rows = Notification.objects.values("channel").annotate(
        last_sent_at=Max("sent_at"),
        waiting=Count("pk", filter=Q(state__in=[NotificationState.PENDING, NotificationState.LEASED])),
        failing=Count("pk", filter=Q(state=NotificationState.PENDING) & ~Q(error="")),
        parked=Count("pk", filter=Q(state=NotificationState.PARKED)),
    )
    told = {
        row["channel"]: ChannelState(
            Channel(row["channel"]), row["last_sent_at"], row["waiting"], row["failing"], row["parked"]
        )
        for row in rows.order_by("channel")
    }
    configured = channels()
    states = [
        told.get(channel, ChannelState(channel, None, 0, 0, 0))
        for channel in Channel
        if channel in configured or (channel in told and told[channel].waiting)
    ]
    given_up = parked(accounts)
    return Outbox(states, list(given_up.select_related("account").order_by("-pk")[:SHOWN]), given_up.count())
