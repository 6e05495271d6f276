"""Accounts and people from the command line."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from migration.enums import Role, RoleState
from migration.models import Account, Grant, Scope
from sandbox.demo import demo_fleet
from tests import factories, fleets

pytestmark = pytest.mark.django_db


def say(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out, stderr=out)
    return out.getvalue()


def test_an_added_account_gets_its_roles_by_the_configured_names(settings):
    settings.IMDSDASH_EXTERNAL_ID = "shared-secret"

    say("accounts", "add", "444455556666", "--name", "payments")

    account = Account.objects.get()
    assert account.reader_role_arn == "arn:aws:iam::444455556666:role/imdsdash-reader"
    assert account.enforcer_role_arn == "arn:aws:iam::444455556666:role/imdsdash-enforcer"
    assert account.external_id == "shared-secret"


def test_an_account_of_another_partition_gets_arns_of_that_partition():
    say("accounts", "add", "444455556666", "--partition", "aws-us-gov")

    assert Account.objects.get().reader_role_arn.startswith("arn:aws-us-gov:iam::444455556666:role/")


@pytest.mark.parametrize("wrong", ["123", "12345678901x", "1234567890123"])
def test_an_id_that_is_not_12_digits_is_refused(wrong):
    with pytest.raises(CommandError, match=r"it has 12 digits\. Nothing was added\."):
        say("accounts", "add", wrong)

    assert not Account.objects.exists()


def test_discover_takes_every_open_account_with_its_units_and_owner(aws):
    """20 accounts a page and `State`, not the retired `Status` (domain.md 11)."""
    aws(demo_fleet())

    said = say("accounts", "discover")

    assert said == "12 open accounts of the organization are looked after.\n"
    payments = Account.objects.get(name="payments-prod")
    assert (payments.ou_path, payments.owner) == ("Payments/Prod", "payments")
    assert Account.objects.get(account_id="111122223333").reader_role_arn == ""


def test_discover_twice_adds_nothing(aws):
    aws(demo_fleet())
    say("accounts", "discover")

    say("accounts", "discover")

    assert Account.objects.count() == 12


def test_discover_leaves_out_accounts_that_are_closed(aws):
    fleet = fleets.pair()
    fleet["accounts"][1]["state"] = "CLOSED"
    fleet["accounts"][2]["state"] = "PENDING_CLOSURE"
    aws(fleet)

    say("accounts", "discover")

    assert set(Account.objects.values_list("account_id", flat=True)) == {fleets.CENTRAL, fleets.CLOSED}


def test_test_tells_which_accounts_can_be_read(aws, settings):
    settings.IMDSDASH_EXTERNAL_ID = fleets.EXTERNAL_ID
    aws(fleets.pair())
    say("accounts", "add", fleets.MEMBER)
    say("accounts", "add", fleets.CLOSED)

    with pytest.raises(CommandError, match="1 of 2 accounts could not be read") as caught:
        say("accounts", "test")

    assert caught.value.returncode == 3
    assert Account.objects.get(account_id=fleets.MEMBER).role_state == RoleState.OK
    assert Account.objects.get(account_id=fleets.CLOSED).role_state == RoleState.DENIED
    assert Scope.objects.count() == 1


def test_a_wrong_external_id_is_told_in_awss_words(aws, settings):
    settings.IMDSDASH_EXTERNAL_ID = "wrong-one"
    aws(fleets.pair())
    say("accounts", "add", fleets.MEMBER)

    with pytest.raises(CommandError):
        say("accounts", "test", fleets.MEMBER)

    assert "AccessDenied" in Account.objects.get().role_message


def test_list_says_what_happens_without_any_account():
    assert say("accounts", "list") == "No account is configured: the one of the ambient credentials is collected.\n"


def test_a_person_is_added_with_a_role_and_a_known_one_keeps_the_password(monkeypatch):
    monkeypatch.setattr("sys.stdin", StringIO("a-long-password-1\n"))
    say("people", "add", "ellen", "--role", "engineer", "--password-stdin")
    before = User.objects.get().password

    say("people", "add", "ellen", "--role", "approver", "--password-stdin")

    assert User.objects.get().password == before
    assert set(Grant.objects.values_list("role", flat=True)) == {Role.ENGINEER, Role.APPROVER}


def test_a_short_password_is_refused_and_nobody_is_added(monkeypatch):
    monkeypatch.setattr("sys.stdin", StringIO("short\n"))

    with pytest.raises(CommandError, match="Nobody was added"):
        say("people", "add", "ellen", "--role", "engineer", "--password-stdin")

    assert not User.objects.exists()


def test_a_grant_can_be_for_one_account_only(monkeypatch):
    account = factories.account(name="payments")
    monkeypatch.setattr("sys.stdin", StringIO("a-long-password-1\n"))

    say("people", "add", "otto", "--role", "engineer", "--account", account.account_id, "--password-stdin")

    assert Grant.objects.get().account == account


def test_audit_verify_says_that_the_chain_holds():
    assert say("audit", "verify") == "0 events, and the chain holds.\n"
