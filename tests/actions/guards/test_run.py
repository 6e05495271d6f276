"""The guards between an approval and a call to AWS: each one alone stops the run or the change, and says why."""

from datetime import time, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection

from migration.actions import brake, guards, runs
from migration.domain import plan as plans
from migration.domain.rollout import Seen
from migration.enums import (
    ChangeState,
    Decision,
    PolicyState,
    RequestKind,
    RequestState,
    Role,
    RunState,
)
from migration.models import Approval, Change, Grant, PlanEdit, Run
from tests import factories
from tests.actions.guards.conftest import afresh, change_request, paused_because, running
from tests.factories import NOW

pytestmark = pytest.mark.django_db


# --- the run as a whole ------------------------------------------------------------------------------------


def test_an_approved_run_goes_on(run):
    assert paused_because(run) == ""


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.PAUSED])
def test_only_a_running_one_goes_on(run, state):
    Run.objects.update(state=state)

    assert not guards.may_go_on(afresh(run), now=NOW)


def test_the_brake_stops_it(run, people):
    brake.pull(by=people["adam"], reason="look first", now=NOW)

    assert paused_because(run) == "The brake is on, pulled by adam: look first"


def test_a_long_reason_for_the_brake_is_cut_where_the_runs_reason_ends(run, people):
    """PostgreSQL refuses more than the column takes, and then the run would not even be paused."""
    brake.pull(by=people["adam"], reason="x" * 2000, now=NOW)

    assert len(paused_because(run)) == Run._meta.get_field("state_reason").max_length


@pytest.mark.parametrize("why", ["brake", "approval"])
def test_a_run_that_has_nothing_left_to_begin_is_not_paused_but_finished(run, people, why):
    in_states(run, VERIFIED, SKIPPED, FAILED, VERIFIED)
    if why == "brake":
        brake.pull(by=people["adam"], reason="look first", now=NOW)
    else:
        change_request(run, expires_at=NOW)

    assert not guards.may_go_on(afresh(run), now=NOW)

    assert runs.finish(run_id=run.pk, now=NOW)
    run.refresh_from_db()
    assert run.state == RunState.FAILED


NOT_APPROVED = "The request is not approved, so nothing may be changed."


@pytest.mark.parametrize("state", sorted(set(RequestState) - {RequestState.APPROVED, RequestState.REJECTED}))
def test_a_request_that_is_not_approved_carries_nothing(run, state):
    change_request(run, state=state)

    assert paused_because(run) == NOT_APPROVED


def test_a_plan_that_was_edited_after_its_approval_carries_nothing(run):
    change_request(run, plan=run.request.plan | {"notes": ["and one more"]})

    assert paused_because(run) == "The plan is not the one that was approved, so nothing may be changed."


def test_a_plan_of_another_account_carries_nothing(run):
    plan = run.request.plan | {"account_id": "999999999999"}
    change_request(run, plan=plan, plan_hash=plans.digest(plan))
    Approval.objects.update(plan_hash=plans.digest(plan))

    assert paused_because(run) == "The plan is of another account, so nothing may be changed."


TOO_FEW = (
    "Fewer people than it takes stand behind the request now: one has left, or may no longer decide here. "
    "Nothing may be changed until that is mended; else stop the run and make a new plan."
)


@pytest.mark.parametrize(
    "fields",
    [{"void_at": NOW}, {"plan_hash": "of another plan"}, {"decision": Decision.REJECT}],
    ids=["taken back", "of another plan", "a rejection"],
)
def test_an_approval_that_does_not_count_carries_nothing(run, fields):
    Approval.objects.update(**fields)

    assert paused_because(run) == TOO_FEW


def test_an_approver_who_has_left_carries_nothing(run, people):
    User.objects.filter(pk=people["adam"].pk).update(is_active=False)

    assert paused_because(run) == TOO_FEW


@pytest.mark.parametrize("left_with", [None, Role.ENGINEER, Role.VIEWER], ids=str)
def test_an_approver_who_may_no_longer_decide_carries_nothing(run, people, left_with):
    Grant.objects.filter(user=people["adam"]).delete()
    if left_with is not None:
        Grant.objects.create(user=people["adam"], role=left_with)

    assert paused_because(run) == TOO_FEW


