"""Putting a run back: exactly what its changes had before, only where they still are as we left them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from migration.actions import planning
from migration.actions.enforcement import filled
from migration.actions.errors import Refused
from migration.actions.planning import Bound
from migration.actions.refusals import may, told
from migration.domain import ladder
from migration.domain import plan as plans
from migration.domain import policy as policies
from migration.domain.live import OPTIONS
from migration.domain.permissions import Action
from migration.domain.plan import Scope
from migration.enums import ACTIVE_RUN, SETTLED, ChangeState, RequestKind, RequestState, ResourceKind, RunState
from migration.models import Change, EnforcementRequest, Instance, Run
from migration.queries import access
from migration.queries.planning import locked_regions, options_of
from migration.queries.policies import terms_for
from migration.queries.runs import sent_after, taken_over, written

OPEN = (RequestState.DRAFT, RequestState.REQUESTED)
ON_ITS_WAY = "What became of its call is not known yet. Plan to put it back once it is settled."
NOT_DONE = "The answer of AWS was lost, and a read since shows it as it was before: nothing is to be put back."
TAKEN_FOR_DONE = (
    "The answer of AWS was lost. A read since shows it as it was to become, so it is taken for done by this run."
)
IN_DOUBT = (
    "The answer of AWS was lost, and whether it was done is not known. It is put back only if the read right before "
    "shows that it was."
)
IRREVERSIBLE = "AWS lets nobody take this back (EC2 API, ModifyImageAttribute)."


@told
def draft(
    *,
    run: Run,
    by: User,
    now: datetime,
    changes: Sequence[Change] | None = None,
) -> EnforcementRequest:
    """Plan to put back a run's changes, or some of them. Nothing is asked of anybody yet.

    What is no longer as we left it is left out as a conflict, and what AWS would refuse as locked, both with the
    reason: neither is overwritten or tried. Of a call whose answer was lost the item says so; the read right before
    the write decides. Raises Refused when the run is still active, one is open or carried out already, or nothing is
    left to put back.
    """
    may(by, Action.STEER, run, now=now, doing="plan a rollback")
    with transaction.atomic():
        return _draft(_locked(run), changes, by=by, proposed=False, now=now)


def propose(*, run: Run, owner: User, changes: Sequence[Change], now: datetime) -> EnforcementRequest:
    """The same, by the watch and in the name of who asked for the run: refused, nobody is said to have tried it."""
    if not access.can(owner, Action.STEER, run.account):
        raise Refused(f"The role of {owner.get_username()} does not allow a rollback to be planned.")
    with transaction.atomic():
        return _draft(_locked(run), changes, by=owner, proposed=True, now=now)


def _locked(run: Run) -> Run:
    """The run as it is now, its row locked: of two people who plan at once the second sees the first one's draft."""
    rows = Run.objects.select_for_update(of=("self",)).select_related("account", "request", "wave")
    return rows.get(pk=run.pk)


def _draft(
    run: Run, changes: Sequence[Change] | None, *, by: User, proposed: bool, now: datetime
) -> EnforcementRequest:
    if run.request.kind == RequestKind.ROLLBACK:
        raise Refused("This run has itself put something back. Make a new plan from today's data instead.")
    if run.state in {RunState.QUEUED, RunState.RUNNING}:
        raise Refused("The run is still going on. Stop or pause it first; nothing was planned.")
    if EnforcementRequest.objects.filter(undoes=run, state__in=OPEN).exists():
        raise Refused("A plan to put this run back is open already. Decide on that one, or discard it.")
    back = Run.objects.filter(request__undoes=run, state__in=ACTIVE_RUN).first()
    if back is not None:
        raise Refused(f"Run {back.pk} is putting this run back already. Wait until it is over, or stop it.")
    items, excluded = _items(run, changes)
    if not items:
        nothing = "It has changed nothing." if changes is None else "None of what was chosen was changed by it."
        why = f" {excluded[0]['reason'] if excluded else nothing}"
        raise Refused(f"Nothing of run {run.pk} can be put back.{why}")
    terms = terms_for(run.account)
    plan = plans.compose(
        kind=RequestKind.ROLLBACK,
        account_id=run.account.account_id,
        changes=items,
        excluded=excluded,
        window_days=settings.IMDSDASH_WINDOW_DAYS,
        as_of=now,
        notes=_notes(run, items, proposed=proposed),
        scope=Scope(),
        policy=policies.as_plan(terms),
    )
    return planning.store(
        account=run.account,
        plan=planning.with_estimate(plan, terms) | {"undoes": run.pk},
        terms=terms,
        by=by,
        now=now,
        bound=Bound(wave=run.wave, undoes=run),
    )


