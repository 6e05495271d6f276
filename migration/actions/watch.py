"""The day after: refused calls of what a run has changed, told to people; past the threshold its wave is paused and
putting back just those is proposed.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from migration.actions import audit, notifications, rollback, runs
from migration.actions.errors import Refused
from migration.domain import policy as policies
from migration.domain.watching import Heard, hear, outcome
from migration.domain.words import some
from migration.enums import SETTLED, WATCHED, ChangeState, RequestKind, ResourceKind, RunState, Severity, WatchState
from migration.models import Change, InstanceDay, Run, Wave
from migration.queries.evidence import rejected_hours
from migration.queries.runs import written

if TYPE_CHECKING:
    from migration.domain.readiness import Hours

log = structlog.get_logger(__name__)

WAVE_REASON = 400  # characters of `Wave.paused_because`
DECIDES = {"HttpTokens", "HttpEndpoint"}  # what is sent that decides whether a call is refused
LATE = timedelta(hours=3)  # the last hours of a watch are read by the hourly pass that comes after them


def tend(*, now: datetime) -> int:
    """Look at every run that is watched, and at those that still go on, for what they have changed may be hurt while
    the rest waits for its change window or for a person. Returns how many had refused calls.

    One that cannot be looked at keeps nobody from the others: its error is raised after them.
    """
    calling, broken = 0, list[Exception]()
    going_on = Q(state__in=[RunState.RUNNING, RunState.PAUSED], request__kind__in=WATCHED)
    watched = Run.objects.filter(Q(watch=WatchState.WATCHING) | going_on)
    for run in watched.select_related("account", "request", "wave"):
        try:
            calling += bool(look(run, now=now))
        except Exception as error:
            log.exception("run_not_watched", run_id=run.pk)
            broken.append(error)
    if broken:
        raise ExceptionGroup(f"{some(len(broken), 'run')} could not be looked at", broken)
    return calling


def look(run: Run, *, now: datetime) -> list[Change]:
    """What was heard of the run's instances so far, written down. Returns the changes with refused calls."""
    settled = written(run).filter(state__in=SETTLED, kind=ResourceKind.INSTANCE, called_at__isnull=False)
    changes = list(settled.select_related("instance").order_by("pk"))
    until = min(now, run.watch_until) if run.watch_until else now
    heard = _heard(changes, until=until)
    with transaction.atomic():
        called_before = {change.pk for change in changes if change.rejected_calls}
        moved = [change for change in changes if _write_down(change, heard[change.pk])]
        Change.objects.bulk_update(moved, ["rejected_calls", "rejected_hour"], batch_size=500)
        calling = [change for change in changes if change.rejected_calls]
        if calling and moved:
            _tell(run, calling, more=any(change.pk not in called_before for change in calling), now=now)
        told = [replace(heard[change.pk], calls=change.rejected_calls) for change in changes]
        if run.watch_until is not None and _is_over(told, since=now - run.watch_until):
            _end(run, told, now=now)
    return calling


def _heard(changes: Sequence[Change], *, until: datetime) -> dict[int, Heard]:
    since = {change.instance_id: change.called_at for change in changes if change.called_at}
    ends = _ends(changes)
    days: dict[int, dict[date, Hours]] = {}
    if since:
        first = min(since.values()).astimezone(UTC).date()
        rows = InstanceDay.objects.filter(instance__in=list(since), day__gte=first, rejected_measured_hours__gt=0)
        for row in rows.iterator(chunk_size=2000):
            days.setdefault(row.instance_id, {})[row.day] = rejected_hours(row)
    return {
        change.pk: hear(
            days.get(change.instance_id or 0, {}), since=change.called_at, until=min(until, ends.get(change.pk, until))
        )
        for change in changes
        if change.called_at
    }


def _ends(changes: Sequence[Change]) -> dict[int, datetime]:
    """When another run put an instance back or required it anew: what is refused from then on is not this run's."""
    mine = {change.instance_id: change for change in changes}
    rows = Change.objects.filter(instance__in=list(mine), state=ChangeState.VERIFIED, called_at__isnull=False)
    ends: dict[int, datetime] = {}
    for instance, at, send in rows.order_by("-called_at").values_list("instance_id", "called_at", "send"):
        change = mine[instance]
        if at is not None and change.called_at is not None and at > change.called_at and DECIDES & send.keys():
            ends[change.pk] = at
    return ends


def _write_down(change: Change, heard: Heard) -> bool:
    """Put it on the row; False when it says nothing new. What was heard once stays: an old day loses its hours."""
    if (heard.calls or 0) < (change.rejected_calls or 0):
        return False
    if (change.rejected_calls, change.rejected_hour) == (heard.calls, heard.last):
        return False
    change.rejected_calls, change.rejected_hour = heard.calls, heard.last
    return True


