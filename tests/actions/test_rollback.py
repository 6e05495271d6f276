"""Putting back: exactly what was before, only where it still is as we left it; what cannot be is said beforehand."""

from datetime import timedelta

import pytest
from django.utils import timezone

from migration.actions import enforcement, requests, rollback
from migration.actions.errors import Refused
from migration.enums import (
    ChangeState,
    Channel,
    Decision,
    Emergency,
    PolicyState,
    RequestState,
    Role,
    RunState,
    Severity,
    Status,
)
from migration.models import (
    Account,
    Approval,
    Change,
    Instance,
    Notification,
    Policy,
    RegionDefaults,
    Run,
    Scope,
)
from migration.tasks import enforcement as tasks
from tests import factories
from tests.tasks.story import begin, drive, set_options
from tests.together import at_once

pytestmark = pytest.mark.django_db


def options(sandbox):
    return {one: instance.options for one, instance in sandbox.world.instances.items()}


def carry_out(draft, by=None):
    now = timezone.now()
    adam = factories.user("bea", Role.APPROVER) if by is None else by
    ellen = draft.created_by
    waiting = requests.submit(request=draft, by=ellen, reason="", version=draft.version, now=now)
    run = requests.approve(request=waiting, by=adam, comment="", version=waiting.version, now=now)
    tasks.drive_run(run.pk)
    run.refresh_from_db()
    return run


@pytest.fixture
def ellen():
    return factories.user("rita", Role.ENGINEER)


def test_a_run_is_put_back_exactly(aws, ellen):
    sandbox, run = begin(aws)
    before = options(sandbox)
    drive(run)
    assert {one.http_tokens for one in options(sandbox).values()} == {"required"}

    back = carry_out(rollback.draft(run=run, by=ellen, now=timezone.now()))

    assert (back.state, options(sandbox)) == (RunState.DONE, before)
    assert {frozenset(change.send.items()) for change in back.changes.all()} == {
        frozenset({("HttpTokens", "optional")})
    }


def test_a_read_that_lags_right_after_the_change_does_not_pass_for_put_back(aws, ellen, monkeypatch):
    """Taken at its word, the instances would stay required, and the run would say that nothing was left to do."""
    monkeypatch.setattr(tasks, "LAG_DELAY", 0.1)
    sandbox, run = begin(aws)
    before = options(sandbox)
    drive(run)
    draft = rollback.draft(run=run, by=ellen, now=timezone.now())
    sandbox.set_faults([{"kind": "stale_reads", "times": 2}])

    back = carry_out(draft)

    assert (back.state, options(sandbox)) == (RunState.DONE, before)
    assert set(back.changes.values_list("state", flat=True)) == {"verified"}


def test_what_somebody_has_put_back_by_hand_is_left_as_it_is_once_no_read_can_lag(aws, ellen, monkeypatch):
    monkeypatch.setattr(tasks, "LAG", timedelta(0))
    sandbox, run = begin(aws)
    drive(run)
    draft = rollback.draft(run=run, by=ellen, now=timezone.now())
    by_hand = Instance.objects.first().instance_id
    set_options(sandbox, by_hand, http_tokens="optional")

    back = carry_out(draft)

    skipped = back.changes.get(resource_id=by_hand)
    assert (skipped.state, skipped.reason) == ("skipped", "It already is what the plan wants.")


def test_what_others_changed_since_the_plan_is_not_overwritten(aws, ellen):
    sandbox, run = begin(aws)
    drive(run)
    draft = rollback.draft(run=run, by=ellen, now=timezone.now())
    drifted = Instance.objects.first().instance_id
    set_options(sandbox, drifted, http_put_response_hop_limit=3)

    back = carry_out(draft)

    left = options(sandbox)[drifted]
    assert (left.http_tokens, left.http_put_response_hop_limit) == ("required", 3)
    assert sorted(back.changes.values_list("state", flat=True)) == ["skipped", "verified", "verified"]


