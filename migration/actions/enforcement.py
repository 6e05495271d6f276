"""The enforcement queue: claim, begin, record, verify, reconcile. Each step is one compare-and-swap with a fence.

The order that makes a crash harmless:
  claim      pending -> leased    counts the attempt
  begin      leased  -> calling   commits the intent BEFORE the AWS call
  record     calling -> applied / pending (AWS said: not now) / failed / unknown (no answer came)
  verify     applied -> verified  by a fresh read
A worker that dies in `leased` has written nothing: the change goes back. One that dies in `calling` may have
written: the change becomes `unknown`, and only a fresh read decides whether it is applied or goes back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, Q, QuerySet

from migration.actions import canary, guards, moves
from migration.actions.guards import IN_FLIGHT
from migration.domain import ladder, rollout
from migration.domain import plan as plans
from migration.enums import ACTIVE_RUN, SETTLED, ChangeState, ResourceKind, RunState
from migration.models import Change, Run
from migration.queries.planning import closed_regions

MAX_WRITES = 2
MAX_READS = 40  # fresh reads that did not settle it; with the waits below about half an hour
NO_ANSWER_DELAY = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Claim:
    """A change in the hands of one worker, good for one lease."""

    change_id: int
    run_id: int
    fence: int
    account_pk: int
    account_id: str
    kind: ResourceKind
    region: str
    resource_id: str
    instance_pk: int | None
    before: dict[str, Any]
    send: dict[str, Any]
    requested_by: str
    approved_by: str
    reads: int
    writes: int = 0  # calls that went out without an answer
    undone_at: datetime | None = None  # when the change that this one puts back was sent


def claim(*, run_id: int, owner: str, limit: int, now: datetime) -> list[Claim]:
    """Take up to `limit` waiting changes of a run that may go on. Empty: nothing may be begun now.

    Every guard is looked at afresh, under the lock of the run's row, so that two workers see one after the
    other: the run is running, its approval is good and not expired, the plan still has its hash and contains
    exactly this change, nobody has pulled the brake, its change window is open, and no more are on their way than
    `domain.rollout` lets be: the first change of a run goes alone until it is verified and, where the policy says so,
    has been watched.
    """
    try:
        return _claim(run_id=run_id, owner=owner, limit=limit, now=now)
    except moves.Lost:
        return []  # something moved beside us; the next look sees what


def _claim(*, run_id: int, owner: str, limit: int, now: datetime) -> list[Claim]:
    with transaction.atomic():
        run = _locked(run_id)
        if not guards.may_go_on(run, now=now) or not guards.now_is_the_time(run, now=now):
            return []
        allowed = rollout.may_begin(guards.seen(run), limit=limit)
        if allowed <= 0 or canary.holds(run, now=now):
            return []
        planned = plans.items(guards.kept(run.request).plan)  # the very text that the guards have just looked at
        closed = closed_regions(run.account)
        claims: list[Claim] = []
        due = list(_free(run, now)[:allowed])
        taken = guards.taken_over(run, due)
        for change in due:
            reason, error_class = guards.not_now(change, run, planned=planned, closed=closed, taken=taken, now=now)
            if reason:
                to = ChangeState.FAILED if error_class else ChangeState.SKIPPED
                _settle(change, to, reason, error_class, now)
            else:
                claims.append(_lease(change, run=run, owner=owner, now=now))
    return claims


def _locked(run_id: int) -> Run:
    """The run, its row locked. The order of locks is always: request, run, change, audit head.

    Without the plan, which may be large: `guards.kept` reads what the guards need of it.
    """
    with_it = ("account", "wave", "request__account", "request__requested_by", "request__decided_by")
    rows = Run.objects.select_for_update(of=("self",)).select_related(*with_it, "request__by_policy")
    return rows.defer("request__plan").get(pk=run_id)


def _waiting(run: Run, now: datetime) -> QuerySet[Change]:
    """The changes that may be begun: due, and not in need of another that is not verified yet."""
    due = Q(not_before__isnull=True) | Q(not_before__lte=now)
    ripe = Q(needs__isnull=True) | Q(needs__state__in=SETTLED)
    rows = run.changes.filter(due, ripe, state=ChangeState.PENDING)
    return rows.select_related("instance", "needs", "undoes", "run__account")


def _free(run: Run, now: datetime) -> list[Change] | QuerySet[Change]:
    """Those of the waiting that no call of an earlier run is on its way to. Such a run was stopped with the call under
    way; until it is known what became of it, two might write to one resource, and the later answer would win.
    """
    waiting = _waiting(run, now)
    others = Change.objects.filter(run__account=run.account, state__in=IN_FLIGHT).exclude(run=run)
    busy = set(others.values_list("kind", "region", "resource_id"))
    if not busy:
        return waiting
    return [change for change in waiting if (change.kind, change.region, change.resource_id) not in busy]


def _lease(change: Change, *, run: Run, owner: str, now: datetime) -> Claim:
    fence = change.fence + 1
    _move(
        change,
        ChangeState.LEASED,
        now=now,
        fence=change.fence,
        fields={
            "fence": fence,
            "attempts": F("attempts") + 1,
            "lease_owner": owner,
            "lease_expires_at": now + timedelta(seconds=settings.IMDSDASH_LEASE_SECONDS),
        },
    )
    return _as_claim(change, run, fence)


def _as_claim(change: Change, run: Run, fence: int) -> Claim:
    request = run.request
    return Claim(
        change_id=change.pk,
        run_id=run.pk,
        fence=fence,  # counted, not read back: a read may already see another worker's
        account_pk=run.account_id,
        account_id=change.target_account_id,
        kind=ResourceKind(change.kind),
        region=change.region,
        resource_id=change.resource_id,
        instance_pk=change.instance_id,
        before=change.before,
        send=filled(change),
        requested_by=request.requested_by.get_username() if request.requested_by else "",
        approved_by=request.decided_by.get_username() if request.decided_by else f"policy-{request.by_policy_id}",
        reads=change.reads,
        writes=change.writes,
        undone_at=change.undoes.called_at if change.undoes is not None else None,
    )


def filled(change: Change) -> dict[str, Any]:
    """What is sent, with the number of the version that the change waited for in its place."""
    made = change.needs.after if change.needs is not None and change.needs.after else {}
    if "VersionNumber" not in made:
        return dict(change.send)
    template_id = change.needs.resource_id if change.needs is not None else ""
    return ladder.with_version(change.kind, change.send, made["VersionNumber"], template_id=template_id)


def _settle(  # noqa: PLR0917 -- a row's move, told in the order of the sentence
    change: Change, to: ChangeState, reason: str, error_class: str, now: datetime, fence: int | None = None, **more: Any
) -> None:
    _move(
        change,
        to,
        now=now,
        reason=reason,
        fence=fence,
        fields={"reason": reason[:400], "error_class": error_class, "settled_at": now, **_no_lease(), **more},
    )


def _move(change: Change, to: ChangeState, **more: Any) -> None:
    """A change's move. Nobody goes on with the row, so it is not read again."""
    moves.move(change, to, refresh=False, **more)


