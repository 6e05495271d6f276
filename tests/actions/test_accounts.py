"""Which accounts are looked after: what the organization says, without losing what is known or was said by hand."""

from dataclasses import replace

import pytest

from migration.actions import accounts
from migration.actions.accounts import Kind
from migration.actions.errors import Refused
from migration.domain.accounts import AccountFact, Listed
from migration.enums import AccountSource
from migration.models import Account, AuditEvent
from tests import factories, fleets
from tests.factories import NOW

pytestmark = pytest.mark.django_db

MANAGER = AccountFact(fleets.CENTRAL, "central", "ACTIVE", "aws", "", management=True, owner="", contact="")
MEMBER = AccountFact(fleets.MEMBER, "member", "ACTIVE", "aws", "Prod", management=False, owner="Ada", contact="")
OTHER = AccountFact(fleets.CLOSED, "other", "ACTIVE", "aws", "", management=False)


def tell(*facts: AccountFact, **options) -> accounts.Summary:
    return accounts.record_organization(facts=[MANAGER, *facts], ambient=fleets.CENTRAL, now=NOW, **options)


def kinds(summary: accounts.Summary) -> dict[str, str]:
    return {one.account_id: one.kind.value for one in summary.differences}


def member() -> Account:
    return Account.objects.get(account_id=fleets.MEMBER)


@pytest.fixture(autouse=True)
def _external_id(settings):
    settings.IMDSDASH_EXTERNAL_ID = "shared-secret-of-ours"


def test_new_accounts_are_added_with_the_configured_roles_and_the_asking_one_without():
    told = tell(MEMBER)

    assert kinds(told) == {fleets.CENTRAL: "added", fleets.MEMBER: "added"}
    row = member()
    assert (row.source, row.owner, row.ou_path, row.management) == (AccountSource.ORGANIZATION, "Ada", "Prod", False)
    assert row.reader_role_arn == f"arn:aws:iam::{fleets.MEMBER}:role/imdsdash-reader"
    assert row.external_id == "shared-secret-of-ours"
    central = Account.objects.get(account_id=fleets.CENTRAL)
    assert (central.management, central.reader_role_arn, central.external_id) == (True, "", "")


def test_arns_are_built_with_the_accounts_partition():
    tell(replace(MEMBER, partition="aws-eusc"))

    assert member().enforcer_role_arn == f"arn:aws-eusc:iam::{fleets.MEMBER}:role/imdsdash-enforcer"
    assert member().partition == "aws-eusc"


def test_the_same_organization_told_twice_changes_nothing():
    tell(MEMBER, OTHER)
    before = list(Account.objects.values())
    events = AuditEvent.objects.count()

    told = tell(MEMBER, OTHER)

    assert set(kinds(told).values()) == {"unchanged"}
    assert list(Account.objects.values()) == before
    assert AuditEvent.objects.count() == events


def test_a_role_and_an_external_id_set_by_hand_stay():
    arn = f"arn:aws:iam::{fleets.MEMBER}:role/special"
    for source in (AccountSource.HAND, AccountSource.ORGANIZATION):
        Account.objects.all().delete()
        factories.account(account_id=fleets.MEMBER, reader_role_arn=arn, external_id="its-own", source=source)

        tell(MEMBER)

        assert (member().reader_role_arn, member().external_id, member().source) == (arn, "its-own", source)


def test_what_was_said_by_hand_stays_and_what_was_not_is_filled():
    factories.account(account_id=fleets.MEMBER, name="mine", owner="", ou_path="My/Unit")

    tell(MEMBER)

    assert (member().name, member().owner, member().ou_path) == ("mine", "Ada", "My/Unit")


def test_an_account_of_the_organization_follows_it():
    tell(MEMBER)

    told = tell(replace(MEMBER, name="renamed", ou_path="", owner="Noor"))

    assert (member().name, member().ou_path, member().owner) == ("renamed", "", "Noor")
    (changed,) = told.of(Kind.CHANGED)
    assert (changed.before["ou_path"], changed.fields["ou_path"]) == ("Prod", "")


def test_what_aws_does_not_tell_is_not_taken_away():
    tell(MEMBER)

    told = tell(replace(MEMBER, name="", ou_path=None, owner=None, contact=None, state=""))

    assert kinds(told)[fleets.MEMBER] == "unchanged"
    assert (member().name, member().ou_path, member().owner, member().state) == ("member", "Prod", "Ada", "ACTIVE")


