"""Approvals by several people: who counts, what voids them, and two who sign at the same moment."""

import pytest

from migration.actions import audit, planning, requests
from migration.actions.errors import Refused, Stale
from migration.domain import plan as plans
from migration.enums import PolicyState, RequestState, Role
from migration.models import Approval, AuditEvent, EnforcementRequest, Policy, Run
from tests import factories
from tests.factories import NOW
from tests.together import at_once

pytestmark = pytest.mark.django_db


def policy(admin, **fields):
    said = {"quorum": 2, "canary_minutes": 0, "reason": "two look", "state": PolicyState.ACTIVE} | fields
    return Policy.objects.create(
        proposed_at=NOW, decided_at=NOW, decided_by=factories.user(f"second-{admin.pk}", Role.ADMIN), **said
    )


@pytest.fixture
def people():
    roles = {
        "ellen": Role.ENGINEER,
        "edith": Role.ENGINEER,
        "adam": Role.APPROVER,
        "bea": Role.APPROVER,
        "carl": Role.ADMIN,
    }
    return {name: factories.user(name, role) for name, role in roles.items()}


@pytest.fixture
def account():
    account = factories.account(name="payments")
    for name in ("a", "b", "c"):
        factories.instance(account, name=name)
    return account


def asked(account, people):
    draft = planning.draft_plan(account=account, by=people["ellen"], now=NOW)
    return requests.submit(request=draft, by=people["edith"], reason="", version=draft.version, now=NOW)


def approve(request, person):
    fresh = EnforcementRequest.objects.get(pk=request.pk)
    return requests.approve(request=fresh, by=person, comment="", version=fresh.version, now=NOW)


def denied():
    return AuditEvent.objects.filter(verb="denied").count()


@pytest.fixture
def waiting(account, people):
    policy(people["carl"])
    return asked(account, people)


def test_with_a_quorum_of_two_the_first_approval_starts_nothing(waiting, people):
    assert approve(waiting, people["adam"]) is None

    waiting.refresh_from_db()
    assert (waiting.state, Run.objects.count()) == (RequestState.REQUESTED, 0)
    assert AuditEvent.objects.filter(verb="approval.given").count() == 1


def test_the_second_one_starts_the_run(waiting, people):
    approve(waiting, people["adam"])

    run = approve(waiting, people["bea"])

    waiting.refresh_from_db()
    assert (waiting.state, run.changes.count()) == (RequestState.APPROVED, 3)


def test_one_person_cannot_be_two(waiting, people):
    approve(waiting, people["adam"])

    with pytest.raises(Refused, match="You have already decided"):
        approve(waiting, people["adam"])
    assert Run.objects.count() == 0


def test_somebody_who_left_no_longer_counts(waiting, people):
    approve(waiting, people["adam"])
    people["adam"].is_active = False
    people["adam"].save()

    assert approve(waiting, people["bea"]) is None


@pytest.mark.parametrize(("name", "why"), [("maker", "You made this plan"), ("asker", "You made this request")])
def test_whoever_made_or_asked_cannot_sign_whatever_the_role(account, people, name, why):
    policy(people["carl"], quorum=1)
    maker, asker = factories.user("maker", Role.ADMIN), factories.user("asker", Role.ADMIN)
    draft = planning.draft_plan(account=account, by=maker, now=NOW)
    request = requests.submit(request=draft, by=asker, reason="", version=draft.version, now=NOW)

    with pytest.raises(Refused, match=why):
        approve(request, {"maker": maker, "asker": asker}[name])
    assert denied() == 1


def test_whoever_edited_cannot_sign(account, people):
    policy(people["carl"], quorum=1)
    draft = planning.draft_plan(account=account, by=people["ellen"], now=NOW)
    key = next(iter(plans.items(draft.plan)))
    sealed = draft.plan_hash
    edited = planning.leave_out(
        request=draft, by=people["carl"], keys=[key], reason="later", version=draft.version, now=NOW
    )
    request = requests.submit(request=edited, by=people["edith"], reason="", version=edited.version, now=NOW)

    assert (edited.plan_hash != sealed, len(edited.plan["changes"])) == (True, 2)
    assert edited.plan["excluded"][0]["reason"] == "Left out by carl: later"
    with pytest.raises(Refused, match="You edited this plan"):
        approve(request, people["carl"])
    assert approve(request, people["adam"]) is not None


def test_a_plan_that_is_asked_for_cannot_be_edited(waiting, people):
    key = next(iter(plans.items(waiting.plan)))

    with pytest.raises(Stale, match="Only a draft can be edited"):
        planning.leave_out(
            request=waiting, by=people["ellen"], keys=[key], reason="x", version=waiting.version, now=NOW
        )


def test_what_is_not_in_the_plan_cannot_be_left_out_and_the_attempt_is_audited(account, people):
    draft = planning.draft_plan(account=account, by=people["ellen"], now=NOW)
    said = {"request": draft, "by": people["ellen"], "reason": "x", "version": draft.version, "now": NOW}

    with pytest.raises(Refused, match="i-other is not in this plan"):
        planning.leave_out(keys=[("instance", "us-east-1", "i-other")], **said)
    assert denied() == 1
    with pytest.raises(Refused, match="That would leave nothing to do"):
        planning.leave_out(keys=plans.items(draft.plan), **said)