def _no_lease() -> dict[str, Any]:
    return {"lease_owner": "", "lease_expires_at": None}


def _held(claim: Claim) -> Change:
    """The change as it stands; the fence in the WHERE of the next move decides whether it is still ours."""
    return Change.objects.get(pk=claim.change_id)


def wait_before_write(*, claim: Claim, now: datetime) -> float:
    """Seconds to wait so that all workers together write to this account and Region no faster than allowed.

    Asked under the lock of the run's row, of which an account has one active at most, so that two workers cannot
    both find the way free.

    AWS gives ModifyInstanceMetadataOptions 5 a second per account and Region, shared with the account's owners.
    """
    last = Change.objects.filter(target_account_id=claim.account_id, region=claim.region).aggregate(
        last=Max("called_at")
    )["last"]
    if last is None:
        return 0.0
    distance: float = 1 / settings.IMDSDASH_WRITES_PER_SECOND - (now - last).total_seconds()
    return max(0.0, distance)


def begin(*, claim: Claim, now: datetime) -> float | None:
    """Commit the intent to call: 0 when the call may be sent now, else the seconds to wait before asking again.

    None: the run was stopped or paused, or the lease is lost; nothing may be sent.
    """
    with transaction.atomic():
        run = _locked(claim.run_id)
        change = _held(claim)
        if change.fence != claim.fence or change.state != ChangeState.LEASED:
            return None
        if change.lease_expires_at is None or change.lease_expires_at <= now:
            return None  # this worker was asleep; the sweeper has the change, or will
        if run.state == RunState.RUNNING and (wait := wait_before_write(claim=claim, now=now)) > 0:
            return wait  # every guard is asked once its turn has come
        if not guards.may_go_on(run, now=now) or not guards.now_is_the_time(run, now=now):
            _give_back(change, claim, run_state=run.state, now=now)
            return None
        if change.writes >= MAX_WRITES:
            reason = f"Written {change.writes} times without an answer; a person must look at it in AWS."
            _settle(change, ChangeState.FAILED, reason, "writes", now, claim.fence)
            return None
        _move(
            change,
            ChangeState.CALLING,
            now=now,
            fence=claim.fence,
            fields={
                "called_at": now,
                "writes": F("writes") + 1,
                "lease_expires_at": now + timedelta(seconds=settings.IMDSDASH_LEASE_SECONDS),
            },
        )
    return 0.0


