"""A waiver's way: asked for, decided by somebody else, over. Row, audit event and message in one transaction."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.urls import reverse

from migration.actions import audit, collection, moves, notifications
from migration.actions.errors import Refused, Stale
from migration.domain import waivers
from migration.domain.permissions import Action
from migration.enums import ScopeState, Severity, WaiverKind, WaiverState
from migration.models import Account, Instance, Scope, Waiver
from migration.queries import access
from migration.queries.waivers import covered

LATELY = timedelta(days=1)
OVER = (WaiverState.EXPIRED, WaiverState.ENDED)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a waiver is asked for: of which instances of an account, until when, and why."""

    account: Account
    kind: WaiverKind
    target: str
    region: str
    reason: str
    expires_on: date  # the last UTC day on which it shall hold


def ask(*, asked: Asked, by: User, now: datetime) -> Waiver:
    """Ask for a waiver. One for what was waived before counts as its renewal. Raises Refused."""
    _may(by, Action.WAIVE, asked.account, now=now, doing="ask for a waiver", about=asked.account)
    _check(asked, now=now)
    target, region = _named(asked)
    same = Waiver.objects.filter(account=asked.account, kind=asked.kind, target=target, region=region)
    held = same.filter(state=WaiverState.ACTIVE).first()
    if held is not None:
        raise Refused(
            f"Waiver {held.pk} covers {waivers.covers(asked.kind, target)} until {held.expires_on} already. "
            "Renew that one instead."
        )
    before = same.filter(state__in=OVER, decided_by__isnull=False).order_by("-closed_at", "-pk").first()
    return _ask(asked, target, region, renews=before, by=by, now=now)


def renew(*, waiver: Waiver, reason: str, expires_on: date, by: User, now: datetime) -> Waiver:
    """Ask for more time. Until somebody else agrees the old end stands. Raises Refused."""
    _may(by, Action.WAIVE, waiver.account, now=now, doing="ask for a waiver", about=waiver)
    if waiver.state != WaiverState.ACTIVE:
        raise _late(waiver)
    asked = Asked(waiver.account, WaiverKind(waiver.kind), waiver.target, waiver.region, reason, expires_on)
    _check(asked, now=now)
    if expires_on <= waiver.expires_on:
        raise Refused(
            f"It already holds until {waiver.expires_on}; a renewal has to last longer. Nothing was asked for."
        )
    return _ask(asked, waiver.target, waiver.region, renews=waiver, by=by, now=now)


def _ask(asked: Asked, target: str, region: str, *, renews: Waiver | None, by: User, now: datetime) -> Waiver:
    try:
        with transaction.atomic():
            waiver = Waiver.objects.create(
                account=asked.account,
                kind=asked.kind,
                target=target,
                region=region,
                reason=asked.reason.strip(),
                expires_on=asked.expires_on,
                requested_by=by,
                requested_at=now,
                renews=renews,
                renewals=renews.renewals + 1 if renews else 0,
            )
            audit.append(
                verb="waiver.requested",
                object_type="Waiver",
                object_id=waiver.pk,
                account_id=asked.account.account_id,
                after={
                    "kind": str(asked.kind),
                    "target": target,
                    "region": region,
                    "expires_on": asked.expires_on.isoformat(),
                    "renewals": waiver.renewals,
                },
                reason=asked.reason,
                by=by,
                now=now,
            )
            _tell(waiver, "requested", f"A waiver waits for a decision: {_title(waiver)}", now=now)
    except IntegrityError as error:
        there = Waiver.objects.filter(
            account=asked.account, kind=asked.kind, target=target, region=region, state=WaiverState.REQUESTED
        ).first()
        number = f" {there.pk}" if there else ""
        raise Refused(
            f"Waiver{number} for {waivers.covers(asked.kind, target)} waits for a decision already. "
            "Nothing was asked for a second time."
        ) from error
    return waiver


