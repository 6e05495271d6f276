"""The guards between an approval and a call to AWS: each one alone stops the run or the change, and says why."""

from datetime import time, timedelta

import pytest
from django.contrib.auth.models import User

from migration.actions import brake, enforcement, guards, planning, requests, runs
from migration.actions.errors import Refused
from migration.actions.planning import Bound
from migration.domain import plan as plans
from migration.domain.plan import Scope
from migration.domain.rollout import Seen
from migration.enums import (
    ACTIVE_RUN,
    SETTLED,
    ChangeState,
    Decision,
    PolicyState,
    RequestKind,
    RequestState,
    Role,
    RunState,
    ScopeKind,
    Status,
)
from migration.models import Approval, Change, EnforcementRequest, Grant, Instance, PlanEdit, Run
from migration.queries.policies import terms_for
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
PEOPLE = {"ellen": Role.ENGINEER, "adam": Role.APPROVER, "bea": Role.ADMIN, "carl": Role.ADMIN}


@pytest.fixture
def people():
    return {name: factories.user(name, role) for name, role in PEOPLE.items()}


@pytest.fixture
def account():
    account = factories.account(name="shop")
    factories.scope(account)
    for _ in range(4):
        factories.instance(account, usage_until=NOW)
    return account


def running(account, people, *, bound=None, **terms) -> Run:
    """A run that has begun, of a plan that adam approved, under a policy with these terms."""
    if terms:
        factories.policy(by=people["bea"], decided_by=people["carl"], canary_minutes=0, **terms)
    ellen = people["ellen"]
    draft = requests.draft_plan(account=account, by=ellen, now=NOW, bound=bound)
    waiting = requests.submit(request=draft, by=ellen, reason="", version=draft.version, now=NOW)
    for name in ("adam", "bea", "carl"):
        if waiting.state == RequestState.REQUESTED:
            requests.approve(request=waiting, by=people[name], comment="", version=waiting.version, now=NOW)
            waiting.refresh_from_db()
    Run.objects.update(state=RunState.RUNNING, started_at=NOW)
    return afresh(Run.objects.get())


def afresh(run: Run) -> Run:
    return Run.objects.select_related("account", "wave", "request__account", "request__by_policy").get(pk=run.pk)


@pytest.fixture
def run(account, people):
    return running(account, people)


def paused_because(run: Run, *, now=NOW) -> str:
    """The sentence by which the guards stopped it, or "" when they let it go on."""
    went_on = guards.may_go_on(afresh(run), now=now)
    run.refresh_from_db()
    assert went_on == (run.state == RunState.RUNNING)
    return run.state_reason


def change_request(run: Run, **fields) -> None:
    EnforcementRequest.objects.filter(pk=run.request_id).update(**fields)


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
    request = afresh(run).request

    with django_assert_num_queries(1):
        assert guards.kept(request) is guards.kept(request)


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
        ((FAILED, FAILED, FAILED, PENDING), 0, "3 changes failed; 2 may. A person must look."),
        ((FAILED, FAILED, FAILED, LEASED), 0, "3 changes failed; 2 may. A person must look."),
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

    assert paused_because(run) == "1 change failed; 0 may. A person must look."


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


# --- one change --------------------------------------------------------------------------------------------


def not_now(run: Run, *, closed=frozenset(), now=NOW) -> tuple[str, str]:
    run = afresh(run)
    change = first(run).select_related("instance", "needs").get()
    return guards.not_now(change, run, planned=plans.items(run.request.plan), closed=closed, now=now)


NOT_IN_PLAN = ("It is not in the approved plan as it stands here.", "not_in_plan")


def first(run: Run):
    return Change.objects.filter(pk=run.changes.order_by("pk").first().pk)


def test_a_change_of_the_plan_is_made(run):
    assert not_now(run) == ("", "")


@pytest.mark.parametrize(
    "fields",
    [
        {"send": {"HttpTokens": "optional"}},
        {"send": {"HttpTokens": "required", "HttpEndpoint": "enabled"}},
        {"before": {"HttpTokens": "optional"}},
        {"resource_id": "i-of-nobody"},
        {"region": "eu-west-1"},
        {"kind": "image", "instance": None},
    ],
)
def test_a_change_that_is_not_in_the_plan_as_it_stands_is_not_made(run, fields):
    first(run).update(**fields)

    assert not_now(run) == NOT_IN_PLAN


def test_a_change_of_another_account_is_not_made(run):
    first(run).update(target_account_id="999999999999")

    assert not_now(run) == ("It is of another account than its run.", "not_in_plan")


