"""I1 to I12, read off the rows themselves: nothing here asks the code under test whether it did well."""

import hashlib
import json
from typing import Any

from django.db.models import Count

from migration.enums import ACTIVE_RUN, Decision, Emergency, PolicyState, RequestKind, RequestState, RunState
from migration.models import Approval, AuditEvent, Change, EnforcementRequest, PlanEdit, Run
from tests.stateful.aws import NAMES, JournalingAws, Write


def digest(plan: Any) -> str:
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def involved(request: EnforcementRequest) -> set[int | None]:
    editors = PlanEdit.objects.filter(request=request).values_list("editor_id", flat=True)
    return {request.created_by_id, request.requested_by_id, *editors}


def signers(request: EnforcementRequest, *, still_here: bool) -> set[int]:
    rows = Approval.objects.filter(
        request=request, decision=Decision.APPROVE, void_at=None, plan_hash=request.plan_hash
    )
    if still_here:
        rows = rows.filter(approver__is_active=True)
    return set(rows.values_list("approver_id", flat=True)) - involved(request)


def carried(request: EnforcementRequest, *, still_here: bool = True) -> bool:
    """Enough others, or a policy in force that says that nobody else is needed."""
    if len(signers(request, still_here=still_here)) >= request.plan["policy"]["quorum"]:
        return True
    policy = request.by_policy
    if policy is None or policy.state != PolicyState.ACTIVE or policy.pk != request.plan["policy"]["policy"]:
        return False
    if request.emergency:
        return request.kind == RequestKind.ROLLBACK and policy.emergency != Emergency.NOBODY
    return len(request.plan["changes"]) <= policy.one_click and not request.plan["excluded"]


def at_the_write(write: Write) -> None:
    """I1, I3, I4, I5, I6, I7 and I12, at the moment a call arrives."""
    calling = Change.objects.filter(resource_id=write.instance_id, state="calling").select_related("run__request")
    if write.asleep:
        return  # the call had left before its lease ended; what it may do is what the plan says, which I12 holds
    change = calling.get()  # I5: the intent is committed, and I8: by one alone
    run, request = change.run, change.run.request
    item = next(one for one in request.plan["changes"] if one["instance_id"] == write.instance_id)
    assert run.state in ACTIVE_RUN or run.state == RunState.STOPPED, "I1"
    assert request.state == RequestState.APPROVED, "I1"
    assert request.expires_at > write.at, "I1"
    assert carried(request), "I1, I2"
    assert digest(request.plan) == request.plan_hash, "I3"
    names = [name for name in ("HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint") if name in item["before"]]
    assert {name: write.live[name] for name in names} == {name: item["before"][name] for name in names}, "I4"
    assert write.send == item["send"], "I12"
    failed = run.changes.filter(state="failed").count()
    assert failed - run.failures_forgiven <= run.max_failures, "I6"
    if change.undoes_id is not None:
        undone = Change.objects.get(pk=change.undoes_id)
        assert write.send == {name: undone.before[name] for name in undone.send}, "I7"
        assert all(write.live[name] == (undone.after or {})[name] for name in undone.send), "I7"


def always(aws: JournalingAws) -> None:
    """I2, I3, I8, I9 and I11, after every step."""
    for request in EnforcementRequest.objects.select_related("by_policy"):
        assert digest(request.plan) == request.plan_hash, "I3"
        if request.state == RequestState.APPROVED:
            assert carried(request, still_here=False), "I2"
            assert request.decided_by_id not in involved(request) or request.decided_by_id is None, "I2"
    crowded = Run.objects.filter(state__in=ACTIVE_RUN).values("account").annotate(runs=Count("pk")).filter(runs__gt=1)
    assert not crowded.exists(), "I8"
    assert not Change.objects.filter(writes__gt=2).exists(), "I9"
    assert not Change.objects.filter(state="verified", after=None).exists(), "I5"
    for write in aws.journal[-2:]:
        assert set(write.send) <= set(NAMES), "I12"


def told() -> None:
    """I11: the last event of each row names the state it is in."""
    last: dict[tuple[str, str], str] = {}
    for kind, pk, after in AuditEvent.objects.order_by("seq").values_list("object_type", "object_id", "after"):
        if isinstance(after, dict) and "state" in after:
            last[kind, pk] = after["state"]
    for model in (EnforcementRequest, Run, Change):
        name = model.__name__
        for row, state in model.objects.values_list("pk", "state"):
            assert last.get((name, str(row)), state) == state, f"I11: {name} {row}"