@pytest.mark.parametrize("state", ["CLOSED", "SUSPENDED"])
def test_a_closed_account_is_not_knocked_at_and_keeps_what_is_known(state):
    tell(MEMBER)
    factories.instance(member())

    told = tell(replace(MEMBER, state=state, owner=None))

    assert kinds(told)[fleets.MEMBER] == "closed"
    row = member()
    assert (row.state, row.enabled, row.owner, row.instances.count()) == (state, False, "Ada", 1)
    assert kinds(tell(replace(MEMBER, state=state)))[fleets.MEMBER] == "unchanged"


def test_an_account_that_left_is_closed_and_one_added_by_hand_is_left_alone():
    tell(MEMBER)
    by_hand = factories.account(account_id=fleets.CLOSED)

    told = tell()

    assert kinds(told) == {fleets.CENTRAL: "unchanged", fleets.MEMBER: "closed"}
    assert (member().state, member().enabled) == ("LEFT", False)
    by_hand.refresh_from_db()
    assert by_hand.enabled
    assert kinds(tell())[fleets.MEMBER] == "unchanged"


@pytest.mark.parametrize("away", [(), (replace(MEMBER, state="SUSPENDED"),)], ids=["left", "suspended"])
def test_an_account_that_comes_back_is_looked_after_again(away):
    tell(MEMBER)
    tell(*away)

    told = tell(MEMBER)

    assert kinds(told)[fleets.MEMBER] == "changed"
    assert (member().state, member().enabled) == ("ACTIVE", True)


def test_an_account_that_was_switched_off_by_hand_stays_off():
    tell(MEMBER)
    Account.objects.filter(account_id=fleets.MEMBER).update(enabled=False)

    assert kinds(tell(MEMBER))[fleets.MEMBER] == "unchanged"
    assert not member().enabled


def test_a_closed_account_that_was_never_looked_after_is_told_and_not_added():
    told = tell(replace(MEMBER, state="CLOSED"))

    assert [(one.account_id, one.state) for one in told.of(Kind.LEFT_OUT)] == [(fleets.MEMBER, "CLOSED")]
    assert not Account.objects.filter(account_id=fleets.MEMBER).exists()


def test_an_account_that_waits_for_its_closure_is_looked_after():
    tell(replace(MEMBER, state="PENDING_CLOSURE"))

    assert (member().state, member().enabled) == ("PENDING_CLOSURE", True)


def test_a_list_without_the_account_that_asked_is_not_believed():
    tell(MEMBER)

    with pytest.raises(Refused, match=f"lacks account {fleets.CENTRAL}"):
        accounts.record_organization(facts=[], ambient=fleets.CENTRAL, now=NOW)

    assert member().enabled


def test_credentials_of_another_organization_close_nothing():
    tell(MEMBER)
    stranger = replace(MANAGER, account_id="999988887777")

    with pytest.raises(Refused, match=f"another organization than the one managed by account {fleets.CENTRAL}"):
        accounts.record_organization(facts=[stranger], ambient=stranger.account_id, now=NOW)

    assert member().enabled
    assert Account.objects.count() == 2


def test_the_managing_account_counts_also_when_it_was_known_before_the_organization():
    factories.account(account_id=fleets.CENTRAL, source=AccountSource.AMBIENT)
    tell(MEMBER)

    with pytest.raises(Refused, match="another organization"):
        accounts.record_organization(
            facts=[replace(MANAGER, account_id="999988887777")], ambient="999988887777", now=NOW
        )

    assert Account.objects.get(account_id=fleets.CENTRAL).source == AccountSource.AMBIENT


def test_an_account_that_was_the_asking_one_gets_its_roles_when_another_asks():
    tell(MEMBER)

    accounts.record_organization(facts=[MANAGER, MEMBER], ambient=fleets.MEMBER, now=NOW)

    central = Account.objects.get(account_id=fleets.CENTRAL)
    assert central.reader_role_arn == f"arn:aws:iam::{fleets.CENTRAL}:role/imdsdash-reader"