@pytest.mark.parametrize("state", [SKIPPED, FAILED, PENDING, APPLIED])
def test_what_needs_another_is_not_made_without_it(run, state):
    other = run.changes.order_by("pk").last()
    Change.objects.filter(pk=other.pk).update(state=state, reason="AWS said no.", called_at=NOW)
    first(run).update(needs=other)

    assert not_now(run) == ("What it needs first was not done: AWS said no.", "")


def test_what_needs_another_is_made_after_it(run):
    other = run.changes.order_by("pk").last()
    Change.objects.filter(pk=other.pk).update(state=VERIFIED, after={}, called_at=NOW)
    first(run).update(needs=other)

    assert not_now(run) == ("", "")


def test_a_long_reason_of_what_it_needs_is_cut_to_its_column(run):
    other = run.changes.order_by("pk").last()
    Change.objects.filter(pk=other.pk).update(state=FAILED, reason="x" * 400)
    first(run).update(needs=other)

    assert len(not_now(run)[0]) == 400


GOOD = {Status.READY, Status.ENFORCED, Status.PENDING}


@pytest.mark.parametrize("status", [status for status in Status if status not in GOOD])
def test_any_other_verdict_since_the_plan_is_a_no(run, status):
    Instance.objects.update(status=status, status_reason="7 calls.")

    assert not_now(run) == (f"No longer ready, but {status.label.lower()}: 7 calls.", "")


@pytest.mark.parametrize("status", sorted(GOOD))
def test_what_is_ready_or_done_already_goes_on_to_the_live_read(run, status):
    Instance.objects.update(status=status)

    assert not_now(run) == ("", "")


def test_a_verdict_that_nobody_renewed_is_a_no(run):
    reason = "No longer ready: CloudWatch has not been read for more than two days."

    assert not_now(run, now=NOW + timedelta(days=2)) == ("", "")
    assert not_now(run, now=NOW + timedelta(days=2, seconds=1)) == (reason, "")


def test_a_region_that_is_no_longer_collected_is_a_no(run):
    assert not_now(run, closed=frozenset({"us-east-1"})) == (
        "No longer ready: Its Region is no longer collected, so what it calls is not known.", "",
    )  # fmt: skip


def test_what_is_done_already_need_not_be_fresh(run):
    Instance.objects.update(status=Status.ENFORCED)

    assert not_now(run, closed=frozenset({"us-east-1"}), now=NOW + timedelta(days=9)) == ("", "")


def test_what_stands_in_the_way_since_the_plan_is_a_no(run):
    Instance.objects.update(blockers=["Its user data calls IMDSv1.", "Terraform pins it."])

    assert not_now(run) == ("No longer ready: Its user data calls IMDSv1.; Terraform pins it.", "")


def test_what_stood_in_the_way_of_what_is_done_already_is_no_matter(run):
    Instance.objects.update(status=Status.ENFORCED, blockers=["Terraform pins it."])

    assert not_now(run) == ("", "")


def test_imds_is_not_switched_off_where_imdsv1_is_called_since_the_plan(run):
    change_request(run, kind=RequestKind.IMDS_OFF)
    Instance.objects.update(status=Status.SETTLING)
    assert not_now(run) == ("", "")

    Instance.objects.update(status=Status.IN_USE, status_reason="7 calls.")

    assert not_now(run) == ("It calls IMDSv1 by now: 7 calls.", "")


@pytest.mark.parametrize("kind", [RequestKind.ROLLBACK, RequestKind.HOP_LIMIT])
def test_only_requiring_tokens_takes_a_ready_verdict(run, kind):
    Instance.objects.update(status=Status.IN_USE)
    change_request(run, kind=kind, undoes=run if kind == RequestKind.ROLLBACK else None)

    assert not_now(run) == ("", "")


@pytest.mark.parametrize(("attempts", "gives_up"), [(0, False), (2, False), (3, True), (4, True)])
def test_a_change_that_kills_its_workers_is_given_up(run, attempts, gives_up):
    first(run).update(attempts=attempts)
    reason = f"Given up after {attempts} attempts that ended without a word."

    assert not_now(run) == ((reason, "attempts") if gives_up else ("", ""))


def test_refusing_launches_is_not_set_where_a_launch_would_fail_by_now(run, account, monkeypatch):
    asked = []

    def harms(*said, now):
        asked.append((*said, now))
        return "x" * 500

    monkeypatch.setattr(guards, "enforcement_harms", harms)
    assert not_now(run) == ("", "")
    change_request(run, kind=RequestKind.ENFORCEMENT)

    reason, error_class = not_now(run)

    assert asked == [(account, "us-east-1", NOW)]
    assert (reason, error_class) == (f"No longer safe to enforce: {'x' * 500}"[:400], "")


SWITCHED_ON = {
    "kind": "region_defaults",
    "region": "us-east-1",
    "resource_id": "us-east-1",
    "send": {"HttpTokensEnforced": "enabled"},
}


