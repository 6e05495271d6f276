"""What the numbers on the pages are made of."""

from datetime import timedelta

import pytest

from migration.enums import Outcome, Role, Status
from migration.models import Account, AuditEvent
from migration.queries import accounts as many
from migration.queries import audit, fleet, usage
from migration.queries.access import visible_accounts
from migration.queries.progress import Mix
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
TODAY = NOW.date()
EVERYTHING = Account.objects.all


def day(scope, back, **fields):
    return factories.scope_day(scope, TODAY - timedelta(days=back), **fields)


# --- progress ----------------------------------------------------------------------------------------


def test_the_share_is_done_of_done_and_left_and_nothing_else():
    mix = Mix({"enforced": 3, "imds_off": 1, "ready": 4, "unknown": 2, "managed": 50, "gone": 90})

    assert (mix.done, mix.left, mix.share) == (4, 6, 0.4)
    assert [(part.status, part.count) for part in mix.not_ours] == [(Status.GONE, 90), (Status.MANAGED, 50)]


def test_nothing_to_divide_has_no_share():
    assert Mix({"managed": 5, "gone": 2}).share is None


def test_every_status_is_either_drawn_or_named_as_not_ours():
    mix = Mix(dict.fromkeys(Status.values, 1))

    assert {part.status for part in [*mix.parts, *mix.not_ours]} == set(Status)


def test_the_parts_add_up_to_the_whole():
    mix = Mix({"enforced": 3, "ready": 4, "unknown": 2})

    assert sum(part.share or 0 for part in mix.parts) == pytest.approx(1)


# --- usage -------------------------------------------------------------------------------------------


def test_a_day_without_a_row_is_not_measured():
    day(factories.scope(factories.account()), 1, v1_calls=0, instances_measured=2, instances_expected=2)

    found = usage.days(EVERYTHING(), today=TODAY, count=3)

    assert [one.v1_calls for one in found] == [None, 0, None]


def test_a_day_whose_every_scope_is_unmeasured_is_not_measured():
    account = factories.account()
    for region in ("us-east-1", "eu-west-1"):
        day(factories.scope(account, region), 1, v1_calls=None, instances_measured=0, instances_expected=3)

    found = usage.days(EVERYTHING(), today=TODAY, count=2)[0]

    assert (found.v1_calls, found.measured, found.expected, found.coverage) == (None, 0, 6, 0)


def test_calls_are_summed_over_scopes_beside_how_much_was_measured():
    account = factories.account()
    day(factories.scope(account, "us-east-1"), 1, v1_calls=5, instances_measured=3, instances_expected=3)
    day(factories.scope(account, "eu-west-1"), 1, v1_calls=None, instances_measured=0, instances_expected=3)

    found = usage.days(EVERYTHING(), today=TODAY, count=2)[0]

    assert (found.v1_calls, found.coverage) == (5, 0.5)


def test_instances_left_are_unknown_before_the_first_collection():
    scope = factories.scope(factories.account())
    day(scope, 2, v1_calls=5)
    day(scope, 1, v1_calls=5, by_status={"enforced": 4, "ready": 2, "in_use": 1, "managed": 9, "gone": 3})

    before, after, _ = usage.days(EVERYTHING(), today=TODAY, count=3)

    assert (before.left, before.done, before.scopes_known) == (None, None, 0)
    assert (after.left, after.done, after.scopes_known) == (3, 4, 1)


def test_the_last_thirty_full_days_leave_today_out():
    account = factories.account()
    scope = factories.scope(account)
    day(scope, 0, v1_calls=999)
    day(scope, 1, v1_calls=7)
    day(scope, 30, v1_calls=2)
    day(scope, 31, v1_calls=999)

    calls = usage.calls_by_account(EVERYTHING(), today=TODAY, count=30)[account.pk]

    assert (calls[0], calls[-1], usage.total(calls), calls.count(None)) == (2, 7, 9, 28)


def test_a_person_sums_only_what_they_may_see():
    mine, other = factories.account(), factories.account()
    for account, calls in ((mine, 5), (other, 70)):
        day(factories.scope(account), 1, v1_calls=calls, by_status={"ready": calls})
    admin, narrow = factories.user("anna", Role.ADMIN), factories.user("narrow", Role.VIEWER, account=mine)

    for person, seen in ((admin, 75), (narrow, 5), (factories.user("nobody"), None)):
        found = usage.days(visible_accounts(person), today=TODAY, count=2)[0]
        assert (found.v1_calls, found.left) == (seen, seen)

    assert usage.calls_by_account(visible_accounts(narrow), today=TODAY, count=1) == {mine.pk: [5]}
    assert list(many.rows(visible_accounts(narrow)[:1], today=TODAY)[0].calls)[-1] == 5


def test_the_sum_of_nothing_known_is_unknown():
    assert (usage.total([None, None]), usage.total([None, 0])) == (None, 0)


