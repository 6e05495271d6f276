"""Drafts above the single instance: launch templates and groups, AMIs, Region defaults, enforcement and its lifting."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from django.conf import settings
from django.contrib.auth.models import User

from migration.actions import planning
from migration.actions.errors import Refused
from migration.actions.planning import Bound
from migration.actions.refusals import may
from migration.domain import plan as plans
from migration.domain import policy as policies
from migration.domain import rungs
from migration.domain.permissions import Action
from migration.domain.plan import Scope
from migration.domain.rungs import Drawn, Home
from migration.enums import RequestKind
from migration.models import Account, EnforcementRequest
from migration.queries.policies import terms_for
from migration.queries.rungs import homes

DRAW: Mapping[RequestKind, Callable[[Home], Drawn]] = {
    RequestKind.TEMPLATES: rungs.templates,
    RequestKind.IMAGES: rungs.images,
    RequestKind.DEFAULTS: rungs.defaults,
    RequestKind.ENFORCEMENT: rungs.enforcement,
    RequestKind.LIFT: rungs.lift,
}
NOTES = {
    RequestKind.TEMPLATES: "Putting it back moves defaults and groups back; the new versions stay, and harm nobody.",
    RequestKind.IMAGES: rungs.IRREVERSIBLE,
    RequestKind.ENFORCEMENT: "While it is on, no instance can be put back to IMDSv1. Lifting it is a plan of its own.",
}


def draft(
    *,
    account: Account,
    by: User,
    now: datetime,
    kind: RequestKind,
    region: str = "",
    hop_limit: int | None = None,
    bound: Bound | None = None,
) -> EnforcementRequest:
    """Plan one rung for every collected Region of the account, or one. Nothing is asked of anybody yet.

    `hop_limit`: of Region defaults. Raises Refused when the person may not plan, the rung is switched off, or nothing
    can be planned; the reason is that of the first thing left out.
    """
    may(by, Action.PLAN, account, now=now, doing="plan enforcement")
    if kind is RequestKind.IMAGES and not settings.IMDSDASH_IMAGES:
        raise Refused("Changing AMIs cannot be undone, and is switched off (IMDSDASH_IMAGES). No plan was made.")
    draw = partial(rungs.defaults, hop_limit=hop_limit) if kind is RequestKind.DEFAULTS else DRAW[kind]
    items, excluded = [], []
    for home in homes(account, now=now, region=region):
        drawn = draw(home)
        items += drawn.items
        excluded += drawn.excluded
    if not items:
        why = f" {excluded[0]['instance_id']}: {excluded[0]['reason']}" if excluded else " There is nothing left to do."
        raise Refused(f"{kind.label}: nothing can be planned in {account.name or account.account_id}.{why}")
    terms = terms_for(account)
    plan = plans.compose(
        kind=kind,
        account_id=account.account_id,
        changes=items,
        excluded=excluded,
        window_days=settings.IMDSDASH_WINDOW_DAYS,
        as_of=now,
        notes=[NOTES[kind]] if kind in NOTES else [],
        scope=Scope(region=region),
        policy=policies.as_plan(terms),
    )
    return planning.store(
        account=account, plan=planning.with_estimate(plan, terms), terms=terms, by=by, now=now, bound=bound
    )