def test_putting_back_a_lift_is_setting_it_anew_and_looks_at_what_it_would_harm(run, monkeypatch):
    monkeypatch.setattr(guards, "enforcement_harms", lambda *_, **__: "web would fail.")
    plan = run.request.plan | {"changes": [SWITCHED_ON | {"before": {}}]}
    first(run).update(instance=None, before={}, **SWITCHED_ON)
    change_request(run, kind=RequestKind.ROLLBACK, undoes=run, plan=plan)

    assert not_now(run) == ("No longer safe to enforce: web would fail.", "")


def test_putting_back_a_lift_is_not_approved_where_a_launch_would_fail(account, people, run, monkeypatch):
    monkeypatch.setattr(requests, "enforcement_harms", lambda *_, **__: "web would fail.")
    plan = run.request.plan | {"kind": "rollback", "changes": [SWITCHED_ON | {"before": {}}]}
    draft = planning.store(
        account=account, plan=plan, terms=terms_for(account), by=people["ellen"], now=NOW, bound=Bound(undoes=run)
    )

    with pytest.raises(Refused, match="us-east-1: web would fail"):
        requests.submit(request=draft, by=people["ellen"], reason="", version=draft.version, now=NOW)


def test_refusing_launches_is_set_where_nothing_is_harmed(run, monkeypatch):
    monkeypatch.setattr(guards, "enforcement_harms", lambda *_, **__: "")
    change_request(run, kind=RequestKind.ENFORCEMENT)

    assert not_now(run) == ("", "")


def test_the_plan_of_some_instances_takes_no_one_click(account, people):
    factories.policy(by=people["bea"], decided_by=people["carl"], one_click=4)
    ids = (Instance.objects.order_by("pk").first().instance_id,)
    scope = Scope(ScopeKind.INSTANCES, instances=ids)
    draft = requests.draft_plan(account=account, by=people["ellen"], now=NOW, scope=scope)
    waiting = requests.submit(request=draft, by=people["ellen"], reason="", version=draft.version, now=NOW)

    assert waiting.state == RequestState.REQUESTED


@pytest.mark.parametrize("state", [state for state in RunState if state != RunState.QUEUED])
def test_only_a_queued_run_is_started_and_a_message_never_ends_a_pause(run, state):
    Run.objects.filter(pk=run.pk).update(state=state, finished_at=None if state in ACTIVE_RUN else NOW)
    run.refresh_from_db()

    assert not runs.start(run=run, now=NOW)
    assert Run.objects.get(pk=run.pk).state == state


# --- a call of an earlier run that is still on its way ------------------------------------------------------


def begun_anew(run: Run, people, state: ChangeState) -> tuple[Change, Run]:
    """The run is stopped with one change in that state; the same instances are planned and approved once more."""
    change = run.changes.order_by("pk")[0]
    lease = NOW + timedelta(minutes=1) if state in {ChangeState.LEASED, ChangeState.CALLING} else None
    settled = {"settled_at": NOW, "after": change.before} if state in SETTLED else {}
    Change.objects.filter(pk=change.pk).update(state=state, called_at=NOW, lease_expires_at=lease, **settled)
    runs.stop(run=run, by=people["bea"], now=NOW)
    again = requests.draft_plan(account=run.account, by=people["ellen"], now=NOW)
    waiting = requests.submit(request=again, by=people["ellen"], reason="", version=again.version, now=NOW)
    new = requests.approve(request=waiting, by=people["adam"], comment="", version=waiting.version, now=NOW)
    assert new is not None
    runs.start(run=new, now=NOW)
    Change.objects.filter(run=new).exclude(resource_id=change.resource_id).update(
        state=ChangeState.SKIPPED, settled_at=NOW
    )
    return change, afresh(new)


@pytest.mark.parametrize(
    ("state", "waits"),
    [
        (ChangeState.LEASED, True),
        (ChangeState.CALLING, True),
        (ChangeState.APPLIED, True),
        (ChangeState.UNKNOWN, True),
        (ChangeState.SKIPPED, False),
        (ChangeState.FAILED, False),
    ],
)
def test_a_resource_that_an_earlier_runs_call_is_on_its_way_to_waits_until_its_outcome_is_known(
    run, people, state, waits
):
    change, new = begun_anew(run, people, state)

    claims = enforcement.claim(run_id=new.pk, owner="w", limit=5, now=NOW)

    assert [claim.resource_id for claim in claims] == ([] if waits else [change.resource_id])
    mine = Change.objects.get(run=new, resource_id=change.resource_id)
    assert mine.state == (ChangeState.PENDING if waits else ChangeState.LEASED)
