"""I1 to I12, read off the rows themselves: nothing here asks the code under test whether it did well."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from migration.enums import (
    ACTIVE_RUN,
    CanaryState,
    Decision,
    Emergency,
    PolicyState,
    RequestKind,
    RequestState,
    Role,
    RunState,
    Status,
)
from migration.models import Approval, AuditEvent, Brake, Change, EnforcementRequest, PlanEdit, Run
from tests.stateful.aws import Write

OPTIONS = ("HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint", "HttpProtocolIpv6", "InstanceMetadataTags")
STILL_GOOD = {Status.READY, Status.ENFORCED, Status.PENDING}
DECIDING = (Role.APPROVER, Role.ADMIN)
MOVING = ("leased", "calling", "applied", "unknown")
BORN = {"EnforcementRequest": "draft", "Run": "queued", "Change": "pending"}


def digest(plan: Any) -> str:
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def shown(options: dict[str, Any]) -> dict[str, Any]:
    """The five that can be set; State only tells how far AWS has come."""
    return {name: options.get(name) for name in OPTIONS}


def involved(request: EnforcementRequest) -> set[int | None]:
    editors = PlanEdit.objects.filter(request=request).values_list("editor_id", flat=True)
    return {request.created_by_id, request.requested_by_id, *editors}


def signers(request: EnforcementRequest, *, still_here: bool) -> set[int]:
    rows = Approval.objects.filter(
        request=request, decision=Decision.APPROVE, void_at=None, plan_hash=request.plan_hash
    )
    if still_here:
        rows = rows.filter(approver__is_active=True, approver__grants__role__in=DECIDING)
    return set(rows.values_list("approver_id", flat=True)) - involved(request)


def carried(request: EnforcementRequest, *, now: bool = True) -> bool:
    """Enough others, or a policy that says that nobody else is needed. `now`: people and policies as they are now."""
    if len(signers(request, still_here=now)) >= request.plan["policy"]["quorum"]:
        return True
    policy = request.by_policy
    if policy is None or policy.pk != request.plan["policy"]["policy"]:
        return False
    if now and policy.state != PolicyState.ACTIVE:
        return False
    if request.emergency:
        return request.kind == RequestKind.ROLLBACK and policy.emergency != Emergency.NOBODY
    return len(request.plan["changes"]) <= policy.one_click and not request.plan["excluded"]


# --- at the moment a call leaves ---------------------------------------------------------------------------


def at_the_write(write: Write) -> None:
    """Everything that must be true of a call when it is sent."""
    change = Change.objects.select_related("run__request__by_policy", "run__account", "instance").get(pk=write.change)
    item = i1_only_what_is_approved(write, change)
    i3_as_it_was_signed(change.run.request)
    i4_never_over_what_others_changed(write, change, item)
    i5_the_intent_is_committed(write, change)
    i6_within_the_budget(change.run)
    i7_exactly_what_was_before(write, change)
    i8_one_writer(write, change)
    i9_not_a_second_time(write, change)
    i12_only_what_is_planned(write, change, item)
    the_first_goes_alone(change.run)


def i1_only_what_is_approved(write: Write, change: Change) -> dict[str, Any]:
    run, request = change.run, change.run.request
    assert run.state == RunState.RUNNING, "I1"
    assert request.state == RequestState.APPROVED, "I1"
    assert request.expires_at > write.at, "I1"
    assert carried(request), "I1, I2"
    assert request.plan["account_id"] == change.target_account_id == run.account.account_id, "I1"
    items = [one for one in request.plan["changes"] if one["instance_id"] == write.instance_id]
    assert len(items) == 1, "I1"
    item: dict[str, Any] = items[0]
    assert (change.resource_id, change.region) == (item["instance_id"], item["region"]), "I1"
    return item


def i3_as_it_was_signed(request: EnforcementRequest) -> None:
    assert digest(request.plan) == request.plan_hash, "I3"


def i4_never_over_what_others_changed(write: Write, change: Change, item: dict[str, Any]) -> None:
    assert write.read is not None, "I4: nobody has looked"
    assert write.read_at is not None, "I4: nobody has looked"
    assert (write.at - write.read_at).total_seconds() < settings.IMDSDASH_LEASE_SECONDS, "I4: it was looked at long ago"
    assert shown(write.read) == shown(item["before"]), "I4: it is not what the plan says"
    unseen = write.moved or write.lagged
    assert unseen or shown(write.live) == shown(item["before"]), "I4: it had changed before it was looked at"
    if change.run.request.kind == RequestKind.ENFORCE and change.instance is not None:
        assert change.instance.status in STILL_GOOD, "I4: it calls IMDSv1, or nobody knows"


def i5_the_intent_is_committed(write: Write, change: Change) -> None:
    assert change.state == "calling", "I5"
    assert change.called_at == write.at, "I5"
    assert change.writes >= 1, "I5"
    last = AuditEvent.objects.filter(object_type="Change", object_id=str(change.pk)).latest("seq")
    assert last.verb == "change.calling", "I5"


def i6_within_the_budget(run: Run) -> None:
    assert not Brake.objects.filter(on=True).exists(), "I6: the brake is on"
    failed = run.changes.filter(state="failed").count()
    assert failed - run.failures_forgiven <= run.max_failures, "I6"


def i7_exactly_what_was_before(write: Write, change: Change) -> None:
    undone = change.undoes
    if change.run.request.kind != RequestKind.ROLLBACK:
        assert undone is None, "I7"
        return
    assert undone is not None, "I7"
    assert undone.resource_id == write.instance_id, "I7"
    assert write.send == {name: undone.before[name] for name in undone.send}, "I7"
    left_at = undone.after or undone.before | undone.send  # an answer was lost: as it was to become
    assert write.moved or write.lagged or all(write.live[name] == left_at[name] for name in undone.send), "I7"


def i8_one_writer(write: Write, change: Change) -> None:
    held = Change.objects.filter(resource_id=write.instance_id, state="calling", lease_expires_at__gt=write.at)
    assert list(held.values_list("pk", flat=True)) == [change.pk], "I8: two are writing to one instance"


def i9_not_a_second_time(write: Write, change: Change) -> None:
    assert not write.again, "I9: it had arrived, and nothing has changed it since"
    assert change.writes <= 2, "I9"


def i12_only_what_is_planned(write: Write, change: Change, item: dict[str, Any]) -> None:
    assert write.send == item["send"] == change.send, "I12"
    assert "HttpEndpoint" not in write.send, "I12: it would open IMDS where it is off"


def the_first_goes_alone(run: Run) -> None:
    """Until one is verified, one is on its way; and where the policy wants it watched, it has been."""
    counts = Counter(run.changes.values_list("state", flat=True))
    if not counts["verified"]:
        assert sum(counts[state] for state in MOVING) == 1, "the canary is not alone"
    elif run.request.plan["policy"]["canary_minutes"] and run.request.kind == RequestKind.ENFORCE:
        assert run.canary in {CanaryState.QUIET, CanaryState.ACCEPTED}, "nobody waited for the canary"


# --- after every step --------------------------------------------------------------------------------------


@dataclass
class Ledger:
    """What was true after the step before."""

    seq: int = 0
    states: dict[tuple[str, str], str] = field(default_factory=dict)  # of every row, as the audit log tells it
    versions: dict[int, int] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    most: dict[int, int] = field(default_factory=dict)  # failures that a run over its budget may come to
    verbs: Counter[str] = field(default_factory=Counter)

    def always(self) -> None:
        """I2, I3, I6, I7, I8, I9, I10 and I11, after every step."""
        runs = {run.pk: run for run in Run.objects.order_by("pk")}
        changes = list(Change.objects.order_by("pk").values_list("pk", "run_id", "state", "writes"))
        requests = list(EnforcementRequest.objects.order_by("pk").values_list("pk", "state", "version"))
        self.i2_and_i3_others_signed_this_very_plan(requests)
        self.i6_no_more_fail_than_were_on_their_way(runs, changes)
        self.i8_one_run_in_an_account(runs.values())
        self.i9_once(runs.values(), changes)
        self.i7_and_i10_verified_is_what_was_read(changes)
        self.i11_every_state_is_told(
            {("EnforcementRequest", str(pk)): state for pk, state, _ in requests}
            | {("Run", str(pk)): run.state for pk, run in runs.items()}
            | {("Change", str(pk)): state for pk, _, state, _ in changes}
        )

    def i2_and_i3_others_signed_this_very_plan(self, requests: Iterable[tuple[int, str, int]]) -> None:
        moved = [pk for pk, _, version in requests if self.versions.get(pk) != version]
        for request in EnforcementRequest.objects.filter(pk__in=moved).select_related("by_policy"):
            assert digest(request.plan) == request.plan_hash, "I3"
            assert request.quorum == request.plan["policy"]["quorum"], "I2"
            standing = Approval.objects.filter(request=request, void_at=None)
            assert all(one.plan_hash == request.plan_hash for one in standing), "I3: an approval of another plan stands"
            if request.state == RequestState.APPROVED:
                assert carried(request, now=False), "I2"
                assert request.decided_by_id not in involved(request) or request.decided_by_id is None, "I2"
            self.versions[request.pk] = request.version

    def i6_no_more_fail_than_were_on_their_way(self, runs: dict[int, Run], changes: Iterable[tuple[Any, ...]]) -> None:
        failed = Counter(run for _, run, state, _ in changes if state == "failed")
        moving = Counter(run for _, run, state, _ in changes if state in MOVING)
        for pk, run in runs.items():
            if failed[pk] - run.failures_forgiven <= run.max_failures:
                self.most.pop(pk, None)
            else:
                assert failed[pk] <= self.most.setdefault(pk, failed[pk] + moving[pk]), "I6"

    def i8_one_run_in_an_account(self, runs: Iterable[Run]) -> None:
        active = Counter(run.account_id for run in runs if run.state in ACTIVE_RUN)
        assert max(active.values(), default=0) <= 1, "I8"

    def i9_once(self, runs: Iterable[Run], changes: Iterable[tuple[Any, ...]]) -> None:
        assert max(Counter(run.request_id for run in runs).values(), default=0) <= 1, "I9"
        assert all(writes <= 2 for *_, writes in changes), "I9"

    def i7_and_i10_verified_is_what_was_read(self, changes: Iterable[tuple[Any, ...]]) -> None:
        new = {pk for pk, _, state, _ in changes if state == "verified"} - self.settled
        for change in Change.objects.filter(pk__in=new).select_related("undoes"):
            after: dict[str, Any] = change.after or {}
            assert change.writes, "I10: verified, and never written"
            assert all(after[name] == value for name, value in change.send.items()), "I10"
            assert all(after[name] == change.before[name] for name in OPTIONS if name not in change.send), "I12"
            if change.undoes is not None:
                assert all(after[name] == change.undoes.before[name] for name in change.undoes.send), "I7"
        self.settled |= new

    def i11_every_state_is_told(self, states: dict[tuple[str, str], str]) -> None:
        """Each event begins where the one before it ended, and the last one is where the row is."""
        rows = AuditEvent.objects.filter(seq__gt=self.seq).order_by("seq")
        for seq, verb, kind, pk, before, after in rows.values_list(
            "seq", "verb", "object_type", "object_id", "before", "after"
        ):
            self.seq = seq
            self.verbs[verb] += 1
            if kind in BORN and isinstance(after, dict) and "state" in after:
                was = self.states.get((kind, pk), BORN[kind])
                said = (before or {}).get("state")
                assert said == was, f"I11: {kind} {pk} was {was}, and {verb} says {said}"
                self.states[kind, pk] = after["state"]
        for row, state in states.items():
            told = self.states.get(row, BORN[row[0]])
            assert state == told, f"I11: {row} is {state}, and the log says {told}"


def denied(since: int, refusal: str) -> None:
    """I11: a refusal moves nothing; one for want of a right is told, and told once."""
    verbs = list(AuditEvent.objects.filter(seq__gt=since).values_list("verb", flat=True))
    rightless = "Your role does not allow" in refusal or "somebody else must decide" in refusal
    assert set(verbs) <= {"denied"}, f"I11: refused, and yet {verbs}"
    assert len(verbs) == 1 or not rightless, "I11: an attempt that was denied is not told"
