"""A request's way: draft, submitted, decided by others. Row and audit event in one transaction.

The order of locks is always: request, run, change, audit head.
"""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from migration.actions import audit, moves, notifications
from migration.actions.errors import Refused, Stale
from migration.actions.planning import draft_plan
from migration.actions.queueing import queue
from migration.actions.refusals import may, refuse, told
from migration.domain import ladder
from migration.domain import plan as plans
from migration.domain.permissions import Action, right_to_plan
from migration.domain.words import some
from migration.enums import LOOSENS, Decision, RequestKind, RequestState, Severity
from migration.models import Approval, EnforcementRequest, Policy, Run
from migration.queries import decisions
from migration.queries.policies import moved_on, terms_for
from migration.queries.rungs import enforcement_harms

__all__ = ["approve", "draft_plan", "expire", "reject", "reopen", "submit", "take_back", "withdraw"]


@told
def submit(*, request: EnforcementRequest, by: User, reason: str, version: int, now: datetime) -> EnforcementRequest:
    """Ask for approval. From here on the plan cannot change, unless it is reopened. Raises Refused or Stale.

    Where the policy lets small accounts that are wholly ready go on one click, this is that click: the request comes
    back approved, with its run.
    """
    may(by, right_to_plan(RequestKind(request.kind)), request, now=now, doing="request approval")
    _fresh(request, version, now)
    _as_signed(request, by=by, now=now)
    with transaction.atomic():
        fields = {"requested_by": by, "requested_at": now, "reason": reason}
        _move(request, RequestState.REQUESTED, by=by, reason=reason, now=now, fields=fields)
        policy = decisions.one_click(request)
        if policy is not None:
            said = f"One click, by policy {policy.pk}: {len(request.plan['changes'])} of at most {policy.one_click}."
            _move(request, RequestState.APPROVED, by=by, reason=said, now=now, fields={"by_policy": policy})
            queue(request, now=now)
        else:
            _tell_approvers(request, by=by, now=now)
    return request


@told
def reopen(*, request: EnforcementRequest, by: User, version: int, now: datetime) -> EnforcementRequest:
    """Back to a draft, so that it can be edited: every approval it had is void. Raises Refused or Stale."""
    may(by, right_to_plan(RequestKind(request.kind)), request, now=now, doing="reopen the plan")
    _fresh(request, version, now)
    with transaction.atomic():
        _lock(request)
        Approval.objects.filter(request=request, void_at__isnull=True).update(void_at=now)
        _move(request, RequestState.DRAFT, by=by, now=now, fields={"requested_by": None, "requested_at": None})
    return request


@told
def withdraw(*, request: EnforcementRequest, by: User, version: int, now: datetime) -> EnforcementRequest:
    """Take a draft or a waiting request back. Raises Refused or Stale."""
    may(by, right_to_plan(RequestKind(request.kind)), request, now=now, doing="withdraw the request")
    _same(request, version)
    _move(request, RequestState.WITHDRAWN, by=by, now=now)
    return request


@told
def reject(*, request: EnforcementRequest, by: User, comment: str, version: int, now: datetime) -> EnforcementRequest:
    """Say no: one no is enough. Raises Refused or Stale."""
    _may_decide(request, by=by, version=version, now=now)
    with transaction.atomic():
        _lock(request)
        _sign(request, by=by, decision=Decision.REJECT, comment=comment, now=now)
        decided = {"decided_by": by, "decided_at": now}
        _move(request, RequestState.REJECTED, by=by, reason=comment, now=now, fields=decided)
    return request


@told
def approve(*, request: EnforcementRequest, by: User, comment: str, version: int, now: datetime) -> Run | None:
    """Say yes. The last approval that was missing makes the run and its changes in the same transaction; before that,
    None comes back and the request goes on waiting. Raises Refused or Stale.

    Two who approve at the same moment take turns on the request's row, so that the second counts the first.
    The caller nudges the queue afterwards; a nudge that is lost delays the run until the next sweep.
    """
    _may_decide(request, by=by, version=version, now=now)
    _as_signed(request, by=by, now=now)
    with transaction.atomic():
        _lock(request)
        _sign(request, by=by, decision=Decision.APPROVE, comment=comment, now=now)
        left = decisions.still_missing(request)
        if left:
            audit.append(
                verb="approval.given",
                object_type="EnforcementRequest",
                object_id=request.pk,
                account_id=request.account.account_id,
                after={"plan_hash": request.plan_hash, "still_missing": left},
                reason=comment,
                by=by,
                now=now,
            )
            return None
        decided = {"decided_by": by, "decided_at": now}
        _move(request, RequestState.APPROVED, by=by, reason=comment, now=now, fields=decided)
        if request.kind in LOOSENS:
            _alert(request, by=by, now=now)
        return queue(request, now=now)


