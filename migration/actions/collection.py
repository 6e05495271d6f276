"""What AWS said becomes rows: inventory, defaults, usage, rollups, verdicts. Set-based, and safe to repeat."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from migration.domain import readiness
from migration.domain.facts import DefaultsFact, InstanceFact, Series
from migration.enums import GapKind, Outcome, RoleState, ScopeState, Status
from migration.models import Account, Instance, InstanceDay, RegionDefaults, Scope, ScopeDay
from migration.queries import evidence

HOURS = 24
CHUNK = 500
SCOPE_LEASE = timedelta(minutes=5)  # renewed with every page; longer than one call with all its retries
FACT_FIELDS = (
    "instance_state",
    "name",
    "instance_type",
    "platform_details",
    "lifecycle",
    "image_id",
    "instance_profile_arn",
    "asg_name",
    "launch_template_id",
    "launch_template_version",
    "public",
    "operator_managed",
    "operator_principal",
    "launched_at",
    "first_launched_at",
    "stopped_at",
)
OPTION_FIELDS = (
    "http_tokens",
    "http_put_response_hop_limit",
    "http_endpoint",
    "http_protocol_ipv6",
    "instance_metadata_tags",
)
SEEN_FIELDS = [*FACT_FIELDS, *OPTION_FIELDS, "options_state", "tags", "last_seen_at", "gone_at"]
VERDICT_FIELDS = [
    "status",
    "status_reason",
    "status_since",
    "blockers",
    "warnings",
    "measured_days",
    "window_days",
    "v1_calls_window",
    "last_v1_hour",
    "first_enforced_at",
]


@dataclass(frozen=True, slots=True)
class ScopeClaim:
    """A scope in the hands of one worker, good for one lease."""

    scope_id: int
    fence: int
    account_pk: int
    account_id: str
    region: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How a pass over a scope ended."""

    outcome: Outcome
    gap: GapKind = GapKind.NONE
    message: str = ""
    inventory_complete: bool = False
    usage_until: datetime | None = None


def remember_account(*, account_id: str, **fields: Any) -> Account:
    """The account's row, made when it is new; only the given fields are changed."""
    account, made = Account.objects.get_or_create(account_id=account_id, defaults=fields)
    changed = [name for name, value in fields.items() if getattr(account, name) != value]
    if not made and changed:
        for name in changed:
            setattr(account, name, fields[name])
        account.save(update_fields=changed)
    return account


def record_role(*, account: Account, state: RoleState, message: str, now: datetime) -> None:
    """What the last attempt to enter the account told."""
    Account.objects.filter(pk=account.pk).update(role_state=state, role_message=message, role_checked_at=now)


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


def record_denied_account(*, account: Account, gap: GapKind, message: str, now: datetime) -> None:
    """Nothing of the account could be read: each of its scopes says so, and keeps what it knew before."""
    account.scopes.filter(enabled=True).update(
        outcome=_outcome_of(gap), gap=gap, gap_message=message, next_due_at=_next_due(now)
    )


class LeaseLost(Exception):
    """Another worker has taken the scope: what this one knows is old, and nothing more of it is written."""


def claim_scope(*, scope: Scope, owner: str, now: datetime, from_the_dead: bool = False) -> ScopeClaim | None:
    """Take the scope for one pass, or None while a living worker has it. `from_the_dead`: its holder is known to
    be gone, so its lease is not waited out.
    """
    free = Q(state=ScopeState.IDLE) | Q(state=ScopeState.LEASED, lease_expires_at__lte=now)
    if from_the_dead:
        free |= Q(state=ScopeState.LEASED)
    taken = Scope.objects.filter(free, pk=scope.pk, fence=scope.fence).update(
        state=ScopeState.LEASED,
        fence=F("fence") + 1,
        attempts=F("attempts") + 1,
        lease_owner=owner,
        lease_expires_at=now + SCOPE_LEASE,
        last_started_at=now,
    )
    if not taken:
        return None
    return ScopeClaim(scope.pk, scope.fence + 1, scope.account_id, scope.account.account_id, scope.region)


def hold(*, claim: ScopeClaim, now: datetime) -> None:
    """Renew the lease in the transaction of a write. Raises LeaseLost, which undoes that write."""
    held = Scope.objects.filter(pk=claim.scope_id, fence=claim.fence, state=ScopeState.LEASED)
    if not held.update(lease_expires_at=now + SCOPE_LEASE):
        raise LeaseLost(f"{claim.account_id}/{claim.region}")


def give_back(*, claim: ScopeClaim) -> None:
    """End a pass that broke off without an ending: the scope is free, and due as before."""
    Scope.objects.filter(pk=claim.scope_id, fence=claim.fence, state=ScopeState.LEASED).update(
        state=ScopeState.IDLE, lease_owner="", lease_expires_at=None
    )


