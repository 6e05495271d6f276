"""A request's way: draft, submitted, decided by somebody else. Row and audit event in one transaction."""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from migration.actions import audit, moves
from migration.actions.errors import Refused, Stale
from migration.domain import plan as plans
from migration.domain.permissions import Action
from migration.enums import ACTIVE_RUN, ChangeState, Decision, RequestState, RunState
from migration.models import Account, Approval, Change, EnforcementRequest, Instance, Run
from migration.queries import access
from migration.queries.planning import candidates


def draft_plan(*, account: Account, by: User, now: datetime) -> EnforcementRequest:
    """Plan the enforcement of every ready instance of the account. Nothing is asked of anybody yet.

    Raises Refused when the person may not plan, or nothing is ready.
    """
    _may(by, Action.PLAN, account, now=now, doing="plan enforcement", about=account)
    plan = plans.build(
        account_id=account.account_id,
        candidates=candidates(account, now=now),
        window_days=settings.IMDSDASH_WINDOW_DAYS,
        as_of=now,
    )
    if not plan["changes"]:
        raise Refused(
            f"Nothing in {account.name or account.account_id} is ready to enforce, so no plan was made. "
            "The instances below say what each is waiting for."
        )
    with transaction.atomic():
        request = EnforcementRequest.objects.create(
            account=account,
            plan=plan,
            plan_hash=plans.digest(plan),
            created_by=by,
            created_at=now,
            expires_at=now + timedelta(hours=settings.IMDSDASH_PLAN_HOURS),
        )
        audit.append(
            verb="request.drafted",
            object_type="EnforcementRequest",
            object_id=request.pk,
            account_id=account.account_id,
            after={"plan_hash": request.plan_hash, "changes": len(plan["changes"])},
            by=by,
            now=now,
        )
    return request


def submit(*, request: EnforcementRequest, by: User, reason: str, version: int, now: datetime) -> EnforcementRequest:
    """Ask for approval. From here on the plan cannot change. Raises Refused or Stale."""
    _may(by, Action.PLAN, request.account, now=now, doing="request approval", about=request)
    _fresh(request, version, now)
    try:
        moves.move(
            request,
            RequestState.REQUESTED,
            now=now,
            by=by,
            reason=reason,
            fields={"requested_by": by, "requested_at": now, "reason": reason},
        )
    except (moves.Lost, moves.NoSuchMove) as error:
        raise _late(request) from error
    return request


def withdraw(*, request: EnforcementRequest, by: User, version: int, now: datetime) -> EnforcementRequest:
    """Take a draft or a waiting request back. Raises Refused or Stale."""
    _may(by, Action.PLAN, request.account, now=now, doing="withdraw the request", about=request)
    _same(request, version)
    try:
        moves.move(request, RequestState.WITHDRAWN, now=now, by=by)
    except (moves.Lost, moves.NoSuchMove) as error:
        raise _late(request) from error
    return request


def reject(*, request: EnforcementRequest, by: User, comment: str, version: int, now: datetime) -> EnforcementRequest:
    """Say no. Raises Refused or Stale."""
    _may_decide(request, by=by, version=version, now=now)
    with transaction.atomic():
        _sign(request, by=by, decision=Decision.REJECT, comment=comment, now=now)
        _decide(request, RequestState.REJECTED, by=by, comment=comment, now=now)
    return request


def approve(*, request: EnforcementRequest, by: User, comment: str, version: int, now: datetime) -> Run:
    """Say yes: the run and its changes come into being in the same transaction. Raises Refused or Stale.

    The caller nudges the queue afterwards; a nudge that is lost delays the run until the next sweep.
    """
    _may_decide(request, by=by, version=version, now=now)
    if plans.digest(request.plan) != request.plan_hash:
        _denied(request, by=by, now=now, why="the plan does not match its hash")
        raise Refused("The stored plan no longer matches its hash, so it cannot be approved. Make a new plan.")
    with transaction.atomic():
        _sign(request, by=by, decision=Decision.APPROVE, comment=comment, now=now)
        _decide(request, RequestState.APPROVED, by=by, comment=comment, now=now)
        return _create_run(request, now=now)


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


def _create_run(request: EnforcementRequest, *, now: datetime) -> Run:
    if Run.objects.filter(account=request.account, state__in=ACTIVE_RUN).exists():
        raise Refused(_already_running(request))
    try:
        with transaction.atomic():
            run = Run.objects.create(
                request=request,
                account=request.account,
                state=RunState.QUEUED,
                max_failures=settings.IMDSDASH_MAX_FAILURES,
                created_at=now,
            )
    except IntegrityError as error:
        raise Refused(_already_running(request)) from error
    planned = {(item["region"], item["instance_id"]): item for item in request.plan["changes"]}
    rows = {
        (row.region, row.instance_id): row
        for row in Instance.objects.filter(account=request.account, instance_id__in=[key[1] for key in planned])
    }
    foreign = sorted(instance_id for region, instance_id in planned if (region, instance_id) not in rows)
    if foreign:
        raise Refused(f"{foreign[0]} is not an instance of account {request.account.account_id}. Nothing was approved.")
    Change.objects.bulk_create(
        Change(
            run=run,
            instance=rows[key],
            target_account_id=request.account.account_id,
            region=item["region"],
            resource_id=item["instance_id"],
            before=item["before"],
            send=item["send"],
            state=ChangeState.PENDING,
        )
        for key, item in planned.items()
    )
    audit.append(
        verb="run.queued",
        object_type="Run",
        object_id=run.pk,
        account_id=request.account.account_id,
        after={"changes": len(planned), "plan_hash": request.plan_hash},
        now=now,
    )
    return run


def _already_running(request: EnforcementRequest) -> str:
    return (
        f"Another run is active in {request.account.name or request.account.account_id}; one account takes one run at "
        "a time. This request still waits: approve it when that run is over."
    )


def _sign(request: EnforcementRequest, *, by: User, decision: Decision, comment: str, now: datetime) -> None:
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


def _decide(request: EnforcementRequest, to: RequestState, *, by: User, comment: str, now: datetime) -> None:
    try:
        moves.move(request, to, now=now, by=by, reason=comment, fields={"decided_by": by, "decided_at": now})
    except (moves.Lost, moves.NoSuchMove) as error:
        raise _late(request) from error


def _may_decide(request: EnforcementRequest, *, by: User, version: int, now: datetime) -> None:
    _may(by, Action.DECIDE, request.account, now=now, doing="decide on this request", about=request)
    if by.pk in {request.requested_by_id, request.created_by_id}:
        _denied(request, by=by, now=now, why="requester and approver are the same person")
        raise Refused("You made this request, so somebody else must decide on it. Nothing was changed.")
    _fresh(request, version, now)


def _may(
    by: User, action: Action, account: Account, *, now: datetime, doing: str, about: Account | EnforcementRequest
) -> None:
    if access.can(by, action, account):
        return
    _denied(about, by=by, now=now, why=f"no role to {doing}")
    raise Refused(f"Your role does not allow you to {doing} in {account.name or account.account_id}.")


def _denied(about: Account | EnforcementRequest, *, by: User, now: datetime, why: str) -> None:
    """Denied attempts are told too, in a transaction of their own: the refusal that follows undoes nothing."""
    account = about if isinstance(about, Account) else about.account
    audit.append(
        verb="denied",
        object_type=type(about).__name__,
        object_id=about.pk,
        account_id=account.account_id,
        reason=why,
        by=by,
        now=now,
    )


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
