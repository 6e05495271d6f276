"""From plan to decision: who may, when, and what the database refuses by itself."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from migration.actions import audit, planning, requests, rollback, runs
from migration.actions.errors import Refused, Stale
from migration.enums import ChangeState, RequestState, Role, RunState, Status
from migration.models import Account, Approval, AuditEvent, EnforcementRequest, Grant, Run
from tests import factories
from tests.factories import NOW
from tests.together import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    account = factories.account(name="payments-prod")
    factories.scope(account)
    factories.instance(account, name="web")
    factories.instance(account, name="db", status=Status.IN_USE, status_reason="7 IMDSv1 calls in the window.")
    return account


@pytest.fixture
def engineer():
    return factories.user("ellen", Role.ENGINEER)


@pytest.fixture
def approver():
    return factories.user("adam", Role.APPROVER)


@pytest.fixture
def waiting(account, engineer) -> EnforcementRequest:
    draft = requests.draft_plan(account=account, by=engineer, now=NOW)
    return requests.submit(request=draft, by=engineer, reason="quiet for weeks", version=draft.version, now=NOW)


def verbs() -> list[str]:
    return list(AuditEvent.objects.order_by("seq").values_list("verb", flat=True))


def test_a_plan_holds_ready_instances_and_says_why_the_others_are_excluded(account, engineer):
    draft = requests.draft_plan(account=account, by=engineer, now=NOW)

    assert [change["name"] for change in draft.plan["changes"]] == ["web"]
    assert draft.plan["changes"][0]["send"] == {"HttpTokens": "required"}
    assert [(one["name"], one["reason"]) for one in draft.plan["excluded"]] == [("db", "7 IMDSv1 calls in the window.")]


def test_an_instance_with_a_blocker_is_not_planned(account, engineer):
    factories.instance(account, name="containers", blockers=["hop limit 1 with containers"])

    draft = requests.draft_plan(account=account, by=engineer, now=NOW)

    assert {one["name"]: one["reason"] for one in draft.plan["excluded"]}["containers"] == "hop limit 1 with containers"


def test_a_plan_of_nothing_is_refused_with_a_sentence(engineer):
    empty = factories.account(name="empty")

    with pytest.raises(Refused, match="Nothing in empty is ready to enforce, so no plan was made"):
        requests.draft_plan(account=empty, by=engineer, now=NOW)

    assert not EnforcementRequest.objects.exists()


def test_a_viewer_cannot_plan_and_the_attempt_is_audited(account):
    viewer = factories.user("vera", Role.VIEWER)

    with pytest.raises(Refused, match="Your role does not allow you to plan enforcement"):
        requests.draft_plan(account=account, by=viewer, now=NOW)

    assert verbs() == ["denied"]


def test_an_engineer_of_another_account_cannot_plan(account):
    other = factories.user("otto", Role.ENGINEER, account=factories.account())

    with pytest.raises(Refused):
        requests.draft_plan(account=account, by=other, now=NOW)


def test_approval_makes_a_run_with_one_pending_change_for_each_planned_instance(waiting, approver):
    run = requests.approve(request=waiting, by=approver, comment="go", version=waiting.version, now=NOW)

    waiting.refresh_from_db()
    assert waiting.state == RequestState.APPROVED
    assert run.state == RunState.QUEUED
    assert [(change.state, change.send) for change in run.changes.all()] == [
        (ChangeState.PENDING, {"HttpTokens": "required"})
    ]
    assert verbs() == ["request.drafted", "request.submitted", "request.approved", "run.queued"]


def test_the_requester_cannot_approve_even_as_admin(account, waiting, engineer):
    Grant.objects.create(user=engineer, role=Role.ADMIN)
    engineer = type(engineer).objects.get(pk=engineer.pk)

    with pytest.raises(Refused, match="You made this request, so somebody else must decide on it"):
        requests.approve(request=waiting, by=engineer, comment="", version=waiting.version, now=NOW)

    assert not Run.objects.exists()
    assert verbs()[-1] == "denied"


def test_the_drafter_cannot_approve_what_another_submitted(account, engineer):
    boss = factories.user("bea", Role.ADMIN)
    draft = requests.draft_plan(account=account, by=boss, now=NOW)
    waiting = requests.submit(request=draft, by=engineer, reason="", version=draft.version, now=NOW)

    with pytest.raises(Refused, match="somebody else"):
        requests.approve(request=waiting, by=boss, comment="", version=waiting.version, now=NOW)


def test_the_database_refuses_an_approval_by_the_requester(waiting, engineer):
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.create(
            request=waiting, approver=engineer, requester=engineer, decision="approve", plan_hash="x", at=NOW
        )


def test_the_database_refuses_a_request_decided_by_its_requester(waiting, engineer):
    with pytest.raises(IntegrityError), transaction.atomic():
        EnforcementRequest.objects.filter(pk=waiting.pk).update(
            state=RequestState.APPROVED, decided_by=engineer, decided_at=NOW
        )


@pytest.mark.parametrize("fields", [{"decided_at": NOW}, {"requested_at": None}])
def test_the_database_refuses_half_a_pair(waiting, fields):
    with pytest.raises(IntegrityError), transaction.atomic():
        EnforcementRequest.objects.filter(pk=waiting.pk).update(**fields)


def test_the_database_refuses_a_second_active_run_in_an_account(waiting, approver, account, engineer):
    requests.approve(request=waiting, by=approver, comment="", version=waiting.version, now=NOW)
    second = requests.draft_plan(account=account, by=engineer, now=NOW)

    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.create(request=second, account=account, created_at=NOW)


def test_a_second_approval_while_a_run_is_active_is_refused_and_the_request_still_waits(
    waiting, approver, account, engineer
):
    draft = requests.draft_plan(account=account, by=engineer, now=NOW)
    second = requests.submit(request=draft, by=engineer, reason="", version=draft.version, now=NOW)
    requests.approve(request=waiting, by=approver, comment="", version=waiting.version, now=NOW)

    with pytest.raises(Refused, match="Another run is active in payments-prod"):
        requests.approve(request=second, by=approver, comment="", version=second.version, now=NOW)

    second.refresh_from_db()
    assert second.state == RequestState.REQUESTED
    assert not second.approvals.exists()


def test_an_expired_request_is_not_approved(waiting, approver):
    late = waiting.expires_at + timedelta(seconds=1)

    with pytest.raises(Refused, match="past its expiry"):
        requests.approve(request=waiting, by=approver, comment="", version=waiting.version, now=late)


def test_a_page_that_is_out_of_date_decides_nothing(waiting, approver):
    requests.reject(request=EnforcementRequest.objects.get(pk=waiting.pk), by=approver, comment="no",
                    version=waiting.version, now=NOW)  # fmt: skip

    with pytest.raises(Stale, match="it is now rejected"):
        requests.approve(
            request=EnforcementRequest.objects.get(pk=waiting.pk),
            by=factories.user("anna", Role.APPROVER),
            comment="",
            version=waiting.version,
            now=NOW,
        )

    assert not Run.objects.exists()


def test_an_edited_plan_is_not_approved(waiting, approver):
    plan = waiting.plan | {"changes": [*waiting.plan["changes"], {"instance_id": "i-0", "region": "us-east-1"}]}
    EnforcementRequest.objects.filter(pk=waiting.pk).update(plan=plan)
    waiting.refresh_from_db()

    with pytest.raises(Refused, match="no longer matches its hash"):
        requests.approve(request=waiting, by=approver, comment="", version=waiting.version, now=NOW)


def test_an_approved_request_is_not_approved_again(waiting, approver):
    requests.approve(request=waiting, by=approver, comment="", version=waiting.version, now=NOW)
    again = EnforcementRequest.objects.get(pk=waiting.pk)

    with pytest.raises(Refused):
        requests.approve(
            request=again, by=factories.user("anna", Role.APPROVER), comment="", version=again.version, now=NOW
        )

    assert Run.objects.count() == 1


def test_a_withdrawn_request_cannot_be_approved(waiting, engineer, approver):
    requests.withdraw(request=waiting, by=engineer, version=waiting.version, now=NOW)

    with pytest.raises(Refused):
        requests.approve(request=waiting, by=approver, comment="", version=waiting.version, now=NOW)


def test_expiry_closes_what_waits_and_nothing_else(waiting, account, engineer, approver):
    draft = requests.draft_plan(account=account, by=engineer, now=NOW)
    requests.approve(request=waiting, by=approver, comment="", version=waiting.version, now=NOW)

    assert requests.expire(now=NOW + timedelta(days=30)) == 1

    draft.refresh_from_db()
    waiting.refresh_from_db()
    assert (draft.state, waiting.state) == (RequestState.EXPIRED, RequestState.APPROVED)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(5))
def test_of_two_approvers_at_the_same_moment_one_counts_and_one_run_comes_of_it(round_):
    """On SQLite and on PostgreSQL (tests.on_postgres)."""
    account = factories.account()
    factories.scope(account)
    factories.instance(account)
    ellen = factories.user("ellen", Role.ENGINEER)
    draft = requests.draft_plan(account=account, by=ellen, now=NOW)
    waiting = requests.submit(request=draft, by=ellen, reason="", version=draft.version, now=NOW)
    approvers = [factories.user(name, Role.APPROVER) for name in ("adam", "anna")]

    _, refused = at_once(
        approvers,
        lambda: EnforcementRequest.objects.get(pk=waiting.pk),
        lambda mine, person: requests.approve(request=mine, by=person, comment="", version=waiting.version, now=NOW),
    )

    assert Run.objects.count() == 1
    assert Approval.objects.count() == 1
    assert len(refused) == 1
    assert audit.verify() is None


# --- what is refused is told -------------------------------------------------------------------------------


def last_denied():
    event = AuditEvent.objects.order_by("seq").last()
    return event.verb, event.actor, event.object_type, event.object_id, event.reason


def outdated(kind, waiting, engineer, approver):
    """An attempt on a request that is not as it was seen, or whose time is over."""
    old = {"request": waiting, "version": waiting.version - 1, "now": NOW}
    late = {"request": waiting, "version": waiting.version, "now": waiting.expires_at}
    return {
        "approve": lambda: requests.approve(by=approver, comment="", **old),
        "approve late": lambda: requests.approve(by=approver, comment="", **late),
        "reject": lambda: requests.reject(by=approver, comment="", **old),
        "submit": lambda: requests.submit(by=engineer, reason="", **old),
        "reopen": lambda: requests.reopen(by=engineer, **old),
        "reopen late": lambda: requests.reopen(by=engineer, **late),
        "withdraw": lambda: requests.withdraw(by=engineer, **old),
        "edit": lambda: planning.leave_out(by=engineer, keys=[], reason="", **old),
        "take back": lambda: requests.take_back(request=waiting, by=approver, now=NOW),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["approve", "approve late", "reject", "submit", "reopen", "reopen late", "withdraw", "edit", "take back"],
)
def test_an_answer_to_what_is_no_longer_so_is_told_to_the_audit_log_as_denied(kind, waiting, engineer, approver):
    with pytest.raises(Refused) as refusal:
        outdated(kind, waiting, engineer, approver)()

    who = "adam" if kind.split()[0] in {"approve", "reject", "take"} else "ellen"
    assert last_denied() == ("denied", who, "EnforcementRequest", str(waiting.pk), str(refusal.value))
    assert verbs().count("denied") == 1


def test_who_was_too_late_inside_the_transaction_is_told_as_denied_too(waiting, approver, account, engineer):
    """The refusal undoes the transaction; its event is written after it."""
    draft = requests.draft_plan(account=account, by=engineer, now=NOW)
    second = requests.submit(request=draft, by=engineer, reason="", version=draft.version, now=NOW)
    requests.approve(request=waiting, by=approver, comment="", version=waiting.version, now=NOW)
    as_seen = EnforcementRequest.objects.get(pk=second.pk)
    EnforcementRequest.objects.filter(pk=second.pk).update(version=second.version + 1)

    with pytest.raises(Stale):
        requests.approve(request=as_seen, by=approver, comment="", version=as_seen.version, now=NOW)
    assert last_denied()[:4] == ("denied", "adam", "EnforcementRequest", str(second.pk))

    second.refresh_from_db()
    with pytest.raises(Refused, match="Another run is active"):
        requests.approve(request=second, by=approver, comment="", version=second.version, now=NOW)
    assert last_denied()[4].startswith("Another run is active")


def test_a_refusal_is_told_once(waiting, engineer):
    with pytest.raises(Refused):
        requests.approve(request=waiting, by=engineer, comment="", version=waiting.version, now=NOW)

    assert verbs().count("denied") == 1


def approved(waiting, approver) -> Run:
    run = requests.approve(request=waiting, by=approver, comment="", version=waiting.version, now=NOW)
    assert run is not None
    return run


@pytest.mark.parametrize("act", ["hold", "resume", "resume late", "stop"])
def test_steering_that_is_refused_is_told_as_denied(act, waiting, approver):
    run = approved(waiting, approver)
    late = act == "resume late"
    Run.objects.filter(pk=run.pk).update(
        state=RunState.PAUSED if late else RunState.DONE, finished_at=None if late else NOW
    )
    run.refresh_from_db()
    now = waiting.expires_at + timedelta(days=30) if late else NOW
    do = {
        "hold": lambda: runs.hold(run=run, by=approver, reason="", now=now),
        "resume": lambda: runs.resume(run=run, by=approver, now=now),
        "stop": lambda: runs.stop(run=run, by=approver, now=now),
    }[act.split()[0]]

    with pytest.raises(Refused) as refusal:
        do()

    assert last_denied() == ("denied", "adam", "Run", str(run.pk), str(refusal.value))


def test_a_rollback_that_is_refused_is_told_as_denied_unless_the_watch_proposed_it(waiting, approver, engineer):
    run = approved(waiting, approver)
    with pytest.raises(Refused, match="still going on"):
        rollback.propose(run=run, owner=engineer, changes=[], now=NOW)
    assert "denied" not in verbs()

    with pytest.raises(Refused, match="still going on") as refusal:
        rollback.draft(run=run, by=engineer, now=NOW)
    assert last_denied() == ("denied", "ellen", "Run", str(run.pk), str(refusal.value))


def test_nobody_is_said_to_have_tried_what_the_watch_proposes_in_their_name(waiting, approver, engineer):
    run = approved(waiting, approver)
    Grant.objects.filter(user=engineer).delete()

    with pytest.raises(Refused, match="The role of ellen does not allow"):
        rollback.propose(run=run, owner=type(engineer).objects.get(pk=engineer.pk), changes=[], now=NOW)

    assert "denied" not in verbs()