def test_a_dry_run_tells_the_same_and_writes_nothing():
    told = tell(MEMBER, dry_run=True)

    assert kinds(told) == {fleets.CENTRAL: "added", fleets.MEMBER: "added"}
    assert not Account.objects.exists()
    assert not AuditEvent.objects.exists()


def test_every_change_is_in_the_audit_log_without_the_external_id():
    tell(MEMBER)
    tell(replace(MEMBER, state="CLOSED"))

    added, closed = AuditEvent.objects.filter(account_id=fleets.MEMBER).order_by("seq")
    assert added.verb == "account.added"
    assert added.after is not None
    assert (added.after["external_id"], added.after["source"]) == ("set", "organization")
    assert (closed.verb, closed.before, closed.after) == (
        "account.closed",
        {"state": "ACTIVE", "enabled": True},
        {"state": "CLOSED", "enabled": False},
    )


# --- by hand, from a list --------------------------------------------------------------------------------


def add(*lines: Listed, source: AccountSource = AccountSource.FILE, **options) -> accounts.Summary:
    options.setdefault("partition", "aws")
    return accounts.add(lines=lines, source=source, now=NOW, **options)


def test_a_listed_account_gets_what_the_line_says_and_else_what_is_configured():
    arn = f"arn:aws-cn:iam::{fleets.MEMBER}:role/x/reader"

    told = add(Listed(fleets.MEMBER, name="m", reader_role_arn=arn), Listed(fleets.CLOSED))

    assert kinds(told) == {fleets.MEMBER: "added", fleets.CLOSED: "added"}
    row = member()
    assert (row.partition, row.reader_role_arn, row.source) == ("aws-cn", arn, AccountSource.FILE)
    assert row.enforcer_role_arn == f"arn:aws-cn:iam::{fleets.MEMBER}:role/imdsdash-enforcer"
    assert row.external_id == "shared-secret-of-ours"


def test_a_known_account_keeps_what_the_line_does_not_say():
    tell(MEMBER)

    told = add(Listed(fleets.MEMBER, contact="ada@example.com"))

    assert kinds(told) == {fleets.MEMBER: "changed"}
    assert (member().owner, member().contact, member().source) == ("Ada", "ada@example.com", "organization")


def test_adding_again_brings_a_changed_external_id_to_an_account(settings):
    tell(MEMBER)
    settings.IMDSDASH_EXTERNAL_ID = "the-next-shared-secret"

    add(Listed(fleets.MEMBER))

    assert member().external_id == "the-next-shared-secret"


def test_an_account_with_another_role_is_tried_at_once():
    add(Listed(fleets.MEMBER))
    Account.objects.update(failures=9, retry_at=NOW)
    add(Listed(fleets.MEMBER, name="m"))
    assert member().failures == 9

    add(Listed(fleets.MEMBER, reader_role_arn=f"arn:aws:iam::{fleets.MEMBER}:role/right"))

    assert (member().failures, member().retry_at) == (0, None)


def test_an_ambient_account_has_no_roles():
    add(Listed(fleets.MEMBER))

    add(Listed(fleets.MEMBER), ambient=True, source=AccountSource.AMBIENT)

    assert (member().reader_role_arn, member().enforcer_role_arn, member().external_id) == ("", "", "")


def test_an_account_that_left_and_is_added_by_hand_is_no_longer_the_organizations():
    tell(MEMBER)
    tell()

    add(Listed(fleets.MEMBER), source=AccountSource.HAND)
    tell()

    assert (member().source, member().state, member().enabled) == (AccountSource.HAND, "ACTIVE", True)


def test_an_account_that_is_closed_stays_closed_when_it_is_listed_again():
    tell(MEMBER)
    tell(replace(MEMBER, state="CLOSED"))

    add(Listed(fleets.MEMBER, owner="Noor"))

    assert (member().owner, member().enabled) == ("Noor", False)


def test_of_a_list_all_are_added_or_none(monkeypatch):
    real = accounts.audit.append

    def failing(**words):
        if words["account_id"] == fleets.CLOSED:
            raise RuntimeError
        return real(**words)

    monkeypatch.setattr(accounts.audit, "append", failing)

    with pytest.raises(RuntimeError):
        add(Listed(fleets.MEMBER), Listed(fleets.CLOSED))

    assert not Account.objects.exists()
