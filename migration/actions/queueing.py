"""From an approved plan to rows in the queue: the run and its changes, in the transaction of the decision."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from migration.actions import audit
from migration.actions.errors import Refused
from migration.domain import plan as plans
from migration.domain import policy as policies
from migration.domain.plan import Key
from migration.enums import ACTIVE_RUN, ChangeState, ResourceKind, RunState
from migration.models import Change, EnforcementRequest, Instance, Run


def queue(request: EnforcementRequest, *, now: datetime) -> Run:
    """Make the run of an approved request. Raises Refused when another run is active in the account, or an instance is
    not the account's; then nothing was approved either, for both are one transaction.
    """
    if Run.objects.filter(account=request.account, state__in=ACTIVE_RUN).exists():
        raise Refused(_already_running(request))
    terms = policies.of_plan(request.plan.get("policy") or {})
    try:
        with transaction.atomic():
            run = Run.objects.create(
                request=request,
                account=request.account,
                wave=request.wave,
                state=RunState.QUEUED,
                max_failures=terms.max_failures,
                created_at=now,
            )
    except IntegrityError as error:
        raise Refused(_already_running(request)) from error
    planned = plans.items(request.plan)
    rows = _instances(request, planned)
    made = Change.objects.bulk_create(
        Change(
            run=run,
            kind=key[0],
            instance=rows.get(key),
            target_account_id=request.account.account_id,
            region=key[1],
            resource_id=key[2],
            name=item.get("name", ""),
            undoes_id=item.get("undoes"),
            before=item["before"],
            send=item["send"],
            state=ChangeState.PENDING,
        )
        for key, item in planned.items()
    )
    _tie(made, planned)
    audit.append(
        verb="run.queued",
        object_type="Run",
        object_id=run.pk,
        account_id=request.account.account_id,
        after={"changes": len(planned), "plan_hash": request.plan_hash},
        now=now,
    )
    return run


def _instances(request: EnforcementRequest, planned: Mapping[Key, Mapping[str, Any]]) -> dict[Key, Instance]:
    wanted = [key for key in planned if key[0] == ResourceKind.INSTANCE]
    rows = {
        (str(ResourceKind.INSTANCE), row.region, row.instance_id): row
        for row in Instance.objects.filter(account=request.account, instance_id__in=[key[2] for key in wanted])
    }
    foreign = sorted(key[2] for key in wanted if key not in rows)
    if foreign:
        raise Refused(f"{foreign[0]} is not an instance of account {request.account.account_id}. Nothing was approved.")
    return rows


def _tie(made: list[Change], planned: Mapping[Key, Mapping[str, Any]]) -> None:
    """A change that needs another waits until that one is verified."""
    rows = dict(zip(planned, made, strict=True))
    tied = []
    for key, item in planned.items():
        if item.get("needs"):
            rows[key].needs = rows[tuple(item["needs"])]
            tied.append(rows[key])
    if tied:
        Change.objects.bulk_update(tied, ["needs"])


def _already_running(request: EnforcementRequest) -> str:
    return (
        f"Another run is active in {request.account.name or request.account.account_id}; one account takes one run at "
        "a time. This request still waits: approve it when that run is over."
    )
