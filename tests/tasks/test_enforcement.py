"""From an approved plan to verified instances on a pretend AWS, with what can go wrong on the way."""

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from migration.actions import audit, enforcement, requests, runs
from migration.actions.errors import Refused
from migration.enums import SETTLED, ChangeState, RequestState, Role, RunState, Status
from migration.models import AuditEvent, Change, EnforcementRequest, Instance, Run
from migration.tasks import collection, edges
from migration.tasks import enforcement as tasks
from tests import factories, fleets

pytestmark = pytest.mark.django_db(transaction=True)
WRITE = "ModifyInstanceMetadataOptions"


@pytest.fixture(autouse=True)
def _quick(settings, monkeypatch):
    """Half a second between looks, and no pause between writes: the sandbox has no owners to leave room to."""
    settings.IMDSDASH_WRITES_PER_SECOND = 1000
    monkeypatch.setattr(tasks, "LOOK", 0.05)
    monkeypatch.setattr(tasks, "IDLE_ROUNDS", 100)
    monkeypatch.setattr(tasks, "nudge", lambda task, *ids: task(*ids))


def collected(fleet) -> None:
    edge = edges.reader()
    account = collection.ambient_account(edge)
    for scope in collection.open_account(edge, account, now=timezone.now()):
        collection.collect_scope(edge, scope)


def approved_run() -> Run:
    """Everything ready, planned, requested and approved."""
    now = timezone.now()
    account = Instance.objects.first().account
    engineer, approver = factories.user("ellen", Role.ENGINEER), factories.user("adam", Role.APPROVER)
    draft = requests.draft_plan(account=account, by=engineer, now=now)
    waiting = requests.submit(request=draft, by=engineer, reason="", version=draft.version, now=now)
    return requests.approve(request=waiting, by=approver, comment="", version=waiting.version, now=now)


def begin(aws, *groups, **options):
    sandbox = aws(fleets.alone(*(groups or ({"count": 3, "name_prefix": "web", **fleets.QUIET},)), **options))
    collected(sandbox)
    run = approved_run()
    sandbox.clear_calls()
    return sandbox, run


def drive(run: Run) -> dict[str, int]:
    tasks.drive_run(run.pk)
    run.refresh_from_db()
    states = run.changes.values_list("state", flat=True)
    return {state: list(states).count(state) for state in set(states)}


def test_an_approved_run_turns_every_planned_instance_required_with_one_call_each(aws):
    sandbox, run = begin(aws)

    assert drive(run) == {"verified": 3}

    assert run.state == RunState.DONE
    calls = sandbox.calls(operation=WRITE)
    assert sorted(call["params"]["InstanceId"] for call in calls) == sorted(
        Instance.objects.values_list("instance_id", flat=True)
    )
    sent = [{name for name in call["params"] if name not in {"Action", "Version"}} for call in calls]
    assert sent == [{"InstanceId", "HttpTokens"}] * 3
    assert set(Instance.objects.values_list("status", flat=True)) == {Status.ENFORCED}
    assert audit.verify() is None


def test_before_and_after_hold_all_six_options(aws):
    _, run = begin(aws)

    drive(run)

    change = run.changes.first()
    assert change.before["HttpTokens"] == "optional"
    assert change.after == change.before | {"HttpTokens": "required"}
    assert change.aws_request_id


def test_the_first_change_goes_alone_until_it_is_verified(aws):
    sandbox, run = begin(aws)
    run.refresh_from_db()
    runs.start(run=run, now=timezone.now())

    tasks.step(run.pk)
    tasks.step(run.pk)

    assert len(sandbox.calls(operation=WRITE)) == 1