def finish_scope(*, claim: ScopeClaim, ending: Ending, now: datetime) -> bool:
    """Give the scope back with how it ended. False: the lease was lost, and a later pass speaks for the scope."""
    fields: dict[str, Any] = {
        "state": ScopeState.IDLE,
        "lease_owner": "",
        "lease_expires_at": None,
        "attempts": 0,
        "outcome": ending.outcome,
        "gap": ending.gap,
        "gap_message": ending.message,
        "next_due_at": _next_due(now),
    }
    if ending.inventory_complete:
        fields["inventory_at"] = now
    if ending.usage_until is not None:
        fields["usage_until"] = ending.usage_until
    if ending.outcome is Outcome.COMPLETE:
        fields["complete_at"] = now
    held = Scope.objects.filter(pk=claim.scope_id, fence=claim.fence, state=ScopeState.LEASED)
    return bool(held.update(**fields))


def _next_due(now: datetime) -> datetime:
    return now + timedelta(hours=settings.IMDSDASH_COLLECT_EVERY_HOURS)


def _outcome_of(gap: GapKind) -> Outcome:
    return Outcome.DENIED if gap in {GapKind.DENIED, GapKind.WRONG_ACCOUNT} else Outcome.INCOMPLETE


def store_page(*, claim: ScopeClaim, facts: Sequence[InstanceFact], seen_at: datetime, now: datetime) -> None:
    """Upsert one page of instances. A known one keeps its verdict until the pass ends. Raises LeaseLost."""
    rows = [_row(claim, fact, seen_at) for fact in facts]
    with transaction.atomic():
        hold(claim=claim, now=now)
        _upsert_page(rows)


def _upsert_page(rows: list[Instance]) -> None:
    _upsert([row for row in rows if row.gone_at is None], SEEN_FIELDS)
    _upsert([row for row in rows if row.gone_at is not None], [*SEEN_FIELDS, "status", "status_reason"])


def _upsert(rows: list[Instance], fields: list[str]) -> None:
    for start in range(0, len(rows), CHUNK):
        Instance.objects.bulk_create(
            rows[start : start + CHUNK],
            update_conflicts=True,
            unique_fields=["account", "region", "instance_id"],
            update_fields=fields,
        )


def _row(claim: ScopeClaim, fact: InstanceFact, seen_at: datetime) -> Instance:
    gone = fact.instance_state == "terminated"
    row = Instance(
        account_id=claim.account_pk,
        region=claim.region,
        instance_id=fact.instance_id,
        tags=dict(fact.tags),
        options_state=fact.options.state,
        first_seen_at=seen_at,
        last_seen_at=seen_at,
        gone_at=seen_at if gone else None,
        # Until the pass ends with its verdict, what is new is unknown.
        status=Status.GONE if gone else Status.UNKNOWN,
        status_reason="Terminated." if gone else "Not judged yet.",
    )
    for name in FACT_FIELDS:
        setattr(row, name, getattr(fact, name))
    for name in OPTION_FIELDS:
        setattr(row, name, getattr(fact.options, name))
    return row


def mark_gone(*, claim: ScopeClaim, seen_at: datetime, now: datetime) -> int:
    """After a COMPLETE inventory: what was not in it is gone. Kept for its history, never deleted. Raises LeaseLost."""
    with transaction.atomic():
        hold(claim=claim, now=now)
        return Instance.objects.filter(
            account_id=claim.account_pk, region=claim.region, gone_at__isnull=True, last_seen_at__lt=seen_at
        ).update(
            gone_at=seen_at,
            status=Status.GONE,
            status_reason="No longer in AWS's inventory.",
            status_since=seen_at,
            instance_state="terminated",
        )


def store_defaults(*, claim: ScopeClaim, fact: DefaultsFact, now: datetime) -> None:
    """The Region's launch defaults as read; NULL is "no preference"."""
    RegionDefaults.objects.update_or_create(
        scope_id=claim.scope_id,
        defaults={
            "http_tokens": fact.http_tokens,
            "http_put_response_hop_limit": fact.http_put_response_hop_limit,
            "http_endpoint": fact.http_endpoint,
            "instance_metadata_tags": fact.instance_metadata_tags,
            "http_tokens_enforced": fact.http_tokens_enforced,
            "managed_by": fact.managed_by,
            "managed_exception_message": fact.managed_exception_message,
            "read_at": now,
        },
    )


