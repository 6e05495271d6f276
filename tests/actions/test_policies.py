"""A policy's way: proposed by one admin, agreed to by another, in the place of what held there."""

from datetime import time
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from migration.actions import policies
from migration.actions.errors import Refused, Stale
from migration.actions.policies import Proposal
from migration.domain.policy import Terms
from migration.domain.windows import Window
from migration.enums import Emergency, PolicyState, Role
from migration.models import AuditEvent, Notification, Policy
from migration.queries.policies import terms_for
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
NIGHTS = Window("Europe/Berlin", (0, 3), time(22), 240)


@pytest.fixture
def anna():
    return factories.user("anna", Role.ADMIN)


@pytest.fixture
def ben():
    return factories.user("ben", Role.ADMIN)


@pytest.fixture
def shop():
    return factories.account(name="shop", ou_path="Root/Prod/Shop")


def proposal(**fields: Any) -> Proposal:
    place: dict[str, Any] = {name: fields.pop(name) for name in ("account", "ou_path", "reason") if name in fields}
    place.setdefault("reason", "The change board wants two.")
    return Proposal(Terms(**fields), **place)


def held(anna, ben, **fields: Any) -> Policy:
    policy = policies.propose(proposal=proposal(**fields), by=anna, now=NOW)
    old = Policy.objects.filter(state=PolicyState.ACTIVE, account=policy.account, ou_path=policy.ou_path).first()
    return policies.approve(policy=policy, by=ben, comment="", version=0, replaces=old.pk if old else None, now=NOW)


def verbs() -> list[str]:
    return list(AuditEvent.objects.order_by("seq").values_list("verb", flat=True))


# --- proposing -------------------------------------------------------------------------------------------


def test_what_is_proposed_holds_only_when_a_second_admin_has_agreed(shop, anna, ben):
    policy = policies.propose(proposal=proposal(quorum=2, window=NIGHTS), by=anna, now=NOW)
    assert terms_for(shop).quorum == 1

    policies.approve(policy=policy, by=ben, comment="go", version=0, replaces=None, now=NOW)

    terms = terms_for(shop)
    assert (terms.quorum, terms.window, terms.policy_id) == (2, NIGHTS, policy.pk)
    assert verbs() == ["policy.proposed", "policy.approved"]


def test_every_term_is_kept_as_proposed(shop, anna, ben):
    told: dict[str, Any] = {"quorum": 3, "one_click": 20, "max_failures": 5, "canary_minutes": 45, "watch_hours": 48}
    more: dict[str, Any] = {"max_rejecting": 2, "emergency": Emergency.OWNER, "window": NIGHTS}

    policy = held(anna, ben, account=shop, **told, **more)

    assert terms_for(shop) == Terms(**told, **more, place=shop.account_id, policy_id=policy.pk)


BAD = {
    "no reason": ({"reason": "  "}, "Say why"),
    "nobody has to agree": ({"quorum": 0}, "“Approvals” is 0; it must be 1 to 9."),
    "too many have to agree": ({"quorum": 10}, "“Approvals” is 10; it must be 1 to 9."),
    "fewer than no instance": ({"one_click": -1}, "“One click” is -1; it must be 0 to 10,000."),
    "no watch": ({"watch_hours": 0}, "“Watch” is 0; it must be 1 to 720."),
    "more than the column holds": ({"max_failures": 40_000}, "“Failures” is 40,000"),
    "an OU that no account lies in": ({"ou_path": "Root/Pro"}, "No account lies in Root/Pro or below it"),
    "a window that opens on no day": (
        {"window": Window("Europe/Berlin", (), time(22), 60)},
        "It opens on no day of the week, so no run would ever go on; name at least one.",
    ),
    "a window of no zone": ({"window": Window("Mars/Base", (0,), time(22), 60)}, "'Mars/Base' is not a time zone"),
    "a window of no length": ({"window": Window("UTC", (0,), time(22), 0)}, "It is open for 0 minutes"),
    "a window with seconds": ({"window": Window("UTC", (0,), time(22, 0, 30), 60)}, "opens on a whole minute"),
}


@pytest.mark.parametrize(("fields", "words"), BAD.values(), ids=BAD)
def test_what_makes_no_sense_is_refused_in_a_sentence_and_audited(shop, anna, fields, words):
    with pytest.raises(Refused) as refusal:
        policies.propose(proposal=proposal(**fields), by=anna, now=NOW)

    assert words in str(refusal.value)
    assert (Policy.objects.count(), verbs(), Notification.objects.count()) == (0, ["denied"], 0)