def _check(asked: Asked, *, now: datetime) -> None:
    """Is what is said about it good? Raises Refused."""
    today = now.astimezone(UTC).date()
    if not asked.reason.strip():
        raise Refused("Say why these instances cannot be enforced yet: the approver decides by it.")
    if asked.expires_on <= today:
        raise Refused(f"{asked.expires_on} is not in the future; the first day possible is tomorrow (UTC).")
    last = today + waivers.LONGEST
    if asked.expires_on > last:
        raise Refused(
            f"A waiver lasts {waivers.LONGEST.days} days at most, so until {last}. When it is still needed then, renew "
            "it: renewals are counted, and somebody else looks at it again."
        )


def _named(asked: Asked) -> tuple[str, str]:
    """The target and the Region as they are stored, if they name instances that are there. Raises Refused."""
    name = asked.account.name or asked.account.account_id
    region = asked.region.strip()
    if region and not asked.account.scopes.filter(region=region).exists():
        raise Refused(f"{region} is not a Region of {name} that is known here. Leave it empty for all of them.")
    if asked.kind == WaiverKind.ACCOUNT:
        return "", region
    target = asked.target.strip()
    if not target:
        raise Refused(f"Say which {ASKED[asked.kind]} it is for.")
    if asked.kind == WaiverKind.TAG:
        _kept(target)
    found = Instance.objects.filter(covered(asked.account, asked.kind, target, region)).first()
    if found is None:
        there = f" in {region}" if region else ""
        raise Refused(NOBODY[asked.kind].format(target=target, name=name, there=there))
    return target, found.region if asked.kind == WaiverKind.INSTANCE else region


ASKED = {
    WaiverKind.INSTANCE: "instance (i-…)",
    WaiverKind.GROUP: "Auto Scaling group",
    WaiverKind.TAG: "tag (Key=Value)",
}
NOBODY = {
    WaiverKind.INSTANCE: "{target} is not an instance of {name}{there} that is there now.",
    WaiverKind.GROUP: "No instance of {name}{there} belongs to an Auto Scaling group {target} now.",
    WaiverKind.TAG: "No instance of {name}{there} carries the tag {target} now.",
}


def _kept(target: str) -> None:
    """A tag that is not kept names nothing. Raises Refused."""
    key, equals, _ = target.partition("=")
    if not equals or not key:
        raise Refused("Write the tag as Key=Value, for example Team=payments.")
    if waivers.tag_of(target, settings.IMDSDASH_TAGS) is None:
        raise Refused(
            f"The tag {key} is not kept here, so nobody could tell which instances carry it. Kept are: "
            f"{', '.join(settings.IMDSDASH_TAGS) or 'none'} (the setting IMDSDASH_TAGS)."
        )


# --- Deciding and ending -------------------------------------------------------------------------------


def approve(*, waiver: Waiver, by: User, comment: str, version: int, now: datetime) -> Waiver:
    """Say yes. It takes effect when the account is judged next, which is asked for at once. Raises Refused or Stale."""
    _may_decide(waiver, by=by, version=version, now=now)
    if waiver.expires_on < now.astimezone(UTC).date():
        raise Refused(f"It was asked for until {waiver.expires_on}, which is over. Reject it, or ask for a new one.")
    old = waiver.renews
    since = (old.since if old else None) or now
    try:
        with transaction.atomic():
            if old is not None and old.state == WaiverState.ACTIVE:
                because = f"Renewed by waiver {waiver.pk}."
                moves.move(old, WaiverState.ENDED, now=now, by=by, reason=because, fields=_closed(because, now))
            moves.move(
                waiver,
                WaiverState.ACTIVE,
                now=now,
                by=by,
                reason=comment,
                fields={"decided_by": by, "decided_at": now, "comment": comment, "since": since},
            )
            _judge_again(waiver, now=now)
    except IntegrityError as error:
        raise Refused("Another waiver of the same is active by now, so this one was not approved.") from error
    except (moves.Lost, moves.NoSuchMove) as error:
        raise _late(waiver) from error
    return waiver


