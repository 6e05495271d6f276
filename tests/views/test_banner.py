"""The one banner about old or missing data: on every page, for what the person may see, and on no fragment."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.urls import reverse

from migration.enums import Outcome, Role, RoleState, ScopeState
from migration.models import Account, ScheduledRun
from migration.queries.health import DISPATCHER
from tests import factories
from tests.factories import NOW
from tests.views.test_pages import body, text
from tests.views.test_permissions import MATRIX, address

pytestmark = pytest.mark.django_db
# No page, or not one of somebody signed in.
BARE = {"plan_json", "plan_text", "run_progress", "login", "livez", "readyz"}
PAGES = [name for name, row in MATRIX.items() if row["GET"][-1] == 200 and name not in BARE]


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


@pytest.fixture(autouse=True)
def _ticking(_clock, db):
    ScheduledRun.objects.create(job=DISPATCHER, window_start=NOW, started_at=NOW)


def overview(as_) -> str:
    return body(as_("viewer").get(reverse("overview")))


def test_fresh_data_has_no_banner(as_):
    factories.scope(factories.account(), inventory_at=NOW - hours(9), usage_at=NOW - hours(36))

    page = as_("viewer").get(reverse("overview")).content.decode()

    assert "State of the data" not in page


@pytest.mark.parametrize("name", PAGES)
def test_old_data_is_told_on_every_page(world, as_, name):
    factories.scope(world.account, "eu-west-1", inventory_at=NOW - timedelta(days=2))

    page = body(as_("admin").get(address(name, world)))

    assert "1 of 2 account-Regions is overdue (inventory every 6 h, usage every 24 h; oldest 2 d ago)" in page


def test_the_banner_leads_to_the_page_that_explains_it_and_not_from_there(as_):
    factories.scope(factories.account(), inventory_at=NOW - hours(10))
    factories.scope(factories.account())
    link = f'<a href="{reverse("data_quality")}">Data quality</a></span></p>'

    pages = [text(as_("viewer").get(reverse(name))) for name in ("overview", "data_quality")]

    assert [link in page for page in pages] == [True, False]


def test_old_data_of_accounts_one_may_not_see_is_not_told(client):
    mine, other = factories.account(name="mine"), factories.account(role_state=RoleState.DENIED)
    factories.scope(mine), factories.scope(other, inventory_at=None, outcome=Outcome.DENIED)
    client.force_login(factories.user("narrow", Role.VIEWER, account=mine))

    assert "State of the data" not in client.get(reverse("accounts")).content.decode()


def test_when_nothing_is_in_time_the_numbers_are_called_old(as_):
    factories.scope(factories.account(), inventory_at=NOW - hours(13), complete_at=NOW - hours(13))

    assert (
        "These numbers are old: not one of 1 account-Region was read in time; the last whole pass was 13 h ago, "
        "2026-11-19 20:00 UTC."
    ) in overview(as_)


def test_accounts_that_cannot_be_entered_are_counted(as_):
    factories.scope(factories.account())
    factories.account(role_state=RoleState.DENIED), factories.account(role_state=RoleState.UNREACHABLE)

    assert "2 of 3 accounts cannot be entered. Missing is not counted as safe." in overview(as_)


def test_the_first_collection_says_that_it_runs(as_):
    lease: dict[str, Any] = {"state": ScopeState.LEASED, "lease_expires_at": NOW + timedelta(minutes=2)}
    unread: dict[str, Any] = {"outcome": Outcome.NEVER, "complete_at": None, "inventory_at": None}
    factories.scope(factories.account(role_state=RoleState.UNTESTED), **lease, **unread)

    assert "Connected to 1 account; the first collection is running. Numbers appear as it completes." in overview(as_)


def test_a_timetable_that_stops_is_told_after_three_missed_ticks(as_):
    """The dead-man's switch: beat is frozen, and only the clock goes on."""
    factories.scope(factories.account())
    client = as_("viewer")

    def told(after: timedelta) -> bool:
        with time_machine.travel(NOW + after, tick=False):
            return "The timetable has stopped" in body(client.get(reverse("overview")))

    assert [told(timedelta(minutes=3)), told(timedelta(minutes=3, seconds=1))] == [False, True]


@pytest.mark.parametrize(
    ("skew", "words"),
    [(192.4, "AWS's clock is 192 seconds ahead of ours."), (-130.0, "AWS's clock is 130 seconds behind ours.")],
)
def test_a_wrong_clock_names_the_seconds_and_what_to_do(as_, skew, words):
    factories.scope(factories.account(), clock_skew=skew, last_started_at=NOW)

    page = overview(as_)

    assert words in page
    assert "timedatectl set-ntp true" in page


@pytest.mark.parametrize("name", ["accounts", "data_quality"])
def test_a_fragment_pays_for_no_banner(as_, django_assert_num_queries, name):
    """What htmx asks for draws no banner: it must not ask how fresh the data is, either."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    factories.scope(factories.account(), inventory_at=NOW - timedelta(days=2))
    client = as_("viewer")

    with CaptureQueriesContext(connection) as seen:
        page = client.get(reverse(name), headers={"HX-Request": "true"}).content.decode()

    assert "State of the data" not in page
    assert [one["sql"] for one in seen if "migration_scheduledrun" in one["sql"]] == []


def test_nobody_is_told_of_anything_before_signing_in(client):
    Account.objects.all().delete()
    factories.scope(factories.account(), inventory_at=NOW - timedelta(days=2))

    assert "State of the data" not in client.get(reverse("login")).content.decode()