def test_two_places_at_once_are_refused(shop, anna):
    with pytest.raises(Refused, match="of one place"):
        policies.propose(proposal=proposal(account=shop, ou_path="Root/Prod"), by=anna, now=NOW)


def test_what_holds_already_is_not_proposed_again(shop, anna, ben):
    policy = held(anna, ben, ou_path="Root/Prod", quorum=2)

    with pytest.raises(Refused, match=f"That is what policy {policy.pk} says in Root/Prod and below it already"):
        policies.propose(proposal=proposal(ou_path="Root/Prod", quorum=2), by=ben, now=NOW)


# --- who may -----------------------------------------------------------------------------------------------

PLACES = {
    # over what the admin's grant is: which places they may say something about
    "everywhere": ({}, {"everywhere", "above", "the unit", "below", "beside", "the account"}),
    "the unit": ({"ou_path": "Root/Prod"}, {"the unit", "below", "the account"}),
    "the account": ({"account": True}, {"the account"}),
}


@pytest.mark.parametrize(("over", "may"), PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("where", ["everywhere", "above", "the unit", "below", "beside", "the account"])
def test_a_place_takes_the_role_admin_over_all_of_it(shop, over, may, where):
    factories.account(ou_path="Root/Production")
    admin = factories.user(
        "admin", Role.ADMIN, **{name: shop if value is True else value for name, value in over.items()}
    )
    place: dict[str, Any] = {
        "everywhere": {},
        "above": {"ou_path": "Root"},
        "the unit": {"ou_path": "Root/Prod"},
        "below": {"ou_path": "Root/Prod/Shop"},
        "beside": {"ou_path": "Root/Production"},
        "the account": {"account": shop},
    }[where]

    if where in may:
        assert policies.propose(proposal=proposal(**place), by=admin, now=NOW).state == PolicyState.PROPOSED
        return
    with pytest.raises(Refused, match="needs the role Admin over all of it"):
        policies.propose(proposal=proposal(**place), by=admin, now=NOW)
    assert (Policy.objects.count(), verbs()) == (0, ["denied"])


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER, Role.APPROVER])
def test_no_other_role_proposes_or_decides(shop, anna, role):
    waiting = policies.propose(proposal=proposal(), by=anna, now=NOW)
    other = factories.user("other", role)

    with pytest.raises(Refused):
        policies.propose(proposal=proposal(), by=other, now=NOW)
    with pytest.raises(Refused):
        policies.approve(policy=waiting, by=other, comment="", version=0, replaces=None, now=NOW)
    with pytest.raises(Refused):
        policies.withdraw(policy=waiting, by=other, version=0, now=NOW)

    waiting.refresh_from_db()
    assert (waiting.state, verbs()) == (PolicyState.PROPOSED, ["policy.proposed", *["denied"] * 3])


def test_a_wide_proposal_is_not_approved_by_who_has_the_role_over_a_part_of_it(shop, anna):
    waiting = policies.propose(proposal=proposal(), by=anna, now=NOW)
    partly = factories.user("partly", Role.ADMIN, ou_path="Root/Prod")

    with pytest.raises(Refused, match="over all of its place: everywhere"):
        policies.approve(policy=waiting, by=partly, comment="", version=0, replaces=None, now=NOW)


@pytest.mark.parametrize("decide", [policies.approve, policies.reject])
def test_who_proposed_it_does_not_decide_on_it(shop, anna, decide):
    waiting = policies.propose(proposal=proposal(), by=anna, now=NOW)
    more = {"replaces": None} if decide is policies.approve else {}

    with pytest.raises(Refused, match="a second admin must decide"):
        decide(policy=waiting, by=anna, comment="mine", version=0, now=NOW, **more)

    waiting.refresh_from_db()
    assert (waiting.state, verbs()) == (PolicyState.PROPOSED, ["policy.proposed", "denied"])


def test_the_database_itself_refuses_one_person_twice(anna):
    with pytest.raises(IntegrityError), transaction.atomic():
        factories.policy(by=anna, decided_by=anna)


