"""Waves: accounts that move together. Made, filled, started, closed; row and audit event in one transaction.

Every refusal writes the event `denied` and nothing else. A page that is old (Stale) writes nothing at all.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F
from django.urls import reverse

from migration.actions import audit, moves, notifications
from migration.actions.errors import Refused, Stale
from migration.domain import waves
from migration.domain.permissions import Action
from migration.enums import ACTIVE_RUN, Severity, WaveState
from migration.models import Account, Run, Wave, WaveAccount
from migration.queries import access
from migration.queries import waves as queries

MOST = 5_000  # accounts in one go
NAMED = 5  # of what is wrong, in one sentence
LAST_POSITION = 9_999


@dataclass(frozen=True, slots=True)
class Told:
    """What a wave is called, who answers for it, and by when it is done."""

    name: str
    owner: str
    contact: str = ""
    due_on: date | None = None  # the last UTC day
    position: int = 0  # the order of the waves


# --- Making and editing ------------------------------------------------------------------------------------


def create(*, told: Told, by: User, now: datetime) -> Wave:
    """Make a wave, empty and not started. Raises Refused."""
    if not access.can(by, Action.GROUP):
        raise _refused(None, "Making waves needs the role Engineer.", by=by, now=now)
    told = _tidy(told)
    wrong = _wrong(told, None, now=now)
    if wrong:
        raise _refused(None, wrong, by=by, now=now)
    try:
        with transaction.atomic():
            wave = Wave.objects.create(**_fields(told), created_by=by, created_at=now)
            _record(wave, "created", after=_plain(told), by=by, now=now)
    except IntegrityError as error:
        raise _refused(None, _taken(told), by=by, now=now) from error
    return wave


def edit(*, wave: Wave, told: Told, by: User, version: int, now: datetime) -> Wave:
    """Change what a wave is called, whose it is or when it is due. Raises Refused or Stale."""
    _may(wave, Action.GROUP, by=by, doing="edit it", now=now)
    _same(wave, version)
    told = _tidy(told)
    wrong = _wrong(told, wave, now=now)
    if wrong:
        raise _refused(wave, wrong, by=by, now=now)
    before, after = _plain(_told(wave)), _plain(told)
    changed = [name for name in after if after[name] != before[name]]
    if not changed:
        return wave
    try:
        with transaction.atomic():
            _touch(wave, version, **_fields(told))
            old, new = ({name: side[name] for name in changed} for side in (before, after))
            _record(wave, "edited", before=old, after=new, by=by, now=now)
    except IntegrityError as error:
        raise _refused(wave, _taken(told), by=by, now=now) from error
    wave.refresh_from_db()
    return wave


def _tidy(told: Told) -> Told:
    return Told(told.name.strip(), told.owner.strip(), told.contact.strip(), told.due_on, told.position)


def _wrong(told: Told, wave: Wave | None, *, now: datetime) -> str:
    today = now.astimezone(UTC).date()
    if not told.name:
        return "Give the wave a name."
    if not told.owner:
        return "Say who answers for the wave."
    if not 0 <= told.position <= LAST_POSITION:
        return f"The position is {told.position:,}; it must be 0 to {LAST_POSITION:,}."
    moved = wave is None or wave.due_on != told.due_on
    if moved and told.due_on is not None and told.due_on < today:
        return f"{told.due_on} is over; a wave is due today (UTC) or later."
    return ""


def _taken(told: Told) -> str:
    return f"Another wave is called “{told.name}” already."


def _told(wave: Wave) -> Told:
    return Told(wave.name, wave.owner, wave.contact, wave.due_on, wave.position)


def _fields(told: Told) -> dict[str, Any]:
    return asdict(told)


def _plain(told: Told) -> dict[str, Any]:
    return asdict(told) | {"due_on": told.due_on.isoformat() if told.due_on else None}


# --- The accounts ------------------------------------------------------------------------------------------


def add_accounts(*, wave: Wave, said: Sequence[str], by: User, version: int, now: datetime) -> int:
    """Put accounts, by their 12 digits, into the wave, all or none. Returns how many. Raises Refused or Stale."""
    _may(wave, Action.GROUP, by=by, doing="add accounts to it", now=now)
    _same(wave, version)
    _open(wave, by=by, now=now)
    wrong, accounts = _named(wave, said, by=by)
    if wrong:
        raise _refused(wave, wrong, by=by, now=now)
    try:
        with transaction.atomic():
            _touch(wave, version)
            WaveAccount.objects.bulk_create(WaveAccount(wave=wave, account=account) for account in accounts)
            ids = [account.account_id for account in accounts]
            _record(wave, "accounts_added", after={"accounts": ids}, by=by, now=now)
    except IntegrityError as error:
        wrong, _ = _named(wave, said, by=by)
        raise _refused(wave, wrong or "One of them was added elsewhere meanwhile.", by=by, now=now) from error
    wave.refresh_from_db()
    return len(accounts)


def _named(wave: Wave, said: Sequence[str], *, by: User) -> tuple[str, list[Account]]:
    """The accounts that are named, or what is wrong with the list, in a sentence."""
    if not said:
        return "No account was named.", []
    if len(said) > MOST:
        return f"{len(said):,} accounts are named; {MOST:,} are taken at once. None was added.", []
    seen = access.visible_accounts(by).filter(account_id__in=set(said)).select_related("wave_member__wave")
    known = {account.account_id: account for account in seen}
    twice = {one for one, count in Counter(said).items() if count > 1}
    wrong = [problem for one in dict.fromkeys(said) if (problem := _problem(one, known, twice, wave, by))]
    if wrong:
        more = f" And {len(wrong) - NAMED:,} more." if len(wrong) > NAMED else ""
        return f"{' '.join(wrong[:NAMED])}{more} None was added.", []
    return "", [known[one] for one in said]


def _problem(one: str, known: dict[str, Account], twice: set[str], wave: Wave, by: User) -> str:
    """What is wrong with one of the list, or ""."""
    if not waves.is_account_id(one):
        zeros = " A spreadsheet may have cut its leading zeros." if one.isdigit() and len(one) < 12 else ""  # noqa: PLR2004
        return f"“{one[:40]}” is not the 12 digits of an account.{zeros}"
    account = known.get(one)
    if account is None:
        return f"{one} is not an account here, or none that you may see."
    if one in twice:
        return f"{one} is named twice."
    if not access.can(by, Action.GROUP, account):
        return f"Your role does not allow you to put {one} into a wave."
    member = getattr(account, "wave_member", None)
    if member is not None:
        there = "this wave already" if member.wave_id == wave.pk else f"the wave “{member.wave.name}” already"
        return f"{one} is in {there}."
    return ""


def remove_account(*, wave: Wave, account: Account, by: User, version: int, now: datetime) -> Wave:
    """Take one out. Its requests and runs go on and stay the wave's. Raises Refused or Stale."""
    _may(wave, Action.GROUP, by=by, doing="take accounts out of it", now=now)
    _same(wave, version)
    _open(wave, by=by, now=now)
    if Run.objects.filter(wave=wave, account=account, state__in=ACTIVE_RUN).exists():
        sentence = f"A run of this wave is active in {account.account_id}. Stop it, or wait until it is over."
        raise _refused(wave, sentence, by=by, now=now, account=account)
    with transaction.atomic():
        removed, _ = WaveAccount.objects.filter(wave=wave, account=account).delete()
        if removed:
            _touch(wave, version)
            ids = [account.account_id]
            _record(wave, "account_removed", before={"accounts": ids}, account=account, by=by, now=now)
    if not removed:
        raise _refused(wave, f"{account.account_id} is not in this wave.", by=by, now=now, account=account)
    wave.refresh_from_db()
    return wave


