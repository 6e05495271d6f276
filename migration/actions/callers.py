"""What files tell of callers becomes rows: all of a file or none of it, and the same file twice changes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction

from migration.actions import audit
from migration.actions.errors import Refused
from migration.domain import callers
from migration.domain.permissions import Action
from migration.domain.sightings import BadLine, Sighting
from migration.enums import FoundBy
from migration.models import Account, Caller, Instance
from migration.queries import access

MOST = 200_000  # lines of one file that are about IMDSv1
NAMED = 5  # bad lines that a refusal names
CLOCKS = timedelta(days=1)  # a log's times have no zone; what lies further ahead would stand as evidence for good
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Imported:
    sightings: int
    callers: int
    accounts: int


def import_sightings(
    *, told: Iterable[tuple[int, Sighting | BadLine]], kind: FoundBy, by: User | None, now: datetime
) -> Imported:
    """Take a whole file over. `by` None: from the command line. Raises Refused, and then nothing was taken over."""
    found = _read(told, now=now)
    accounts = _accounts({one.account_id for one in found.values()}, by)
    with transaction.atomic():
        _store(found, accounts)
        audit.append(
            verb="callers.imported",
            object_type="Caller",
            object_id=kind.value,
            after={"callers": len(found), "calls": sum(one.calls for one in found.values()), "kind": kind.value},
            by=by,
            now=now,
        )
    return Imported(sum(one.calls for one in found.values()), len(found), len(accounts))


def _read(told: Iterable[tuple[int, Sighting | BadLine]], *, now: datetime) -> dict[tuple[str, str, str], Sighting]:
    """Callers by what makes them one. Raises Refused."""
    found: dict[tuple[str, str, str], Sighting] = {}
    bad: list[str] = []
    for number, one in told:
        if isinstance(one, BadLine):
            bad.append(f"line {number}: {one}")
            continue
        if one.last_seen > now + CLOCKS:
            bad.append(f"line {number}: {one.last_seen:%Y-%m-%d %H:%M} UTC has not come yet")
            continue
        if len(found) >= MOST:
            raise Refused(f"The file tells of more than {MOST:,} callers. Nothing was taken over; part it.")
        at = (one.account_id, one.region, one.key)
        found[at] = _together(found[at], one) if at in found else one
    if bad:
        more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        raise Refused(f"Nothing was taken over. Wrong: {'; '.join(bad[:NAMED])}{more}.")
    if not found:
        raise Refused(
            "The file tells of no IMDSv1 call, which proves nothing about other hours. Nothing was taken over."
        )
    return found


def _together(one: Sighting, other: Sighting) -> Sighting:
    later = max(one, other, key=lambda each: each.last_seen)
    return replace(later, calls=one.calls + other.calls, first_seen=min(_first(one), _first(other)))


def _first(one: Sighting) -> datetime:
    return one.first_seen or one.last_seen


def _accounts(wanted: set[str], by: User | None) -> dict[str, int]:
    """Account id -> primary key. Raises Refused when one is not looked after, or not this person's to plan for."""
    known = {row.account_id: row for row in Account.objects.filter(account_id__in=wanted)}
    missing = sorted(wanted - known.keys())
    if missing:
        raise Refused(f"Nothing was taken over: {missing[0]} is no account that is looked after here.")
    for account in known.values():
        if by is not None and not access.can(by, Action.PLAN, account):
            raise Refused(f"Nothing was taken over: your role does not reach {account.name or account.account_id}.")
    return {name: row.pk for name, row in known.items()}


