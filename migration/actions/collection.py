"""Accounts and scopes: who is looked after, what is due, and whose hands a scope is in."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from migration.enums import GapKind, Outcome, RoleState, ScopeState
from migration.models import Account, ApiDay, CollectionRun, Instance, Scope

# By the database's clock, for the hosts' clocks may differ. Renewed with every page; longer than one call with all its
# retries.
SCOPE_LEASE = timedelta(minutes=5)
OPENS_AT = 3  # failures in a row from which an account's breaker is open
SHORT, LONG, LONGEST = timedelta(minutes=10), timedelta(hours=1), timedelta(hours=24)  # until an account is tried again
CHUNK = 500
FIRST_RETRY = timedelta(minutes=5)  # of a scope with a gap; doubled each time, up to its cadence


@dataclass(frozen=True, slots=True)
class ScopeClaim:
    """A scope in the hands of one worker, good for one lease."""

    scope_id: int
    fence: int
    account_pk: int
    account_id: str
    region: str


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of reading a pass does."""

    inventory: bool = True
    usage: bool = True
    watch: bool = False

    def __bool__(self) -> bool:
        return self.inventory or self.usage or self.watch


@dataclass(frozen=True, slots=True)
class Ending:
    """How a pass over a scope ended."""

    outcome: Outcome
    gap: GapKind = GapKind.NONE
    message: str = ""
    kinds: Kinds = field(default_factory=Kinds)  # what was read
    inventory: bool = False  # and whole
    usage: bool = False
    watch: bool = False
    unfinished: bool = False  # its time was over before its work: it goes on at once
    usage_until: datetime | None = None
    history_from: date | None = None
    going_until: datetime | None = None
    throttled: int = 0
    clock_skew: float | None = None  # seconds; None: AWS has not answered


def remember_account(*, account_id: str, **fields: Any) -> Account:
    """The account's row, made when it is new; only the given fields are changed."""
    account, made = Account.objects.get_or_create(account_id=account_id, defaults=fields)
    changed = [name for name, value in fields.items() if getattr(account, name) != value]
    if not made and changed:
        for name in changed:
            setattr(account, name, fields[name])
        account.save(update_fields=changed)
    return account


def record_entered(*, account: Account, now: datetime) -> None:
    """The account's role answered as the account: its breaker is closed."""
    Account.objects.filter(pk=account.pk).update(
        role_state=RoleState.OK, role_message="", role_checked_at=now, failures=0, retry_at=None
    )


ROLE_STATES = {
    GapKind.DENIED: RoleState.DENIED,
    GapKind.WRONG_ACCOUNT: RoleState.WRONG_ACCOUNT,
    GapKind.UNREACHABLE: RoleState.UNREACHABLE,
}


def record_not_entered(
    *, account: Account, gap: GapKind, message: str, now: datetime, in_mid_pass: bool = False
) -> None:
    """The account could not be entered. From the third time in a row on it is left alone for an hour, doubling up to
    a day, so that it costs the others nothing; each of its scopes says so, and keeps what it knew before.

    `in_mid_pass`: it was open when the pass began. The same door shuts on all the account's passes that are under way,
    and that is one failure.
    """
    if (
        in_mid_pass
        and Account.objects.filter(pk=account.pk, retry_at__gt=now).exclude(role_state=RoleState.OK).exists()
    ):
        return
    failures = Account.objects.values_list("failures", flat=True).get(pk=account.pk) + 1
    Account.objects.filter(pk=account.pk).update(
        role_state=ROLE_STATES.get(gap, RoleState.UNREACHABLE),
        role_message=message,
        role_checked_at=now,
        failures=failures,
        retry_at=now + entered_again_after(failures),
    )


def entered_again_after(failures: int) -> timedelta:
    """How long an account is left alone after so many failures in a row."""
    if failures < OPENS_AT:
        return SHORT
    doublings = min(failures - OPENS_AT, 10)
    return min(LONGEST, LONG * (1 << doublings))


def record_regions(*, account: Account, regions: Iterable[str]) -> list[Scope]:
    """The account's scopes: one for each Region it may use; those no longer among them are kept and not asked."""
    wanted = set(regions)
    known = {scope.region: scope for scope in account.scopes.all()}
    Scope.objects.bulk_create(
        [Scope(account=account, region=region) for region in sorted(wanted - known.keys())], ignore_conflicts=True
    )
    account.scopes.filter(region__in=wanted, enabled=False).update(enabled=True)
    account.scopes.exclude(region__in=wanted).filter(enabled=True).update(enabled=False)
    return list(account.scopes.filter(enabled=True).order_by("region"))


