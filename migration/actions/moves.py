"""The one place where a status changes: a move from the table, by compare-and-swap, with its audit event.

The old state stands in the WHERE, so of two that try at once one row or nobody moves; a worker's fence
stands there too, so one that slept past its lease changes nothing.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Model

from migration.actions import audit
from migration.domain import lifecycle
from migration.models import Change, EnforcementRequest, Policy, Run, Waiver, Wave

Movable = EnforcementRequest | Run | Change | Waiver | Policy | Wave


class NoSuchMove(Exception):
    """The table of `domain.lifecycle` has no such move: a mistake in our code, never in the data."""


class Lost(Exception):
    """Somebody else was first, or the lease had run out. Nothing was changed."""


def move(
    row: Movable,
    to: str,
    *,
    now: datetime,
    by: audit.Actor = None,
    reason: str = "",
    fence: int | None = None,
    fields: Mapping[str, Any] | None = None,
    refresh: bool = True,
) -> None:
    """Move `row` from the state it was read in to `to`, set `fields`, write the audit event; all or nothing.
    `refresh`: read the row again, for who goes on with it.

    Raises `NoSuchMove` for a move that is not in the table and `Lost` when the row is no longer as read.
    """
    table = type(row).__name__
    old = str(row.state)
    verb = lifecycle.verb(table, old, to)
    if verb is None:
        raise NoSuchMove(f"{table}: {old} -> {to}")
    sets = dict(fields or {})
    where: dict[str, Any] = {"pk": row.pk, "state": old}
    if fence is not None:
        where["fence"] = fence
    if isinstance(row, EnforcementRequest | Waiver | Policy | Wave):
        where["version"] = row.version
        sets["version"] = F("version") + 1
    with transaction.atomic():
        moved = type(row).objects.filter(**where).update(state=to, **sets)
        if moved != 1:
            raise Lost(f"{table} {row.pk} is no longer {old}")
        audit.append(
            verb=verb,
            object_type=table,
            object_id=row.pk,
            account_id=account_of(row),
            before={"state": old},
            after={"state": str(to), **_told(sets)},
            reason=reason,
            by=by,
            now=now,
        )
    if refresh:
        row.refresh_from_db()


def account_of(row: Movable) -> str:
    """The 12 digits of the account a row is about, or "" when it is about more than one."""
    if isinstance(row, Change):
        return row.target_account_id
    account = None if isinstance(row, Wave) else row.account
    return account.account_id if account else ""


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a move as the audit log tells them: plain values, people by name, no bookkeeping."""
    skip = {"version", "lease_owner", "lease_expires_at", "fence", "not_before", "attempts", "reads", "writes"}
    told: dict[str, Any] = {}
    for name, value in fields.items():
        if name in skip:
            continue
        if isinstance(value, Model):
            told[name] = str(value)
        elif isinstance(value, date):  # a datetime is one, too
            told[name] = value.isoformat()
        else:
            told[name] = value
    return told
