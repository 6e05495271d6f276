"""The probes: /livez for whoever restarts or balances, /readyz for whoever is woken."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.urls import reverse

from migration.enums import ScopeState
from migration.models import ScheduledRun
from migration.queries.health import DISPATCHER
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def tick(at=NOW, job=DISPATCHER) -> None:
    ScheduledRun.objects.create(job=job, window_start=at, started_at=at)


def asked(client) -> tuple[int, dict[str, Any]]:
    answer = client.get(reverse("readyz"))
    return answer.status_code, answer.json()


def test_readyz_names_every_check_and_says_a_sentence(client):
    tick(NOW - timedelta(seconds=40))
    factories.scope(factories.account())

    assert asked(client) == (
        200,
        {
            "status": "ok",
            "stale": False,
            "checks": {
                "database": {"ok": True, "says": "The database answers."},
                "migrations": {"ok": True, "says": "Its tables are those of this version."},
                "timetable": {
                    "ok": True,
                    "says": "The timetable ticks.",
                    "pulse": "alive",
                    "last_tick_seconds": 40,
                },
                "sweeps": {
                    "ok": True,
                    "says": "No account-Region is overdue.",
                    "overdue": 0,
                    "oldest_seconds": None,
                },
                "leases": {"ok": True, "says": "Every piece of work begun is in somebody's hands.", "lost": 0},
            },
        },
    )


def test_a_missed_schedule_is_unready_after_three_intervals_and_not_before(client):
    """Beat is frozen and only the clock goes on."""
    tick()

    def found(after: timedelta) -> tuple[int, str, str]:
        with time_machine.travel(NOW + after, tick=False):
            code, told = asked(client)
        return code, told["status"], told["checks"]["timetable"]["pulse"]

    assert found(timedelta(minutes=3)) == (200, "ok", "alive")
    assert found(timedelta(minutes=3, seconds=1)) == (503, "unready", "stopped")


def test_other_jobs_do_not_hide_that_the_dispatcher_is_dead(client):
    tick(NOW - timedelta(hours=1))
    tick(NOW, job="expire-requests")

    assert asked(client)[0] == 503


@pytest.mark.parametrize(
    ("installed_ago", "code", "status"),
    [(timedelta(minutes=5), 200, "starting"), (timedelta(minutes=6), 503, "unready")],
)
def test_a_fresh_installation_is_starting_before_it_is_dead(client, monkeypatch, installed_ago, code, status):
    monkeypatch.setattr("migration.views.site.health.installed_at", lambda: NOW - installed_ago)

    found, told = asked(client)

    assert (found, told["status"], told["checks"]["timetable"]["last_tick_seconds"]) == (code, status, None)


def test_when_the_installation_began_is_known_from_its_first_table():
    from migration.queries import health

    assert health.installed_at() is not None


def test_an_overdue_sweep_is_stale_and_not_unready(client):
    tick()
    factories.scope(factories.account(), inventory_at=NOW - timedelta(days=2))

    code, told = asked(client)

    assert (code, told["status"], told["stale"]) == (200, "stale", True)
    assert told["checks"]["sweeps"] == {
        "ok": False,
        "says": "1 of 1 account-Regions are overdue: the Data quality page says why.",
        "overdue": 1,
        "oldest_seconds": 2 * 24 * 3600,
    }


def test_work_that_its_worker_left_is_stale(client):
    tick()
    ended = NOW - timedelta(minutes=16)
    factories.scope(factories.account(), state=ScopeState.LEASED, lease_expires_at=ended)

    code, told = asked(client)

    assert (code, told["stale"], told["checks"]["leases"]["lost"]) == (200, True, 1)


@pytest.mark.parametrize(
    ("broken", "checks"),
    [
        ("database_answers", {"database": {"ok": False, "says": "The database does not answer."}}),
        (
            "migrations_applied",
            {
                "database": {"ok": True, "says": "The database answers."},
                "migrations": {"ok": False, "says": "Its tables are not those of this version."},
            },
        ),
    ],
)
def test_readyz_asks_nothing_more_of_what_does_not_work(client, monkeypatch, broken, checks):
    monkeypatch.setattr(f"migration.views.site.health.{broken}", lambda: False)

    assert asked(client) == (503, {"status": "unready", "stale": False, "checks": checks})


def test_readyz_names_no_account_and_quotes_nobody(client):
    tick()
    account = factories.account(name="secret-project", role_message="User: arn:aws:iam::1 is not authorized")
    factories.scope(account, "eu-west-1", inventory_at=None, gap_message="not authorized", outcome="denied")

    told = client.get(reverse("readyz")).content.decode()

    assert [word for word in ("secret-project", account.account_id, "eu-west-1", "authorized") if word in told] == []


def test_livez_asks_the_database_nothing(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get(reverse("livez")).json() == {"status": "ok"}


def test_the_containers_own_health_check_does_not_hang_on_the_timetable():
    """A stopped beat must not make web containers restart, nor hide the page that tells of it."""
    from pathlib import Path

    check = (Path(__file__).resolve().parents[2] / "deploy" / "healthcheck.py").read_text()

    assert ("/livez" in check, "readyz" in check) == (True, False)