def _give_back(change: Change, claim: Claim, *, run_state: str, now: datetime) -> None:
    """The run does not go on: a stopped run skips the change, a paused one keeps it waiting."""
    if run_state in ACTIVE_RUN:
        fields = {"attempts": F("attempts") - 1, **_no_lease()}
        _move(change, ChangeState.PENDING, now=now, fence=claim.fence, fields=fields)
    else:
        _settle(change, ChangeState.SKIPPED, "The run was stopped before its turn.", "", now, claim.fence)


def skip(*, claim: Claim, reason: str, now: datetime) -> bool:
    """A live read said no. False: the lease was lost and somebody else decides."""
    return _try(lambda: _settle(_held(claim), ChangeState.SKIPPED, reason, "", now, claim.fence))


def release(*, claim: Claim, reason: str, delay: float, now: datetime) -> bool:
    """Nothing was sent, because AWS did not answer before it came to that: back to the queue, and not counted."""
    return _try(
        lambda: _move(
            _held(claim),
            ChangeState.PENDING,
            now=now,
            reason=reason,
            fence=claim.fence,
            fields={
                "reason": reason[:400],
                "not_before": now + timedelta(seconds=delay),
                "attempts": F("attempts") - 1,
                **_no_lease(),
            },
        )
    )


def fail(*, claim: Claim, reason: str, error_class: str, aws_request_id: str = "", now: datetime) -> bool:
    """AWS refused for good."""
    return _try(
        lambda: _settle(
            _held(claim), ChangeState.FAILED, reason, error_class, now, claim.fence, aws_request_id=aws_request_id
        )
    )


def record_applied(*, claim: Claim, aws_request_id: str, now: datetime) -> bool:
    """AWS took it. It counts only when a fresh read shows it. False: the lease was lost; the reconciler decides."""
    return _try(
        lambda: _move(
            _held(claim),
            ChangeState.APPLIED,
            now=now,
            fence=claim.fence,
            fields={"aws_request_id": aws_request_id, "reason": "", "reads": 0, "not_before": now, **_no_lease()},
        )
    )