def _open(wave: Wave, *, by: User, now: datetime) -> None:
    if wave.state == WaveState.CLOSED:
        raise _refused(wave, "The wave is closed. Reopen it to change which accounts are in it.", by=by, now=now)


# --- Its way -------------------------------------------------------------------------------------------------


def start(*, wave: Wave, by: User, version: int, now: datetime) -> Wave:
    """Draft -> active. Raises Refused or Stale."""
    _may(wave, Action.GROUP, by=by, doing="start it", now=now)
    _same(wave, version)
    if not wave.members.exists():
        raise _refused(wave, "No account is in this wave yet, so there is nothing to start.", by=by, now=now)
    return _move(wave, WaveState.ACTIVE, by=by, reason="", fields={"started_at": now}, only=WaveState.DRAFT, now=now)


def close(*, wave: Wave, by: User, reason: str, version: int, now: datetime) -> Wave:
    """Draft or active -> closed. What is left to do in its accounts stays left to do. Raises Refused or Stale."""
    _may(wave, Action.GROUP, by=by, doing="close it", now=now)
    _same(wave, version)
    active = Run.objects.filter(wave=wave, state__in=ACTIVE_RUN).order_by("pk").first()
    if active is not None:
        sentence = f"Run {active.pk} of this wave is active. Stop it, or wait until it is over."
        raise _refused(wave, sentence, by=by, now=now)
    return _move(wave, WaveState.CLOSED, by=by, reason=reason, fields={"closed_at": now}, now=now)