def test_an_approver_of_other_accounts_only_carries_nothing(run, people):
    Grant.objects.filter(user=people["adam"]).update(account=factories.account())

    assert paused_because(run) == TOO_FEW


def test_an_approver_of_this_account_alone_carries_it(run, people):
    Grant.objects.filter(user=people["adam"]).update(account=run.account)

    assert paused_because(run) == ""


def test_an_approver_who_edited_the_plan_carries_nothing(run, people):
    PlanEdit.objects.create(request=run.request, editor=people["adam"], at=NOW, plan_hash="x")

    assert paused_because(run) == TOO_FEW


def test_one_of_three_who_has_left_is_missed(account, people):
    run = running(account, people, quorum=3)
    assert paused_because(run) == ""
    User.objects.filter(pk=people["carl"].pk).update(is_active=False)

    assert paused_because(run) == TOO_FEW


def test_what_went_on_one_click_goes_on_while_its_policy_holds(account, people):
    run = running(account, people, one_click=4)
    assert run.request.by_policy is not None
    assert paused_because(run) == ""
    run.request.by_policy.state = PolicyState.REPLACED
    run.request.by_policy.save()

    assert paused_because(run) == TOO_FEW


@pytest.mark.parametrize(("seconds", "reason"), [(-1, ""), (0, "The approval has expired."), (1, "The approval has")])
def test_an_approval_ends_with_its_last_moment(run, seconds, reason):
    found = paused_because(run, now=run.request.expires_at + timedelta(seconds=seconds))

    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_an_expired_approval_says_what_to_do(run):
    assert paused_because(run, now=run.request.expires_at) == (
        "The approval has expired. Stop the run and make a new plan from today's data."
    )


def of_wave(run: Run, people, *, why: str) -> None:
    Run.objects.update(wave=factories.wave(run.account, by=people["ellen"], name="First", paused_because=why))


def test_a_paused_wave_stops_its_runs(run, people):
    of_wave(run, people, why="2 instances call.")

    assert paused_because(run) == "Its wave First is paused: 2 instances call."


def test_a_wave_that_is_not_paused_stops_nothing(run, people):
    of_wave(run, people, why="")

    assert paused_because(run) == ""


def test_a_paused_wave_does_not_stop_a_rollback(run, people):
    of_wave(run, people, why="2 instances call.")
    change_request(run, kind=RequestKind.ROLLBACK, undoes=run)

    assert paused_because(run) == ""


# --- a plan is read before each call, and parsed once ---------------------------------------------------------


@pytest.fixture
def read(monkeypatch) -> list:
    """The plans that were parsed."""
    parsed: list = []
    digest = plans.digest

    def parse(plan) -> str:
        parsed.append(plan)
        return digest(plan)

    monkeypatch.setattr(guards, "_READ", {})
    monkeypatch.setattr(plans, "digest", parse)
    return parsed


def test_one_and_the_same_plan_is_parsed_once(run, read):
    for _ in range(3):
        assert paused_because(run) == ""

    assert len(read) == 1


def test_a_row_is_asked_for_its_plan_once(run, read, django_assert_num_queries):
    guards.kept(afresh(run).request)  # parsed and remembered
    request = afresh(run).request

    with django_assert_num_queries(1):
        assert guards.kept(request) is guards.kept(request)


def test_a_plan_that_another_has_changed_is_parsed_anew_whatever_changed_it(run, read):
    assert paused_because(run) == ""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE migration_enforcementrequest SET plan = %s", ['{"notes": "by hand"}'])

    assert guards.kept(afresh(run).request).plan == {"notes": "by hand"}
    assert paused_because(run) == "The plan is not the one that was approved, so nothing may be changed."


def test_no_more_plans_are_remembered_than_so_many(run, read, monkeypatch):
    monkeypatch.setattr(guards, "MOST_READ", 2)
    for number in range(5):
        change_request(run, plan={"account_id": str(number)})
        assert guards.kept(afresh(run).request).account_id == str(number)
        assert len(guards._READ) <= 2


# --- the failure budget ------------------------------------------------------------------------------------


