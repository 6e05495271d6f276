"""Accounts from the command line: added by hand or from a file, discovered, tested."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from migration.aws.pace import Pace
from migration.enums import AccountSource, RoleState
from migration.models import Account, Scope
from migration.tasks import edges
from sandbox.demo import demo_fleet
from tests import factories, fleets

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    """AWS gives ListRoots once a second; the sandbox bears more."""
    monkeypatch.setattr(edges, "pace", lambda: Pace(sleep=lambda _: None))


def say(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out, stderr=out)
    return out.getvalue()


def refusal(*words: str) -> str:
    with pytest.raises(CommandError) as caught:
        say(*words)
    return str(caught.value)


def test_an_added_account_gets_its_roles_by_the_configured_names(settings):
    settings.IMDSDASH_EXTERNAL_ID = "shared-secret"

    say("accounts", "add", "444455556666", "--name", "payments")

    account = Account.objects.get()
    assert account.reader_role_arn == "arn:aws:iam::444455556666:role/imdsdash-reader"
    assert account.enforcer_role_arn == "arn:aws:iam::444455556666:role/imdsdash-enforcer"
    assert account.external_id == "shared-secret"


def test_an_account_of_another_partition_gets_arns_of_that_partition():
    said = say("accounts", "add", "444455556666", "--partition", "aws-us-gov")

    assert Account.objects.get().reader_role_arn.startswith("arn:aws-us-gov:iam::444455556666:role/")
    assert said.endswith("looked after from now on; `manage.py accounts test 444455556666` tries the roles.\n")


def test_an_account_without_a_partition_is_of_the_home_regions(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eusc-de-east-1")

    say("accounts", "add", "444455556666")

    assert Account.objects.get().reader_role_arn.startswith("arn:aws-eusc:iam::444455556666:role/")


def test_a_partition_that_aws_has_not_is_refused():
    assert "AWS has no partition aws-mars; there are aws, aws-cn" in refusal(
        "accounts", "add", "444455556666", "--partition", "aws-mars"
    )
    assert not Account.objects.exists()


def test_a_role_of_ones_own_names_the_partition():
    arn = "arn:aws-cn:iam::444455556666:role/team/reads"

    say("accounts", "add", "444455556666", "--reader-role-arn", arn)

    row = Account.objects.get()
    assert (row.partition, row.reader_role_arn, row.source) == ("aws-cn", arn, AccountSource.HAND)


def test_a_role_of_another_account_is_refused():
    arn = "arn:aws:iam::111122223333:role/reads"

    assert refusal("accounts", "add", "444455556666", "--reader-role-arn", arn) == (
        "reader_role_arn is of account 111122223333. Nothing was added."
    )


def test_an_ambient_account_is_entered_without_a_role():
    say("accounts", "add", "444455556666", "--ambient")

    row = Account.objects.get()
    assert (row.reader_role_arn, row.source) == ("", AccountSource.AMBIENT)


@pytest.mark.parametrize("words", [[], ["444455556666", "--file", "x"]])
def test_either_an_id_or_a_file_is_said(words):
    assert refusal("accounts", "add", *words).startswith("Say either one account id or --file FILE.")


def test_a_file_of_accounts_is_taken_over(tmp_path):
    path = tmp_path / "accounts.csv"
    path.write_text("account_id,name,owner\n444455556666,payments,Ada\n555566667777,search,\n", encoding="utf-8")

    said = say("accounts", "add", "--file", str(path))

    assert said.splitlines()[-1].startswith("2 added, 0 changed, 0 closed, 0 unchanged. All of them are looked after")
    assert list(Account.objects.values_list("name", "owner", "source")) == [
        ("payments", "Ada", "file"),
        ("search", "", "file"),
    ]


def test_a_list_of_ids_is_read_from_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", StringIO("444455556666\n555566667777\n"))

    say("accounts", "add", "--file", "-")

    assert Account.objects.count() == 2


def test_one_bad_line_of_a_file_and_nothing_is_added(tmp_path):
    path = tmp_path / "accounts.txt"
    path.write_text("444455556666\n123\n444455556666\n")

    assert refusal("accounts", "add", "--file", str(path)) == (
        f"{path} was not taken over, and nothing was added:\n"
        "  line 2: '123' is not an account id: it has 12 digits, this has 3 (spreadsheets drop leading zeros)\n"
        "  line 3: 444455556666 already stands in line 1"
    )
    assert not Account.objects.exists()


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file or directory"), (b"\xff\xfe4", "it is not UTF-8 text")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, why):
    path = tmp_path / "accounts.csv"
    if content is not None:
        path.write_bytes(content)

    assert refusal("accounts", "add", "--file", str(path)) == f"{path} cannot be read: {why}. Nothing was added."


@pytest.mark.parametrize("wrong", ["123", "12345678901x", "1234567890123"])
def test_an_id_that_is_not_12_digits_is_refused(wrong):
    assert refusal("accounts", "add", wrong).endswith(". Nothing was added.")
    assert not Account.objects.exists()


def test_discover_takes_every_open_account_with_its_units_and_owner(aws):
    """20 accounts a page and `State`, not the retired `Status` (domain.md 11)."""
    aws(demo_fleet())

    said = say("accounts", "discover")

    assert said.splitlines()[-1] == (
        "Organization o-exampleorgid, managed by account 111122223333: 12 added, 0 changed, 0 closed, 0 unchanged."
    )
    payments = Account.objects.get(name="payments-prod")
    assert (payments.ou_path, payments.owner) == ("Payments/Prod", "payments")
    assert Account.objects.get(account_id="111122223333").reader_role_arn == ""


def test_discover_twice_adds_nothing(aws):
    aws(demo_fleet())
    say("accounts", "discover")

    said = say("accounts", "discover")

    assert said.endswith(": 0 added, 0 changed, 0 closed, 12 unchanged.\n")
    assert Account.objects.count() == 12


def test_a_dry_run_says_what_would_be_and_changes_nothing(aws):
    sandbox = aws(fleets.pair(ou="Root/Prod"))

    said = say("accounts", "discover", "--dry-run")

    assert f"added      {fleets.MEMBER}  member                            Prod\n" in said
    assert said.endswith("3 added, 0 changed, 0 closed, 0 unchanged. This was a dry run: nothing was changed.\n")
    assert not Account.objects.exists()
    say("accounts", "discover")
    sandbox.world.accounts[fleets.MEMBER].state = "CLOSED"
    said = say("accounts", "discover", "--dry-run")
    assert f"closed     {fleets.MEMBER}  member                            state: ACTIVE -> CLOSED; enabled: " in said
    assert Account.objects.get(account_id=fleets.MEMBER).enabled


def test_from_a_delegated_administrator_the_management_account_is_pointed_out(aws, monkeypatch):
    fleet = fleets.pair()
    fleet["organization"] = {"id": "o-exampleorgid", "management_account": fleets.MEMBER}
    aws(fleet)
    monkeypatch.setattr("sandbox.organizations.check_caller", lambda _: None)  # the sandbox knows no delegation

    said = say("accounts", "discover")

    assert said.endswith("StackSets do not reach the management account: give it deploy/roles.yaml as a plain stack.\n")


def test_names_that_aws_told_cannot_write_on_the_terminal(aws):
    aws(fleets.pair(name="mem\x1b[31mber\n"))

    assert "\x1b" not in say("accounts", "discover")
    assert "\x1b" not in say("accounts", "list")


def test_discover_leaves_out_accounts_that_are_closed(aws):
    fleet = fleets.pair()
    fleet["accounts"][1]["state"] = "CLOSED"
    fleet["accounts"][2]["state"] = "PENDING_CLOSURE"
    aws(fleet)

    said = say("accounts", "discover")

    assert f"left out   {fleets.MEMBER}  member                            CLOSED, never looked after\n" in said
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


def test_test_names_each_permission_that_is_missing(aws, settings):
    settings.IMDSDASH_EXTERNAL_ID = fleets.EXTERNAL_ID
    aws(fleets.pair(deny=["cloudwatch:ListMetrics"]))
    say("accounts", "add", fleets.MEMBER)
    out = StringIO()

    with pytest.raises(CommandError, match="0 of 1 accounts could not be read, 1 lacks a permission") as caught:
        call_command("accounts", "test", stdout=out, stderr=out)

    said = out.getvalue().splitlines()
    assert caught.value.returncode == 3
    assert said[0].startswith(f"account ({fleets.MEMBER}): answers as arn:aws:sts::{fleets.MEMBER}:assumed-role/")
    assert said[0].endswith("; Regions: us-east-1")
    assert "  ok       cloudwatch:GetMetricData" in said
    assert "  refused  cloudwatch:ListMetrics  ListMetrics in 444455556666/us-east-1: AccessDenied" in out.getvalue()


def test_a_management_account_that_cannot_be_entered_is_told_why_that_may_be(aws):
    aws(fleets.pair())
    factories.account(account_id=fleets.CLOSED, management=True, reader_role_arn=f"arn:aws:iam::{fleets.CLOSED}:role/x")
    out = StringIO()

    with pytest.raises(CommandError):
        call_command("accounts", "test", stdout=out, stderr=out)

    assert out.getvalue().endswith("give it deploy/roles.yaml as a plain stack.\n")


def test_a_wrong_external_id_is_told_in_awss_words(aws, settings):
    settings.IMDSDASH_EXTERNAL_ID = "wrong-one"
    aws(fleets.pair())
    say("accounts", "add", fleets.MEMBER)

    with pytest.raises(CommandError):
        say("accounts", "test", fleets.MEMBER)

    assert "AccessDenied" in Account.objects.get().role_message


def test_list_says_what_happens_without_any_account():
    assert say("accounts", "list") == "No account is configured: the one of the ambient credentials is collected.\n"