def test_what_is_seen_to_differ_is_listed_as_a_conflict(aws, ellen):
    _, run = begin(aws)
    drive(run)
    Instance.objects.filter(pk=Instance.objects.first().pk).update(http_tokens="optional")

    draft = rollback.draft(run=run, by=ellen, now=timezone.now())

    assert len(draft.plan["changes"]) == 2
    assert draft.plan["excluded"][0]["status"] == "conflict"
    assert "HttpTokens is optional, we left it at required" in draft.plan["excluded"][0]["reason"]


def test_a_conflict_is_also_what_others_changed_beside_what_would_be_sent(aws, ellen):
    _, run = begin(aws)
    drive(run)
    drifted = Instance.objects.first()
    Instance.objects.filter(pk=drifted.pk).update(http_put_response_hop_limit=3)

    draft = rollback.draft(run=run, by=ellen, now=timezone.now())

    (conflict,) = draft.plan["excluded"]
    assert (conflict["instance_id"], conflict["status"]) == (drifted.instance_id, "conflict")
    assert "HttpPutResponseHopLimit is 3, we left it at 1" in conflict["reason"]
    assert drifted.instance_id not in {item["instance_id"] for item in draft.plan["changes"]}


@pytest.mark.parametrize(
    ("managed", "why"), [("account", "Lift it first"), ("declarative-policy", "A declarative policy")]
)
def test_what_aws_would_refuse_is_said_beforehand(aws, ellen, managed, why):
    _, run = begin(aws)
    drive(run)
    RegionDefaults.objects.update(http_tokens_enforced="enabled", managed_by=managed)

    with pytest.raises(Refused, match=why):
        rollback.draft(run=run, by=ellen, now=timezone.now())


def test_a_run_that_goes_on_is_stopped_first(aws, ellen):
    _, run = begin(aws)

    with pytest.raises(Refused, match="still going on"):
        rollback.draft(run=run, by=ellen, now=timezone.now())


def test_one_plan_to_put_it_back_at_a_time_and_nothing_twice(aws, ellen):
    _, run = begin(aws)
    drive(run)
    draft = rollback.draft(run=run, by=ellen, now=timezone.now())
    with pytest.raises(Refused, match="is open already"):
        rollback.draft(run=run, by=ellen, now=timezone.now())
    back = carry_out(draft)

    with pytest.raises(Refused, match="has itself put something back"):
        rollback.draft(run=back, by=ellen, now=timezone.now())
    with pytest.raises(Refused, match="Nothing of run"):
        rollback.draft(run=run, by=ellen, now=timezone.now())


def test_a_viewer_puts_nothing_back(aws):
    _, run = begin(aws)
    drive(run)

    with pytest.raises(Refused, match="Your role does not allow"):
        rollback.draft(run=run, by=factories.user("vera", Role.VIEWER), now=timezone.now())


# --- the emergency right -------------------------------------------------------------------------------


def emergency(right):
    Policy.objects.create(
        state=PolicyState.ACTIVE, emergency=right, canary_minutes=0, reason="nights", proposed_at=timezone.now(),
        decided_by=factories.user("boss", Role.ADMIN), decided_at=timezone.now(),
    )  # fmt: skip


def now_please(run, person, reason="Payments fail."):
    draft = rollback.draft(run=run, by=person, now=timezone.now())
    return requests.roll_back_now(request=draft, by=person, reason=reason, version=draft.version, now=timezone.now())


@pytest.mark.parametrize(
    ("right", "who", "allowed"),
    [
        (Emergency.NOBODY, "ellen", False),
        (Emergency.OWNER, "ellen", True),
        (Emergency.OWNER, "adam", True),
        (Emergency.OWNER, "rita", False),
        (Emergency.STEERING, "rita", True),
    ],
)
def test_the_policy_says_who_need_not_wait(aws, ellen, right, who, allowed):
    sandbox, run = begin(aws)
    before = options(sandbox)
    drive(run)
    emergency(right)
    person = {"ellen": run.request.requested_by, "adam": run.request.decided_by, "rita": ellen}[who]

    if not allowed:
        with pytest.raises(Refused, match="gives you no emergency right"):
            now_please(run, person)
        assert Run.objects.count() == 1
        return
    back = now_please(run, person)
    tasks.drive_run(back.pk)
    back.refresh_from_db()
    assert (back.state, options(sandbox)) == (RunState.DONE, before)
    assert (back.request.state, back.request.emergency) == (RequestState.APPROVED, True)


