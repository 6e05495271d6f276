"""What AWS said becomes rows: inventory, defaults, usage, rollups, verdicts. Set-based, and safe to repeat."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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


def claim_scope(*, scope: Scope, owner: str, now: datetime) -> ScopeClaim | None:
    """Take the scope for one pass, or None while a living worker has it."""
    free = Q(state=ScopeState.IDLE) | Q(state=ScopeState.LEASED, lease_expires_at__lte=now)
    taken = Scope.objects.filter(free, pk=scope.pk, fence=scope.fence).update(
        state=ScopeState.LEASED,
        fence=F("fence") + 1,
        attempts=F("attempts") + 1,
        lease_owner=owner,
        lease_expires_at=now + timedelta(seconds=max(settings.IMDSDASH_LEASE_SECONDS, 900)),
        last_started_at=now,
    )
    if not taken:
        return None
    return ScopeClaim(scope.pk, scope.fence + 1, scope.account_id, scope.account.account_id, scope.region)


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
    return bool(Scope.objects.filter(pk=claim.scope_id, fence=claim.fence).update(**fields))


def _next_due(now: datetime) -> datetime:
    return now + timedelta(hours=settings.IMDSDASH_COLLECT_EVERY_HOURS)


def _outcome_of(gap: GapKind) -> Outcome:
    return Outcome.DENIED if gap in {GapKind.DENIED, GapKind.WRONG_ACCOUNT} else Outcome.INCOMPLETE


def store_page(*, claim: ScopeClaim, facts: Sequence[InstanceFact], seen_at: datetime) -> None:
    """Upsert one page of instances. A known one keeps its verdict until the pass ends with the next one."""
    rows = [_row(claim, fact, seen_at) for fact in facts]
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


def mark_gone(*, claim: ScopeClaim, seen_at: datetime) -> int:
    """After a COMPLETE inventory: what was not in it is gone. Kept for its history, never deleted."""
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


def store_usage(*, pks: Mapping[str, int], series: Sequence[Series], metric: str, keep_hours_from: date) -> None:
    """Write hourly sums of one metric as days. An hour without a datapoint stays None; a known one is never unlearnt.

    `pks`: instance id -> Instance primary key. `metric`: "v1" or "rejected". Days before `keep_hours_from` keep
    their sum and count of measured hours, not the hours.
    """
    by_day = _by_day(pks, series)
    if not by_day:
        return
    known = _known_hours(by_day, metric)
    rows = []
    for (pk, day), hours in by_day.items():
        old = known.get((pk, day))
        merged = hours if old is None else [old[n] if value is None else value for n, value in enumerate(hours)]
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


def _known_hours(by_day: Mapping[tuple[int, date], Any], metric: str) -> dict[tuple[int, date], readiness.Hours]:
    pks = {pk for pk, _ in by_day}
    days = [day for _, day in by_day]
    rows = InstanceDay.objects.filter(instance_id__in=pks, day__gte=min(days), day__lte=max(days))
    unpack = evidence.v1_hours if metric == "v1" else evidence.rejected_hours
    return {(row.instance_id, row.day): unpack(row) for row in rows.iterator(chunk_size=2000)}


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


def judge_scope(
    *, claim: ScopeClaim, until: datetime | None, incomplete: frozenset[int], asked: frozenset[int], now: datetime
) -> Counter[str]:
    """Write a verdict on every instance of the scope from what is stored. Returns how many have which status.

    `until`: the instant CloudWatch was asked up to in this pass, None when it was not asked. `asked`, `incomplete`:
    primary keys that were asked about, and those of them whose answer was not Complete.
    """
    scope = Scope.objects.get(pk=claim.scope_id)
    window = readiness.Window(
        days=settings.IMDSDASH_WINDOW_DAYS, until=until or scope.usage_until, today=now.astimezone(UTC).date()
    )
    counted: Counter[str] = Counter()
    rows = list(Instance.objects.filter(account_id=claim.account_pk, region=claim.region, gone_at__isnull=True))
    waived = evidence.waived_until(claim.account_pk, claim.region, window.today)
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        days = evidence.v1_days([row.pk for row in chunk], window)
        changed = []
        for row in chunk:
            verdict = readiness.judge(evidence.subject(row, days.get(row.pk, {}), waived.get(row.pk)), window)
            before = [getattr(row, name) for name in VERDICT_FIELDS]
            _apply(row, verdict, now=now)
            if before != [getattr(row, name) for name in VERDICT_FIELDS]:
                changed.append(row)
            counted[verdict.status.value] += 1
        _upsert(changed, VERDICT_FIELDS)
    if until is not None:
        _known_until(asked - incomplete, until)
    return counted


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

    A day is complete when the pass was and the day lies wholly before `until`. Today's row also takes the
    count by status.
    """
    live = Instance.objects.filter(account_id=claim.account_pk, region=claim.region)
    optional_born = [
        (pk, born.astimezone(UTC).date() if born else date.min)
        for pk, born in live.filter(
            gone_at__isnull=True,
            http_tokens="optional",
            operator_managed=False,
            instance_state="running",
        )
        .exclude(http_endpoint="disabled")
        .values_list("pk", "first_launched_at")
    ]
    measured_on: dict[date, set[int]] = defaultdict(set)
    for pk, day in InstanceDay.objects.filter(instance__in=live, day__gte=since, measured_hours__gt=0).values_list(
        "instance_id", "day"
    ):
        measured_on[day].add(pk)
    sums = evidence.day_sums(claim.account_pk, claim.region, since)
    # A day that was complete once stays so: what is known of it is never unlearnt by a poorer pass.
    finished = set(
        ScopeDay.objects.filter(scope_id=claim.scope_id, day__gte=since, complete=True).values_list("day", flat=True)
    )
    today = now.astimezone(UTC).date()
    rows = []
    for offset in range((until.date() - since).days + 1):
        day = since + timedelta(days=offset)
        told = sums.get(day, evidence.NOTHING_MEASURED)
        silent = sum(born <= day and pk not in measured_on[day] for pk, born in optional_born)
        rows.append(
            ScopeDay(
                scope_id=claim.scope_id,
                day=day,
                v1_calls=told.v1_calls,
                rejected_calls=told.rejected_calls,
                instances_measured=told.measured,
                instances_calling_v1=told.calling_v1,
                instances_rejecting=told.rejecting,
                instances_expected=told.measured + silent,
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
        scope_id=claim.scope_id, day=today, defaults={"by_status": dict(by_status)}, create_defaults={
            "by_status": dict(by_status), "complete": False,
        }
    )  # fmt: skip


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
        scope = Scope.objects.get(account_id=row.account_id, region=row.region)
        window = readiness.Window(
            days=settings.IMDSDASH_WINDOW_DAYS, until=scope.usage_until, today=now.astimezone(UTC).date()
        )
        waived = evidence.waived_until(row.account_id, row.region, window.today)
        days = evidence.v1_days([row.pk], window).get(row.pk, {})
        verdict = readiness.judge(evidence.subject(row, days, waived.get(row.pk)), window)
        _apply(row, verdict, now=now)
        row.save(update_fields=[*SEEN_FIELDS, *VERDICT_FIELDS])
