"""The brake: stop every write to AWS, everywhere, before the next call; and let writes go on again.

`queries.policies.brake_reason()` is what the enforcement path asks.
"""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse

from migration.actions import audit, notifications
from migration.actions.errors import Refused
from migration.domain.permissions import Action
from migration.enums import Severity
from migration.models import Brake
from migration.queries import access

ONLY = 1  # the primary key of the one row


def pull(*, by: User | None, reason: str, now: datetime) -> Brake:
    """Stop every write. Who may steer any run may; `by` None is the command line. Raises Refused."""
    if by is not None and not access.can(by, Action.BRAKE):
        raise _refused("Pulling the brake needs the role Engineer or Approver.", by=by, now=now)
    if not reason.strip():
        raise _refused("Say why: it stands on every page while the brake is on.", by=by, now=now)
    Brake.objects.get_or_create(pk=ONLY)
    with transaction.atomic():
        fields = {"by": by, "at": now, "reason": reason.strip()}
        pulled = Brake.objects.filter(pk=ONLY, on=False).update(on=True, **fields)
        if pulled:
            _record("pulled", by=by, reason=reason, now=now)
    if not pulled:
        raise _refused("The brake is on already. Nothing is written to AWS.", by=by, now=now)
    return Brake.objects.get(pk=ONLY)


def release(*, by: User | None, reason: str, now: datetime) -> Brake:
    """Let writes go on. Takes the role over everything, for it goes on everywhere. Raises Refused."""
    if by is not None and not access.can_everywhere(by, Action.RELEASE):
        sentence = "Releasing the brake needs the role Approver over everything. It stays on."
        raise _refused(sentence, by=by, now=now)
    if not reason.strip():
        raise _refused("Say why writing to AWS is safe again. The brake stays on.", by=by, now=now)
    with transaction.atomic():
        fields = {"by": by, "at": now, "reason": reason.strip()}
        released = Brake.objects.filter(pk=ONLY, on=True).update(on=False, **fields)
        if released:
            _record("released", by=by, reason=reason, now=now)
    if not released:
        raise _refused("The brake is not on.", by=by, now=now)
    return Brake.objects.get(pk=ONLY)


def _record(what: str, *, by: User | None, reason: str, now: datetime) -> None:
    audit.append(
        verb=f"brake.{what}",
        object_type="Brake",
        object_id=ONLY,
        before={"on": what == "released"},
        after={"on": what == "pulled"},
        reason=reason.strip(),
        by=by,
        now=now,
    )
    who = by.get_username() if by else "the command line"
    stops = what == "pulled"
    notifications.add(
        key=f"brake:{what}:{now.isoformat()}",
        kind=f"brake.{what}",
        subject="The brake is on: nothing is written to AWS" if stops else "The brake is released: runs go on",
        lines=[f"{what.capitalize()} by {who}.", f"Reason: {reason.strip()}"],
        path=reverse("runs"),
        severity=Severity.CRITICAL if stops else Severity.WARNING,
        now=now,
    )


def denied(*, by: User | None, now: datetime, why: str) -> None:
    """An attempt that was turned away, for the audit log."""
    audit.append(verb="denied", object_type="Brake", object_id=ONLY, reason=why, by=by, now=now)


def _refused(sentence: str, *, by: User | None, now: datetime) -> Refused:
    denied(by=by, now=now, why=sentence)
    return Refused(sentence)
