"""One account's trouble stays its own: the others are read in time, and the page names those that were not."""

from collections import Counter
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from migration.aws import parse, retry
from migration.aws.sessions import Limits
from migration.enums import GapKind, Outcome, Role, RoleState, ScopeState
from migration.models import Account, Instance, ScheduledRun, Scope
from migration.tasks import collection, edges
from tests import factories, fleets
from tests.tasks.story import enter, member
from tests.tasks.workers import hired, until

pytestmark = pytest.mark.django_db(transaction=True)
IDS = [f"{number:012d}" for number in range(700000000000, 700000000200)]
DENIED, HUNG = IDS[20:120:20], IDS[1:3]
OTHERS = len(IDS) - len(DENIED) - len(HUNG)


@pytest.fixture(autouse=True)
def _short(settings, monkeypatch):
    """A few days of data, and no pause before a second try."""
    settings.IMDSDASH_WINDOW_DAYS, settings.IMDSDASH_BACKFILL_DAYS, settings.IMDSDASH_HISTORY_DAYS = 3, 5, 5
    monkeypatch.setattr(retry, "pause", lambda *_, **__: None)
    monkeypatch.setattr(edges, "limits", lambda: Limits(connect_timeout=5, read_timeout=100))


def organization() -> dict:
    members = [
        {
            "id": one,
            "name": f"team-{one[-3:]}",
            "regions": ["us-east-1"],
            "roles": fleets.ROLES,
            "instances": [{"name": "web", **fleets.QUIET}],
            "deny_assume": one in DENIED,
        }
        for one in IDS
    ]
    return {"accounts": [{"id": fleets.CENTRAL, "name": "central", "regions": ["us-east-1"]}, *members]}


def known_accounts() -> None:
    """All are known, with the Region each was seen to use at some time; none is open at the moment."""
    made = Account.objects.bulk_create(
        Account(
            account_id=one,
            name=f"team-{one[-3:]}",
            reader_role_arn=f"arn:aws:iam::{one}:role/imdsdash-reader",
            external_id=fleets.EXTERNAL_ID,
        )
        for one in IDS
    )
    Scope.objects.bulk_create(Scope(account=account, region="us-east-1") for account in made)


def tick() -> None:
    """A minute has passed."""
    ScheduledRun.objects.all().delete()
    collection.dispatch_due()


def test_of_two_hundred_accounts_five_deny_and_two_hang_and_the_rest_are_read_meanwhile(
    aws, monkeypatch, settings, client
):
    settings.IMDSDASH_PAGE_SIZE = 500
    sandbox = aws(organization(), faults=[{"kind": "barrier", "name": "hung", "account_id": one} for one in HUNG])
    known_accounts()

    with hired(monkeypatch, 4) as workers:
        tick()
        until(lambda: Scope.objects.filter(outcome=Outcome.COMPLETE).count() == OTHERS)

        # The 193 are done, and those that hang are still at the first of their two tries.
        assert len(sandbox.wait_for("hung", 2)) == 2
        assert calls_of(sandbox, HUNG) == dict.fromkeys(HUNG, 1)
        assert calls_of(sandbox, DENIED) == {}
        sandbox.release("hung", "drop")
        sandbox.wait_for("hung", 2)
        sandbox.release("hung", "drop")
        workers.idle()

        assert calls_of(sandbox, HUNG) == dict.fromkeys(HUNG, 2)
        assert Instance.objects.count() == OTHERS
        assert reasons() == dict.fromkeys(DENIED, (RoleState.DENIED, GapKind.DENIED)) | dict.fromkeys(
            HUNG, (RoleState.UNREACHABLE, GapKind.UNREACHABLE)
        )
        page = page_of(client)
        assert all(f"team-{one[-3:]}" in page for one in (*DENIED, *HUNG))
        assert "AccessDenied" in page
        assert "GetCallerIdentity in" in page
        assert "got no answer" in page

        # From the third failure on the breaker leaves them alone.
        sandbox.set_faults([{"kind": "drop", "account_id": one} for one in HUNG])
        for _ in range(2):
            Account.objects.exclude(retry_at=None).update(retry_at=timezone.now() - timedelta(seconds=1))
            tick()
            workers.idle()
        sandbox.clear_calls()
        tick()
        workers.idle()

    assert sandbox.calls() == []
    shut = Account.objects.exclude(role_state=RoleState.OK)
    assert set(shut.values_list("account_id", "failures")) == {(one, 3) for one in (*DENIED, *HUNG)}
    assert all(one.retry_at > timezone.now() + timedelta(minutes=55) for one in shut)


