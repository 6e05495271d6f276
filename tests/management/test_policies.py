"""Policies and the brake from the command line."""

from datetime import time
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from migration.enums import PolicyState, Role
from migration.models import AuditEvent, Policy
from migration.queries.policies import brake_reason
from tests import factories

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def anna():
    return factories.user("anna", Role.ADMIN)


@pytest.fixture
def shop():
    return factories.account(ou_path="Root/Prod")


def test_what_is_proposed_here_waits_for_a_named_admin_and_then_holds(anna, shop):
    window = ("--window", "Europe/Berlin thu,mon 22:00 240")
    said = run("policies", "propose", "--ou", "Root/Prod/", "--reason", "two", "--quorum", "2", *window)
    policy = Policy.objects.get()
    assert said == f"Policy {policy.pk} waits for an admin: it would hold in Root/Prod and below it.\n"
    assert (policy.window_days, policy.window_start, policy.proposed_by) == ([0, 3], time(22), None)

    assert run("policies", "approve", str(policy.pk), "--by", "anna") == f"Policy {policy.pk} holds.\n"

    listed = run("policies", "list")
    assert f"policy {policy.pk} (active) in Root/Prod and below it" in listed
    assert "by 2 different people" in listed


def test_what_is_not_said_stays_as_it_holds_there(anna, shop):
    both = {"by": anna, "decided_by": factories.user("ben", Role.ADMIN)}
    old = factories.policy(**both, quorum=3, max_failures=7)

    run("policies", "propose", "--reason", "one", "--quorum", "1")
    new = Policy.objects.get(state=PolicyState.PROPOSED)
    assert (new.quorum, new.max_failures) == (1, 7)

    assert run("policies", "approve", str(new.pk), "--by", "anna") == f"Policy {new.pk} holds; policy {old.pk} ended.\n"


WRONG = {
    "an unknown account": (("propose", "--account", "999999999999", "--reason", "x"), "is not configured"),
    "no window": (("propose", "--reason", "x", "--window", "every night"), "is no change window"),
    "a window without days": (("propose", "--reason", "x", "--window", "UTC , 22:00 60"), "is no change window"),
    "a zone that is none": (("propose", "--reason", "x", "--window", "Mars mon 22:00 60"), "is not a time zone"),
    "too many": (("propose", "--reason", "x", "--quorum", "10"), "must be 1 to 9"),
    "no such policy": (("approve", "99", "--by", "anna"), "There is no policy 99."),
}


@pytest.mark.parametrize(("arguments", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_refused_in_a_sentence(anna, arguments, words):
    with pytest.raises(CommandError) as refusal:
        run("policies", *arguments)

    assert words in str(refusal.value)
    assert not Policy.objects.exists()


@pytest.mark.parametrize("name", ["vera", "nobody"])
def test_only_an_admin_approves(shop, name):
    factories.user("vera", Role.APPROVER)
    policy = factories.policy(by=None)

    with pytest.raises(CommandError):
        run("policies", "approve", str(policy.pk), "--by", name)

    policy.refresh_from_db()
    assert policy.state == PolicyState.PROPOSED


def test_an_empty_list_says_what_holds():
    assert "the settings say what enforcement takes" in run("policies", "list")


def test_the_brake_is_pulled_and_released_from_the_server():
    assert run("brake", "status") == "The brake is off.\n"

    assert run("brake", "pull", "--reason", "x") == "The brake is on, pulled by the command line: x\n"
    with pytest.raises(CommandError, match="on already"):
        run("brake", "pull", "--reason", "y")
    assert run("brake", "release", "--reason", "z") == "The brake is off.\n"

    assert brake_reason() == ""
    verbs = AuditEvent.objects.order_by("seq").values_list("verb", "actor_kind")
    assert list(verbs) == [("brake.pulled", "system"), ("denied", "system"), ("brake.released", "system")]
