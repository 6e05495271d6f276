"""The organization by the timetable: once a day, by whichever beat comes first, and only where it is wanted."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest
import time_machine

from migration.aws.pace import Pace
from migration.enums import AccountSource
from migration.models import Account
from migration.tasks import discovery, edges
from tests import factories, fleets
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    """AWS gives ListRoots once a second; the sandbox bears more."""
    monkeypatch.setattr(edges, "pace", lambda: Pace(sleep=lambda _: None))


def begin(aws, **member):
    """The organization was discovered once, by hand."""
    sandbox = aws(fleets.pair(**member))
    discovery.discover(edges.reader(), now=NOW)
    sandbox.clear_calls()
    return sandbox


def management() -> dict:
    return Account.objects.get(management=True).probe["discovery"]


def test_a_worker_knows_every_task_of_the_timetable_and_of_the_pages(settings):
    asked = "from imdsdash.celery import app; app.loader.import_default_modules(); print(*app.tasks)"
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )

    known = set(done.stdout.split())
    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= known
    assert "migration.tasks.probe.probe_account" in known


def test_nothing_is_asked_before_the_first_discovery(aws):
    sandbox = aws(fleets.pair())
    factories.account(account_id=fleets.MEMBER)

    discovery.discover_organization()

    assert sandbox.calls() == []


def test_a_closed_account_is_found_closed_the_next_day(aws):
    sandbox = begin(aws)
    sandbox.world.accounts[fleets.MEMBER].state = "CLOSED"

    discovery.discover_organization()

    row = Account.objects.get(account_id=fleets.MEMBER)
    assert (row.state, row.enabled) == ("CLOSED", False)
    assert management()["counts"] == {"added": 0, "changed": 0, "closed": 1, "unchanged": 2, "left out": 0}


def test_a_second_beat_asks_nothing(aws):
    sandbox = begin(aws)

    discovery.discover_organization()
    asked = len(sandbox.calls(operation="ListAccounts"))
    discovery.discover_organization()

    assert (asked, len(sandbox.calls(operation="ListAccounts"))) == (1, 1)


def test_the_next_day_is_asked_again(aws):
    sandbox = begin(aws)
    for day in (20, 21):
        with time_machine.travel(datetime(2026, 11, day, 0, 17, tzinfo=UTC), tick=False):
            discovery.discover_organization()

    assert len(sandbox.calls(operation="ListAccounts")) == 2


def test_what_fails_for_a_passing_reason_is_tried_again_the_same_day(aws, settings):
    sandbox = begin(aws)
    sandbox.set_faults([{"kind": "error", "operation": "ListRoots", "code": "ServiceException", "status": 500}])

    discovery.discover_organization()
    assert "ServiceException" in management()["error"]
    sandbox.clear_faults()
    discovery.discover_organization()

    assert "error" not in management()
    assert Account.objects.filter(source=AccountSource.ORGANIZATION, enabled=True).count() == 3


def test_a_refusal_is_told_and_closes_nothing(aws):
    sandbox = begin(aws)
    sandbox.set_faults([{"kind": "access_denied", "operation": "ListAccounts"}])

    discovery.discover_organization()

    assert "deploy/central-policy.json has it" in management()["error"]
    assert management()["organization"] == sandbox.world.organization_id
    assert Account.objects.filter(enabled=True).count() == 3
    discovery.discover_organization()
    assert len(sandbox.calls(operation="ListAccounts")) == 1


def test_of_accounts_with_an_owner_a_seventh_is_asked_for_tags_each_day(aws):
    fleet = fleets.pair(tags={"owner": "Ada"})
    fleet["accounts"] += [{"id": f"0000000000{n:02d}", "name": f"n{n}", "tags": {"owner": "x"}} for n in range(14)]
    sandbox = aws(fleet)
    discovery.discover(edges.reader(), now=NOW)
    sandbox.clear_calls()

    with time_machine.travel(datetime(2026, 11, 23, 0, 17, tzinfo=UTC), tick=False):
        discovery.discover_organization()

    asked = {call["params"]["ResourceId"] for call in sandbox.calls(operation="ListTagsForResource")}
    assert asked == {fleets.CENTRAL, fleets.CLOSED, "000000000000", "000000000007"}
    assert Account.objects.exclude(owner="").count() == 15