def _items(run: Run, chosen: Sequence[Change] | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The latest change first: what needs another is put back before it."""
    begun = written(run) | Change.objects.filter(run=run, state=ChangeState.SKIPPED, writes__gt=0)
    rows = begun.exclude(undone_by__state=ChangeState.VERIFIED)
    if chosen is not None:
        rows = rows.filter(pk__in=[change.pk for change in chosen])
    locks = locked_regions(run.account)
    begun_here = list(rows.select_related("instance", "needs").order_by("-pk"))
    later = taken_over(begun_here, sent_after(run).only("run_id", "kind", "region", "resource_id", "send"))
    items, excluded = [], []
    for change in begun_here:
        send = ladder.restore(change.kind, change.before, change.send)
        if send == {}:
            continue
        if change.state not in SETTLED:
            excluded.append(_excluded(change, "unsettled", ON_ITS_WAY))
            continue
        reason, status = _for_later(change, later.get(change.pk)) or _why_not(change, send, locks)
        if reason:
            excluded.append(_excluded(change, status, reason))
        else:
            items.append(_item(change, send or {}, warnings=_in_doubt(change)))
    return items, excluded


def _for_later(change: Change, other: Change | None) -> tuple[str, str] | None:
    """Why it is the later run's to put back, if there is one."""
    if other is None:
        return None
    names = ", ".join(sorted(change.send.keys() & other.send.keys()))
    return f"Run {other.run_id} has sent {names} since. Put that run back instead.", "later"


def _why_not(change: Change, send: dict[str, Any] | None, locks: dict[str, str]) -> tuple[str, str]:
    """Why a change is not put back, and the word for it; ("", "") when it is."""
    if send is None:
        return IRREVERSIBLE, "locked"
    if change.kind != ResourceKind.INSTANCE or change.instance is None:
        return "", ""
    if any(send[name] is None for name in send):
        return "What it was before is not known.", "conflict"
    row = change.instance
    if row.gone_at is not None or row.instance_state in {"shutting-down", "terminated"}:
        return "The instance is gone.", "gone"
    if (change.after is not None or _read_since(change)) and (moved := _moved(change, row, send)):
        return moved
    if send.get("HttpTokens") == "optional" and change.region in locks:
        return locks[change.region], "locked"
    return "", ""


def _moved(change: Change, row: Instance, send: dict[str, Any]) -> tuple[str, str] | None:
    """What the inventory says against it; of a call in doubt that it has not read since, nothing."""
    live, after = options_of(row).as_aws(), _left_at(change)
    if change.after is None and all(live[name] == change.before.get(name) for name in send):
        return NOT_DONE, "unsettled"
    # Also of what is not sent: the write would find it drifted, and skip the instance.
    moved = [name for name in OPTIONS if name in after and live[name] != after[name]]
    if not moved:
        return None
    told = ", ".join(f"{name} is {live[name]}, we left it at {after.get(name)}" for name in moved)
    return f"Changed since: {told}. It is not overwritten.", "conflict"


def _left_at(change: Change) -> dict[str, Any]:
    """The state in which we left it, or in which it is if a call without an answer was carried out."""
    meant: dict[str, Any] = change.before | ladder.as_state(change.kind, filled(change))
    return meant if change.after is None else change.after


def _read_since(change: Change) -> bool:
    """Has the inventory seen the instance since its outcome was given up?"""
    row, given_up = change.instance, change.settled_at or change.called_at
    return row is not None and given_up is not None and row.last_seen_at > given_up


def _in_doubt(change: Change) -> list[str]:
    if change.after is not None:
        return []
    return [TAKEN_FOR_DONE if _read_since(change) else IN_DOUBT]


def _item(change: Change, send: dict[str, Any], *, warnings: list[str]) -> dict[str, Any]:
    item: dict[str, Any] = {
        "kind": change.kind,
        "region": change.region,
        "name": change.name,
        "before": _left_at(change),
        "send": send,
        "reason": f"As it was before run {change.run_id}.",
        "warnings": warnings,
        "undoes": change.pk,
    }
    if change.kind == ResourceKind.INSTANCE:
        return item | {"instance_id": change.resource_id}
    return item | {"resource_id": change.resource_id}


def _excluded(change: Change, status: str, reason: str) -> dict[str, Any]:
    return {
        "instance_id": change.resource_id,
        "region": change.region,
        "name": change.name,
        "status": status,
        "reason": reason,
    }


def _loosens(item: dict[str, Any]) -> bool:
    """Does what is put back answer IMDSv1 afterwards?"""
    after = {**item["before"], **item["send"]}
    return bool(item["send"].keys() & {"HttpTokens", "HttpEndpoint"}) and (
        after.get("HttpTokens") == "optional" and after.get("HttpEndpoint") != "disabled"
    )


def _notes(run: Run, items: list[dict[str, Any]], *, proposed: bool) -> list[str]:
    notes = [f"Puts back run {run.pk}, exactly the fields it sent, only where they are still as it left them."]
    if any(_loosens(item) for item in items):
        notes.append(plans.ANSWERS_AGAIN)
    if proposed:
        notes.append("Proposed by the watch: these had IMDSv1 calls refused since they require IMDSv2.")
    return notes
