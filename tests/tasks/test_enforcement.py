"""From an approved plan to verified instances on a pretend AWS, with what can go wrong on the way."""

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from migration.actions import audit, enforcement, runs
from migration.enums import ChangeState, RequestState, Role, RunState, Status
from migration.models import AuditEvent, Change, EnforcementRequest, Instance, Run
from migration.tasks import enforcement as tasks
from tests import factories, fleets
from tests.tasks.story import (
    WRITE,
    begin,
    drive,
    set_options,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]


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
    assert change.resource_id not in {call["params"]["InstanceId"] for call in sandbox.calls(operation=WRITE)}


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
    set_options(sandbox, drifted.resource_id, http_put_response_hop_limit=3)

    assert drive(run) == {"verified": 2, "skipped": 1}

    drifted.refresh_from_db()
    assert drifted.reason == "Changed since the plan was made: HttpPutResponseHopLimit was 1 and is 3."


def test_an_instance_that_already_is_required_is_skipped_without_a_call(aws):
    sandbox, run = begin(aws)
    done = run.changes.last()
    set_options(sandbox, done.resource_id, http_tokens="required")

    assert drive(run) == {"verified": 2, "skipped": 1}
    assert len(sandbox.calls(operation=WRITE)) == 2


def test_an_instance_seen_calling_v1_since_the_plan_is_skipped(aws):
    _sandbox, run = begin(aws)
    caller = run.changes.last()
    Instance.objects.filter(pk=caller.instance_id).update(status=Status.IN_USE, status_reason="1 IMDSv1 call today.")

    assert drive(run) == {"verified": 2, "skipped": 1}

    caller.refresh_from_db()
    assert caller.reason == "No longer ready, but in use: 1 IMDSv1 call today."


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
        [{"kind": "error", "operation": WRITE, "instance_id": refused.resource_id,
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


def test_a_run_that_waits_for_a_person_or_for_its_hour_keeps_no_worker(aws, monkeypatch):
    _, run = begin(aws)
    looks: list[int] = []

    def look(run_id: int) -> int:
        looks.append(run_id)
        return 0

    monkeypatch.setattr(tasks, "step", look)

    runs.start(run=run, now=timezone.now())
    Run.objects.update(waits_until=timezone.now() + timedelta(minutes=1))
    tasks.drive_run(run.pk)
    Run.objects.update(waits_until=None)
    runs.pause(run=Run.objects.get(), reason="A person must look.", now=timezone.now())
    tasks.drive_run(run.pk)

    assert looks == [run.pk] * 2, "one look each"
    assert not Run.objects.get().driver


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