def record_not_now(*, claim: Claim, reason: str, delay: float, now: datetime) -> bool:
    """AWS answered that it did nothing (throttled, session expired): not a failure, not a write."""
    return _try(
        lambda: _move(
            _held(claim),
            ChangeState.PENDING,
            now=now,
            reason=reason,
            fence=claim.fence,
            fields={
                "reason": reason[:400],
                "not_before": now + timedelta(seconds=delay),
                "attempts": F("attempts") - 1,
                "writes": F("writes") - 1,
                **_no_lease(),
            },
        )
    )


def record_no_answer(*, claim: Claim, reason: str, now: datetime) -> bool:
    """The call went out and no answer came: whether AWS did it is not known until it is read."""
    return _try(
        lambda: _move(
            _held(claim),
            ChangeState.UNKNOWN,
            now=now,
            reason=reason,
            fence=claim.fence,
            fields={"reason": reason[:400], "reads": 0, "not_before": now, **_no_lease()},
        )
    )


def claim_reads(*, states: tuple[ChangeState, ...], owner: str, limit: int, now: datetime, run_id: int) -> list[Claim]:
    """Lease changes that wait for a fresh read (`applied`, `unknown`), whatever their run's state: a stopped run
    must still learn what became of its calls.
    """
    due = (
        Change.objects.filter(Q(not_before__isnull=True) | Q(not_before__lte=now), run_id=run_id, state__in=states)
        .filter(Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lte=now))
        .select_related("needs", "undoes", "run__account", "run__request__requested_by", "run__request__decided_by")
        .defer("run__request__plan")[:limit]
    )
    claims = []
    for change in due:
        fence = change.fence + 1
        taken = Change.objects.filter(pk=change.pk, state=change.state, fence=change.fence).update(
            fence=fence,
            reads=F("reads") + 1,
            lease_owner=owner,
            lease_expires_at=now + timedelta(seconds=settings.IMDSDASH_LEASE_SECONDS),
        )
        if taken:
            change.reads += 1
            claims.append(_as_claim(change, change.run, fence))
    return claims


def no_read(*, claim: Claim, reason: str, now: datetime) -> bool:
    """AWS did not answer the read: it does not count as one, and is tried again in a while."""
    return bool(
        Change.objects.filter(pk=claim.change_id, fence=claim.fence, state__in=IN_FLIGHT).update(
            reason=reason[:400],
            reads=F("reads") - 1,
            not_before=now + timedelta(seconds=NO_ANSWER_DELAY),
            **_no_lease(),
        )
    )


def verified(*, claim: Claim, after: dict[str, Any], reason: str, now: datetime) -> bool:
    """A fresh read shows it applied."""
    return _try(lambda: _settle(_held(claim), ChangeState.VERIFIED, reason, "", now, claim.fence, after=after))


def disturbed(*, claim: Claim, after: dict[str, Any], reason: str, now: datetime) -> bool:
    """Applied, but a field that was not sent moved: a person must look."""
    return _try(lambda: _settle(_held(claim), ChangeState.FAILED, reason, "disturbed", now, claim.fence, after=after))


def ended(*, claim: Claim, reason: str, now: datetime) -> bool:
    """AWS says the instance is being or was terminated: nothing is left that could be required."""
    return _try(partial(_settle, _held(claim), ChangeState.SKIPPED, reason, "", now, claim.fence))


def reconciled_applied(*, claim: Claim, now: datetime) -> bool:
    """The lost call did arrive: on to verification."""
    return _try(
        lambda: _move(
            _held(claim),
            ChangeState.APPLIED,
            now=now,
            reason="Read back after the answer was lost.",
            fence=claim.fence,
            fields={"reason": "Reconciled: AWS had applied it.", "reads": 0, "not_before": now, **_no_lease()},
        )
    )


def reconciled_not_applied(*, claim: Claim, now: datetime) -> bool:
    """The lost call did not arrive: back to the queue, and the attempt stays counted."""
    return _try(
        lambda: _move(
            _held(claim),
            ChangeState.PENDING,
            now=now,
            reason="Read back after the answer was lost: AWS had not applied it.",
            fence=claim.fence,
            fields={"reason": "", "not_before": now, **_no_lease()},
        )
    )