def reopen(*, wave: Wave, by: User, reason: str, version: int, now: datetime) -> Wave:
    """Closed -> active. Raises Refused or Stale."""
    _may(wave, Action.GROUP, by=by, doing="reopen it", now=now)
    _same(wave, version)
    if not reason.strip():
        raise _refused(wave, "Say why the wave is opened again: it is kept in the audit log.", by=by, now=now)
    fields = {"closed_at": None, "started_at": wave.started_at or now}
    return _move(wave, WaveState.ACTIVE, by=by, reason=reason, fields=fields, only=WaveState.CLOSED, now=now)


def resume(*, wave: Wave, by: User, reason: str, version: int, now: datetime) -> Wave:
    """Let a wave that a watch paused go on. Raises Refused or Stale."""
    _may(wave, Action.STEER, by=by, doing="let it go on", now=now)
    _same(wave, version)
    if not wave.paused_because:
        raise _refused(wave, "This wave is not paused.", by=by, now=now)
    if not reason.strip():
        raise _refused(wave, "Say why it may go on: it is kept in the audit log.", by=by, now=now)
    because = wave.paused_because
    with transaction.atomic():
        _touch(wave, version, paused_because="")
        before, after = {"paused_because": because}, {"paused_because": ""}
        _record(wave, "resumed", before=before, after=after, reason=reason, by=by, now=now)
        _tell(wave, "resumed", f"A wave goes on: {wave.name}", by=by, reason=reason, now=now)
    wave.refresh_from_db()
    return wave


def _move(
    wave: Wave,
    to: WaveState,
    *,
    by: User,
    reason: str,
    fields: dict[str, Any],
    now: datetime,
    only: WaveState | None = None,
) -> Wave:
    """`only`: the one state that it may come from, where the table has more."""
    if only is not None and wave.state != only:
        raise _refused(wave, f"The wave is {wave.get_state_display().lower()}.", by=by, now=now)
    done = "closed" if to == WaveState.CLOSED else "reopened" if wave.state == WaveState.CLOSED else "started"
    try:
        with transaction.atomic():
            moves.move(wave, to, now=now, by=by, reason=reason.strip(), fields=fields)
            _tell(wave, done, f"A wave is {done}: {wave.name}", by=by, reason=reason, now=now)
    except moves.NoSuchMove as error:
        raise _refused(wave, f"The wave is {wave.get_state_display().lower()}.", by=by, now=now) from error
    except moves.Lost as error:
        raise _late() from error
    return wave


# --- What they share ---------------------------------------------------------------------------------------


def _may(wave: Wave, action: Action, *, by: User, doing: str, now: datetime) -> None:
    if queries.may(by, action, wave):
        return
    sentence = f"To {doing} needs a role over each account of the wave “{wave.name}”. Nothing was changed."
    raise _refused(wave, sentence, by=by, now=now)


def _same(wave: Wave, version: int) -> None:
    if wave.version != version:
        raise _late()


def _touch(wave: Wave, version: int, **fields: Any) -> None:
    """Raise the version, and set fields with it. Raises Stale when somebody else did meanwhile."""
    if not Wave.objects.filter(pk=wave.pk, version=version).update(version=F("version") + 1, **fields):
        raise _late()


def _late() -> Stale:
    return Stale("This wave was changed by somebody else since you opened the page, so nothing was changed by you.")


def _record(wave: Wave, what: str, *, by: User, now: datetime, account: Account | None = None, **told: Any) -> None:
    audit.append(
        verb=f"wave.{what}",
        object_type="Wave",
        object_id=wave.pk,
        account_id=account.account_id if account else "",
        by=by,
        now=now,
        **told,
    )


def _refused(wave: Wave | None, sentence: str, *, by: User, now: datetime, account: Account | None = None) -> Refused:
    audit.append(
        verb="denied",
        object_type="Wave",
        object_id=wave.pk if wave else "new",
        account_id=account.account_id if account else "",
        reason=sentence,
        by=by,
        now=now,
    )
    return Refused(sentence)


def _tell(wave: Wave, what: str, subject: str, *, by: User, reason: str, now: datetime) -> None:
    due = f", due on {wave.due_on}" if wave.due_on else ""
    lines = [f"Owner: {wave.owner}{due}.", f"By {by.get_username()}."]
    notifications.add(
        key=f"wave:{wave.pk}:{what}:{wave.version}",
        kind=f"wave.{what}",
        subject=subject,
        lines=[*lines, f"Reason: {reason.strip()}"] if reason.strip() else lines,
        path=reverse("wave", args=[wave.pk]),
        severity=Severity.INFO,
        now=now,
    )
