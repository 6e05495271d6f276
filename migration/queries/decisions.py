"""What stands for and against a request, as the values the rule of approval judges."""

from django.db.models import Q, QuerySet

from migration.domain.approval import Asked, Signature, barred, missing
from migration.domain.permissions import Action
from migration.domain.plan import wholly_ready
from migration.enums import Decision, Emergency, PolicyState, RequestKind
from migration.models import Approval, EnforcementRequest, PlanEdit, Policy, Run
from migration.queries.access import Person, can, who_may


def asked(request: EnforcementRequest) -> Asked:
    """What is to be decided, with everybody who has a hand in it."""
    return Asked(
        plan_hash=request.plan_hash,
        quorum=request.quorum,
        creator=request.created_by_id,
        requester=request.requested_by_id,
        editors=frozenset(PlanEdit.objects.filter(request=request).values_list("editor_id", flat=True)),
    )


def standing(request: EnforcementRequest) -> list[Signature]:
    """Every decision that was not taken back, of people who may still sign in and decide on this account."""
    rows = Approval.objects.filter(request=request, void_at__isnull=True)
    given = [
        Signature(person, decision == Decision.APPROVE, plan_hash)
        for person, decision, plan_hash in rows.values_list("approver_id", "decision", "plan_hash")
    ]
    if not given:
        return []
    able = who_may(Action.DECIDE, request.account, [signature.person for signature in given])
    return [signature for signature in given if signature.person in able]


def still_missing(request: EnforcementRequest) -> int:
    """How many approvals are still missing."""
    return missing(standing(request), asked(request))


def barred_because(request: EnforcementRequest, user: Person) -> str:
    """Why this person cannot decide on it, or ""."""
    return barred(user.pk, asked(request)) if user.pk is not None else "Nobody is signed in."


def not_by(requests: QuerySet[EnforcementRequest], user: Person) -> QuerySet[EnforcementRequest]:
    """Those that a person has no hand in: neither made, asked for, edited, nor decided already."""
    decided = Approval.objects.filter(approver=user.pk, void_at__isnull=True).values("request")
    edited = PlanEdit.objects.filter(editor=user.pk).values("request")
    own = Q(created_by=user.pk) | Q(requested_by=user.pk) | Q(pk__in=edited) | Q(pk__in=decided)
    return requests.exclude(own)


def policy_carries(request: EnforcementRequest) -> bool:
    """Does a policy stand in for the second person: for a small, wholly ready account, or in an emergency?

    It must be in force still, and be the very one that the plan was made under.
    """
    policy = request.by_policy
    if policy is None or policy.state != PolicyState.ACTIVE or request.requested_by_id is None:
        return False
    if (request.plan.get("policy") or {}).get("policy") != policy.pk:
        return False
    if request.emergency:
        return request.kind == RequestKind.ROLLBACK and policy.emergency != Emergency.NOBODY
    return len(request.plan["changes"]) <= policy.one_click and wholly_ready(request.plan)


def one_click(request: EnforcementRequest) -> Policy | None:
    """The policy by which this very plan needs no second person, if there is one in force."""
    told = request.plan.get("policy") or {}
    if not told.get("policy") or not wholly_ready(request.plan):
        return None
    policy = Policy.objects.filter(pk=told["policy"], state=PolicyState.ACTIVE).first()
    return policy if policy is not None and len(request.plan["changes"]) <= policy.one_click else None


def may_use_emergency(user: Person, run: Run, right: Emergency) -> bool:
    """Does the policy let this person put the run back without waiting for a second one?"""
    if right is Emergency.NOBODY or not can(user, Action.STEER, run.account):
        return False
    if right is Emergency.STEERING:
        return True
    request = run.request
    signed = Approval.objects.filter(request=request, approver=user.pk, decision=Decision.APPROVE, void_at__isnull=True)
    return user.pk in {request.requested_by_id, request.decided_by_id} or signed.exists()
