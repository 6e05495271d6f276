"""The guards between an approval and a call to AWS, each looked at afresh before every one: take one away, and a test
must fail.
"""

from datetime import datetime
from typing import Any

from django.db.models import Count

from migration.actions import runs
from migration.domain import plan as plans
from migration.domain import policy as policies
from migration.domain import rollout, windows
from migration.domain.plan import Key
from migration.enums import ChangeState, RequestKind, RequestState, RunState, Status
from migration.models import Change, EnforcementRequest, Run
from migration.queries import decisions
from migration.queries.planning import stale_because
from migration.queries.policies import brake_reason
from migration.queries.rungs import enforcement_harms

MAX_ATTEMPTS = 3  # claims that ended without a word; a change that kills its worker is parked, not retried for ever
IN_FLIGHT = (ChangeState.LEASED, ChangeState.CALLING, ChangeState.APPLIED, ChangeState.UNKNOWN)
# Ready, or already what the plan wants (then the live read skips it). Any other verdict since the plan is a no.
STILL_GOOD = frozenset({Status.READY, Status.ENFORCED, Status.PENDING})


def may_go_on(run: Run, *, now: datetime) -> bool:
    """The guards of the run as a whole. What a person must look at pauses it, with the reason."""
    if run.state != RunState.RUNNING:
        return False
    reason = brake_reason() or _approval_gone(run.request, now=now) or _wave_paused(run)
    if not reason and rollout.over_budget(count := seen(run), max_failures=run.max_failures):
        left = run.changes.filter(state__in=[ChangeState.PENDING, ChangeState.LEASED])
        if left.exists():
            reason = f"{count.failed} changes failed; {run.max_failures} may. A person must look."
    if reason:
        runs.pause(run=run, reason=reason, now=now)
    return not reason


def _approval_gone(request: EnforcementRequest, *, now: datetime) -> str:
    """Why the approval does not carry a call now, or "". Approved by enough others, unexpired, for this very plan."""
    if request.state != RequestState.APPROVED:
        return "The request is not approved, so nothing may be changed."
    if plans.digest(request.plan) != request.plan_hash:
        return "The plan is not the one that was approved, so nothing may be changed."
    if request.plan["account_id"] != request.account.account_id:
        return "The plan is of another account, so nothing may be changed."
    if decisions.still_missing(request) and not decisions.policy_carries(request):
        return "The request is not approved by as many as it takes, so nothing may be changed."
    if request.expires_at <= now:
        return "The approval has expired. Stop the run and make a new plan from today's data."
    return ""


def _wave_paused(run: Run) -> str:
    if run.wave is None or not run.wave.paused_because or run.request.kind == RequestKind.ROLLBACK:
        return ""
    return f"Its wave {run.wave.name} is paused: {run.wave.paused_because}"


def now_is_the_time(run: Run, *, now: datetime) -> bool:
    """Is the change window open? If not, the run knows until when it waits. An emergency never waits."""
    window = policies.of_plan(run.request.plan.get("policy") or {}).window
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


def not_now(
    change: Change, run: Run, *, planned: dict[Key, Any], closed: frozenset[str], now: datetime
) -> tuple[str, str]:
    """Why this change is not to be made, and its error class; a skip has none. ("", "") means: go on."""
    item = planned.get((str(change.kind), change.region, change.resource_id))
    if item is None or item["before"] != change.before or item["send"] != change.send:
        return "It is not in the approved plan as it stands here.", "not_in_plan"
    if change.target_account_id != run.account.account_id:
        return "It is of another account than its run.", "not_in_plan"
    if change.needs is not None and change.needs.state != ChangeState.VERIFIED:
        return f"What it needs first was not done: {change.needs.reason}"[:400], ""
    if change.instance is not None and run.request.kind == RequestKind.ENFORCE:
        status = Status(change.instance.status)
        if status not in STILL_GOOD:
            return f"No longer ready, but {status.label.lower()}: {change.instance.status_reason}", ""
        stale = stale_because(change.instance, closed=closed, now=now) if status is Status.READY else ""
        if stale:
            return f"No longer ready: {stale}", ""
    if run.request.kind == RequestKind.ENFORCEMENT and (harm := enforcement_harms(run.account, change.region, now=now)):
        return f"No longer safe to enforce: {harm}"[:400], ""
    if change.attempts >= MAX_ATTEMPTS:
        return f"Given up after {change.attempts} attempts that ended without a word.", "attempts"
    return "", ""
