"""Which accounts are looked after. Rows are made, changed and closed, each with its audit event; none is deleted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import transaction

from migration.actions import audit
from migration.actions.audit import Actor
from migration.actions.errors import Refused
from migration.domain.accounts import COLUMNS, LEFT, SHUT, AccountFact, Listed, partition_of, partition_said
from migration.enums import AccountSource
from migration.models import Account

SAID = ("name", "owner", "contact", "ou_path")
OPEN = "ACTIVE"


class Kind(StrEnum):
    """What became of one account."""

    ADDED = "added"
    CHANGED = "changed"
    CLOSED = "closed"  # from now on nobody knocks there; what is known of it stays
    UNCHANGED = "unchanged"
    LEFT_OUT = "left out"  # shut, and never looked after


@dataclass(frozen=True, slots=True)
class Difference:
    """One account as it is and as it shall be. `fields`: what changes, or what a new row is made of."""

    account_id: str
    name: str
    state: str
    kind: Kind
    fields: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Summary:
    differences: tuple[Difference, ...]

    def of(self, kind: Kind) -> list[Difference]:
        return [one for one in self.differences if one.kind is kind]

    def counts(self) -> dict[str, int]:
        return {kind.value: len(self.of(kind)) for kind in Kind}

    def __str__(self) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in self.counts().items() if count or kind != Kind.LEFT_OUT)


def configured_roles(account_id: str, *, partition: str) -> dict[str, str]:
    """The reader and enforcer roles of an account by the configured names. ARNs are built with the partition."""
    arn = f"arn:{partition}:iam::{account_id}:role"
    return {
        "reader_role_arn": f"{arn}/{settings.IMDSDASH_READER_ROLE}",
        "enforcer_role_arn": f"{arn}/{settings.IMDSDASH_ENFORCER_ROLE}",
        "external_id": settings.IMDSDASH_EXTERNAL_ID,
    }


# --- The organization ----------------------------------------------------------------------------------


def record_organization(
    *, facts: Sequence[AccountFact], ambient: str, now: datetime, by: Actor = None, dry_run: bool = False
) -> Summary:
    """Make the rows say what the organization says: all of it, or nothing. Repeating it changes nothing.

    `ambient`: the account whose own credentials asked; it is entered without a role. What was said by hand stays,
    role ARNs and ExternalIds always. `dry_run` only compares. Raises Refused when the list cannot be the whole one.
    """
    with transaction.atomic():
        rows = {row.account_id: row for row in Account.objects.select_for_update().order_by("account_id")}
        _believable(facts, rows, ambient)
        told = {fact.account_id for fact in facts}
        gone = [row for row in rows.values() if row.source == AccountSource.ORGANIZATION and row.account_id not in told]
        found = [_compared(fact, rows.get(fact.account_id), ambient) for fact in facts]
        left: dict[str, Any] = {"state": LEFT, "enabled": False}
        found += [_difference(row, row.name, left) for row in gone]
        summary = Summary(tuple(found))
        if not dry_run:
            _write(summary, rows, now=now, by=by)
    return summary


def _believable(facts: Sequence[AccountFact], rows: Mapping[str, Account], ambient: str) -> None:
    """A list that lacks what must be on it would close accounts that are there."""
    told = {fact.account_id for fact in facts}
    if ambient not in told:
        raise Refused(
            f"The organization's list of {len(told)} accounts lacks account {ambient}, which asked for it, so it was "
            "not believed. Nothing was changed."
        )
    for row in rows.values():
        if row.management and row.account_id not in told:
            raise Refused(
                f"These credentials see another organization than the one managed by account {row.account_id}, whose "
                "accounts are looked after here. One imdsdash looks after one organization. Nothing was changed."
            )


def note_discovery(
    *, now: datetime, organization: str = "", counts: Mapping[str, int] | None = None, error: str = "", note: str = ""
) -> None:
    """How the last reading of the organization ended, kept with its management account for the page to show.

    A failure is told beside what the last success told.
    """
    told: dict[str, Any] = {"error": error, "error_at": now.isoformat()}
    if not error:
        told = {"at": now.isoformat(), "organization": organization, "counts": counts, "note": note}
    with transaction.atomic():
        row = Account.objects.select_for_update().filter(management=True).first()
        if row is not None:
            known = row.probe.get("discovery", {}) if error else {}
            Account.objects.filter(pk=row.pk).update(probe=row.probe | {"discovery": known | told})


def _compared(fact: AccountFact, row: Account | None, ambient: str) -> Difference:
    if row is None and fact.shut:
        return Difference(fact.account_id, fact.name, fact.state, Kind.LEFT_OUT)
    if row is None:
        return Difference(fact.account_id, fact.name, fact.state, Kind.ADDED, _made_of(fact, ambient))
    return _difference(row, fact.name or row.name, dict(_wanted(fact, row, ambient)))


def _made_of(fact: AccountFact, ambient: str) -> dict[str, Any]:
    made: dict[str, Any] = {name: _cut(name, getattr(fact, name) or "") for name in SAID}
    made |= {"source": AccountSource.ORGANIZATION, "management": fact.management, "partition": fact.partition}
    made |= {"state": fact.state or OPEN}
    if fact.account_id != ambient:
        made |= configured_roles(fact.account_id, partition=fact.partition)
    return made


def _wanted(fact: AccountFact, row: Account, ambient: str) -> Iterator[tuple[str, Any]]:
    """What the organization has to say of a known account. What it does not tell is not taken away."""
    ours = row.source == AccountSource.ORGANIZATION
    yield "state", fact.state or row.state
    yield "management", fact.management
    for name in SAID:
        said = getattr(fact, name)
        if said is not None and (said or name == "ou_path") and (ours or not getattr(row, name)):
            yield name, _cut(name, said)
    if fact.shut:
        yield "enabled", False
    elif row.state in SHUT | {LEFT}:
        yield "enabled", True  # it was closed by us, and is open again
    if ours and not row.reader_role_arn and fact.account_id != ambient:
        yield from configured_roles(fact.account_id, partition=row.partition).items()


def _difference(row: Account, name: str, wanted: Mapping[str, Any]) -> Difference:
    changed = {key: value for key, value in wanted.items() if getattr(row, key) != value}
    before = {key: getattr(row, key) for key in changed}
    kind = Kind.UNCHANGED
    if changed:
        kind = Kind.CLOSED if changed.get("enabled") is False else Kind.CHANGED
    return Difference(row.account_id, name, str(wanted.get("state", row.state)), kind, changed, before)


# --- By hand or from a list ----------------------------------------------------------------------------


def add(
    *,
    lines: Sequence[Listed],
    source: AccountSource,
    partition: str,
    now: datetime,
    by: Actor = None,
    ambient: bool = False,
) -> Summary:
    """Look after these accounts: all of them, or none. A known one is changed.

    Roles and ExternalId are those the line names, and otherwise those configured; names, owner and unit that it
    does not say stay. `partition`: where nothing says one. `ambient`: enter with the credentials themselves.
    """
    with transaction.atomic():
        wanted = [line.account_id for line in lines]
        found = Account.objects.select_for_update().filter(account_id__in=wanted).order_by("account_id")
        rows = {row.account_id: row for row in found}
        summary = Summary(
            tuple(_added(line, rows.get(line.account_id), source, partition, ambient=ambient) for line in lines)
        )
        _write(summary, rows, now=now, by=by)
    return summary


def _added(line: Listed, row: Account | None, source: AccountSource, partition: str, *, ambient: bool) -> Difference:
    fields: dict[str, Any] = {name: getattr(line, name) for name in SAID if getattr(line, name)}
    fields["partition"] = partition_said(line) or (row.partition if row else partition)
    roles = configured_roles(line.account_id, partition=fields["partition"])
    fields |= {name: "" if ambient else getattr(line, name) or roles[name] for name in roles}
    if row is None:
        return Difference(line.account_id, line.name, OPEN, Kind.ADDED, fields | {"source": source})
    if any(getattr(row, name) != fields[name] for name in roles):
        fields |= {"failures": 0, "retry_at": None}  # another door: what the old one said of itself is over
    fields["enabled"] = row.state not in SHUT
    if row.state == LEFT:  # it is wanted although the organization has it no more, and discovery shall leave it alone
        fields |= {"state": OPEN, "source": source}
    elif row.source == AccountSource.AMBIENT and not ambient:
        fields["source"] = source
    return _difference(row, line.name or row.name, fields)


# --- Testing the role ----------------------------------------------------------------------------------


def ask_for_probe(*, account: Account, now: datetime) -> None:
    """Somebody wants the role tried: the row says since when, until the answer is there."""
    with transaction.atomic():
        row = Account.objects.select_for_update().get(pk=account.pk)
        Account.objects.filter(pk=row.pk).update(probe=row.probe | {"asked_at": now.isoformat()})


def record_probe(*, account: Account, told: Mapping[str, Any], now: datetime) -> None:
    """What the last try of the role found, permission by permission, instead of what an earlier one did.

    `told`: identity (ARN), regions, region, findings [{action, ok, message}]. Credentials that are the account's own
    also tell its partition.
    """
    with transaction.atomic():
        row = Account.objects.select_for_update().get(pk=account.pk)
        kept = {name: row.probe[name] for name in ("discovery",) if name in row.probe}
        fields: dict[str, Any] = {"probe": kept | dict(told) | {"at": now.isoformat()}}
        partition = partition_of(str(told.get("identity", "")))
        if partition and not row.reader_role_arn:
            fields["partition"] = partition
        Account.objects.filter(pk=row.pk).update(**fields)


# --- Writing -------------------------------------------------------------------------------------------


def _write(summary: Summary, rows: Mapping[str, Account], *, now: datetime, by: Actor) -> None:
    """Inside the caller's transaction."""
    for one in summary.differences:
        if one.kind in {Kind.UNCHANGED, Kind.LEFT_OUT}:
            continue
        if one.kind is Kind.ADDED:
            row = Account.objects.create(account_id=one.account_id, **one.fields)
        else:
            row = rows[one.account_id]
            Account.objects.filter(pk=row.pk).update(**one.fields)
        audit.append(
            verb=f"account.{one.kind.value}",
            object_type="Account",
            object_id=row.pk,
            account_id=one.account_id,
            before=_told(one.before) or None,
            after=_told(one.fields),
            now=now,
            by=by,
        )


def _told(fields: Mapping[str, Any]) -> dict[str, Any]:
    """For the audit log, which more people read than may know the ExternalId."""
    return {
        name: ("set" if value else "") if name == "external_id" else _plain(value) for name, value in fields.items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return getattr(value, "value", value)


def _cut(name: str, value: str) -> str:
    return value[: COLUMNS[name]]
