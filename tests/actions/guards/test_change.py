"""The guards of one change: each alone keeps it from being made, and says why."""

from datetime import timedelta

import pytest

from migration.actions import enforcement, guards, planning, requests, runs
from migration.actions.errors import Refused
from migration.actions.planning import Bound
from migration.domain import plan as plans
from migration.domain.plan import Scope
from migration.domain.words import inner
from migration.enums import (
    ACTIVE_RUN,
    SETTLED,
    ChangeState,
    RequestKind,
    RequestState,
    RunState,
    ScopeKind,
    Status,
)
from migration.models import Change, EnforcementRequest, Instance, Run
from migration.queries.policies import terms_for
from tests import factories
from tests.actions.guards.conftest import afresh, change_request
from tests.factories import NOW

pytestmark = pytest.mark.django_db


PENDING, APPLIED, VERIFIED, FAILED, SKIPPED = (
    ChangeState.PENDING, ChangeState.APPLIED, ChangeState.VERIFIED, ChangeState.FAILED, ChangeState.SKIPPED,
)  # fmt: skip


# --- one change --------------------------------------------------------------------------------------------


def not_now(run: Run, *, closed=frozenset(), now=NOW) -> tuple[str, str]:
    run = afresh(run)
    change = first(run).select_related("instance", "needs").get()
    planned, taken = plans.items(run.request.plan), guards.taken_over(run, [change])
    return guards.not_now(change, run, planned=planned, closed=closed, taken=taken, now=now)


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

    assert not_now(run) == (f"No longer ready, but {inner(status.label)}: 7 calls.", "")


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


# --- what later runs have sent --------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 12])
def test_what_later_runs_have_sent_is_asked_once_however_many_are_put_back(django_assert_num_queries, count):
    account = factories.account()
    rows = [factories.instance(account) for _ in range(count)]
    first, later, back = (factories.run(account, state=RunState.DONE, finished_at=NOW) for _ in range(3))
    EnforcementRequest.objects.filter(pk=back.request_id).update(kind=RequestKind.ROLLBACK, undoes=first)
    for row in rows:
        undone = factories.change(first, row)
        factories.change(later, row)
        factories.change(back, row, undoes=undone)
    changes = list(back.changes.select_related("undoes"))
    back = Run.objects.select_related("request__undoes").get(pk=back.pk)

    with django_assert_num_queries(1):
        taken = guards.taken_over(back, changes)

    assert {pk: other.run_id for pk, other in taken.items()} == {change.pk: later.pk for change in changes}