def test_fifty_deliveries_of_the_message_write_each_instance_once(aws):
    sandbox, run = begin(aws)
    threads = [threading.Thread(target=_deliver, args=(run.pk,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(42):
        tasks.drive_run(run.pk)

    run.refresh_from_db()
    assert run.state == RunState.DONE
    assert len(sandbox.calls(operation=WRITE)) == 3


def _deliver(run_pk: int) -> None:
    from django.db import connections

    try:
        tasks.drive_run(run_pk)
    finally:
        connections.close_all()


@pytest.mark.parametrize(
    "state", [RequestState.DRAFT, RequestState.REQUESTED, RequestState.REJECTED, RequestState.WITHDRAWN]
)
def test_a_forged_message_for_a_run_whose_request_is_not_approved_writes_nothing(aws, state):
    sandbox, run = begin(aws)
    EnforcementRequest.objects.filter(pk=run.request_id).update(state=state)
    runs.start(run=run, now=timezone.now())

    for _ in range(3):
        tasks.step(run.pk)

    assert not sandbox.calls(operation=WRITE)


def test_a_change_that_is_not_in_the_approved_plan_is_never_written(aws):
    sandbox, run = begin(aws)
    change = run.changes.order_by("pk").first()
    Change.objects.filter(pk=change.pk).update(send={"HttpTokens": "optional"})

    drive(run)

    change.refresh_from_db()
    assert (change.state, change.error_class) == (ChangeState.FAILED, "not_in_plan")
    assert change.target_instance_id not in {call["params"]["InstanceId"] for call in sandbox.calls(operation=WRITE)}


def test_a_plan_edited_after_approval_executes_nothing(aws):
    sandbox, run = begin(aws)
    request = run.request
    EnforcementRequest.objects.filter(pk=request.pk).update(plan=request.plan | {"notes": ["edited"]})
    runs.start(run=run, now=timezone.now())

    tasks.step(run.pk)

    assert not sandbox.calls(operation=WRITE)


def test_an_approval_by_the_requester_forced_into_the_table_executes_nothing(aws):
    sandbox, run = begin(aws)
    run.request.approvals.all().delete()
    runs.start(run=run, now=timezone.now())

    tasks.step(run.pk)

    assert not sandbox.calls(operation=WRITE)


def test_an_instance_that_drifted_since_the_plan_is_skipped_and_said(aws):
    sandbox, run = begin(aws)
    drifted = run.changes.last()
    _set_options(sandbox, drifted.target_instance_id, http_put_response_hop_limit=3)

    assert drive(run) == {"verified": 2, "skipped": 1}

    drifted.refresh_from_db()
    assert drifted.reason == "Changed since the plan was made: HttpPutResponseHopLimit was 1 and is 3."


def test_an_instance_that_already_is_required_is_skipped_without_a_call(aws):
    sandbox, run = begin(aws)
    done = run.changes.last()
    _set_options(sandbox, done.target_instance_id, http_tokens="required")

    assert drive(run) == {"verified": 2, "skipped": 1}
    assert len(sandbox.calls(operation=WRITE)) == 2


def test_an_instance_seen_calling_v1_since_the_plan_is_skipped(aws):
    _sandbox, run = begin(aws)
    caller = run.changes.last()
    Instance.objects.filter(pk=caller.instance_id).update(status=Status.IN_USE, status_reason="1 IMDSv1 call today.")

    assert drive(run) == {"verified": 2, "skipped": 1}

    caller.refresh_from_db()
    assert caller.reason == "No longer ready, but in use: 1 IMDSv1 call today."


def _set_options(sandbox, instance_id: str, **fields) -> None:
    instance = sandbox.world.instances[instance_id]
    old = instance.options
    instance.options = type(old)(**{name: getattr(old, name) for name in old.__slots__} | fields)


def test_a_throttled_write_is_tried_again_and_is_not_a_failure(aws, monkeypatch):
    sandbox, run = begin(aws)
    sandbox.set_faults([{"kind": "throttle", "operation": WRITE, "times": 2}])
    monkeypatch.setattr(tasks, "THROTTLED_DELAY", 0.1)

    assert drive(run) == {"verified": 3}
    assert max(run.changes.values_list("writes", flat=True)) == 1


def test_a_lost_answer_is_reconciled_by_reading_and_not_written_again(aws):
    sandbox, run = begin(aws)
    sandbox.set_faults([{"kind": "apply_then_drop", "operation": WRITE, "times": 1}])

    assert drive(run) == {"verified": 3}

    assert len(sandbox.calls(operation=WRITE)) == 3
    assert AuditEvent.objects.filter(verb="change.reconciled").count() == 1


def test_a_call_cut_off_before_it_arrived_is_written_a_second_time_and_never_a_third(aws):
    sandbox, run = begin(aws)
    sandbox.set_faults([{"kind": "drop", "operation": WRITE, "times": 1}])

    assert drive(run) == {"verified": 3}

    per_instance = [call["params"]["InstanceId"] for call in sandbox.calls(operation=WRITE)]
    assert sorted(per_instance.count(one) for one in set(per_instance)) == [1, 1, 2]


def test_a_call_that_never_arrives_ends_with_a_person_after_two_writes(aws):
    sandbox, run = begin(aws, {"name": "web", **fleets.QUIET})
    sandbox.set_faults([{"kind": "drop", "operation": WRITE}])

    drive(run)

    change = run.changes.get()
    assert (change.state, change.error_class, change.writes) == (ChangeState.FAILED, "writes", 2)
    assert "a person must look" in change.reason


def test_a_lagging_read_is_waited_out(aws):
    sandbox, run = begin(aws)
    sandbox.set_faults([{"kind": "stale_reads", "times": 3}])

    assert drive(run) == {"verified": 3}
    assert len(sandbox.calls(operation=WRITE)) == 3


def test_pending_is_not_done(aws):
    _sandbox, run = begin(aws, {"name": "web", **fleets.QUIET}, settings={"apply_seconds": 1.5})

    tasks.runs.start(run=run, now=timezone.now())
    tasks.step(run.pk)
    tasks.step(run.pk)

    assert run.changes.get().state == ChangeState.APPLIED
    assert drive(run) == {"verified": 1}


def test_a_refusal_fails_the_change_with_awss_words_and_the_others_go_on(aws):
    sandbox, run = begin(aws)
    refused = run.changes.last()
    sandbox.set_faults(
        [{"kind": "error", "operation": WRITE, "instance_id": refused.target_instance_id,
          "code": "IncorrectInstanceState", "message": "not in this state", "status": 400}]
    )  # fmt: skip

    assert drive(run) == {"verified": 2, "failed": 1}

    refused.refresh_from_db()
    assert refused.error_class == "IncorrectInstanceState"
    assert "not in this state" in refused.reason
    assert (run.state, run.state_reason) == (RunState.FAILED, "1 of 3 changes failed.")


def test_failures_beyond_the_budget_pause_the_run_and_a_person_may_resume_it(aws, settings):
    settings.IMDSDASH_MAX_FAILURES = 0
    sandbox, run = begin(aws)
    sandbox.set_faults([{"kind": "access_denied", "operation": WRITE}])
    _drive_a_little(run)

    run.refresh_from_db()
    assert run.state == RunState.PAUSED
    assert len(sandbox.calls(operation=WRITE)) == 1

    sandbox.clear_faults()
    runs.resume(run=run, by=factories.user("bob", Role.ENGINEER), now=timezone.now())
    assert drive(run) == {"verified": 2, "failed": 1}


def _drive_a_little(run: Run) -> None:
    runs.start(run=run, now=timezone.now())
    for _ in range(4):
        tasks.step(run.pk)


def test_stop_acts_before_the_next_call(aws):
    sandbox, run = begin(aws)
    runs.start(run=run, now=timezone.now())
    tasks.step(run.pk)
    runs.stop(run=run, by=factories.user("bob", Role.ENGINEER), now=timezone.now())

    drive(run)

    assert len(sandbox.calls(operation=WRITE)) == 1
    assert sorted(run.changes.values_list("state", flat=True)) == ["skipped", "skipped", "verified"]


def test_a_claim_taken_before_the_stop_writes_nothing_after_it(aws):
    _sandbox, run = begin(aws)
    runs.start(run=run, now=timezone.now())
    claim = enforcement.claim(run_id=run.pk, owner="me", limit=1, now=timezone.now())[0]
    runs.stop(run=run, by=factories.user("bob", Role.ENGINEER), now=timezone.now())

    assert enforcement.begin(claim=claim, now=timezone.now()) is None
    assert Change.objects.get(pk=claim.change_id).state == ChangeState.SKIPPED


def test_a_worker_that_slept_past_its_lease_changes_nothing(aws):
    _sandbox, run = begin(aws)
    runs.start(run=run, now=timezone.now())
    claim = enforcement.claim(run_id=run.pk, owner="sleeper", limit=1, now=timezone.now())[0]
    enforcement.begin(claim=claim, now=timezone.now())
    later = timezone.now() + timedelta(hours=1)
    enforcement.recover(now=later)
    before = Change.objects.filter(pk=claim.change_id).values().get()

    assert enforcement.record_applied(claim=claim, aws_request_id="late", now=later) is False
    assert enforcement.fail(claim=claim, reason="late", error_class="late", now=later) is False
    assert enforcement.begin(claim=claim, now=later) is None
    assert Change.objects.filter(pk=claim.change_id).values().get() == before


@pytest.mark.parametrize("crash_in", ["leased", "calling"])
def test_what_a_dead_worker_held_is_taken_back_by_the_sweeper(aws, crash_in):
    sandbox, run = begin(aws)
    runs.start(run=run, now=timezone.now())
    claim = enforcement.claim(run_id=run.pk, owner="dead", limit=1, now=timezone.now())[0]
    if crash_in == "calling":
        enforcement.begin(claim=claim, now=timezone.now())
    Change.objects.filter(pk=claim.change_id).update(lease_expires_at=timezone.now() - timedelta(seconds=1))

    tasks.sweep()

    run.refresh_from_db()
    assert run.state == RunState.DONE
    assert set(run.changes.values_list("state", flat=True)) <= set(SETTLED)
    assert len(sandbox.calls(operation=WRITE)) == 3


def test_a_change_that_kills_its_workers_is_parked(aws):
    _, run = begin(aws, {"name": "web", **fleets.QUIET})
    runs.start(run=run, now=timezone.now())
    for _ in range(enforcement.MAX_ATTEMPTS):
        assert enforcement.claim(run_id=run.pk, owner="dead", limit=1, now=timezone.now())
        Change.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        enforcement.recover(now=timezone.now())

    assert enforcement.claim(run_id=run.pk, owner="next", limit=1, now=timezone.now()) == []
    assert run.changes.get().error_class == "attempts"


def test_writes_keep_the_distance_that_leaves_half_of_awss_bucket_to_its_owners(aws, settings):
    """ModifyInstanceMetadataOptions: 5 a second per account and Region, shared with its owners (domain.md 9)."""
    settings.IMDSDASH_WRITES_PER_SECOND = 2.5
    _, run = begin(aws)
    runs.start(run=run, now=timezone.now())
    now = timezone.now()
    claim = enforcement.claim(run_id=run.pk, owner="me", limit=1, now=now)[0]
    Change.objects.exclude(pk=claim.change_id).update(called_at=now)

    assert enforcement.begin(claim=claim, now=now + timedelta(seconds=0.1)) == pytest.approx(0.3)
    assert Change.objects.get(pk=claim.change_id).state == ChangeState.LEASED
    assert enforcement.begin(claim=claim, now=now + timedelta(seconds=0.4)) == 0


def test_a_member_account_is_written_by_its_enforcer_role_and_the_session_names_run_and_approver(aws):
    from tests.tasks.test_collection import enter, member

    sandbox = aws(fleets.pair({"name": "web", **fleets.QUIET}))
    enter(member())
    run = approved_run()

    assert drive(run) == {"verified": 1}

    call = sandbox.calls(operation=WRITE)[0]
    assert (call["account_id"], call["role_name"]) == (fleets.MEMBER, "imdsdash-enforcer")
    assert call["session_name"] == f"imdsdash-run-{run.pk}-adam"


# What a fresh pair of eyes found, each once as it would go wrong.


def test_the_failure_budget_binds_inside_a_batch(aws, settings):
    """Failures beyond the budget stop new calls at once, not at the end of what was claimed (I6)."""
    settings.IMDSDASH_MAX_FAILURES = 1
    sandbox, run = begin(aws, {"count": 8, "name_prefix": "web", **fleets.QUIET})
    sandbox.set_faults([{"kind": "access_denied", "operation": WRITE, "after": 1}])

    drive(run)

    assert run.state == RunState.PAUSED
    assert len(sandbox.calls(operation=WRITE)) == 3  # the canary, then one failure that may be and one too many
    assert run.changes.filter(state=ChangeState.PENDING).count() == 5


def test_only_one_worker_drives_a_run(aws):
    _, run = begin(aws)
    now = timezone.now()

    assert runs.take_the_wheel(run_id=run.pk, driver="a", seconds=60, now=now)
    assert not runs.take_the_wheel(run_id=run.pk, driver="b", seconds=60, now=now)
    assert runs.take_the_wheel(run_id=run.pk, driver="a", seconds=60, now=now)
    assert runs.take_the_wheel(run_id=run.pk, driver="b", seconds=60, now=now + timedelta(seconds=61))


def test_the_sweeper_does_not_wake_a_second_worker_for_a_driven_run(aws):
    _, run = begin(aws)
    runs.take_the_wheel(run_id=run.pk, driver="a", seconds=60, now=timezone.now())

    assert enforcement.recover(now=timezone.now()) == set()
    assert enforcement.recover(now=timezone.now() + timedelta(seconds=61)) == {run.pk}


def test_workers_side_by_side_let_the_canary_go_alone(aws):
    """Even if two drive at once, the run's lock lets them claim one after the other."""
    _sandbox, run = begin(aws, {"count": 6, "name_prefix": "web", **fleets.QUIET}, settings={"apply_seconds": 1.0})
    runs.start(run=run, now=timezone.now())
    found: list = []
    threads = [threading.Thread(target=_claim_once, args=(run.pk, found)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 1


def _claim_once(run_pk: int, found: list) -> None:
    from django.db import connections

    try:
        found += enforcement.claim(run_id=run_pk, owner="me", limit=10, now=timezone.now())
    finally:
        connections.close_all()


def test_an_approval_that_expired_before_its_turn_pauses_the_run(aws):
    sandbox, run = begin(aws)
    EnforcementRequest.objects.filter(pk=run.request_id).update(expires_at=timezone.now() - timedelta(days=1))

    drive(run)

    assert run.state == RunState.PAUSED
    assert run.state_reason.startswith("The approval has expired.")
    assert not sandbox.calls(operation=WRITE)
    with pytest.raises(Refused, match="approval has expired"):
        runs.resume(run=run, by=factories.user("bob", Role.ENGINEER), now=timezone.now())


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.SETTLING, Status.WAIVED, Status.REGRESSED])
def test_an_instance_that_is_no_longer_ready_is_not_written(aws, status):
    sandbox, run = begin(aws)
    Instance.objects.update(status=status, status_reason="whatever")

    assert drive(run) == {"skipped": 3}
    assert not sandbox.calls(operation=WRITE)


def test_a_ready_that_nobody_renewed_is_not_written(aws):
    sandbox, run = begin(aws)
    Instance.objects.update(usage_until=timezone.now() - timedelta(days=3))

    assert drive(run) == {"skipped": 3}
    assert not sandbox.calls(operation=WRITE)


def test_throttled_reads_before_a_write_are_never_a_failure(aws, monkeypatch):
    _, run = begin(aws)
    monkeypatch.setattr(tasks, "THROTTLED_DELAY", 0.01)
    runs.start(run=run, now=timezone.now())
    for _ in range(enforcement.MAX_ATTEMPTS + 2):
        claim = enforcement.claim(run_id=run.pk, owner="me", limit=1, now=timezone.now())[0]
        enforcement.release(claim=claim, reason="RequestLimitExceeded", delay=0, now=timezone.now())

    assert drive(run) == {"verified": 3}


def test_throttled_writes_are_never_an_attempt(aws, monkeypatch):
    sandbox, run = begin(aws, {"name": "web", **fleets.QUIET})
    sandbox.set_faults([{"kind": "throttle", "operation": WRITE, "times": enforcement.MAX_ATTEMPTS + 2}])
    monkeypatch.setattr(tasks, "THROTTLED_DELAY", 0.01)

    assert drive(run) == {"verified": 1}


def test_a_stopped_run_leaves_nothing_waiting_even_when_its_worker_died(aws):
    _, run = begin(aws)
    runs.start(run=run, now=timezone.now())
    enforcement.claim(run_id=run.pk, owner="dead", limit=1, now=timezone.now())
    runs.stop(run=run, by=factories.user("bob", Role.ENGINEER), now=timezone.now())
    Change.objects.filter(state=ChangeState.LEASED).update(lease_expires_at=timezone.now() - timedelta(seconds=1))

    enforcement.recover(now=timezone.now())
    enforcement.recover(now=timezone.now())

    assert set(run.changes.values_list("state", flat=True)) == {"skipped"}


def test_a_lease_that_ran_out_before_the_call_writes_nothing(aws):
    _, run = begin(aws)
    runs.start(run=run, now=timezone.now())
    claim = enforcement.claim(run_id=run.pk, owner="sleeper", limit=1, now=timezone.now())[0]

    assert enforcement.begin(claim=claim, now=timezone.now() + timedelta(hours=1)) is None
    assert Change.objects.get(pk=claim.change_id).state == ChangeState.LEASED


def test_a_role_that_cannot_be_entered_is_told_before_anything_counts_as_a_write(aws):
    from tests.tasks.test_collection import enter, member

    sandbox = aws(fleets.pair({"name": "web", **fleets.QUIET}))
    account = member()
    enter(account)
    account.enforcer_role_arn = f"arn:aws:iam::{fleets.MEMBER}:role/not-there"
    account.save()
    run = approved_run()

    assert drive(run) == {"failed": 1}

    change = run.changes.get()
    assert change.writes == 0
    assert change.reason.startswith("Nothing was sent: AssumeRole in 444455556666: AccessDenied")
    assert not sandbox.calls(operation=WRITE)


def test_an_instance_that_is_terminated_after_the_write_is_skipped_and_not_a_failure(aws):
    sandbox, run = begin(aws, {"name": "web", **fleets.QUIET}, settings={"apply_seconds": 60})
    runs.start(run=run, now=timezone.now())
    tasks.step(run.pk)
    sandbox.world.instances[run.changes.get().target_instance_id].state = "terminated"
    Change.objects.update(not_before=timezone.now())

    assert drive(run) == {"skipped": 1}
    assert run.state == RunState.DONE


def test_a_stale_read_after_a_lost_answer_does_not_send_the_change_back(aws):
    """EC2 reads lag behind its writes: one look at the old value is not proof that the write was lost."""
    sandbox, run = begin(aws, {"name": "web", **fleets.QUIET})
    runs.start(run=run, now=timezone.now())
    sandbox.set_faults([{"kind": "apply_then_drop", "operation": WRITE, "times": 1}])
    tasks.step(run.pk)
    sandbox.set_faults([{"kind": "stale_reads", "times": 1}])

    assert drive(run) == {"verified": 1}
    assert len(sandbox.calls(operation=WRITE)) == 1