def in_states(run: Run, *states: ChangeState) -> None:
    for change, state in zip(run.changes.order_by("pk"), states, strict=True):
        fields = {"called_at": NOW, "after": {}} if state == ChangeState.VERIFIED else {"called_at": NOW}
        Change.objects.filter(pk=change.pk).update(state=state, **fields)


FAILED, PENDING, LEASED, VERIFIED = (
    ChangeState.FAILED, ChangeState.PENDING, ChangeState.LEASED, ChangeState.VERIFIED,
)  # fmt: skip
SKIPPED, APPLIED, UNKNOWN, CALLING = (
    ChangeState.SKIPPED, ChangeState.APPLIED, ChangeState.UNKNOWN, ChangeState.CALLING,
)  # fmt: skip


@pytest.mark.parametrize(
    ("states", "forgiven", "reason"),
    [
        ((FAILED, FAILED, PENDING, PENDING), 0, ""),
        ((FAILED, FAILED, FAILED, PENDING), 0, "3 changes failed, more than the 2 that may. A person must look."),
        ((FAILED, FAILED, FAILED, LEASED), 0, "3 changes failed, more than the 2 that may. A person must look."),
        ((FAILED, FAILED, FAILED, PENDING), 1, ""),
        ((FAILED, FAILED, FAILED, VERIFIED), 0, ""),  # nothing is left that could be stopped
        ((FAILED, FAILED, FAILED, APPLIED), 0, ""),
    ],
)
def test_beyond_the_budget_nothing_more_is_begun(run, states, forgiven, reason):
    in_states(run, *states)
    Run.objects.update(failures_forgiven=forgiven)

    assert paused_because(run) == reason


def test_one_failure_is_told_as_one(run):
    in_states(run, FAILED, PENDING, PENDING, PENDING)
    Run.objects.update(max_failures=0)

    assert paused_because(run) == "1 change failed, more than the 0 that may. A person must look."


def test_what_a_run_has_come_to_is_counted_by_state(run):
    in_states(run, VERIFIED, FAILED, SKIPPED, PENDING)
    assert guards.seen(run) == Seen(verified=1, in_flight=0, failed=1)

    in_states(run, LEASED, CALLING, APPLIED, UNKNOWN)
    Run.objects.update(failures_forgiven=3)
    assert guards.seen(afresh(run)) == Seen(verified=0, in_flight=4, failed=0, forgiven=3)


# --- the change window -------------------------------------------------------------------------------------

# NOW is a Friday, 09:00 UTC.
SATURDAYS = {"window_zone": "UTC", "window_days": [5], "window_start": time(9), "window_minutes": 60}
OPENS = NOW + timedelta(days=1)


def test_outside_its_window_a_run_waits_and_knows_until_when(account, people):
    run = running(account, people, **SATURDAYS)

    assert not guards.now_is_the_time(run, now=NOW)

    run.refresh_from_db()
    assert (run.state, run.waits_until) == (RunState.RUNNING, OPENS)


@pytest.mark.parametrize(
    ("waits", "then"), [(OPENS + timedelta(hours=9), OPENS + timedelta(hours=9)), (NOW, OPENS)], ids=["later", "over"]
)
def test_a_wait_that_is_known_is_not_made_shorter_and_one_that_is_over_is_told_anew(account, people, waits, then):
    run = running(account, people, **SATURDAYS)
    Run.objects.update(waits_until=waits)

    assert not guards.now_is_the_time(afresh(run), now=NOW)
    assert afresh(run).waits_until == then


def test_in_its_window_a_run_waits_no_longer(account, people):
    run = running(account, people, **SATURDAYS)
    Run.objects.update(waits_until=OPENS)

    assert guards.now_is_the_time(afresh(run), now=OPENS)
    assert afresh(run).waits_until is None


def test_without_a_window_it_is_always_time(run):
    assert guards.now_is_the_time(run, now=NOW)


def test_an_emergency_does_not_wait_for_a_window(account, people):
    run = running(account, people, **SATURDAYS)
    change_request(run, emergency=True, kind=RequestKind.ROLLBACK, undoes=run)
    Run.objects.update(waits_until=OPENS)

    assert guards.now_is_the_time(afresh(run), now=NOW)
    assert afresh(run).waits_until is None