def test_a_door_that_shuts_on_all_of_an_accounts_passes_at_once_is_one_failure(aws):
    """Else a hiccup of one call would leave an account of many Regions alone for hours."""
    regions = ["us-east-1", "eu-west-1", "eu-north-1", "ap-southeast-2"]
    sandbox = aws(fleets.pair(regions=regions))
    account = member()
    enter(account)
    Scope.objects.update(next_due_at=None, inventory_due_at=None)
    under_way = list(collection._due(timezone.now()).select_related("account"))
    assert len(under_way) == len(regions)
    edges._edge.cache_clear()
    sandbox.set_faults([{"kind": "access_denied", "operation": "AssumeRole"}])

    for scope in under_way:
        collection.collect_if_due(edges.reader(), scope, seconds=60)

    account.refresh_from_db()
    assert (account.role_state, account.failures) == (RoleState.DENIED, 1)
    assert account.retry_at < timezone.now() + timedelta(minutes=11)
    assert set(Scope.objects.values_list("gap", flat=True)) == {GapKind.DENIED}


def calls_of(sandbox, accounts: list[str]) -> dict[str, int]:
    return dict(Counter(call["account_id"] for call in sandbox.calls() if call["account_id"] in accounts))


def reasons() -> dict[str, tuple[str, str]]:
    """Role state and gap of the accounts that were not read, each of which has its words too."""
    gaps = Scope.objects.exclude(outcome=Outcome.COMPLETE).select_related("account")
    assert Account.objects.exclude(role_state=RoleState.OK).count() == len(gaps)
    assert all(one.gap_message and one.account.role_message for one in gaps)
    return {one.account.account_id: (one.account.role_state, one.gap) for one in gaps}


def page_of(client) -> str:
    client.force_login(factories.user("vera", Role.VIEWER))
    return client.get(reverse("data_quality")).content.decode()


# --- what our own code cannot read -----------------------------------------------------------------------


@pytest.fixture
def unreadable(aws, monkeypatch):
    """Two Regions; what AWS tells of an instance in one of them makes the parser fall over."""
    real = parse.instance

    def falls_over(member, **more):
        fact = real(member, **more)
        if fact.name == "strange":
            raise KeyError(fact.name)
        return fact

    monkeypatch.setattr(parse, "instance", falls_over)
    return aws(
        fleets.alone(
            {"name": "strange"}, {"name": "web", "region": "eu-west-1"}, regions=("us-east-1", "eu-west-1")
        )
    )  # fmt: skip


def test_a_scope_whose_answer_cannot_be_read_takes_no_other_scopes_turn(unreadable, monkeypatch):
    with hired(monkeypatch, 1) as workers:
        tick()
        workers.idle()

    strange, fine = Scope.objects.order_by("-region")
    assert fine.outcome == Outcome.COMPLETE
    assert (strange.state, strange.outcome, strange.gap) == (ScopeState.IDLE, Outcome.INCOMPLETE, GapKind.ERROR)
    assert "KeyError: 'strange'" in strange.gap_message
    assert strange.next_due_at > timezone.now() + timedelta(minutes=4)
    unreadable.clear_calls()
    tick()
    assert not unreadable.calls(region="us-east-1", operation="DescribeInstances")


def test_the_command_goes_on_with_the_other_scopes_and_tells(unreadable, capsys):
    with pytest.raises(SystemExit) as ended:
        call_command("collect")

    assert ended.value.code == 3
    told = capsys.readouterr()
    assert "us-east-1: incomplete. " in told.err
    assert "KeyError: 'strange'" in told.err
    assert "1 account-Regions complete, 1 incomplete" in told.out
