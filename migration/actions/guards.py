"""The guards between an approval and a call to AWS, each looked at afresh before every one: take one away, and a test
must fail.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, QuerySet, TextField
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast

from migration.actions import runs
from migration.domain import ladder, rollout, windows
from migration.domain import plan as plans
from migration.domain import policy as policies
from migration.domain.plan import Key
from migration.domain.words import inner, some
from migration.enums import ChangeState, RequestKind, RequestState, RunState, Status
from migration.models import Change, EnforcementRequest, Instance, Run
from migration.queries import decisions
from migration.queries import runs as run_rows
from migration.queries.planning import stale_because
from migration.queries.policies import brake_reason
from migration.queries.rungs import enforcement_harms

MAX_ATTEMPTS = 3  # claims that ended without a word; a change that kills its worker is parked, not retried for ever
IN_FLIGHT = (ChangeState.LEASED, ChangeState.CALLING, ChangeState.APPLIED, ChangeState.UNKNOWN)
# Ready, or already what the plan wants (then the live read skips it). Any other verdict since the plan is a no.
STILL_GOOD = frozenset({Status.READY, Status.ENFORCED, Status.PENDING})


@dataclass(frozen=True, slots=True)
class Kept:
    """What the guards ask of a plan."""

    digest: str
    account_id: str
    policy: dict[str, Any]
    plan: dict[str, Any]


_READ: dict[str, Kept] = {}  # by the version of the row, or by the SHA-256 of the stored text
MOST_READ = 64  # more runs than one process drives at once; a plan of thousands takes megabytes
# PostgreSQL's own mark of a version of a row: whoever changes the row, by whatever way, makes a version with another
# (PostgreSQL 5.6, System Columns). The plan itself need not come over for every call, which for one of thousands of
# changes costs more than all the other guards.
VERSION = RawSQL('"migration_enforcementrequest".xmin::text || "migration_enforcementrequest".ctid::text', ())


def kept(request: EnforcementRequest) -> Kept:
    """The plan as it is stored now; looked at once for each copy of the row.

    The database is asked before every call to AWS whether it is still the same. Parsing a plan of thousands of changes
    and putting it into its canonical form is done once a process for one and the same text.
    """
    found: Kept | None = request.__dict__.get("_kept")
    if found is None:
        rows = EnforcementRequest.objects.filter(pk=request.pk)
        found = _of_version(rows) if connection.vendor == "postgresql" else _of_text(rows)
        request.__dict__["_kept"] = found
    return found


def _of_version(rows: QuerySet[EnforcementRequest]) -> Kept:
    versions = rows.annotate(row=VERSION)
    pk, row = versions.values_list("pk", "row").get()
    found = _READ.get(f"{pk} {row}")
    if found is None:
        row, text = versions.annotate(text=Cast("plan", TextField())).values_list("row", "text").get()
        found = _remember(f"{pk} {row}", text)
    return found


def _of_text(rows: QuerySet[EnforcementRequest]) -> Kept:
    text = rows.annotate(text=Cast("plan", TextField())).values_list("text", flat=True).get()
    key = hashlib.sha256(text.encode()).hexdigest()
    return _READ.get(key) or _remember(key, text)


def _remember(key: str, text: str) -> Kept:
    plan = json.loads(text)
    told = plan if isinstance(plan, dict) else {}
    if len(_READ) >= MOST_READ:
        _READ.clear()
    _READ[key] = Kept(plans.digest(plan), str(told.get("account_id", "")), told.get("policy") or {}, told)
    return _READ[key]


def may_go_on(run: Run, *, now: datetime) -> bool:
    """The guards of the run as a whole. What a person must look at pauses it, with the reason; a run that has nothing
    left to begin is not paused any more, so that it can finish.
    """
    if run.state != RunState.RUNNING:
        return False
    reason = brake_reason() or _approval_gone(run.request, now=now) or _wave_paused(run)
    over = rollout.over_budget(count := seen(run), max_failures=run.max_failures)
    if not reason and not over:
        return True
    left = run.changes.filter(state__in=[ChangeState.PENDING, ChangeState.LEASED]).exists()
    if left and not reason:
        failed = some(count.failed, "change")
        reason = f"{failed} failed, more than the {run.max_failures} that may. A person must look."
    if left and reason:
        runs.pause(run=run, reason=reason, now=now)
    return not reason


def _approval_gone(request: EnforcementRequest, *, now: datetime) -> str:
    """Why the approval does not carry a call now, or "". Approved by enough others, unexpired, for this very plan."""
    if request.state != RequestState.APPROVED:
        return "The request is not approved, so nothing may be changed."
    if kept(request).digest != request.plan_hash:
        return "The plan is not the one that was approved, so nothing may be changed."
    if kept(request).account_id != request.account.account_id:
        return "The plan is of another account, so nothing may be changed."
    if decisions.still_missing(request) and not decisions.policy_carries(request):
        return (
            "Fewer people than it takes stand behind the request now: one has left, or may no longer decide here. "
            "Nothing may be changed until that is mended; else stop the run and make a new plan."
        )
    if request.expires_at <= now:
        return "The approval has expired. Stop the run and make a new plan from today's data."
    return ""


def _wave_paused(run: Run) -> str:
    if run.wave is None or not run.wave.paused_because or run.request.kind == RequestKind.ROLLBACK:
        return ""
    return f"Its wave {run.wave.name} is paused: {run.wave.paused_because}"


def now_is_the_time(run: Run, *, now: datetime) -> bool:
    """Is the change window open? If not, the run knows until when it waits. An emergency never waits."""
    window = policies.of_plan(kept(run.request).policy).window
    if run.request.emergency or windows.is_open(window, now):
        if run.waits_until is not None:
            Run.objects.filter(pk=run.pk).update(waits_until=None)
        return True
    if window is not None and (run.waits_until is None or run.waits_until <= now):
        Run.objects.filter(pk=run.pk).update(waits_until=windows.opens_next(window, now))
    return False


def seen(run: Run) -> rollout.Seen:
    """What the run has come to, counted under its lock."""
    counts = dict(run.changes.order_by().values_list("state").annotate(Count("pk")))
    return rollout.Seen(
        verified=counts.get(ChangeState.VERIFIED, 0),
        in_flight=sum(counts.get(state, 0) for state in IN_FLIGHT),
        failed=counts.get(ChangeState.FAILED, 0),
        forgiven=run.failures_forgiven,
    )


def taken_over(run: Run, changes: Sequence[Change]) -> dict[int, Change]:
    """Of these changes that put something back, by key, the change of a later run that has sent it anew since."""
    undone = {change.undoes.pk: change for change in changes if change.undoes is not None}
    if run.request.undoes is None or not undone:
        return {}
    later = run_rows.sent_after(run.request.undoes).filter(resource_id__in={change.resource_id for change in changes})
    found = run_rows.taken_over([change.undoes for change in undone.values() if change.undoes is not None], later)
    return {undone[pk].pk: other for pk, other in found.items()}


def _verdict_since(row: Instance, run: Run, *, closed: frozenset[str], now: datetime) -> str:
    """What has been learnt of the instance since the plan that speaks against the change, or ""."""
    status = Status(row.status)
    if run.request.kind == RequestKind.IMDS_OFF and status is Status.IN_USE:
        return f"It calls IMDSv1 by now: {row.status_reason}"
    if run.request.kind != RequestKind.ENFORCE:
        return ""
    if status not in STILL_GOOD:
        return f"No longer ready, but {inner(status.label)}: {row.status_reason}"
    if status is not Status.READY:
        return ""
    against = "; ".join(row.blockers) or stale_because(row, closed=closed, now=now)
    return f"No longer ready: {against}" if against else ""


def not_now(
    change: Change,
    run: Run,
    *,
    planned: dict[Key, Any],
    closed: frozenset[str],
    taken: Mapping[int, Change],
    now: datetime,
) -> tuple[str, str]:
    """Why this change is not to be made, and its error class; a skip has none. ("", "") means: go on.

    `planned`: the changes of the plan; `closed`: Regions that cannot be read; `taken`: as `taken_over`.
    """
    item = planned.get((str(change.kind), change.region, change.resource_id))
    if item is None or item["before"] != change.before or item["send"] != change.send:
        return "It is not in the approved plan as it stands here.", "not_in_plan"
    if change.target_account_id != run.account.account_id:
        return "It is of another account than its run.", "not_in_plan"
    if change.needs is not None and change.needs.state != ChangeState.VERIFIED:
        return f"What it needs first was not done: {change.needs.reason}"[:400], ""
    if change.instance is not None and (reason := _verdict_since(change.instance, run, closed=closed, now=now)):
        return reason, ""
    enforces = run.request.kind == RequestKind.ENFORCEMENT or ladder.switches_on(change.send)
    if enforces and (harm := enforcement_harms(run.account, change.region, now=now)):
        return f"No longer safe to enforce: {harm}"[:400], ""
    if other := taken.get(change.pk):
        return f"Run {other.run_id} has sent it anew since, so it is that run's to put back.", ""
    if change.attempts >= MAX_ATTEMPTS:
        return f"Given up after {change.attempts} attempts that ended without a word.", "attempts"
    return "", ""