def record_denied_account(*, account: Account, gap: GapKind, message: str) -> None:
    """Nothing of the account could be read: each of its scopes says so, and is due when the account is entered."""
    account.scopes.filter(enabled=True).update(outcome=_outcome_of(gap), gap=gap, gap_message=message)


def record_links(*, monitoring: str, region: str, sources: Collection[str], now: datetime) -> int:
    """Which scopes of a Region the monitoring account's CloudWatch answers for, by the links there are now.

    `sources`: ids of the linked accounts. A link that was known before keeps its time. Returns how many are linked.
    """
    scopes = Scope.objects.filter(region=region)
    known = list(scopes.values_list("pk", "account__account_id", "linked_to"))
    here = {pk for pk, account_id, _ in known if account_id in sources}
    made = [pk for pk, _, linked_to in known if pk in here and linked_to != monitoring]
    lost = [pk for pk, _, linked_to in known if pk not in here and linked_to]
    for start in range(0, len(made), CHUNK):
        scopes.filter(pk__in=made[start : start + CHUNK]).update(linked_to=monitoring, linked_since=now)
    for start in range(0, len(lost), CHUNK):
        scopes.filter(pk__in=lost[start : start + CHUNK]).update(linked_to="", linked_since=None)
    return len(here)


def record_unlinked(*, claim: ScopeClaim) -> None:
    """The monitoring account did not answer for the scope: until the links are read again it is not asked about it."""
    Scope.objects.filter(pk=claim.scope_id).update(linked_to="", linked_since=None)


class LeaseLost(Exception):
    """Another worker has taken the scope: what this one knows is old, and nothing more of it is written."""


def claim_scope(*, scope: Scope, owner: str, now: datetime, from_the_dead: bool = False) -> ScopeClaim | None:
    """Take the scope for one pass, or None while a living worker has it. `from_the_dead`: its holder is known to
    be gone, so its lease is not waited out.
    """
    free = free_scope()
    if from_the_dead:
        free |= Q(state=ScopeState.LEASED)
    taken = Scope.objects.filter(free, pk=scope.pk, fence=scope.fence).update(
        state=ScopeState.LEASED,
        fence=F("fence") + 1,
        attempts=F("attempts") + 1,
        lease_owner=owner,
        lease_expires_at=Now() + SCOPE_LEASE,
        last_started_at=now,
    )
    if not taken:
        return None
    return ScopeClaim(scope.pk, scope.fence + 1, scope.account_id, scope.account.account_id, scope.region)


def free_scope() -> Q:
    """Scopes that nobody holds, or whose holder has given no sign of life for a lease."""
    return Q(state=ScopeState.IDLE) | Q(state=ScopeState.LEASED, lease_expires_at__lte=Now())


def takeable() -> Q:
    """Scopes that a worker may take: free, looked after, and of an account that can be entered."""
    return free_scope() & Q(enabled=True, account__enabled=True, account__role_state=RoleState.OK)


def hold(*, claim: ScopeClaim) -> None:
    """Renew the lease in the transaction of a write. Raises LeaseLost, which undoes that write."""
    held = Scope.objects.filter(pk=claim.scope_id, fence=claim.fence, state=ScopeState.LEASED)
    if not held.update(lease_expires_at=Now() + SCOPE_LEASE):
        raise LeaseLost(f"{claim.account_id}/{claim.region}")


def give_back(*, claim: ScopeClaim) -> None:
    """End a pass that broke off without an ending: the scope is free, and due as before."""
    Scope.objects.filter(pk=claim.scope_id, fence=claim.fence, state=ScopeState.LEASED).update(
        state=ScopeState.IDLE, lease_owner="", lease_expires_at=None
    )


def finish_scope(*, claim: ScopeClaim, ending: Ending, now: datetime) -> None:
    """Give the scope back with how it ended. Raises LeaseLost: then a later pass speaks for the scope."""
    scope = Scope.objects.get(pk=claim.scope_id)
    fields: dict[str, Any] = {
        "state": ScopeState.IDLE,
        "lease_owner": "",
        "lease_expires_at": None,
        "outcome": ending.outcome,
        "gap": ending.gap,
        "gap_message": ending.message,
        "throttled": ending.throttled,
        "going_until": ending.going_until,
    }
    fields |= _due(scope, ending, now)
    if ending.outcome is Outcome.COMPLETE or ending.unfinished:
        fields["attempts"] = 0
    if ending.clock_skew is not None:
        fields["clock_skew"] = ending.clock_skew
    if ending.inventory:
        fields["inventory_at"] = now
    if ending.usage:
        fields["usage_at"] = now
    if ending.usage_until is not None:
        fields["usage_until"] = max(ending.usage_until, scope.usage_until or ending.usage_until)
    if ending.history_from is not None:
        fields["history_from"] = ending.history_from
    if ending.outcome is Outcome.COMPLETE:
        fields["complete_at"] = now
    held = Scope.objects.filter(pk=claim.scope_id, fence=claim.fence, state=ScopeState.LEASED)
    if not held.update(**fields):
        raise LeaseLost(f"{claim.account_id}/{claim.region}")


