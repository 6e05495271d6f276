"""What was found in user data goes into rows; the text itself goes nowhere."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from migration.domain import callers, containers
from migration.domain.userdata import Certainty, Finding, from_base64, scan
from migration.enums import GapKind, UserData
from migration.models import Finding as Row
from migration.models import Instance, Scope, UserDataReading
from migration.queries import findings

LEASE = timedelta(minutes=15)  # longer than a turn


@dataclass(frozen=True, slots=True)
class Claim:
    """A scope's queue in the hands of one worker."""

    pk: int
    fence: int
    scope: Scope


@dataclass(frozen=True, slots=True)
class Looked:
    """What looking into one instance's user data came to."""

    outcome: UserData
    found: tuple[Finding, ...] = ()
    hints: tuple[containers.Hint, ...] = ()
    callers: tuple[str, ...] = ()  # ids of known callers that it names


def look(value: str) -> Looked:
    """Look into user data as EC2's API gives it. The value is not kept, whole or in part, beyond masked statements."""
    if not value:
        return Looked(UserData.NONE)
    decoded = from_base64(value)
    found = tuple(scan(decoded))
    hints = tuple(dict.fromkeys(hint for part in decoded.parts for hint in containers.of_text(part.text)))
    known = (match.caller.id for part in decoded.parts for match in callers.match(text=part.text))
    return Looked(UserData.FINDINGS if found else UserData.QUIET, found, hints, tuple(dict.fromkeys(known)))


def claim(*, scope: Scope, owner: str, now: datetime) -> Claim | None:
    """Take a scope's queue for one turn; None while a living worker has it, or it waits after a refusal."""
    row, _ = UserDataReading.objects.get_or_create(scope=scope)
    free = Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lte=now)
    ready = Q(not_before__isnull=True) | Q(not_before__lte=now)
    taken = UserDataReading.objects.filter(free, ready, pk=row.pk, fence=row.fence).update(
        fence=F("fence") + 1, attempts=F("attempts") + 1, lease_owner=owner, lease_expires_at=now + LEASE
    )
    return Claim(row.pk, row.fence + 1, scope) if taken else None


def store(*, claim: Claim, instance: Instance, looked: Looked, now: datetime) -> bool:
    """Replace what was known of one instance. False when the lease was lost: another worker looks now."""
    with transaction.atomic():
        held = UserDataReading.objects.select_for_update().filter(pk=claim.pk, fence=claim.fence)
        if not held.exists():
            return False
        Row.objects.filter(instance=instance).delete()
        Row.objects.bulk_create(_rows(instance, looked.found, now))
        Instance.objects.filter(pk=instance.pk).update(
            user_data=looked.outcome,
            user_data_read_at=now,
            container_hints=[[hint.runtime, hint.hops] for hint in looked.hints],
            user_data_callers=list(looked.callers),
        )
    return True


def _rows(instance: Instance, found: Sequence[Finding], now: datetime) -> Iterable[Row]:
    return [
        Row(
            instance=instance,
            part=one.part,
            line=one.line,
            kind=one.kind,
            certain=one.certainty is Certainty.CERTAIN,
            language=one.language,
            statement=one.statement,
            advice=one.advice[:2000],
            is_rewrite=one.is_rewrite,
            found_at=now,
        )
        for one in found[:MOST]
    ]


MOST = 100  # findings of one instance


def finish(*, claim: Claim, gap: GapKind = GapKind.NONE, message: str = "", now: datetime) -> None:
    """Give the queue back. After a refusal it rests for a day: a role that is not there will not come in a minute."""
    left = findings.due(claim.scope).count()
    UserDataReading.objects.filter(pk=claim.pk, fence=claim.fence).update(
        lease_owner="",
        lease_expires_at=None,
        left=left,
        gap=gap,
        gap_message=message[:2000],
        not_before=now + REST if gap else None,
        **({} if left or gap else {"read_at": now}),
    )


REST = timedelta(days=1)
