"""Whose usage is left to the monitoring account: a rule, the same rule in SQL, and that nobody starves by it."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.models import Scope
from migration.queries import links
from migration.tasks import collection
from migration.tasks import scope as scopes
from tests import factories, fleets

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NOW = datetime(2026, 11, 20, 12, 20, tzinfo=UTC)
SINCE = NOW - 2 * DAY
LEFT = {
    "linked_to": fleets.CENTRAL,
    "linked_since": SINCE,
    "usage_until": NOW - DAY,
    "usage_at": NOW - DAY,
    "inventory_at": NOW - HOUR,
    "attempts": 0,
    "usage_due_at": NOW - MINUTE,
}
OTHERWISE = {
    "linked to nothing": {"linked_to": "", "linked_since": None},
    "linked to another account": {"linked_to": "999999999999"},
    "not read since the link is known": {"usage_until": SINCE - HOUR},
    "never read": {"usage_at": None, "usage_until": None},
    "no whole inventory": {"inventory_at": None},
    "its last pass had a gap, or somebody has it": {"attempts": 1},
    "not due": {"usage_due_at": NOW + links.EARLY + MINUTE},
    "due at once": {"usage_due_at": None},
    "waiting for too long": {"usage_due_at": NOW - links.LEFT_FOR},
}
STILL = {
    "nearly due": {"usage_due_at": NOW + links.EARLY},
    "just not waiting for too long": {"usage_due_at": NOW - links.LEFT_FOR + timedelta(seconds=1)},
    "read up to just when the link was seen": {"usage_until": SINCE},
}


@pytest.fixture(autouse=True)
def _monitoring(settings):
    settings.IMDSDASH_MONITORING_ACCOUNT = fleets.CENTRAL


def test_a_scope_that_is_linked_and_was_read_whole_is_left_while_its_usage_is_due():
    assert links.is_left(Scope(**LEFT), now=NOW)


@pytest.mark.parametrize("fields", OTHERWISE.values(), ids=OTHERWISE.keys())
def test_a_scope_is_its_own_roles_when(fields):
    assert not links.is_left(Scope(**LEFT | fields), now=NOW)


@pytest.mark.parametrize("fields", STILL.values(), ids=STILL.keys())
def test_a_scope_is_still_left_when(fields):
    assert links.is_left(Scope(**LEFT | fields), now=NOW)


def test_without_a_monitoring_account_no_scope_is_left(settings):
    settings.IMDSDASH_MONITORING_ACCOUNT = ""

    assert not links.is_left(Scope(**LEFT), now=NOW)
    assert not links.is_left(Scope(**LEFT | {"linked_to": "", "linked_since": None}), now=NOW)


# Two changes at once, as far as the table lets a row be so.
ROWS = [
    row
    for one, two in product([{}, *OTHERWISE.values(), *STILL.values()], repeat=2)
    if bool((row := LEFT | one | two)["linked_to"]) == bool(row["linked_since"])
]


@pytest.mark.django_db
@pytest.mark.parametrize("monitoring", [fleets.CENTRAL, ""])
def test_the_database_says_the_same_as_the_rule(settings, monitoring):
    settings.IMDSDASH_MONITORING_ACCOUNT = monitoring
    account = factories.account()
    for number, row in enumerate(ROWS):
        Scope.objects.create(account=account, region=f"region-{number}", **row)

    found = set(Scope.objects.filter(links.left(NOW)))

    assert found == {scope for scope in Scope.objects.all() if links.is_left(scope, now=NOW)}
    assert bool(found) == bool(monitoring)


@pytest.mark.django_db
def test_a_scope_is_its_own_roles_turn_exactly_when_something_is_due_that_is_not_left():
    account, dues = factories.account(), (NOW - MINUTE, NOW + HOUR)
    for number, (row, inventory, watch) in enumerate(product(ROWS[: len(OTHERWISE)], dues, (*dues, None))):
        due = {"inventory_due_at": inventory, "watch_due_at": watch}
        earliest = min(at for at in (row["usage_due_at"] or NOW, inventory, watch) if at is not None)
        Scope.objects.create(account=account, region=f"region-{number}", next_due_at=earliest, **row, **due)

    turns = set(collection._due(NOW))

    assert turns == {scope for scope in Scope.objects.all() if scopes.due(scope, now=NOW)}
    assert 0 < len(turns) < Scope.objects.count()


moments = st.none() | st.timedeltas(-3 * DAY, 3 * DAY).map(lambda by: NOW + by)


@given(
    st.fixed_dictionaries(
        dict.fromkeys(("linked_since", "usage_until", "usage_at", "inventory_at", "usage_due_at"), moments)
        | {"linked_to": st.sampled_from(["", fleets.CENTRAL]), "attempts": st.integers(0, 2)}
    ),
    st.timedeltas(timedelta(), 3 * DAY),
)
def test_no_scope_waits_for_the_monitoring_account_for_longer_than_half_an_hour(fields, after):
    """Whatever is in its row: nothing starves when nobody reads through the link."""
    scope = Scope(**fields)
    now = (scope.usage_due_at or NOW) + links.LEFT_FOR + after

    assert scopes.due(scope, now=now).usage
