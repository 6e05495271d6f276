"""What crashes, races, late answers and expired rights do to a run: nothing that was not approved."""

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from migration.actions import enforcement, guards, runs
from migration.actions.errors import Refused
from migration.aws.pace import Pace
from migration.enums import SETTLED, ChangeState, Role, RunState, Status
from migration.models import Change, EnforcementRequest, Instance
from migration.tasks import edges
from migration.tasks import enforcement as tasks
from tests import factories, fleets
from tests.tasks.story import (
    WRITE,
    approved_run,
    begin,
    drive,
    enter,
    member,
    set_options,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]


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
    for _ in range(guards.MAX_ATTEMPTS):
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
    sandbox = aws(fleets.pair({"name": "web", **fleets.QUIET}))
    enter(member())
    run = approved_run()

    assert drive(run) == {"verified": 1}

    call = sandbox.calls(operation=WRITE)[0]
    assert (call["account_id"], call["role_name"]) == (fleets.MEMBER, "imdsdash-enforcer")
    assert call["session_name"] == f"imdsdash-run-{run.pk}-adam"


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
    for _ in range(guards.MAX_ATTEMPTS + 2):
        claim = enforcement.claim(run_id=run.pk, owner="me", limit=1, now=timezone.now())[0]
        enforcement.release(claim=claim, reason="RequestLimitExceeded", delay=0, now=timezone.now())

    assert drive(run) == {"verified": 3}


def test_throttled_writes_are_never_an_attempt(aws, monkeypatch):
    sandbox, run = begin(aws, {"name": "web", **fleets.QUIET})
    sandbox.set_faults([{"kind": "throttle", "operation": WRITE, "times": guards.MAX_ATTEMPTS + 2}])
    monkeypatch.setattr(tasks, "THROTTLED_DELAY", 0.01)
    # Slept through, the pace that halves with each refusal would wait most of a minute; test_pace.py counts it.
    monkeypatch.setattr(edges, "pace", lambda: Pace(sleep=lambda _: None))

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
    sandbox.world.instances[run.changes.get().resource_id].state = "terminated"
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


@pytest.mark.parametrize(("pace", "lease", "size"), [(2.5, 120, 10), (0.05, 120, 1), (2.5, 6, 3), (0.2, 120, 6)])
def test_no_more_is_claimed_than_can_be_written_before_the_lease_runs_out(settings, pace, lease, size):
    settings.IMDSDASH_WRITES_PER_SECOND, settings.IMDSDASH_LEASE_SECONDS = pace, lease

    assert tasks.batch_size() == size


def test_a_plan_that_is_changed_after_it_was_looked_at_is_noticed_before_the_next_call(aws):
    sandbox, run = begin(aws)
    runs.start(run=run, now=timezone.now())
    claim = enforcement.claim(run_id=run.pk, owner="me", limit=1, now=timezone.now())[0]
    plan = EnforcementRequest.objects.get().plan
    EnforcementRequest.objects.update(plan=plan | {"notes": ["another plan"]})

    assert enforcement.begin(claim=claim, now=timezone.now()) is None

    run.refresh_from_db()
    assert (run.state, run.state_reason[:43]) == ("paused", "The plan is not the one that was approved, ")
    assert not sandbox.calls(operation=WRITE)


def test_a_write_that_arrives_after_it_was_given_up_for_lost_is_the_runs_own(aws):
    """EC2 reads lag behind its writes: what is found done at the second attempt was done by the first."""
    sandbox, run = begin(aws, {"name": "web", **fleets.QUIET})
    now = timezone.now()
    runs.start(run=run, now=now)
    (claim,) = enforcement.claim(run_id=run.pk, owner="me", limit=1, now=now)
    enforcement.begin(claim=claim, now=now)
    enforcement.record_no_answer(claim=claim, reason="No answer.", now=now)
    (claim,) = enforcement.claim_reads(
        states=(ChangeState.UNKNOWN,), owner="me", limit=1, now=timezone.now(), run_id=run.pk
    )
    enforcement.reconciled_not_applied(claim=claim, now=timezone.now())
    set_options(sandbox, claim.resource_id, http_tokens="required")

    assert drive(run) == {"verified": 1}

    change = run.changes.get()
    assert (change.after["HttpTokens"], sandbox.calls(operation=WRITE)) == ("required", [])
