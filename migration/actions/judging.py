"""A verdict on every instance from what is stored, written where it changed."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db import transaction

from migration.actions import bulk, collection
from migration.actions.collection import ScopeClaim
from migration.actions.inventory import FACT_FIELDS, OPTION_FIELDS, SEEN_FIELDS
from migration.domain import readiness
from migration.domain.facts import InstanceFact
from migration.enums import Status
from migration.models import Instance, Scope
from migration.queries import evidence

CHUNK = 1000
VERDICT_FIELDS = (
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
    "watch_until",
)


def judge_scope(*, claim: ScopeClaim, until: datetime | None, now: datetime) -> Counter[str]:
    """Write a verdict on every instance of the scope from what is stored. Returns how many have which status.

    Each instance is judged up to the hour that is known of it. `until`: the hour this pass asked up to, which is
    what holds for one that cannot be asked about (stopped); None when CloudWatch was not asked. Written chunk by
    chunk, so that a large scope keeps nobody waiting. Raises LeaseLost.
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
        with transaction.atomic():
            collection.hold(claim=claim)
            _write(changed)
    return counted


def _judge(
    row: Instance, days: dict[date, readiness.Hours], waived: date | None, window: readiness.Window
) -> readiness.Verdict:
    known = window.until if row.instance_state == "stopped" else row.usage_until
    return readiness.judge(evidence.subject(row, days, waived), replace(window, until=known))


def _write(rows: list[Instance]) -> None:
    """The verdicts of rows that exist: found by their key, so the other columns are never inserted."""
    columns = ("account_id", "region", "instance_id", *NEEDED, *VERDICT_FIELDS)
    bulk.upsert(
        Instance,
        ([getattr(row, name) for name in columns] for row in rows),
        columns=columns,
        unique=("account_id", "region", "instance_id"),
        update=VERDICT_FIELDS,
    )


# What a row must have to be a row at all; all of these exist, and are never inserted.
NEEDED = ("instance_state", "first_seen_at", "last_seen_at")


def _apply(row: Instance, verdict: readiness.Verdict, *, now: datetime) -> None:
    seen_before = row.status_since is not None
    if verdict.status is Status.ENFORCED and row.status != verdict.status and seen_before:
        # It was not so when last looked at: what breaks now is seen in its rejected calls.
        row.watch_until = now + timedelta(days=settings.IMDSDASH_WATCH_DAYS)
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
        if row.watch_until is not None and scope.watch_due_at is None:
            collection.watch_from(scope=scope, at=now + collection.cadence("watch"))
