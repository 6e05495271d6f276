"""Drafts: a plan written down, edited while it is a draft, and nothing asked of anybody."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F

from migration.actions import audit
from migration.actions.errors import Refused, Stale
from migration.actions.refusals import may, refuse, told
from migration.domain import plan as plans
from migration.domain import policy as policies
from migration.domain import rollout
from migration.domain.permissions import Action, right_to_plan
from migration.domain.plan import Key, Scope
from migration.domain.policy import Terms
from migration.domain.words import some
from migration.enums import WATCHED, RequestKind, RequestState, ScopeKind
from migration.models import Account, EnforcementRequest, PlanEdit, Run, Wave
from migration.queries.planning import candidates, locked_regions, strangers
from migration.queries.policies import terms_for

OF_INSTANCES = (RequestKind.ENFORCE, RequestKind.HOP_LIMIT, RequestKind.IMDS_OFF)
NOTHING = {
    RequestKind.ENFORCE: "is ready to enforce",
    RequestKind.HOP_LIMIT: "has a hop limit below the one chosen for its workload",
    RequestKind.IMDS_OFF: "can have IMDS switched off",
}


@dataclass(frozen=True, slots=True)
class Bound:
    """What ties a request to others."""

    batch: UUID | None = None
    wave: Wave | None = None
    undoes: Run | None = None


def draft_plan(
    *,
    account: Account,
    by: User,
    now: datetime,
    kind: RequestKind = RequestKind.ENFORCE,
    scope: Scope | None = None,
    bound: Bound | None = None,
) -> EnforcementRequest:
    """Plan a change of the account's instances: every one in the scope that the kind fits. Nothing is asked of anybody
    yet.

    Raises Refused when the person may not plan, an id is no instance of the account, or nothing would change.
    """
    may(by, Action.PLAN, account, now=now, doing="plan enforcement")
    wanted = scope or Scope()
    _check(account, kind, wanted, by=by, now=now)
    terms = terms_for(account)
    plan = instance_plan(account, kind=kind, scope=wanted, terms=terms, now=now)
    if not plan["changes"]:
        raise Refused(
            f"Nothing in {account.name or account.account_id} {NOTHING[kind]}, so no plan was made. "
            + ("The instances below say what each is waiting for." if kind == RequestKind.ENFORCE else "")
        )
    return store(account=account, plan=plan, terms=terms, by=by, now=now, bound=bound)


def instance_plan(account: Account, *, kind: RequestKind, scope: Scope, terms: Terms, now: datetime) -> dict[str, Any]:
    """The plan as today's data makes it; nothing is stored."""
    locks = locked_regions(account) if kind == RequestKind.ENFORCE else {}
    plan = plans.build(
        account_id=account.account_id,
        notes=[f"Cannot be put back in {region}: {why}" for region, why in sorted(locks.items())],
        candidates=candidates(account, now=now, scope=scope),
        window_days=settings.IMDSDASH_WINDOW_DAYS,
        as_of=now,
        kind=kind,
        scope=scope,
        policy=policies.as_plan(terms),
    )
    return with_estimate(plan, terms)


def with_estimate(plan: dict[str, Any], terms: Terms) -> dict[str, Any]:
    """The plan with how long it takes at best, in whole seconds, at the pace we allow ourselves."""
    counts: dict[str, int] = {}
    for item in plan["changes"]:
        counts[item["region"]] = counts.get(item["region"], 0) + 1
    pace = settings.IMDSDASH_WRITES_PER_SECOND
    canary = terms.canary_minutes if plan["kind"] in WATCHED else 0
    seconds = rollout.duration(list(counts.values()), writes_per_second=pace, canary_minutes=canary)
    return plan | {"estimate": {"seconds": round(seconds), "writes_per_second": pace}}


def store(
    *,
    account: Account,
    plan: dict[str, Any],
    terms: Terms,
    by: User,
    now: datetime,
    bound: Bound | None = None,
) -> EnforcementRequest:
    """Write a plan down as a draft, with its hash and its audit event."""
    tied = bound or Bound()
    with transaction.atomic():
        request = EnforcementRequest.objects.create(
            account=account,
            kind=plan["kind"],
            plan=plan,
            plan_hash=plans.digest(plan),
            quorum=terms.quorum,
            batch=tied.batch,
            wave=tied.wave,
            undoes=tied.undoes,
            created_by=by,
            created_at=now,
            expires_at=now + timedelta(hours=settings.IMDSDASH_PLAN_HOURS),
        )
        audit.append(
            verb="request.drafted",
            object_type="EnforcementRequest",
            object_id=request.pk,
            account_id=account.account_id,
            after={"plan_hash": request.plan_hash, "changes": len(plan["changes"]), "kind": plan["kind"]},
            by=by,
            now=now,
        )
    return request


@dataclass(frozen=True, slots=True)
class Drafted:
    """What planning several accounts came to. `passed_over`: the accounts without a plan, and why."""

    batch: UUID
    requests: list[EnforcementRequest] = field(default_factory=list)
    passed_over: list[tuple[Account, str]] = field(default_factory=list)