def reject(*, waiver: Waiver, by: User, comment: str, version: int, now: datetime) -> Waiver:
    """Say no. Raises Refused or Stale."""
    _may_decide(waiver, by=by, version=version, now=now)
    fields = {"decided_by": by, "decided_at": now, "comment": comment} | _closed("", now)
    _close(waiver, WaiverState.REJECTED, by=by, reason=comment, fields=fields, now=now)
    return waiver


def withdraw(*, waiver: Waiver, by: User, version: int, now: datetime) -> Waiver:
    """Take a waiting one back. Raises Refused or Stale."""
    _may(by, Action.WAIVE, waiver.account, now=now, doing="withdraw the waiver", about=waiver)
    _same(waiver, version)
    _close(waiver, WaiverState.WITHDRAWN, by=by, reason="", fields=_closed("", now), now=now)
    return waiver


def end(*, waiver: Waiver, by: User, reason: str, version: int, now: datetime) -> Waiver:
    """End an active one before its time. Raises Refused or Stale."""
    _may(by, Action.END, waiver.account, now=now, doing="end a waiver", about=waiver)
    _same(waiver, version)
    with transaction.atomic():
        _close(waiver, WaiverState.ENDED, by=by, reason=reason, fields=_closed(reason, now), now=now)
        _judge_again(waiver, now=now)
    return waiver


def _close(waiver: Waiver, to: WaiverState, *, by: User, reason: str, fields: dict[str, object], now: datetime) -> None:
    try:
        moves.move(waiver, to, now=now, by=by, reason=reason, fields=fields)
    except (moves.Lost, moves.NoSuchMove) as error:
        raise _late(waiver) from error


def _closed(because: str, now: datetime) -> dict[str, object]:
    return {"closed_at": now, "closed_because": because}


def _judge_again(waiver: Waiver, *, now: datetime) -> None:
    collection.due_now(scopes_of(waiver), now=now)


def scopes_of(waiver: Waiver) -> QuerySet[Scope]:
    """The account's Regions in which the waiver may cover something: those with instances."""
    there = Instance.objects.filter(account_id=waiver.account_id, gone_at__isnull=True)
    scopes = Scope.objects.filter(account_id=waiver.account_id, region__in=there.values("region"))
    return scopes.filter(region=waiver.region) if waiver.region else scopes


# --- By the clock ----------------------------------------------------------------------------------------


def expire(*, now: datetime) -> int:
    """Close those whose last day is over, and those nobody decided on in time. Returns how many."""
    today = now.astimezone(UTC).date()
    over = Waiver.objects.filter(state__in=[WaiverState.ACTIVE, WaiverState.REQUESTED], expires_on__lt=today)
    closed = 0
    for waiver in over.select_related("account"):
        held = waiver.state == WaiverState.ACTIVE
        because = "Its last day was over." if held else "Nobody decided before its last day was over."
        try:
            with transaction.atomic():
                moves.move(waiver, WaiverState.EXPIRED, now=now, reason=because, fields=_closed(because, now))
                _judge_again(waiver, now=now)
                if held:
                    subject = f"A waiver has expired: {_title(waiver)}"
                    _tell(waiver, "expired", subject, severity=Severity.WARNING, now=now)
        except moves.Lost:
            continue
        closed += 1
    return closed