def test_reopening_voids_the_approvals_and_the_same_people_may_sign_again(waiting, people):
    approve(waiting, people["adam"])
    waiting.refresh_from_db()
    draft = requests.reopen(request=waiting, by=people["ellen"], version=waiting.version, now=NOW)
    again = requests.submit(request=draft, by=people["edith"], reason="", version=draft.version, now=NOW)

    assert approve(again, people["bea"]) is None
    assert approve(again, people["adam"]) is not None
    assert Approval.objects.filter(void_at__isnull=False).count() == 1


def test_an_approval_can_be_taken_back_while_others_are_missing(waiting, people):
    approve(waiting, people["adam"])
    requests.take_back(request=waiting, by=people["adam"], now=NOW)

    assert approve(waiting, people["bea"]) is None
    assert approve(waiting, people["adam"]) is not None


def test_an_approval_that_carried_cannot_be_taken_back(waiting, people):
    approve(waiting, people["adam"])
    approve(waiting, people["bea"])
    waiting.refresh_from_db()

    with pytest.raises(Refused, match="no approval can be taken back"):
        requests.take_back(request=waiting, by=people["bea"], now=NOW)


def test_a_policy_that_changed_since_the_plan_was_made_takes_a_new_plan(waiting, people):
    Policy.objects.update(quorum=1)

    with pytest.raises(Refused, match="The policy of this account has changed"):
        approve(waiting, people["adam"])
    assert (denied(), Run.objects.count()) == (1, 0)


def test_a_plan_of_another_account_is_never_approved(account, people):
    request = asked(account, people)
    request.plan["account_id"] = "999999999999"
    request.plan_hash = plans.digest(request.plan)
    request.save()

    with pytest.raises(Refused, match="of another account"):
        approve(request, people["adam"])
    assert (denied(), Run.objects.count()) == (1, 0)


def test_an_instance_that_is_not_the_accounts_is_never_approved(account, people):
    request = asked(account, people)
    request.plan["changes"][0]["instance_id"] = factories.instance(factories.account()).instance_id
    request.plan_hash = plans.digest(request.plan)
    request.save()

    with pytest.raises(Refused, match="is not an instance of account"):
        approve(request, people["adam"])
    request.refresh_from_db()
    assert (request.state, Run.objects.count()) == (RequestState.REQUESTED, 0)


@pytest.mark.parametrize(
    ("most", "spoil", "approved"),
    [(3, None, True), (2, None, False), (0, None, False), (9, "excluded", False), (9, "warning", False)],
)
def test_one_click_does_for_a_wholly_ready_account_up_to_the_policys_number(account, people, most, spoil, approved):
    policy(people["carl"], one_click=most)
    if spoil == "excluded":
        factories.instance(account, status="in_use", status_reason="3 calls.")
    if spoil == "warning":
        account.instances.filter(name="a").update(warnings=["Not booted since."])

    request = asked(account, people)

    assert (request.state == RequestState.APPROVED) is approved
    assert Run.objects.count() == approved
    assert (request.by_policy is not None) is approved


def test_one_click_is_for_the_whole_account_only(account, people):
    policy(people["carl"], one_click=9)
    scope = plans.Scope(plans.ScopeKind.INSTANCES, instances=(account.instances.first().instance_id,))
    draft = planning.draft_plan(account=account, by=people["ellen"], now=NOW, scope=scope)

    request = requests.submit(request=draft, by=people["ellen"], reason="", version=draft.version, now=NOW)

    assert request.state == RequestState.REQUESTED


def test_a_request_is_carried_out_once(waiting, people):
    approve(waiting, people["adam"])
    approve(waiting, people["bea"])

    with pytest.raises(Refused):
        approve(waiting, people["carl"])
    assert Run.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(4))
def test_of_three_who_sign_at_once_exactly_the_quorum_counts(round_):
    """On SQLite and on PostgreSQL (tests.on_postgres): the second sees the first, one run comes of it."""
    admin = factories.user("root", Role.ADMIN)
    policy(admin)
    account = factories.account()
    factories.instance(account)
    people = {name: factories.user(name, Role.ENGINEER) for name in ("ellen", "edith")}
    request = asked(account, people)
    signers = [factories.user(name, Role.APPROVER) for name in ("adam", "bea", "carl")]

    done, refused = at_once(
        signers,
        lambda: EnforcementRequest.objects.get(pk=request.pk),
        lambda mine, person: requests.approve(request=mine, by=person, comment="", version=request.version, now=NOW),
    )

    assert Run.objects.count() == 1
    assert Approval.objects.count() == 2
    assert sorted(type(one).__name__ for one in (*done, *refused)) == ["NoneType", "Run", "Stale"]
    assert audit.verify() is None
