"""What stands for and against a request, as the database has it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser, User

from migration.actions import planning, requests
from migration.domain.approval import Asked, Signature
from migration.enums import Decision, Emergency, PolicyState, RequestKind, RequestState, Role, Status
from migration.models import Approval, EnforcementRequest, Instance, PlanEdit, Policy, Run
from migration.queries import decisions
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
PEOPLE = {"ellen": Role.ENGINEER, "edith": Role.ENGINEER, "adam": Role.APPROVER, "bea": Role.ADMIN, "carl": Role.ADMIN}


@pytest.fixture
def people():
    return {name: factories.user(name, role) for name, role in PEOPLE.items()}


@pytest.fixture
def account():
    account = factories.account()
    factories.scope(account)
    for _ in range(2):
        factories.instance(account, usage_until=NOW)
    return account


@pytest.fixture
def policy(people):
    return factories.policy(by=people["bea"], decided_by=people["carl"], quorum=2, one_click=0)


@pytest.fixture
def waiting(account, people, policy):
    """Planned by ellen, edited by carl, asked for by edith; it takes two."""
    draft = requests.draft_plan(account=account, by=people["ellen"], now=NOW)
    PlanEdit.objects.create(request=draft, editor=people["carl"], at=NOW, plan_hash=draft.plan_hash)
    return requests.submit(request=draft, by=people["edith"], reason="", version=draft.version, now=NOW)


def signed(request, person, **fields) -> Approval:
    told = {"decision": Decision.APPROVE, "plan_hash": request.plan_hash, "at": NOW} | fields
    return Approval.objects.create(request=request, approver=person, requester=request.requested_by, **told)


def ask_again(request) -> EnforcementRequest:
    return EnforcementRequest.objects.select_related("by_policy").get(pk=request.pk)


# --- who has a hand in it ----------------------------------------------------------------------------------


def test_everybody_with_a_hand_in_it_is_named(waiting, people):
    assert decisions.asked(waiting) == Asked(
        plan_hash=waiting.plan_hash,
        quorum=2,
        creator=people["ellen"].pk,
        requester=people["edith"].pk,
        editors=frozenset({people["carl"].pk}),
    )


def test_editors_of_another_plan_have_no_hand_in_this_one(account, waiting, people):
    other = requests.draft_plan(account=account, by=people["ellen"], now=NOW)
    PlanEdit.objects.create(request=other, editor=people["adam"], at=NOW, plan_hash="x")

    assert decisions.asked(waiting).editors == {people["carl"].pk}


def test_what_stands_is_what_was_not_taken_back_by_people_who_are_still_here(account, waiting, people):
    other = requests.draft_plan(account=account, by=people["ellen"], now=NOW)
    other.requested_by = people["ellen"]
    signed(other, people["adam"])
    signed(waiting, people["adam"])
    signed(waiting, people["bea"], decision=Decision.REJECT, plan_hash="x")
    signed(waiting, factories.user("gone"), void_at=NOW)
    left = factories.user("left", Role.APPROVER)
    User.objects.filter(pk=left.pk).update(is_active=False)
    signed(waiting, left)
    signed(waiting, factories.user("demoted", Role.ENGINEER))

    assert sorted(decisions.standing(waiting), key=lambda one: one.person) == [
        Signature(people["adam"].pk, approves=True, plan_hash=waiting.plan_hash),
        Signature(people["bea"].pk, approves=False, plan_hash="x"),
    ]


def test_how_many_are_still_missing(waiting, people):
    found = [decisions.still_missing(waiting)]
    for name in ("carl", "adam", "bea"):  # carl has edited it
        signed(waiting, people[name])
        found.append(decisions.still_missing(waiting))

    assert found == [2, 2, 1, 0]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ellen", "You made this plan, so somebody else must decide on it."),
        ("edith", "You made this request, so somebody else must decide on it."),
        ("carl", "You edited this plan, so somebody else must decide on it."),
        ("adam", ""),
    ],
)
def test_who_is_barred_is_told_why(waiting, people, name, why):
    assert decisions.barred_because(waiting, people[name]) == why


def test_somebody_who_is_not_signed_in_decides_nothing(waiting):
    assert decisions.barred_because(waiting, AnonymousUser()) == "Nobody is signed in."


@pytest.mark.parametrize(("name", "mine"), [("ellen", 0), ("edith", 0), ("carl", 0), ("adam", 1), ("bea", 1)])
def test_a_list_leaves_out_what_a_person_has_a_hand_in(waiting, people, name, mine):
    assert decisions.not_by(EnforcementRequest.objects.all(), people[name]).count() == mine


def test_a_list_leaves_out_what_a_person_has_decided_until_it_is_taken_back(waiting, people):
    given = signed(waiting, people["adam"])
    assert not decisions.not_by(EnforcementRequest.objects.all(), people["adam"]).exists()
    assert decisions.not_by(EnforcementRequest.objects.all(), people["bea"]).exists()

    given.void_at = NOW
    given.save()

    assert decisions.not_by(EnforcementRequest.objects.all(), people["adam"]).get() == waiting


# --- a policy instead of a second person -------------------------------------------------------------------


@pytest.fixture
def clicked(account, people):
    """Asked for by ellen alone, under a policy that lets two instances go on one click."""
    factories.policy(by=people["bea"], decided_by=people["carl"], quorum=2, one_click=2)
    draft = requests.draft_plan(account=account, by=people["ellen"], now=NOW)
    requests.submit(request=draft, by=people["ellen"], reason="", version=draft.version, now=NOW)
    return ask_again(draft)


def test_one_click_carries_a_small_and_wholly_ready_account(clicked):
    assert clicked.state == RequestState.APPROVED
    assert decisions.policy_carries(clicked)


def test_without_a_policy_nothing_is_carried(waiting):
    assert not decisions.policy_carries(waiting)


@pytest.mark.parametrize("state", [state for state in PolicyState if state != PolicyState.ACTIVE])
def test_a_policy_that_does_not_hold_carries_nothing(clicked, state):
    Policy.objects.update(state=state)

    assert not decisions.policy_carries(ask_again(clicked))
    assert decisions.one_click(clicked) is None


def test_what_nobody_asked_for_is_not_carried(clicked):
    clicked.requested_by = None

    assert not decisions.policy_carries(clicked)


@pytest.mark.parametrize("told", [{}, {"policy": {}}, {"policy": {"policy": None}}, {"policy": {"policy": 4711}}])
def test_only_the_policy_that_the_plan_was_made_under_carries_it(clicked, told):
    clicked.plan = {name: value for name, value in clicked.plan.items() if name != "policy"} | told

    assert not decisions.policy_carries(clicked)
    assert decisions.one_click(clicked) is None


@pytest.mark.parametrize(("most", "carries"), [(1, False), (2, True), (3, True)])
def test_one_click_carries_so_many_and_no_more(clicked, most, carries):
    Policy.objects.update(one_click=most)
    clicked = ask_again(clicked)

    assert decisions.policy_carries(clicked) is carries
    assert decisions.one_click(clicked) == (clicked.by_policy if carries else None)


def test_one_click_does_not_carry_a_plan_that_leaves_something_out(clicked):
    clicked.plan["excluded"] = [{"instance_id": "i-1", "region": "us-east-1", "name": "", "status": "in_use"}]

    assert not decisions.policy_carries(clicked)
    assert decisions.one_click(clicked) is None


def test_one_click_is_offered_before_it_is_pressed(account, people):
    policy = factories.policy(by=people["bea"], decided_by=people["carl"], one_click=2)

    draft = planning.draft_plan(account=account, by=people["ellen"], now=NOW)

    assert decisions.one_click(draft) == policy


def test_an_account_in_which_something_is_not_ready_takes_a_second_person(account, people):
    factories.policy(by=people["bea"], decided_by=people["carl"], one_click=9)
    factories.instance(account, status=Status.IN_USE)

    draft = planning.draft_plan(account=account, by=people["ellen"], now=NOW)

    assert decisions.one_click(draft) is None


EMERGENCIES = [
    (RequestKind.ROLLBACK, Emergency.OWNER, True),
    (RequestKind.ROLLBACK, Emergency.STEERING, True),
    (RequestKind.ROLLBACK, Emergency.NOBODY, False),
    (RequestKind.ENFORCE, Emergency.OWNER, False),
]


@pytest.mark.parametrize(("kind", "right", "carries"), EMERGENCIES)
def test_an_emergency_carries_a_rollback_where_the_policy_gives_the_right(clicked, kind, right, carries):
    Policy.objects.update(emergency=right, one_click=9)
    clicked = ask_again(clicked)
    clicked.kind, clicked.emergency = kind, True

    assert decisions.policy_carries(clicked) is carries


# --- who may put back alone --------------------------------------------------------------------------------


@pytest.fixture
def run(waiting, people):
    """Asked for by edith, approved by adam, decided by bea."""
    for name in ("adam", "bea"):
        requests.approve(request=waiting, by=people[name], comment="", version=waiting.version, now=NOW)
    return Run.objects.select_related("account", "request").get()


RIGHTS = [
    ("edith", Emergency.OWNER, True),
    ("bea", Emergency.OWNER, True),
    ("adam", Emergency.OWNER, True),
    ("ellen", Emergency.OWNER, False),
    ("ellen", Emergency.STEERING, True),
    ("adam", Emergency.STEERING, True),
    ("edith", Emergency.NOBODY, False),
    ("bea", Emergency.NOBODY, False),
]


@pytest.mark.parametrize(("name", "right", "may"), RIGHTS)
def test_the_policy_says_who_may_put_back_alone(run, people, name, right, may):
    assert decisions.may_use_emergency(people[name], run, right) is may


@pytest.mark.parametrize("fields", [{"void_at": NOW}, {"decision": Decision.REJECT}], ids=["taken back", "a rejection"])
def test_an_approval_that_does_not_count_lets_nobody_put_back_alone(run, people, fields):
    Approval.objects.filter(approver=people["adam"]).update(**fields)

    assert not decisions.may_use_emergency(people["adam"], run, Emergency.OWNER)


@pytest.mark.parametrize("right", [Emergency.OWNER, Emergency.STEERING])
def test_who_may_not_steer_puts_nothing_back(run, right):
    viewer = factories.user("vera", Role.VIEWER)
    run.request.requested_by = viewer

    assert not decisions.may_use_emergency(viewer, run, right)


def test_who_steers_another_account_puts_nothing_back(run):
    other = factories.user("otto", Role.ENGINEER, account=factories.account())

    assert not decisions.may_use_emergency(other, run, Emergency.STEERING)


def test_an_instance_that_was_measured_too_long_ago_is_not_one_click(account, people):
    factories.policy(by=people["bea"], decided_by=people["carl"], one_click=9)
    Instance.objects.filter(pk=Instance.objects.first().pk).update(usage_until=NOW - timedelta(days=3))

    draft = planning.draft_plan(account=account, by=people["ellen"], now=NOW)

    assert decisions.one_click(draft) is None
