"""The first change of a run goes alone, and what its instance shows afterwards decides whether the rest follows."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from migration.actions import audit, guards, notifications, runs
from migration.domain import policy as policies
from migration.domain.words import some
from migration.enums import WATCHED, CanaryState, ChangeState, ResourceKind, RunState, Severity
from migration.models import Change, Run

LOOK = timedelta(seconds=60)  # between two looks at CloudWatch
GOOD = (CanaryState.QUIET, CanaryState.ACCEPTED)
NEEDS_A_PERSON = (CanaryState.CALLED, CanaryState.SILENT)


def holds(run: Run, *, now: datetime) -> bool:
    """Must the rest of the run wait for its canary? Call it under the lock of the run's row.

    The watch begins with the first verified change, and only where the policy gives it minutes.
    """
    if run.canary in GOOD or run.request.kind not in WATCHED:
        return False
    minutes = policies.of_plan(guards.kept(run.request).policy).canary_minutes
    first = canary_of(run)
    if not minutes or first is None or not run.changes.filter(state=ChangeState.PENDING).exists():
        return False
    Run.objects.filter(pk=run.pk).update(waits_until=now + LOOK)  # nobody need drive it meanwhile
    if run.canary == CanaryState.NONE:
        until = now + timedelta(minutes=minutes)
        Run.objects.filter(pk=run.pk).update(canary=CanaryState.WATCHING, canary_until=until)
        _told(run, CanaryState.WATCHING, f"{first.resource_id} is watched until {until:%Y-%m-%d %H:%M} UTC.", now=now)
    return True


def canary_of(run: Run) -> Change | None:
    """The change that went first and arrived."""
    verified = run.changes.filter(state=ChangeState.VERIFIED, kind=ResourceKind.INSTANCE)
    return verified.select_related("instance").order_by("called_at", "pk").first()


@dataclass(frozen=True, slots=True)
class Watched:
    """A canary that is due for a look."""

    run_id: int
    account_pk: int
    region: str
    instance_id: str
    called_at: datetime
    until: datetime


def due(*, run_id: int, now: datetime) -> Watched | None:
    """The canary of a run, at most once in `LOOK`; the look is taken by asking."""
    run = Run.objects.select_related("account").get(pk=run_id)
    if run.state != RunState.RUNNING or run.canary != CanaryState.WATCHING or run.canary_until is None:
        return None
    if run.watched_at is not None and now - run.watched_at < LOOK:
        return None
    first = canary_of(run)
    taken = Run.objects.filter(pk=run_id, watched_at=run.watched_at, state=RunState.RUNNING).update(watched_at=now)
    if not taken or first is None or first.called_at is None:
        return None
    return Watched(run_id, run.account_id, first.region, first.resource_id, first.called_at, run.canary_until)


def judged(*, watched: Watched, state: CanaryState, calls: int, now: datetime) -> bool:
    """What the look came to. Quiet lets the rest follow; refused calls or no data pause the run for a person."""
    if state == CanaryState.WATCHING:
        return False
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).select_related("account", "request").get(pk=watched.run_id)
        if run.canary != CanaryState.WATCHING or run.state != RunState.RUNNING:
            return False  # paused or stopped meanwhile: once it goes on, it is looked at again
        Run.objects.filter(pk=run.pk).update(canary=state, waits_until=None)
        said = _sentence(watched, state, calls)
        _told(run, state, said, now=now)
        if state in NEEDS_A_PERSON:
            runs.pause(run=run, reason=said, now=now)
            notifications.add(
                key=f"canary-{run.pk}-{state}",
                kind="canary",
                subject=f"Run {run.pk} waits for a person: its first instance {_short(state)}",
                lines=[said],
                path=f"/runs/{run.pk}/",
                account=run.account,
                severity=Severity.CRITICAL if state == CanaryState.CALLED else Severity.WARNING,
                now=now,
            )
    return True


def _short(state: CanaryState) -> str:
    return "had IMDSv1 calls refused" if state == CanaryState.CALLED else "shows no data"


def _sentence(watched: Watched, state: CanaryState, calls: int) -> str:
    if state == CanaryState.QUIET:
        return f"{watched.instance_id} published data and had no IMDSv1 call refused."
    if state == CanaryState.CALLED:
        return (
            f"{watched.instance_id} had {some(calls, 'IMDSv1 call')} refused since it requires IMDSv2: something on it "
            "still calls IMDSv1. Put it back, or resume if that is known to be harmless."
        )
    return (
        f"{watched.instance_id} shows no MetadataNoTokenRejected data since it requires IMDSv2, which says neither yes "
        "nor no. Look at what runs on it, then resume or put it back."
    )


def _told(run: Run, state: CanaryState, said: str, *, now: datetime) -> None:
    audit.append(
        verb=f"run.canary_{state}",
        object_type="Run",
        object_id=run.pk,
        account_id=run.account.account_id,
        reason=said,
        now=now,
    )