@told
def take_back(*, request: EnforcementRequest, by: User, now: datetime) -> EnforcementRequest:
    """Take one's own approval back while others are still missing. Raises Refused."""
    with transaction.atomic():
        _lock(request)
        if request.state != RequestState.REQUESTED:
            said = request.get_state_display().lower()
            raise Refused(f"The request is {said}, so no approval can be taken back. Stop its run instead.")
        mine = Approval.objects.filter(request=request, approver=by, void_at__isnull=True)
        if not mine.update(void_at=now):
            raise Refused("You have not approved this request, so there is nothing to take back.")
        audit.append(
            verb="approval.taken_back",
            object_type="EnforcementRequest",
            object_id=request.pk,
            account_id=request.account.account_id,
            before={"plan_hash": request.plan_hash},
            by=by,
            now=now,
        )
    return request


@told
def roll_back_now(*, request: EnforcementRequest, by: User, reason: str, version: int, now: datetime) -> Run:
    """The emergency right: the draft of a rollback is carried out without a second person, and everybody is told.

    Raises Refused unless the policy that holds gives this person the right, and a reason is given.
    """
    may(by, Action.STEER, request, now=now, doing="put this run back")
    _fresh(request, version, now)
    _as_signed(request, by=by, now=now)
    run, terms = request.undoes, terms_for(request.account)
    if request.kind != RequestKind.ROLLBACK or run is None:
        raise refuse(request, "Only a rollback has an emergency right. Nothing was changed.", by=by, now=now)
    if not decisions.may_use_emergency(by, run, terms.emergency) or terms.policy_id is None:
        said = "The policy of this account gives you no emergency right; ask for approval instead. Nothing was changed."
        raise refuse(request, said, by=by, now=now)
    if not reason.strip():
        raise Refused("Say why it cannot wait: everybody is told. Nothing was changed.")
    with transaction.atomic():
        asked = {"requested_by": by, "requested_at": now, "reason": reason}
        _move(request, RequestState.REQUESTED, by=by, reason=reason, now=now, fields=asked)
        fields = {"by_policy": Policy.objects.get(pk=terms.policy_id), "emergency": True}
        _move(request, RequestState.APPROVED, by=by, reason=f"Emergency: {reason}", now=now, fields=fields)
        _alert(request, by=by, now=now)
        return queue(request, now=now)


def expire(*, now: datetime) -> int:
    """Close drafts and waiting requests whose time is over. Returns how many."""
    over = EnforcementRequest.objects.filter(
        state__in=[RequestState.DRAFT, RequestState.REQUESTED], expires_at__lte=now
    ).select_related("account")
    closed = 0
    for request in over:
        try:
            moves.move(request, RequestState.EXPIRED, now=now, reason="Its time was over.")
        except moves.Lost:
            continue
        closed += 1
    return closed


# --- the guards -------------------------------------------------------------------------------------------


def _may_decide(request: EnforcementRequest, *, by: User, version: int, now: datetime) -> None:
    may(by, Action.DECIDE, request, now=now, doing="decide on this request")
    barred = decisions.barred_because(request, by)
    if barred:
        raise refuse(request, f"{barred} Nothing was changed.", by=by, now=now, why=f"four eyes: {barred}")
    _fresh(request, version, now)


