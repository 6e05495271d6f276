"""People from the command line, and the audit log."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from migration.enums import Role
from migration.models import Grant
from tests import factories

pytestmark = pytest.mark.django_db


def say(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out, stderr=out)
    return out.getvalue()


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
