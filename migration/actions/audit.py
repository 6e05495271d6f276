"""The audit chain: one event after another, each sealed with the hash of the one before."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction

from migration.domain.anchors import GENESIS
from migration.domain.plan import canonical
from migration.models import AuditEvent, AuditHead

SYSTEM = "imdsdash"
Actor = AbstractBaseUser | AnonymousUser | None
SEALED = (
    "seq",
    "at",
    "actor",
    "actor_kind",
    "source_ip",
    "request_id",
    "verb",
    "object_type",
    "object_id",
    "account_id",
    "before",
    "after",
    "reason",
)


@dataclass(frozen=True, slots=True)
class Broken:
    """Where a chain does not hold."""

    seq: int
    why: str


def clean(text: str) -> str:
    """Without control characters, so that no text can pretend to be a second line of a log."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def append(
    *,
    verb: str,
    object_type: str,
    object_id: str | int,
    now: datetime,
    by: Actor = None,
    account_id: str = "",
    before: Any = None,
    after: Any = None,
    reason: str = "",
) -> AuditEvent:
    """Write one event. Call it inside the transaction of the change it tells of; `by` None is the system itself."""
    bound = structlog.contextvars.get_contextvars()
    with transaction.atomic(savepoint=False):  # a change without its event must not be kept
        head, _ = AuditHead.objects.select_for_update().get_or_create(pk=1)
        event = AuditEvent(
            seq=head.seq + 1,
            at=now.astimezone(UTC),
            actor=SYSTEM if by is None else by.get_username(),
            actor_kind="system" if by is None else "user",
            source_ip=str(bound.get("ip") or "")[:64],
            request_id=str(bound.get("request_id") or "")[:64],
            verb=verb,
            object_type=object_type,
            object_id=str(object_id),
            account_id=account_id,
            before=before,
            after=after,
            reason=clean(reason),
            prev_hash=head.hash,
        )
        event.hash = seal(event)
        event.save(force_insert=True)
        AuditHead.objects.filter(pk=1).update(seq=event.seq, hash=event.hash)
    return event


def seal(event: AuditEvent) -> str:
    """SHA-256 over the previous hash and the canonical JSON of the event, hexadecimal."""
    row = {name: getattr(event, name) for name in SEALED}
    row["at"] = event.at.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(f"{event.prev_hash}{canonical(row)}".encode()).hexdigest()


def verify() -> Broken | None:
    """The first place where the chain does not hold, or None. Reads the log once, in order, while others may write."""
    head = _head()  # before the events: what is written while they are read stands behind it
    last, prev = 0, GENESIS
    for event in _events():
        if event.seq != last + 1:
            return Broken(last + 1, f"event {last + 1} is missing")
        if event.prev_hash != prev:
            return Broken(event.seq, f"event {event.seq} does not follow the one before it")
        if event.hash != seal(event):
            return Broken(event.seq, f"event {event.seq} was changed after it was written")
        if event.seq == head.seq and event.hash != head.hash:
            return Broken(event.seq, f"event {event.seq} is not the one the head of the log names")
        last, prev = event.seq, event.hash
    grown = head.seq < last
    if grown:
        head = _head()
    if (head.seq, head.hash) == (last, prev) or (grown and last < head.seq):
        return None
    return Broken(min(head.seq, last) + 1, f"the log ends at event {last} and its head says {head.seq}")


def _head() -> AuditHead:
    return AuditHead.objects.filter(pk=1).first() or AuditHead(pk=1)


def _events() -> Iterator[AuditEvent]:
    return AuditEvent.objects.order_by("seq").iterator(chunk_size=2000)