def test_each_of_the_approvers_may_put_a_run_back_where_the_policy_says_so(ellen):
    run = done()
    emergency(Emergency.OWNER)
    adam, rita, asked = factories.user("adam", Role.APPROVER), ellen, run.request.requested_by
    assert asked is not None
    for person, void_at in ((adam, None), (rita, timezone.now())):
        Approval.objects.create(
            request=run.request, approver=person, requester=asked, decision=Decision.APPROVE,
            plan_hash=run.request.plan_hash, at=timezone.now(), void_at=void_at,
        )  # fmt: skip

    with pytest.raises(Refused, match="gives you no emergency right"):
        now_please(run, rita)
    draft = run.undone_by.get()
    requests.roll_back_now(request=draft, by=adam, reason="Pager.", version=draft.version, now=timezone.now())

    assert run.undone_by.get().emergency


def test_an_emergency_takes_a_reason_and_is_told(aws, ellen, monkeypatch):
    monkeypatch.setattr("migration.queries.notifications.channels", lambda: [Channel.MAIL])
    _, run = begin(aws)
    drive(run)
    emergency(Emergency.STEERING)

    with pytest.raises(Refused, match="Say why it cannot wait"):
        now_please(run, ellen, reason=" ")
    draft = run.undone_by.get()
    requests.roll_back_now(request=draft, by=ellen, reason="Pager.", version=draft.version, now=timezone.now())

    told = Notification.objects.get(kind="loosened")
    assert (told.severity, "by the emergency right" in told.subject) == (Severity.CRITICAL, True)
    assert told.lines == ["By rita: Pager."]


def test_an_enforcement_has_no_emergency_right(aws):
    emergency(Emergency.STEERING)
    _, run = begin(aws)
    request = run.request

    with pytest.raises(Refused):
        requests.roll_back_now(
            request=request, by=request.requested_by, reason="now", version=request.version, now=timezone.now()
        )


def test_a_rollback_leaves_the_account_to_be_judged_anew(aws, ellen):
    _, run = begin(aws)
    drive(run)
    assert set(Instance.objects.values_list("status", flat=True)) == {Status.ENFORCED}

    carry_out(rollback.draft(run=run, by=ellen, now=timezone.now()))

    assert Status.ENFORCED not in set(Instance.objects.values_list("status", flat=True))
    assert Scope.objects.filter(account=Account.objects.get()).exists()


# --- whose it is, and how often ------------------------------------------------------------------------


def done(account=None, *instances, count=2, **fields) -> Run:
    """A run that is over, written down by hand."""
    account = account or factories.account()
    run = factories.run(account, **{"state": RunState.DONE, "finished_at": timezone.now()} | fields)
    for row in instances or [factories.instance(account, http_tokens="required") for _ in range(count)]:
        factories.change(run, row)
    return run


def test_what_a_later_run_has_sent_anew_is_left_to_that_run(ellen):
    run = done()
    first, second = [change.instance for change in run.changes.all()]
    later = done(run.account, first)

    draft = rollback.draft(run=run, by=ellen, now=timezone.now())

    assert [item["instance_id"] for item in draft.plan["changes"]] == [second.instance_id]
    assert [(one["instance_id"], one["status"], one["reason"]) for one in draft.plan["excluded"]] == [
        (first.instance_id, "later", f"Run {later.pk} has sent HttpTokens since. Put that run back instead.")
    ]


@pytest.mark.parametrize("how", ["another field", "put back"])
def test_a_later_run_that_left_it_as_it_was_takes_nothing_over(ellen, how):
    run = done(count=1)
    row = run.changes.get().instance
    later = done(run.account, row)
    if how == "another field":
        later.changes.update(send={"HttpPutResponseHopLimit": 2})
    else:
        back = done(run.account, row)
        back.changes.update(undoes=later.changes.get())

    draft = rollback.draft(run=run, by=ellen, now=timezone.now())

    assert [item["instance_id"] for item in draft.plan["changes"]] == [row.instance_id]