def read_again(*, claim: Claim, reason: str, now: datetime) -> bool:
    """Not settled by this read: look again, a little later each time; after MAX_READS a person must look."""
    if claim.reads >= MAX_READS:
        return fail(
            claim=claim, reason=f"Not settled after {claim.reads} reads. {reason}", error_class="unsettled", now=now
        )
    delay = min(60.0, 0.5 * 1.5 ** min(claim.reads, 12))
    return bool(
        Change.objects.filter(pk=claim.change_id, fence=claim.fence, state__in=IN_FLIGHT).update(
            reason=reason[:400], not_before=now + timedelta(seconds=delay), **_no_lease()
        )
    )


def is_near(*, run_id: int, now: datetime) -> bool:
    """Is there anything of the run for which a worker should wait at the wheel? A run that is paused, or that waits
    for its change window or its canary, wakes one when its time has come.
    """
    run = Run.objects.get(pk=run_id)
    if run.changes.filter(state__in=IN_FLIGHT).exists():
        return True
    awake = run.waits_until is None or run.waits_until <= now
    return run.state == RunState.RUNNING and awake and run.changes.filter(state=ChangeState.PENDING).exists()


def recover(*, now: datetime) -> set[int]:
    """The sweeper's part: take back what dead workers held. Returns the ids of the runs that have work due."""
    for change in Change.objects.filter(
        state__in=[ChangeState.LEASED, ChangeState.CALLING], lease_expires_at__lte=now
    ).select_related("run__account"):
        fence = change.fence
        if change.state == ChangeState.LEASED:
            to, reason = ChangeState.PENDING, "Its worker went away before calling AWS."
        else:
            to, reason = ChangeState.UNKNOWN, "Its worker went away while calling AWS."
        fields = {"fence": F("fence") + 1, "reason": reason, "reads": 0, "not_before": now, **_no_lease()}
        _try(partial(_move, change, to, now=now, reason=reason, fence=fence, fields=fields))
    for over in Run.objects.exclude(state__in=ACTIVE_RUN).filter(changes__state=ChangeState.PENDING).distinct():
        skip_what_waits(run_id=over.pk, now=now)
    due = (
        Change.objects.exclude(state__in=[*SETTLED, ChangeState.LEASED, ChangeState.CALLING])
        .filter(Q(not_before__isnull=True) | Q(not_before__lte=now))
        .filter(Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lte=now))
    )
    awake = Q(run__waits_until__isnull=True) | Q(run__waits_until__lte=now)
    going = Q(run__state__in=[RunState.QUEUED, RunState.RUNNING])
    waiting = due.filter((going & awake) | ~Q(state=ChangeState.PENDING))
    unfinished = Run.objects.filter(state__in=[RunState.QUEUED, RunState.RUNNING]).exclude(
        changes__state__in=[state for state in ChangeState if state not in SETTLED]
    )
    found = set(waiting.values_list("run_id", flat=True)) | set(unfinished.values_list("pk", flat=True))
    driven = Run.objects.filter(pk__in=found, driver_expires_at__gt=now).exclude(driver="")
    return found - set(driven.values_list("pk", flat=True))


def skip_what_waits(*, run_id: int, now: datetime) -> int:
    """After a stop: each change that still waits is skipped, in a transaction of its own. Returns how many."""
    run = Run.objects.get(pk=run_id)
    if run.state in ACTIVE_RUN:
        return 0
    reason = run.state_reason or "The run is over."
    waiting = run.changes.filter(state=ChangeState.PENDING).select_related("run__account")
    return sum(_try(partial(_settle, change, ChangeState.SKIPPED, reason, "", now)) for change in waiting)


def _try(step: Callable[[], None]) -> bool:
    """True when the step was ours to take. A lost lease is told to the log, and changes nothing."""
    try:
        step()
    except (moves.Lost, moves.NoSuchMove):
        return False
    return True