def _tell(run: Run, calling: list[Change], *, more: bool, now: datetime) -> None:
    """Who calls, what it belongs to, what to do. Beyond the policy's threshold neither the run nor its wave goes on.

    `more`: one of them had not called before. Only that holds up again what a person has let go on.
    """
    terms = policies.of_plan(run.request.plan.get("policy") or {})
    together = _calling_in_wave(run, len(calling))
    beyond = together > terms.max_rejecting
    if beyond and more:
        _hold_up(run, len(calling), together, now=now)
        _propose(run, calling, now=now)
    notifications.add(
        key=f"watch-{run.pk}-{len(calling)}",
        kind="refused_calls",
        subject=f"Run {run.pk}: {len(calling):,} of its instances {_have(len(calling))} IMDSv1 calls refused",
        lines=[_line(change) for change in calling],
        path=f"/runs/{run.pk}/",
        account=run.account,
        severity=Severity.CRITICAL if beyond else Severity.WARNING,
        now=now,
    )


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _line(change: Change) -> str:
    row = change.instance
    of = f" of {row.asg_name}" if row is not None and row.asg_name else ""
    when = f", last in the hour of {change.rejected_hour:%Y-%m-%d %H:%M} UTC" if change.rejected_hour else ""
    return (
        f"{change.name or change.resource_id}{of}: {change.rejected_calls:,} refused{when}. Update what calls on it, "
        "or put it back before its cached credentials run out (about six hours)."
    )


def _calling_in_wave(run: Run, own: int) -> int:
    """Instances with refused calls of all runs of the wave: it is the wave that pauses beyond the policy's number."""
    if run.wave is None:
        return own
    others = Change.objects.filter(run__wave=run.wave, rejected_calls__gt=0).exclude(run=run)
    return own + others.values("instance").distinct().count()


def _hold_up(run: Run, calling: int, together: int, *, now: datetime) -> None:
    """Pause what is still to come: the rest of this run, the wave's other runs, and those that would begin. What puts
    back goes on.

    The rows of the runs and of the wave are locked before the first event is written, for whoever has locked one of
    them waits for the log.
    """
    mine = Q(pk=run.pk)
    if run.wave is not None:
        mine |= Q(wave=run.wave, state=RunState.RUNNING) & ~Q(request__kind=RequestKind.ROLLBACK)
    rows = Run.objects.select_for_update(of=("self",)).select_related("account").filter(mine)
    held = list(rows.order_by("pk"))
    wave = Wave.objects.select_for_update().get(pk=run.wave.pk) if run.wave is not None else None
    others = f", {together:,} with the other runs of the wave" if together > calling else ""
    reason = f"{some(calling, 'instance')} of run {run.pk} {_have(calling)} IMDSv1 calls refused{others}."
    for own in (one for one in held if one.pk == run.pk):
        runs.pause(run=own, reason=f"{reason} Put back what calls, or resume if that is known to be harmless.", now=now)
    if wave is None:
        return
    if reason in wave.paused_because:
        return  # a look beside this one was first
    because = f"{wave.paused_because} {reason}".strip()[:WAVE_REASON]
    Wave.objects.filter(pk=wave.pk).update(paused_because=because, version=F("version") + 1)
    audit.append(verb="wave.paused", object_type="Wave", object_id=wave.pk, reason=reason, now=now)
    for other in held:
        runs.pause(run=other, reason=f"Its wave {wave.name} is paused: {reason}", now=now)


def _propose(run: Run, calling: list[Change], *, now: datetime) -> None:
    """A draft that puts back just those, in the name of who asked for the run; deciding is for people."""
    owner = run.request.requested_by
    if owner is None:
        return
    try:
        rollback.propose(run=run, owner=owner, changes=calling, now=now)
    except Refused as refusal:
        log.info("no_rollback_proposed", run_id=run.pk, why=str(refusal))


def _is_over(heard: list[Heard], *, since: timedelta) -> bool:
    """`since`: the last hour of the watch. What is still unknown then may come with the next daily pass."""
    whole = all(one.known == one.hours for one in heard)
    return since >= (LATE if whole else LATE + timedelta(hours=settings.IMDSDASH_USAGE_EVERY_HOURS))


def _end(run: Run, heard: list[Heard], *, now: datetime) -> None:
    state = outcome(heard)
    if Run.objects.filter(pk=run.pk, watch=WatchState.WATCHING).update(watch=state, watched_at=now):
        audit.append(
            verb=f"run.watch_{state}",
            object_type="Run",
            object_id=run.pk,
            account_id=run.account.account_id,
            after={"instances": len(heard), "calling": sum(bool(one.calls) for one in heard)},
            now=now,
        )