# --- fleet and accounts --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("Root/Commerce/Prod", "Commerce"),
        ("Commerce/Prod", "Commerce"),
        ("/Commerce", "Commerce"),
        ("Root", "No organizational unit"),
        ("", "No organizational unit"),
    ],
)
def test_a_business_unit_is_the_first_level_below_the_root(path, unit):
    assert fleet.business_unit(path) == unit


def test_units_with_most_left_come_first():
    busy, calm = factories.account(ou_path="Root/Busy"), factories.account(ou_path="Root/Calm")
    factories.instance(busy, status=Status.IN_USE)
    factories.instance(calm, status=Status.ENFORCED)

    assert [(unit.name, unit.mix.left) for unit in fleet.units(EVERYTHING())] == [("Busy", 1), ("Calm", 0)]


def test_blockers_are_the_accounts_with_most_instances_in_use():
    one, two = factories.account(name="one"), factories.account(name="two")
    factories.instance(one, status=Status.IN_USE)
    factories.instance(two, status=Status.IN_USE), factories.instance(two, status=Status.REGRESSED)
    factories.instance(factories.account(), status=Status.READY)

    found = fleet.blockers(EVERYTHING(), calls={two.pk: 9})

    assert [(blocker.account.name, blocker.in_use, blocker.v1_calls) for blocker in found] == [
        ("two", 2, 9),
        ("one", 1, None),
    ]


def test_an_account_nobody_measured_stands_before_one_known_to_be_quiet():
    quiet, dark = factories.account(name="a-quiet"), factories.account(name="b-dark")
    day(factories.scope(quiet), 1, v1_calls=0)
    factories.scope(dark)

    found = many.ordered(many.rows(EVERYTHING(), today=TODAY), "calls")

    assert [row.account.name for row in found] == ["b-dark", "a-quiet"]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"q": "pay"}, ["payments"]),
        ({"q": "ada"}, ["payments"]),
        ({"ou": "Root/Data"}, ["lake", "lab"]),
        ({"status": "in_use"}, ["lake"]),
        ({"incomplete": True}, ["lab"]),
        ({"ou": "Root/Data", "status": "in_use"}, ["lake"]),
        ({"q": "nothing"}, []),
    ],
)
def test_accounts_are_filtered(filters, names):
    factories.scope(factories.account(name="payments", owner="Ada", ou_path="Root/Commerce"))
    lake = factories.account(name="lake", ou_path="Root/Data/Prod")
    (
        factories.scope(lake),
        factories.instance(lake, status=Status.IN_USE),
        factories.instance(lake, status=Status.IN_USE),
    )
    factories.scope(factories.account(name="lab", ou_path="Root/Data"), outcome=Outcome.INCOMPLETE)

    found = many.matching(EVERYTHING(), many.AccountFilters(**filters))

    assert sorted(one.name for one in found) == sorted(names)


def test_a_unit_does_not_match_another_that_begins_with_its_name():
    factories.account(name="one", ou_path="Root/Data"), factories.account(name="two", ou_path="Root/Database")

    found = many.matching(EVERYTHING(), many.AccountFilters(ou="Root/Data"))

    assert [one.name for one in found] == ["one"]


# --- audit -------------------------------------------------------------------------------------------


def event(seq, **fields):
    fields = {
        "actor": "edith",
        "verb": "request.drafted",
        "object_type": "EnforcementRequest",
        "object_id": "1",
    } | fields
    return AuditEvent.objects.create(
        seq=seq, at=NOW, actor_kind="user", prev_hash="0" * 64, hash=f"{seq:064d}", **fields
    )


def test_the_log_is_paged_by_key_so_that_new_events_move_nothing():
    account, person = factories.account(), factories.user("anna", Role.ADMIN)
    for seq in range(1, 6):
        event(seq, account_id=account.account_id)

    first = audit.page(person, audit.AuditFilters(), before=None, size=2)
    event(6, account_id=account.account_id)
    second = audit.page(person, audit.AuditFilters(), before=first.next_before, size=2)
    third = audit.page(person, audit.AuditFilters(), before=second.next_before, size=2)

    assert [[one.seq for one in page.events] for page in (first, second, third)] == [[5, 4], [3, 2], [1]]
    assert third.next_before is None


def test_the_log_shows_only_accounts_the_person_decides_over():
    mine, other = factories.account(), factories.account()
    event(1, account_id=mine.account_id), event(2, account_id=other.account_id), event(3)
    narrow = factories.user("narrow", Role.APPROVER, account=mine)
    factories.user("anna", Role.ADMIN)

    found = audit.page(narrow, audit.AuditFilters(), before=None, size=9)

    assert [one.seq for one in found.events] == [1]


@pytest.mark.parametrize(
    ("filters", "seqs"),
    [({"actor": "arj"}, [2]), ({"verb": "approved"}, [2]), ({"object": "Run"}, [3]), ({"object": "77"}, [3])],
)
def test_the_log_is_filtered(filters, seqs):
    event(1), event(2, actor="arjun", verb="request.approved"), event(3, object_type="Run", object_id="77")

    found = audit.page(factories.user("anna", Role.ADMIN), audit.AuditFilters(**filters), before=None, size=9)

    assert [one.seq for one in found.events] == seqs