def draft_for(
    *,
    accounts: Sequence[Account],
    by: User,
    now: datetime,
    of: str,
    kind: RequestKind = RequestKind.ENFORCE,
    wave: Wave | None = None,
) -> Drafted:
    """Plan several accounts, an OU's or a wave's: one request for each, bound together, for each runs by itself.

    Raises Refused when no account has anything to plan; one that has not is passed over with the reason.
    """
    made = Drafted(uuid4())
    for account in accounts:
        try:
            request = draft_plan(
                account=account,
                by=by,
                now=now,
                kind=kind,
                scope=Scope(of=of),
                bound=Bound(batch=made.batch, wave=wave),
            )
        except Refused as refusal:
            made.passed_over.append((account, str(refusal)))
        else:
            made.requests.append(request)
    if not made.requests:
        first = f" {made.passed_over[0][1]}" if made.passed_over else " There is no account in it."
        raise Refused(f"No plan was made for {of}.{first}")
    return made


@told
def leave_out(
    *, request: EnforcementRequest, by: User, keys: Iterable[Key], reason: str, version: int, now: datetime
) -> EnforcementRequest:
    """Take changes out of a draft. Who edits a plan cannot approve it. Raises Refused or Stale.

    A plan that is asked for has to be reopened first, which voids its approvals.
    """
    may(by, right_to_plan(RequestKind(request.kind)), request, now=now, doing="edit the plan")
    if request.version != version or request.state != RequestState.DRAFT:
        raise Stale("Only a draft can be edited, and this one is not as you saw it. Nothing was changed by you.")
    chosen = list(dict.fromkeys(keys))
    known = plans.items(request.plan)
    foreign = [key for key in chosen if key not in known]
    if foreign:
        raise refuse(request, f"{foreign[0][2]} is not in this plan. Nothing was changed.", by=by, now=now)
    if not chosen:
        raise Refused("Nothing was chosen, so the plan is as it was.")
    if len(chosen) == len(known):
        raise Refused("That would leave nothing to do. Discard the draft instead; nothing was changed.")
    plan = plans.without(request.plan, chosen, reason=f"Left out by {by.get_username()}: {reason}")
    return _rewrite(request, plan, by=by, now=now, left_out=[list(key) for key in chosen], reason=reason)


def _rewrite(
    request: EnforcementRequest, plan: dict[str, Any], *, by: User, now: datetime, left_out: list[Any], reason: str
) -> EnforcementRequest:
    new = with_estimate(plan, policies.of_plan(plan.get("policy") or {}))
    sealed = plans.digest(new)
    with transaction.atomic():
        where = {"pk": request.pk, "state": RequestState.DRAFT, "version": request.version}
        moved = EnforcementRequest.objects.filter(**where).update(plan=new, plan_hash=sealed, version=F("version") + 1)
        if moved != 1:
            raise Stale("The draft changed while you were editing it. Nothing was changed by you.")
        PlanEdit.objects.create(request=request, editor=by, at=now, plan_hash=sealed, left_out=left_out, reason=reason)
        audit.append(
            verb="request.edited",
            object_type="EnforcementRequest",
            object_id=request.pk,
            account_id=request.account.account_id,
            before={"plan_hash": request.plan_hash},
            after={"plan_hash": sealed, "left_out": left_out},
            reason=reason,
            by=by,
            now=now,
        )
    request.refresh_from_db()
    return request


def checked(*, request: EnforcementRequest, answers: list[dict[str, Any]], now: datetime) -> None:
    """What AWS answered beforehand. Beside the plan, not in it: it is asked again, and signs nothing."""
    EnforcementRequest.objects.filter(pk=request.pk).update(checks={"answers": answers}, checked_at=now)


def differences(request: EnforcementRequest, *, now: datetime) -> list[str]:
    """What today's data would plan otherwise, in sentences."""
    if request.kind not in OF_INSTANCES:
        return []
    terms = policies.of_plan(request.plan.get("policy") or {})
    scope = plans.scope_of(request.plan)
    today: Mapping[str, Any] = instance_plan(
        request.account, kind=RequestKind(request.kind), scope=scope, terms=terms, now=now
    )
    return list(plans.differences(request.plan, today))


def _check(account: Account, kind: RequestKind, scope: Scope, *, by: User, now: datetime) -> None:
    """A scope that names what is not there, or too much."""
    unknown = strangers(account, scope)
    if unknown:
        said = f"{unknown[0]} is not an instance of account {account.account_id}"
        others = len(unknown) - 1
        more = f", nor {'is' if others == 1 else 'are'} {some(others, 'other')}" if others else ""
        raise refuse(account, f"{said}{more}. No plan was made.", by=by, now=now)
    if kind is RequestKind.IMDS_OFF and scope.kind is not ScopeKind.INSTANCES:
        raise Refused("IMDS is switched off only on instances that are named one by one. No plan was made.")