def test_what_the_command_line_proposes_takes_one_admin(shop, anna):
    waiting = policies.propose(proposal=proposal(quorum=2), by=None, now=NOW)

    policies.approve(policy=waiting, by=anna, comment="", version=0, replaces=None, now=NOW)

    assert terms_for(shop).quorum == 2
    assert AuditEvent.objects.filter(verb="policy.proposed").values_list("actor", flat=True).get() == "imdsdash"


# --- replacing ---------------------------------------------------------------------------------------------


def test_approving_ends_what_held_in_the_same_place_and_nothing_else(shop, anna, ben):
    everywhere, unit = held(anna, ben, quorum=2), held(anna, ben, ou_path="Root/Prod", quorum=3)

    new = held(anna, ben, ou_path="Root/Prod", quorum=4)

    for row in (everywhere, unit):
        row.refresh_from_db()
    assert (everywhere.state, unit.state, new.state) == ("active", "replaced", "active")
    assert terms_for(shop).quorum == 4


def test_nothing_ends_when_the_new_one_cannot_begin(shop, anna, ben, monkeypatch):
    old = held(anna, ben, quorum=2)
    waiting = policies.propose(proposal=proposal(quorum=3), by=anna, now=NOW)
    monkeypatch.setattr(policies, "_tell", lambda *_, **__: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        policies.approve(policy=waiting, by=ben, comment="", version=0, replaces=old.pk, now=NOW)

    old.refresh_from_db()
    assert (old.state, terms_for(shop).quorum) == (PolicyState.ACTIVE, 2)


@pytest.mark.parametrize("seen", [None, "older"])
def test_who_agreed_to_a_difference_that_is_no_longer_one_is_asked_to_look_again(shop, anna, ben, seen):
    older = held(anna, ben, quorum=2) if seen else None
    waiting = policies.propose(proposal=proposal(quorum=3), by=anna, now=NOW)
    between = held(anna, ben, quorum=4)

    with pytest.raises(Stale, match="has changed since you opened the page"):
        policies.approve(policy=waiting, by=ben, comment="", version=0, replaces=older.pk if older else None, now=NOW)

    waiting.refresh_from_db()
    assert (waiting.state, terms_for(shop).policy_id) == (PolicyState.PROPOSED, between.pk)


def test_a_page_that_is_old_decides_nothing(shop, anna, ben):
    waiting = policies.propose(proposal=proposal(quorum=2), by=anna, now=NOW)
    policies.withdraw(policy=Policy.objects.get(), by=anna, version=0, now=NOW)

    for decide, more in ((policies.approve, {"replaces": None}), (policies.reject, {})):
        with pytest.raises(Stale, match="withdrawn by now"):
            decide(policy=waiting, by=ben, comment="x", version=0, now=NOW, **more)
    with pytest.raises(Stale):
        policies.withdraw(policy=Policy.objects.get(), by=ben, version=0, now=NOW)
    assert Policy.objects.get().state == PolicyState.WITHDRAWN


@pytest.mark.parametrize("act", [policies.approve, policies.reject, policies.withdraw])
def test_a_version_that_is_not_the_policy_s_changes_nothing(shop, anna, ben, act):
    waiting = policies.propose(proposal=proposal(quorum=2), by=anna, now=NOW)
    more: dict[str, Any] = {} if act is policies.withdraw else {"comment": "x"}
    more |= {"replaces": None} if act is policies.approve else {}

    with pytest.raises(Stale):
        act(policy=waiting, by=ben, version=7, now=NOW, **more)

    waiting.refresh_from_db()
    assert (waiting.state, verbs()) == (PolicyState.PROPOSED, ["policy.proposed"])


def test_a_rejection_changes_nothing_that_holds(shop, anna, ben):
    waiting = policies.propose(proposal=proposal(quorum=2), by=anna, now=NOW)

    policies.reject(policy=waiting, by=ben, comment="not now", version=0, now=NOW)

    assert (waiting.state, waiting.comment, terms_for(shop).quorum) == (PolicyState.REJECTED, "not now", 1)
    assert verbs() == ["policy.proposed", "policy.rejected"]


def test_people_are_told_of_a_proposal_and_of_its_approval(shop, anna, ben, settings):
    settings.IMDSDASH_WEBHOOK_URL = "https://hooks.example/x"

    policy = held(anna, ben, account=shop, quorum=2)

    told = Notification.objects.order_by("pk")
    assert [row.kind for row in told] == ["policy.proposed", "policy.approved"]
    assert told[0].path == f"/policies/{policy.pk}/"