def _store(found: dict[tuple[str, str, str], Sighting], accounts: dict[str, int]) -> None:
    ids = {one.instance_id for one in found.values() if one.instance_id}
    instances = {
        (account, region, name): pk
        for pk, account, region, name in Instance.objects.filter(
            account_id__in=accounts.values(), instance_id__in=ids
        ).values_list("pk", "account_id", "region", "instance_id")
    }
    before = _stored({one.key for one in found.values()}, accounts)
    rows = []
    for one in found.values():
        account = accounts[one.account_id]
        told = (_first(one), one.last_seen, one.calls)
        first, last, calls = before.get((account, one.region, one.key), told)
        known = recognised(one)
        older = last > one.last_seen  # an older file does not take newer numbers back
        rows.append(
            Caller(
                account_id=account,
                region=one.region,
                key=one.key,
                instance_id=one.instance_id,
                role_arn=one.role_arn,
                user_agent=one.user_agent,
                event_source=one.event_source,
                process=one.process,
                parents=list(one.parents),
                known=known.caller.id if known else "",
                reading=known.reading if known else "",
                calls=calls if older else one.calls,
                first_seen=min(_first(one), first or last),
                last_seen=last if older else one.last_seen,
                found_by=one.found_by,
                of_id=instances.get((account, one.region, one.instance_id)),
            )
        )
    Caller.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["account", "region", "key"],
        update_fields=["calls", "first_seen", "last_seen", "known", "reading", "of"],
        batch_size=CHUNK,
    )


def _stored(
    keys: set[str], accounts: dict[str, int]
) -> dict[tuple[int, str, str], tuple[datetime | None, datetime, int]]:
    """What was told before of these: first seen, last seen, calls."""
    found: dict[tuple[int, str, str], tuple[datetime | None, datetime, int]] = {}
    wanted = sorted(keys)
    for start in range(0, len(wanted), CHUNK):
        some = wanted[start : start + CHUNK]
        for account, region, key, first, last, calls in Caller.objects.filter(
            account_id__in=accounts.values(), key__in=some
        ).values_list("account_id", "region", "key", "first_seen", "last_seen", "calls"):
            found[account, region, key] = (first, last, calls)
    return found


def recognised(one: Sighting) -> callers.Match | None:
    """The known caller it matches first, what to act on before the rest."""
    return next(iter(callers.match(user_agent=one.user_agent, text=one.process)), None)


def ask(*, instance: Instance, by: User, now: datetime) -> None:
    """Note that a person wants CloudTrail asked about one instance. Raises Refused, also for a second click."""
    account = instance.account
    if not access.can(by, Action.PLAN, account):
        raise Refused(f"Your role does not allow you to ask CloudTrail of {account.name or account.account_id}.")
    asked = instance.cloudtrail.get("asked_at")
    if asked and now - datetime.fromisoformat(asked) < PATIENCE:
        raise Refused("CloudTrail is being asked about it already. It allows two questions a second, so be patient.")
    with transaction.atomic():
        Instance.objects.filter(pk=instance.pk).update(cloudtrail=instance.cloudtrail | {"asked_at": now.isoformat()})
        audit.append(
            verb="callers.asked",
            object_type="Instance",
            object_id=instance.instance_id,
            account_id=account.account_id,
            by=by,
            now=now,
        )


PATIENCE = timedelta(minutes=5)


def record_looked_up(
    *,
    instance: Instance,
    sightings: Iterable[Sighting] = (),
    events: int = 0,
    by_v2: int = 0,
    whole: bool = True,
    gap: str = "",
    now: datetime,
) -> None:
    """What CloudTrail said, or why it did not. Events without IMDSv1 prove nothing and change no verdict."""
    found: dict[tuple[str, str, str], Sighting] = {}
    for one in sightings:
        at = (one.account_id, one.region, one.key)
        found[at] = _together(found[at], one) if at in found else one
    told = {"at": now.isoformat(), "gap": gap[:2000], "events": events, "by_v2": by_v2, "whole": whole}
    told["by_v1"] = sum(one.calls for one in found.values())
    with transaction.atomic():
        _store(found, {instance.account.account_id: instance.account_id})
        Instance.objects.filter(pk=instance.pk).update(cloudtrail=told)
