"""Putting back: exactly what was before, only where it still is as we left it; what cannot be is said beforehand."""

import pytest
from django.utils import timezone

from migration.actions import requests, rollback
from migration.actions.errors import Refused
from migration.enums import Channel, Emergency, PolicyState, RequestState, Role, RunState, Severity, Status
from migration.models import Account, Instance, Notification, Policy, RegionDefaults, Run, Scope
from migration.tasks import enforcement as tasks
from tests import factories
from tests.tasks.story import begin, drive, set_options

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