def store_usage(
    *,
    claim: ScopeClaim,
    pks: Mapping[str, int],
    series: Sequence[Series],
    metric: str,
    keep_hours_from: date,
    known_until: Mapping[int, datetime],
    now: datetime,
) -> None:
    """Write hourly sums of one metric as days. An hour without a datapoint stays None; a known one is never unlearnt.

    `known_until`: primary key -> the instant up to which, with this answer, all that was asked is known; a pass
    that breaks off goes on from there. Raises LeaseLost.

    `pks`: instance id -> Instance primary key. `metric`: "v1" or "rejected". Days before `keep_hours_from` keep
    their sum and count of measured hours, not the hours.
    """
    by_day = _by_day(pks, series)
    with transaction.atomic():
        hold(claim=claim, now=now)
        if by_day:
            _upsert_days(by_day, metric=metric, keep_hours_from=keep_hours_from)
        for until in set(known_until.values()):
            _known_until(frozenset(pk for pk, known in known_until.items() if known == until), until)


def _upsert_days(by_day: Mapping[tuple[int, date], list[int | None]], *, metric: str, keep_hours_from: date) -> None:
    known = _known_days(by_day, metric)
    rows = []
    for (pk, day), hours in by_day.items():
        old, measured = known.get((pk, day), (readiness.NOTHING, 0))
        if old == readiness.NOTHING and measured > sum(value is not None for value in hours):
            continue  # only the sum of that day is kept, of more hours than this answer has: it stays
        merged = [old[n] if value is None else value for n, value in enumerate(hours)]
        rows.append(_day_row(pk, day, merged, metric=metric, keep=day >= keep_hours_from))
    names = ("v1_calls", "measured_hours", "v1_hours")
    if metric != "v1":
        names = ("rejected_calls", "rejected_measured_hours", "rejected_hours")
    for start in range(0, len(rows), CHUNK * 4):
        InstanceDay.objects.bulk_create(
            rows[start : start + CHUNK * 4],
            batch_size=CHUNK * 2,
            update_conflicts=True,
            unique_fields=["instance", "day"],
            update_fields=list(names),
        )


def _by_day(pks: Mapping[str, int], series: Sequence[Series]) -> dict[tuple[int, date], list[int | None]]:
    found: dict[tuple[int, date], list[int | None]] = {}
    for one in series:
        pk = pks[one.instance_id]
        for at, value in one.points.items():
            moment = at.astimezone(UTC)
            key = (pk, moment.date())
            if key not in found:
                found[key] = [None] * HOURS
            found[key][moment.hour] = round(value)
    return found


def _known_days(
    by_day: Mapping[tuple[int, date], Any], metric: str
) -> dict[tuple[int, date], tuple[readiness.Hours, int]]:
    """What is stored of those days: the hours, as far as they are kept, and how many were measured."""
    pks = {pk for pk, _ in by_day}
    days = [day for _, day in by_day]
    rows = InstanceDay.objects.filter(instance_id__in=pks, day__gte=min(days), day__lte=max(days))
    if metric == "v1":
        return {(row.instance_id, row.day): (evidence.v1_hours(row), row.measured_hours) for row in rows.iterator()}
    return {
        (row.instance_id, row.day): (evidence.rejected_hours(row), row.rejected_measured_hours)
        for row in rows.iterator()
    }


def _day_row(pk: int, day: date, hours: list[int | None], *, metric: str, keep: bool) -> InstanceDay:
    measured = [value for value in hours if value is not None]
    total = sum(measured) if measured else None
    # 24 known hours without a call say nothing that (24 measured, 0 calls) does not.
    dull = len(measured) == HOURS and total == 0
    stored = hours if keep and not dull else None
    row = InstanceDay(instance_id=pk, day=day)
    if metric == "v1":
        row.v1_calls, row.measured_hours, row.v1_hours = total, len(measured), stored
    else:
        row.rejected_calls, row.rejected_measured_hours, row.rejected_hours = total, len(measured), stored
    return row


def judge_scope(*, claim: ScopeClaim, until: datetime | None, now: datetime) -> Counter[str]:
    """Write a verdict on every instance of the scope from what is stored. Returns how many have which status.

    Each instance is judged up to the hour that is known of it. `until`: the hour this pass asked up to, which is
    what holds for one that cannot be asked about (stopped); None when CloudWatch was not asked.
    """
    scope = Scope.objects.get(pk=claim.scope_id)
    window = readiness.Window(
        days=settings.IMDSDASH_WINDOW_DAYS, until=until or scope.usage_until, today=now.astimezone(UTC).date()
    )
    counted: Counter[str] = Counter()
    waived = evidence.waived_until(claim.account_pk, claim.region, window.today)
    live = Instance.objects.filter(account_id=claim.account_pk, region=claim.region, gone_at__isnull=True)
    last = 0
    while chunk := list(live.filter(pk__gt=last).order_by("pk")[:CHUNK]):
        last = chunk[-1].pk
        days = evidence.v1_days([row.pk for row in chunk], window)
        changed = []
        for row in chunk:
            verdict = _judge(row, days.get(row.pk, {}), waived.get(row.pk), window)
            before = [getattr(row, name) for name in VERDICT_FIELDS]
            _apply(row, verdict, now=now)
            if before != [getattr(row, name) for name in VERDICT_FIELDS]:
                changed.append(row)
            counted[verdict.status.value] += 1
        _upsert(changed, VERDICT_FIELDS)
    return counted


