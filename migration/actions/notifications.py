"""The outbox: telling, and keeping count of what was told. Sending itself is for `notify`, through `tasks`.

A message is written in the transaction of what it tells of. It is sent at least once: a worker that dies between the
sending and the writing down leaves a row that is sent again, with the same key, by which the receiver can tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q

from migration.actions import audit
from migration.actions.errors import Refused
from migration.domain import notices
from migration.domain.notices import Notice
from migration.domain.permissions import Action
from migration.enums import Channel, NotificationState, Severity
from migration.models import Account, Notification
from migration.queries import access
from migration.queries import notifications as outbox

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 8  # with the waits between them about an hour
FIRST_WAIT = 30.0  # seconds after the first failure; twice as long after each other one
LEASE = timedelta(seconds=120)  # more than the longest delivery takes
KEY = 200  # characters


def add(
    *,
    key: str,
    kind: str,
    subject: str,
    lines: Sequence[str],
    path: str = "",
    account: Account | None = None,
    severity: Severity = Severity.INFO,
    now: datetime,
) -> None:
    """Tell people, on every channel that is configured; without one, the log alone. Call it inside the transaction of
    what it tells of. The same key again is the same message, and is not sent again.

    `path`: the page of ours it is about. More than twenty lines are cut: one message for what one pass found, never
    one for each instance.
    """
    channels = outbox.channels()
    if not channels:
        log.info("notification_without_channel", key=key, kind=kind, subject=notices.subject(subject))
        return
    Notification.objects.bulk_create(
        (
            Notification(
                key=notices.tidy(key)[:KEY],
                channel=channel,
                kind=kind,
                account=account,
                severity=severity,
                subject=notices.subject(subject),
                lines=notices.capped(lines),
                path=path,
                created_at=now,
            )
            for channel in channels
        ),
        ignore_conflicts=True,
    )


@dataclass(frozen=True, slots=True)
class Claim:
    """A message in the hands of one worker, good for one lease."""

    pk: int
    fence: int
    attempt: int
    channel: Channel
    notice: Notice


def claim(*, pk: int, owner: str, now: datetime) -> Claim | None:
    """Take one message that is due; the attempt is counted before it is made. None: not due, or another was first.

    One whose worker died at each attempt is given up here, for it may be the message that kills them.
    """
    row = outbox.due(now).select_related("account").filter(pk=pk).first()
    if row is None:
        return None
    if row.attempts >= MAX_ATTEMPTS:
        _settle(row.pk, row.fence, state=NotificationState.PARKED, error=f"Its worker ended {row.attempts} times.")
        return None
    taken = Notification.objects.filter(pk=pk, state=row.state, fence=row.fence).update(
        state=NotificationState.LEASED,
        fence=F("fence") + 1,
        attempts=F("attempts") + 1,
        lease_owner=owner,
        lease_expires_at=now + LEASE,
    )
    if not taken:
        return None
    return Claim(pk, row.fence + 1, row.attempts + 1, Channel(row.channel), outbox.notice_of(row))


def record_sent(*, claim: Claim, now: datetime) -> bool:
    """The receiver has it. False when the lease had run out: another worker sends it too."""
    return _settle(claim.pk, claim.fence, state=NotificationState.SENT, error="", sent_at=now, not_before=None)


def record_failed(*, claim: Claim, error: str, rest: bool, now: datetime) -> bool:
    """Try again later, or give it up after the last attempt. False when the lease had run out.

    `rest`: it is the channel that failed, not this message; then the others on it wait as long, rather than each
    finding that out by itself.
    """
    if claim.attempt >= MAX_ATTEMPTS:
        return _settle(claim.pk, claim.fence, state=NotificationState.PARKED, error=error)
    again = now + timedelta(seconds=FIRST_WAIT * 2 ** (claim.attempt - 1))
    told = _settle(claim.pk, claim.fence, state=NotificationState.PENDING, error=error, not_before=again)
    if told and rest:
        first = Q(not_before__isnull=True) | Q(not_before__lt=again)
        others = Notification.objects.filter(first, channel=claim.channel, state=NotificationState.PENDING)
        others.exclude(pk=claim.pk).update(not_before=again)
    return told


def give_up(*, claim: Claim, error: str) -> bool:
    """No further attempt would end otherwise. False when the lease had run out."""
    return _settle(claim.pk, claim.fence, state=NotificationState.PARKED, error=error)


def _settle(pk: int, fence: int, *, error: str, **fields: object) -> bool:
    """Write how an attempt ended, if the row is still in the hands it was in."""
    sets = {"lease_owner": "", "lease_expires_at": None, "error": notices.tidy(error)[:400], **fields}
    return bool(Notification.objects.filter(pk=pk, fence=fence).update(**sets))


def try_again(*, by: User, now: datetime) -> int:
    """Whatever was given up of the accounts a person may see is sent after all. Returns how many. Raises Refused."""
    if not access.can(by, Action.CONNECT):
        raise Refused("Sending again needs the role Engineer or Admin. Nothing was changed.")
    with transaction.atomic():
        found = outbox.parked(access.visible_accounts(by)).select_for_update(of=("self",))
        rows = list(found.values_list("pk", "key", "channel"))
        Notification.objects.filter(pk__in=[pk for pk, _, _ in rows], state=NotificationState.PARKED).update(
            state=NotificationState.PENDING, attempts=0, not_before=None, fence=F("fence") + 1
        )
        for pk, key, channel in rows:
            audit.append(
                verb="notification.retried",
                object_type="Notification",
                object_id=pk,
                after={"key": key, "channel": channel},
                by=by,
                now=now,
            )
    return len(rows)