def test_what_a_later_run_sends_while_the_plan_waits_is_left_to_that_run_too(ellen):
    run = done()
    kept, taken = run.changes.all()
    draft = rollback.draft(run=run, by=ellen, now=timezone.now())
    done(run.account, taken.instance)
    waiting = requests.submit(request=draft, by=ellen, reason="", version=draft.version, now=timezone.now())
    bea = factories.user("bea", Role.APPROVER)
    back = requests.approve(request=waiting, by=bea, comment="", version=waiting.version, now=timezone.now())
    Run.objects.filter(pk=back.pk).update(state=RunState.RUNNING)

    for _ in range(2):
        enforcement.claim(run_id=back.pk, owner="me", limit=2, now=timezone.now())

    assert back.changes.get(undoes=taken).state == ChangeState.SKIPPED
    assert back.changes.get(undoes=kept).state == ChangeState.LEASED


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING, RunState.PAUSED])
def test_a_run_that_is_being_put_back_is_not_planned_again(ellen, state):
    run = done()
    draft = rollback.draft(run=run, by=ellen, now=timezone.now())
    waiting = requests.submit(request=draft, by=ellen, reason="", version=draft.version, now=timezone.now())
    bea = factories.user("bea", Role.APPROVER)
    back = requests.approve(request=waiting, by=bea, comment="", version=waiting.version, now=timezone.now())
    Run.objects.filter(pk=back.pk).update(state=state)

    with pytest.raises(Refused, match=f"Run {back.pk} is putting this run back already"):
        rollback.draft(run=run, by=ellen, now=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_of_two_who_plan_to_put_a_run_back_at_the_same_moment_one_does():
    """On SQLite and on PostgreSQL (tests.on_postgres)."""
    run, people = done(), [factories.user(name, Role.ENGINEER) for name in ("edith", "eva")]

    _, refused = at_once(
        people,
        lambda: Run.objects.select_related("account", "request", "wave").get(pk=run.pk),
        lambda mine, person: rollback.draft(run=mine, by=person, now=timezone.now()),
    )

    assert (run.undone_by.count(), len(refused)) == (1, 1)


def test_who_chose_nothing_is_not_told_that_the_run_changed_nothing(ellen):
    with pytest.raises(Refused, match="None of what was chosen was changed by it"):
        rollback.draft(run=done(), by=ellen, changes=[], now=timezone.now())


@pytest.mark.parametrize(("tokens", "loosens"), [("optional", True), ("required", False)])
def test_switching_imds_on_again_where_imdsv1_is_allowed_is_said_to_loosen(ellen, tokens, loosens):
    run = done(factories.account(), count=0)
    row = factories.instance(run.account, http_tokens=tokens, http_endpoint="disabled")
    off = {
        name: {"HttpTokens": tokens, "HttpEndpoint": said}
        for name, said in (("before", "enabled"), ("after", "disabled"))
    }
    change = factories.change(run, row, send={"HttpEndpoint": "disabled"})
    Change.objects.filter(pk=change.pk).update(**off)

    notes = rollback.draft(run=run, by=ellen, now=timezone.now()).plan["notes"]

    assert any("answer IMDSv1 again" in note for note in notes) == loosens


# --- what is not known to have been done ---------------------------------------------------------------

WHOLE = {
    "HttpTokens": "optional", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled", "HttpProtocolIpv6": "disabled",
    "InstanceMetadataTags": "disabled",
}  # fmt: skip
GIVEN_UP = timezone.now() - timedelta(hours=2)


def lost(*, error_class="unsettled", tokens="required", seen_at=None, others=0, **fields) -> Run:
    """A run whose one change has lost its answer; `tokens` is what the inventory shows, as of `seen_at`."""
    run = done(count=others)
    row = factories.instance(run.account, http_tokens=tokens, last_seen_at=seen_at or timezone.now())
    change = factories.change(run, row, called_at=GIVEN_UP, settled_at=GIVEN_UP)
    told = {"state": ChangeState.FAILED, "error_class": error_class, "before": WHOLE, "after": None} | fields
    Change.objects.filter(pk=change.pk).update(**told)
    return run


@pytest.mark.parametrize("error_class", ["unsettled", "unknown_outcome", "writes"])
def test_what_was_done_though_its_answer_was_lost_can_be_put_back(ellen, error_class):
    run = lost(error_class=error_class, others=1)

    plan = rollback.draft(run=run, by=ellen, now=timezone.now()).plan

    item = next(item for item in plan["changes"] if item["warnings"])
    assert (len(plan["changes"]), item["before"], item["send"]) == (
        2, WHOLE | {"HttpTokens": "required"}, {"HttpTokens": "optional"},
    )  # fmt: skip
    assert item["warnings"] == [
        "The answer of AWS was lost. A read since shows it as it was to become, so it is taken for done by this run."
    ]


def test_what_lost_its_answer_and_was_not_read_since_is_put_back_only_where_it_was_done(ellen):
    run = lost(tokens="optional", seen_at=GIVEN_UP - timedelta(minutes=1))

    (item,) = rollback.draft(run=run, by=ellen, now=timezone.now()).plan["changes"]

    assert item["before"] == WHOLE | {"HttpTokens": "required"}
    (said,) = item["warnings"]
    assert said == (
        "The answer of AWS was lost, and whether it was done is not known. It is put back only if the read right "
        "before shows that it was."
    )


def test_what_lost_its_answer_in_a_locked_region_is_told_as_locked(ellen):
    run = lost(tokens="optional", seen_at=GIVEN_UP - timedelta(minutes=1), others=0)
    scope = factories.scope(run.account)
    RegionDefaults.objects.create(scope=scope, http_tokens_enforced="enabled", managed_by="account", read_at=GIVEN_UP)

    with pytest.raises(Refused, match="Lift it first"):
        rollback.draft(run=run, by=ellen, now=timezone.now())


def test_what_lost_its_answer_and_was_not_done_is_told_and_left_out(ellen):
    run = lost(tokens="optional", others=1)

    plan = rollback.draft(run=run, by=ellen, now=timezone.now()).plan

    said = "The answer of AWS was lost, and a read since shows it as it was before: nothing is to be put back."
    assert len(plan["changes"]) == 1
    assert [(one["status"], one["reason"]) for one in plan["excluded"]] == [("unsettled", said)]


@pytest.mark.parametrize("state", [ChangeState.CALLING, ChangeState.APPLIED, ChangeState.UNKNOWN])
def test_what_is_still_on_its_way_is_told_and_left_out(ellen, state):
    run = lost(state=state, error_class="", settled_at=None, others=1)

    plan = rollback.draft(run=run, by=ellen, now=timezone.now()).plan

    assert [(one["status"], one["reason"]) for one in plan["excluded"]] == [
        ("unsettled", "What became of its call is not known yet. Plan to put it back once it is settled.")
    ]


def test_what_aws_turned_down_is_no_matter_of_a_rollback(ellen):
    run = lost(error_class="UnauthorizedOperation", others=1)

    plan = rollback.draft(run=run, by=ellen, now=timezone.now()).plan

    assert (len(plan["changes"]), plan["excluded"]) == (1, [])


def test_what_was_skipped_after_a_call_without_an_answer_is_told_too(ellen):
    run = lost(state=ChangeState.SKIPPED, error_class="", writes=1)

    assert len(rollback.draft(run=run, by=ellen, now=timezone.now()).plan["changes"]) == 1


def test_a_run_in_doubt_is_put_back_exactly_where_aws_did_it(aws, ellen):
    sandbox, run = begin(aws)
    before = options(sandbox)
    drive(run)
    change = run.changes.first()
    Change.objects.filter(pk=change.pk).update(state=ChangeState.FAILED, error_class="unsettled", after=None)

    back = carry_out(rollback.draft(run=run, by=ellen, now=timezone.now()))

    assert (back.state, options(sandbox)) == (RunState.DONE, before)