def _judge(
    row: Instance, days: dict[date, readiness.Hours], waived: date | None, window: readiness.Window
) -> readiness.Verdict:
    known = window.until if row.instance_state == "stopped" else row.usage_until
    return readiness.judge(evidence.subject(row, days, waived), replace(window, until=known))


def _known_until(pks: frozenset[int], until: datetime) -> None:
    """Every query about these was answered Complete up to here."""
    ordered = sorted(pks)
    for start in range(0, len(ordered), CHUNK):
        Instance.objects.filter(pk__in=ordered[start : start + CHUNK]).update(usage_until=until)


def _apply(row: Instance, verdict: readiness.Verdict, *, now: datetime) -> None:
    if row.status != verdict.status or row.status_since is None:
        row.status_since = now
    row.status = verdict.status
    row.status_reason = verdict.reason
    row.blockers = list(verdict.blockers)
    row.warnings = list(verdict.warnings)
    row.measured_days = verdict.measured_days
    row.window_days = verdict.window_days
    row.v1_calls_window = verdict.v1_calls
    row.last_v1_hour = verdict.last_v1_hour
    if verdict.status is Status.ENFORCED and row.first_enforced_at is None:
        row.first_enforced_at = now


def roll_up(
    *, claim: ScopeClaim, since: date, until: datetime, by_status: Mapping[str, int], complete: bool, now: datetime
) -> None:
    """Rewrite the scope's rollup of every day touched by the pass, from the instance days, in the caller's transaction.

    A day is complete when everything asked in the pass was answered and the day lies wholly before `until`. One
    that was complete stays so, for nothing of it is unlearnt; when it is also older than what is read again, it is
    closed, and not rewritten. Today's row also takes the count by status.
    """
    closed_before = until.date() - timedelta(days=settings.IMDSDASH_OVERLAP_DAYS + 1)
    known = ScopeDay.objects.filter(scope_id=claim.scope_id, day__gte=since, complete=True)
    finished = set(known.values_list("day", flat=True))
    sums = evidence.day_sums(claim.account_pk, claim.region, since)
    owing = evidence.owing_by_day(claim.account_pk, claim.region)
    rows = []
    for offset in range((until.date() - since).days + 1):
        day = since + timedelta(days=offset)
        if day in finished and day < closed_before:
            continue
        told = sums.get(day, evidence.NOTHING_MEASURED)
        silent = sum(count for born, count in owing.items() if born <= day) - told.owing_measured
        rows.append(
            ScopeDay(
                scope_id=claim.scope_id,
                day=day,
                v1_calls=told.v1_calls,
                rejected_calls=told.rejected_calls,
                instances_measured=told.measured,
                instances_calling_v1=told.calling_v1,
                instances_rejecting=told.rejecting,
                instances_expected=told.measured + max(silent, 0),
                complete=day in finished
                or (complete and datetime.combine(day + timedelta(days=1), time(0), UTC) <= until),
            )
        )
    ScopeDay.objects.bulk_create(
        rows,
        batch_size=CHUNK,
        update_conflicts=True,
        unique_fields=["scope", "day"],
        update_fields=[
            "v1_calls",
            "rejected_calls",
            "instances_measured",
            "instances_calling_v1",
            "instances_rejecting",
            "instances_expected",
            "complete",
        ],
    )
    ScopeDay.objects.update_or_create(
        scope_id=claim.scope_id, day=now.astimezone(UTC).date(), defaults={"by_status": dict(by_status)}
    )


def refresh_instance(*, change_instance_id: int, fact: InstanceFact, now: datetime) -> None:
    """A fresh read of one instance after a change of ours: its row and verdict follow at once, not at the next pass."""
    with transaction.atomic():
        row = Instance.objects.select_for_update().get(pk=change_instance_id)
        for name in FACT_FIELDS:
            setattr(row, name, getattr(fact, name))
        for name in OPTION_FIELDS:
            setattr(row, name, getattr(fact.options, name))
        row.options_state = fact.options.state
        row.last_seen_at = now
        row.gone_at = None  # AWS has just shown it
        scope = Scope.objects.get(account_id=row.account_id, region=row.region)
        window = readiness.Window(
            days=settings.IMDSDASH_WINDOW_DAYS, until=scope.usage_until, today=now.astimezone(UTC).date()
        )
        waived = evidence.waived_until(row.account_id, row.region, window.today)
        days = evidence.v1_days([row.pk], window).get(row.pk, {})
        _apply(row, _judge(row, days, waived.get(row.pk), window), now=now)
        row.save(update_fields=[*SEEN_FIELDS, *VERDICT_FIELDS])