def _due(scope: Scope, ending: Ending, now: datetime) -> dict[str, datetime | None]:
    """When each kind is due again: whole, after its cadence; with a gap, sooner, and doubling while the gap stays."""
    due = {"inventory_due_at": scope.inventory_due_at or now, "usage_due_at": scope.usage_due_at or now}
    watched = Instance.objects.filter(account_id=scope.account_id, region=scope.region, watch_until__gt=now)
    if watched.exists():
        due["watch_due_at"] = scope.watch_due_at or now
    for kind, (asked, whole) in {
        "inventory": (ending.kinds.inventory, ending.inventory),
        "usage": (ending.kinds.usage, ending.usage),
        "watch": (ending.kinds.watch or ending.kinds.usage, ending.watch or ending.usage),
    }.items():
        if not asked or f"{kind}_due_at" not in due:
            continue
        if whole:
            due[f"{kind}_due_at"] = now + cadence(kind)
        elif ending.unfinished:
            due[f"{kind}_due_at"] = now
        elif ending.outcome is Outcome.DENIED:
            due[f"{kind}_due_at"] = now + cadence("inventory")
        else:
            due[f"{kind}_due_at"] = now + min(cadence(kind), FIRST_RETRY * 2 ** min(scope.attempts - 1, 10))
    return {"watch_due_at": None} | due | {"next_due_at": min(due.values())}


def watch_from(*, scope: Scope, at: datetime) -> None:
    """Something of the scope was enforced: its rejected calls are read from then on."""
    earliest = min(at, scope.next_due_at) if scope.next_due_at else None
    Scope.objects.filter(pk=scope.pk).update(watch_due_at=at, next_due_at=earliest)


def due_now(scopes: QuerySet[Scope], *, now: datetime) -> int:
    """What is known of them is to be judged again: their inventory is due at once. Returns how many they are."""
    return scopes.filter(enabled=True).update(inventory_due_at=now, next_due_at=now)


def cadence(kind: str) -> timedelta:
    """How often a kind of reading is due: "inventory", "usage" or "watch"."""
    hours: dict[str, float] = {
        "inventory": settings.IMDSDASH_COLLECT_EVERY_HOURS,
        "usage": settings.IMDSDASH_USAGE_EVERY_HOURS,
        "watch": 1,
    }
    return timedelta(hours=hours[kind])


def _outcome_of(gap: GapKind) -> Outcome:
    return Outcome.DENIED if gap in {GapKind.DENIED, GapKind.WRONG_ACCOUNT} else Outcome.INCOMPLETE


def meter(*, claim: ScopeClaim, calls: dict[str, int], throttled: dict[str, int], metrics: int, now: datetime) -> None:
    """Add what a pass asked to the scope's meter of the day. `metrics`: metrics requested by GetMetricData."""
    day = now.astimezone(UTC).date()
    # Metrics that were requested in a call for several scopes count here, also where that call counts elsewhere.
    names = set(calls) | set(throttled) | ({"GetMetricData"} if metrics else set())
    ApiDay.objects.bulk_create(
        [ApiDay(scope_id=claim.scope_id, day=day, operation=name) for name in sorted(names)], ignore_conflicts=True
    )
    for name in sorted(names):
        ApiDay.objects.filter(scope_id=claim.scope_id, day=day, operation=name).update(
            calls=F("calls") + calls.get(name, 0),
            throttled=F("throttled") + throttled.get(name, 0),
            metrics=F("metrics") + (metrics if name == "GetMetricData" else 0),
        )


def begin_run(*, trigger: str, owner: str, asked: dict[str, str], now: datetime) -> CollectionRun:
    """A sweep begins; it is on record before anything is asked."""
    return CollectionRun.objects.create(trigger=trigger, owner=owner, asked=asked, started_at=now)


def take_run(*, run: CollectionRun, owner: str) -> None:
    """Go on with a sweep whose process is gone."""
    CollectionRun.objects.filter(pk=run.pk).update(owner=owner)


def end_run(*, run: CollectionRun, result: dict[str, Any], now: datetime) -> None:
    CollectionRun.objects.filter(pk=run.pk).update(finished_at=now, result=result)