def remind(*, now: datetime) -> None:
    """Tell of those that end soon, once 14 and once 3 days before."""
    today = now.astimezone(UTC).date()
    soon = Waiver.objects.filter(state=WaiverState.ACTIVE, expires_on__gte=today)
    for waiver in soon.filter(expires_on__lte=today + timedelta(days=max(waivers.REMINDERS))).select_related(
        "account", "requested_by", "decided_by"
    ):
        granted = waiver.decided_at or waiver.requested_at
        days = waivers.reminder(expires_on=waiver.expires_on, since=granted.astimezone(UTC).date(), today=today)
        if days is None:
            continue
        left = (waiver.expires_on - today).days
        when = "today" if left == 0 else "tomorrow" if left == 1 else f"in {left} days"
        severity = Severity.WARNING if days == min(waivers.REMINDERS) else Severity.INFO
        _tell(waiver, f"{days}-days", f"A waiver ends {when}: {_title(waiver)}", severity=severity, now=now)


def judge_what_changed(*, now: datetime) -> int:
    """Regions whose last pass began before one of their waivers was granted or closed lately are due at once: a pass
    that was under way at that moment may have looked before it. Returns how many there are.
    """
    lately = Q(decided_at__gte=now - LATELY) | Q(closed_at__gte=now - LATELY)
    found = 0
    for waiver in Waiver.objects.filter(lately, decided_by__isnull=False).exclude(state=WaiverState.REJECTED):
        changed = waiver.closed_at or waiver.decided_at
        behind = scopes_of(waiver).filter(last_started_at__lt=changed, state=ScopeState.IDLE)
        found += collection.due_now(behind.filter(inventory_due_at__gt=now), now=now)
    return found


def _tell(waiver: Waiver, what: str, subject: str, *, severity: Severity = Severity.INFO, now: datetime) -> None:
    lines = [
        f"{waivers.covers(waiver.kind, waiver.target).capitalize()} in {_place(waiver)}, until {waiver.expires_on}.",
        f"Reason: {waiver.reason}",
        f"Asked for by {waiver.requested_by}"
        + (f", approved by {waiver.decided_by}" if waiver.decided_by else "")
        + (f", renewal {waiver.renewals}." if waiver.renewals else "."),
    ]
    notifications.add(
        key=f"waiver:{waiver.pk}:{what}",
        kind=f"waiver.{what}",
        subject=subject,
        lines=lines,
        path=reverse("waiver", args=[waiver.pk]),
        account=waiver.account,
        severity=severity,
        now=now,
    )


def _title(waiver: Waiver) -> str:
    return f"{waivers.covers(waiver.kind, waiver.target)} in {waiver.account.name or waiver.account.account_id}"


def _place(waiver: Waiver) -> str:
    return f"{waiver.account} {waiver.region}".strip()


# --- Who may -----------------------------------------------------------------------------------------------


def _may_decide(waiver: Waiver, *, by: User, version: int, now: datetime) -> None:
    _may(by, Action.DECIDE, waiver.account, now=now, doing="decide on this waiver", about=waiver)
    if by.pk == waiver.requested_by_id:
        _denied(waiver, by=by, now=now, why="requester and approver are the same person")
        raise Refused("You asked for this waiver, so somebody else must decide on it. Nothing was changed.")
    _same(waiver, version)


def _may(by: User, action: Action, account: Account, *, now: datetime, doing: str, about: Account | Waiver) -> None:
    if access.can(by, action, account):
        return
    _denied(about, by=by, now=now, why=f"no role to {doing}")
    raise Refused(f"Your role does not allow you to {doing} in {account.name or account.account_id}.")


def _denied(about: Account | Waiver, *, by: User, now: datetime, why: str) -> None:
    account = about if isinstance(about, Account) else about.account
    audit.append(
        verb="denied",
        object_type=type(about).__name__,
        object_id=about.pk,
        account_id=account.account_id,
        reason=why,
        by=by,
        now=now,
    )


def _same(waiver: Waiver, version: int) -> None:
    if waiver.version != version:
        raise _late(waiver)


def _late(waiver: Waiver) -> Stale:
    state = WaiverState(Waiver.objects.values_list("state", flat=True).get(pk=waiver.pk))
    return Stale(f"This waiver is {state.label.lower()} by now, so nothing was changed by you.")
