"""Steering a run: start, pause, resume, stop, finish. In-flight calls are never cut off; the next one is not begun."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q

from migration.actions import moves
from migration.actions.errors import Refused
from migration.actions.refusals import may, told
from migration.domain import policy as policies
from migration.domain.permissions import Action
from migration.domain.words import some
from migration.enums import ACTIVE_RUN, SETTLED, WATCHED, CanaryState, ChangeState, RequestKind, RunState, WatchState
from migration.models import Run
from migration.queries.policies import brake_reason
from migration.queries.runs import written

REASON = 400  # characters of `Run.state_reason`


def start(*, run: Run, now: datetime) -> bool:
    """Queued -> running. False when somebody else started it, or it waits for a person: only `resume` ends a pause."""
    if run.state != RunState.QUEUED:
        return False
    try:
        moves.move(run, RunState.RUNNING, now=now, fields={"started_at": now})
    except (moves.Lost, moves.NoSuchMove):
        return False
    return True


def pause(*, run: Run, reason: str, now: datetime) -> bool:
    """Running -> paused, by the system, with the reason a person will read."""
    try:
        moves.move(run, RunState.PAUSED, now=now, reason=reason, fields={"state_reason": reason[:REASON]})
    except (moves.Lost, moves.NoSuchMove):
        return False
    return True


@told
def hold(*, run: Run, by: User, reason: str, now: datetime) -> Run:
    """Running -> paused, by a person: no further call is begun until somebody resumes it. Raises Refused."""
    _may_steer(run, by=by, now=now)
    said = f"Paused by {by.get_username()}" + (f": {reason}" if reason else ".")
    try:
        moves.move(run, RunState.PAUSED, now=now, by=by, reason=reason, fields={"state_reason": said[:REASON]})
    except (moves.Lost, moves.NoSuchMove) as error:
        raise Refused(f"The run is {run.get_state_display().lower()}, so it cannot be paused.") from error
    return run


@told
def resume(*, run: Run, by: User, now: datetime) -> Run:
    """Paused -> running, by a person; the failures so far are forgiven, new ones count afresh, and what the canary
    showed is accepted. Raises Refused.
    """
    _may_steer(run, by=by, now=now)
    if run.request.expires_at <= now:
        raise Refused("The approval has expired, so the run cannot go on. Stop it and make a new plan.")
    if brake := brake_reason():
        raise Refused(f"{brake}. Nothing was changed; release the brake first.")
    if run.wave is not None and run.wave.paused_because and run.request.kind != RequestKind.ROLLBACK:
        raise Refused(f"The wave {run.wave.name} is paused: {run.wave.paused_because} Resume the wave first.")
    failed = run.changes.filter(state=ChangeState.FAILED).count()
    fields: dict[str, Any] = {"state_reason": "", "failures_forgiven": failed}
    if run.canary in {CanaryState.CALLED, CanaryState.SILENT}:
        fields["canary"] = CanaryState.ACCEPTED
    try:
        moves.move(run, RunState.RUNNING, now=now, by=by, fields=fields)
    except (moves.Lost, moves.NoSuchMove) as error:
        raise Refused(f"The run is {run.get_state_display().lower()}, so it cannot be resumed.") from error
    return run


@told
def stop(*, run: Run, by: User, now: datetime) -> Run:
    """End the run: no further call is begun from here on. Raises Refused.

    Only the run's row moves here. What waits is skipped afterwards by a worker, each change by itself, so that a
    stop never waits for, nor deadlocks with, a worker in the middle of a claim; what is in flight is reconciled
    and verified.
    """
    _may_steer(run, by=by, now=now)
    reason = f"Stopped by {by.get_username()}."
    try:
        fields = {"state_reason": reason, "finished_at": now, **watch_from(run, now=now)}
        moves.move(run, RunState.STOPPED, now=now, by=by, fields=fields)
    except (moves.Lost, moves.NoSuchMove) as error:
        raise Refused(f"The run is {run.get_state_display().lower()}, so it cannot be stopped.") from error
    return run


def take_the_wheel(*, run_id: int, driver: str, seconds: float, now: datetime) -> bool:
    """Become, or stay, the one worker that drives the run. False while another one lives."""
    free = Q(driver="") | Q(driver=driver) | Q(driver_expires_at__isnull=True) | Q(driver_expires_at__lte=now)
    taken = Run.objects.filter(free, pk=run_id).update(
        driver=driver, driver_expires_at=now + timedelta(seconds=seconds)
    )
    return bool(taken)


def leave_the_wheel(*, run_id: int, driver: str) -> None:
    """Let the next one drive."""
    Run.objects.filter(pk=run_id, driver=driver).update(driver="", driver_expires_at=None)


def finish(*, run_id: int, now: datetime) -> bool:
    """Running -> done or failed once every change is settled. True when nothing of the run is left to do.

    A stopped run is over, and still has to learn what became of the calls that were in flight.
    """
    run = Run.objects.select_related("account").get(pk=run_id)
    unsettled = run.changes.exclude(state__in=SETTLED).exists()
    if run.state not in ACTIVE_RUN:
        return not unsettled
    if run.state != RunState.RUNNING or unsettled:
        return False
    failed = run.changes.filter(state=ChangeState.FAILED).count()
    to = RunState.FAILED if failed else RunState.DONE
    reason = f"{failed} of {some(run.changes.count(), 'change')} failed." if failed else ""
    try:
        fields = {"finished_at": now, "state_reason": reason, **watch_from(run, now=now)}
        moves.move(run, to, now=now, reason=reason, fields=fields)
    except moves.Lost:
        return False
    return True


def watch_from(run: Run, *, now: datetime) -> dict[str, Any]:
    """The fields that begin the watch over what the run has required; none when there is nothing to watch."""
    hours = policies.of_plan(run.request.plan.get("policy") or {}).watch_hours
    if not hours or run.request.kind not in WATCHED or not written(run).exists():
        return {}
    return {"watch": WatchState.WATCHING, "watch_until": now + timedelta(hours=hours)}


def _may_steer(run: Run, *, by: User, now: datetime) -> None:
    may(by, Action.STEER, run, now=now, doing="steer runs")