def _as_signed(request: EnforcementRequest, *, by: User, now: datetime) -> None:
    """The plan is the one that was hashed, and is made under the policy that holds now."""
    if plans.digest(request.plan) != request.plan_hash:
        said = "The stored plan no longer matches its hash, so it cannot be approved. Make a new plan."
        raise refuse(request, said, by=by, now=now, why="the plan does not match its hash")
    if request.plan["account_id"] != request.account.account_id:
        raise refuse(request, "The plan is of another account than its request. Nothing was changed.", by=by, now=now)
    every = request.kind == RequestKind.ENFORCEMENT
    enforcing = {item["region"] for item in request.plan["changes"] if every or ladder.switches_on(item["send"])}
    for region in sorted(enforcing):
        if harm := enforcement_harms(request.account, region, now=now):
            raise refuse(request, f"{region}: {harm} Nothing was changed.", by=by, now=now)
    if moved_on(request):
        said = "The policy of this account has changed since the plan was made. Make a new plan; nothing was changed."
        raise refuse(request, said, by=by, now=now)


def _sign(request: EnforcementRequest, *, by: User, decision: Decision, comment: str, now: datetime) -> None:
    if request.state != RequestState.REQUESTED:
        raise _late(request)
    if request.requested_by is None:
        raise Refused("Nobody has asked for approval of this plan yet, so there is nothing to decide.")
    try:
        with transaction.atomic():
            Approval.objects.create(
                request=request,
                approver=by,
                requester=request.requested_by,
                decision=decision,
                plan_hash=request.plan_hash,
                comment=comment,
                at=now,
            )
    except IntegrityError as error:
        raise Refused("You have already decided on this request, so nothing was changed.") from error


def _lock(request: EnforcementRequest) -> None:
    """The request as it is now, its row locked until the transaction ends. Raises Stale when it has moved."""
    held = EnforcementRequest.objects.select_for_update(of=("self",)).filter(
        pk=request.pk, version=request.version, state=request.state, plan_hash=request.plan_hash
    )
    if not list(held.values_list("pk", flat=True)):
        raise _late(request)


def _move(
    request: EnforcementRequest,
    to: RequestState,
    *,
    by: User,
    now: datetime,
    reason: str = "",
    fields: dict[str, Any] | None = None,
) -> None:
    try:
        moves.move(request, to, now=now, by=by, reason=reason, fields=fields)
    except (moves.Lost, moves.NoSuchMove) as error:
        raise _late(request) from error


def _fresh(request: EnforcementRequest, version: int, now: datetime) -> None:
    _same(request, version)
    if request.expires_at <= now:
        raise Refused("This plan is past its expiry, so it cannot go on. Make a new plan from today's data.")


def _same(request: EnforcementRequest, version: int) -> None:
    if request.version != version:
        raise _late(request)


def _late(request: EnforcementRequest) -> Stale:
    now_is = EnforcementRequest.objects.values_list("state", flat=True).get(pk=request.pk)
    label = RequestState(now_is).label.lower()
    return Stale(f"This request changed while you were looking at it: it is now {label}. Nothing was changed by you.")


# --- telling ----------------------------------------------------------------------------------------------


def _tell_approvers(request: EnforcementRequest, *, by: User, now: datetime) -> None:
    account, changes = request.account, len(request.plan["changes"])
    notifications.add(
        key=f"request-{request.pk}-{request.version}",
        kind="approval_needed",
        subject=f"Approval needed: {request.get_kind_display()}, {changes} in {account.name or account.account_id}",
        lines=[
            f"Asked for by {by.get_username()}: {request.reason or 'no reason given'}",
            f"{some(request.quorum, 'approval')} by others must be given.",
            f"It expires {request.expires_at:%Y-%m-%d %H:%M} UTC.",
        ],
        path=f"/plans/{request.pk}/",
        account=account,
        now=now,
    )


def _alert(request: EnforcementRequest, *, by: User, now: datetime) -> None:
    """What makes the fleet less safe again is told at once."""
    account, changes = request.account, len(request.plan["changes"])
    how = "by the emergency right, without a second person" if request.emergency else "approved"
    notifications.add(
        key=f"loosened-{request.pk}",
        kind="loosened",
        subject=f"{request.get_kind_display()}: {changes} in {account.name or account.account_id}, {how}",
        lines=[f"By {by.get_username()}: {request.reason or 'no reason given'}"],
        path=f"/plans/{request.pk}/",
        account=account,
        severity=Severity.CRITICAL if request.emergency else Severity.WARNING,
        now=now,
    )
