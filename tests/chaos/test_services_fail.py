"""PostgreSQL, Redis and workers fail in the middle of a run: no unapproved write, every item settled, one `after` each.

`IMDSDASH_CHAOS_SECONDS` is how long Redis stays away (5; the promise is a minute).
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from celery import Celery
from redis import Redis

from tests import fleets, services
from tests.chaos.story import OUTCOME, WRITE, settle
from tests.processes import House, Sandbox, environment, house

SIZE = 8
FLEET = fleets.alone({"count": SIZE, "name_prefix": "web", **fleets.QUIET}, settings={"apply_seconds": 0.3})
AWAY = float(os.environ.get("IMDSDASH_CHAOS_SECONDS", "5"))
PREPARE = """
from django.contrib.auth.models import User
from migration.actions import requests
ellen, adam = User.objects.create_user("ellen"), User.objects.create_user("adam")
Grant.objects.create(user=ellen, role="engineer")
Grant.objects.create(user=adam, role="approver")
draft = requests.draft_plan(account=Account.objects.get(), by=ellen, now=timezone.now())
waiting = requests.submit(request=draft, by=ellen, reason="", version=draft.version, now=timezone.now())
print(json.dumps([waiting.pk, len(waiting.plan["changes"])]))
"""
APPROVE = """
from django.contrib.auth.models import User
from migration.actions import requests
waiting = EnforcementRequest.objects.get()
run = requests.approve(
    request=waiting, by=User.objects.get(username="adam"), comment="", version=waiting.version, now=timezone.now()
)
print(json.dumps(run.pk))
"""


@pytest.fixture
def servers() -> Iterator[tuple[services.PostgresServer, services.RedisServer]]:
    database, broker = services.PostgresServer(), services.RedisServer()
    yield database, broker
    broker.stop()
    database.remove()


def installation(servers: Any, folder: Path, **more: str) -> Any:
    database, broker = servers
    said = {
        "DATABASE_URL": database.address,
        "REDIS_URL": broker.address,
        "IMDSDASH_CANARY_MINUTES": "0",
        "IMDSDASH_LEASE_SECONDS": "6",
        "IMDSDASH_SWEEP_SECONDS": "1",
        "IMDSDASH_WRITES_PER_SECOND": "1",
        **more,
    }
    folder.mkdir(exist_ok=True)
    House(folder, environment(folder, DATABASE_URL=database.address)).manage("migrate", "--verbosity", "0")
    return house(folder, FLEET, **said)


def verified(one: House, count: int) -> None:
    one.wait_for(f"SELECT count(*) >= {count} FROM migration_change WHERE state = 'verified'", 60)


def send(one: House, *ids: Any, times: int = 1) -> None:
    """Messages as a broker, or somebody who got into it, hands them out."""
    with Celery(broker=one.environment["REDIS_URL"], set_as_current=False) as app:
        for run_id in ids:
            for _ in range(times):
                app.send_task(
                    "migration.tasks.enforcement.drive_run", args=(run_id,), queue="enforce", ignore_result=True
                )


def all_is_well(one: House, sandbox: Sandbox) -> None:
    told = settle(one)
    assert told["run"] == "done", told
    assert Counter(change["state"] for change in told["changes"]) == {"verified": SIZE}
    assert all(change["after"]["HttpTokens"] == "required" for change in told["changes"])
    applied = Counter(call["params"]["InstanceId"] for call in writes(sandbox) if call["applied"])
    assert applied == {change["resource_id"]: 1 for change in told["changes"]}, "no instance is changed twice"
    after = one.value(
        "SELECT count(*) FROM migration_auditevent WHERE object_type = 'Change' AND verb = 'change.verified'"
    )
    assert after == SIZE, "exactly one `after` each"
    assert "the chain holds" in one.manage("audit", "verify")


def writes(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [call for call in sandbox.calls(operation=WRITE) if not call["params"].get("DryRun")]


@pytest.mark.chaos
def test_a_run_outlives_lost_messages_forged_ones_and_restarts_of_redis_and_postgresql(servers, tmp_path: Path):
    database, broker = servers
    with installation(servers, tmp_path / "house") as (one, sandbox):
        one.manage("collect")
        pk, planned = one.ask(PREPARE)
        assert planned == SIZE
        for _ in range(2):
            one.worker()
            one.beat()  # two of them: each tick is one

        send(one, 1, pk, 4711, "1 OR 1=1", None)  # nothing is approved yet
        time.sleep(3)
        assert writes(sandbox) == [], "a message is no approval"

        run = one.ask(APPROVE)
        send(one, run, times=50)
        verified(one, 1)
        with Redis.from_url(broker.address) as client:
            client.flushall()
        verified(one, 3)
        broker.stop()
        time.sleep(AWAY)
        broker.start()
        verified(one, 5)
        database.stop()
        time.sleep(1)
        database.start()

        all_is_well(one, sandbox)
        send(one, run, times=5)  # a run that is over
        time.sleep(2)
        assert len({call["params"]["InstanceId"] for call in writes(sandbox)}) == SIZE
        assert len(writes(sandbox)) <= SIZE + 2, "one more for a call that was cut off before it arrived"


@pytest.mark.chaos
def test_a_worker_that_slept_past_its_lease_changes_nothing_when_it_wakes(servers, tmp_path: Path):
    with installation(servers, tmp_path / "house", IMDSDASH_AWS_READ_TIMEOUT="60", IMDSDASH_LEASE_SECONDS="90") as (
        one,
        sandbox,
    ):
        one.manage("collect")
        one.ask(PREPARE)
        sandbox.faults({"kind": "barrier", "name": "sleep", "point": "after", "operation": WRITE, "times": 1})
        sleeper, beat = one.worker("sleeper"), one.beat()
        one.ask(APPROVE)
        sandbox.wait_for_barrier("sleep")
        sleeper.stop()
        sandbox.faults()
        with psycopg.connect(one.environment["DATABASE_URL"], autocommit=True) as connection:  # as if time had passed
            connection.execute("UPDATE migration_change SET lease_expires_at = now() WHERE state = 'calling'")
            connection.execute("UPDATE migration_run SET driver_expires_at = now()")

        one.worker("other")
        all_is_well(one, sandbox)
        beat.end()
        before = rows(one)

        sleeper.go_on()
        sandbox.release("sleep", "continue")
        until = time.monotonic() + 40
        while "lease_lost" not in sleeper.log.read_text():
            assert time.monotonic() < until, sleeper.log.read_text()[-1500:]
            time.sleep(0.05)

        assert rows(one) == before
        assert dict(one.ask(OUTCOME))["run"] == "done"


def rows(one: House) -> dict[str, list[Any]]:
    with psycopg.connect(one.environment["DATABASE_URL"]) as connection:
        return {
            table: connection.execute(f"SELECT * FROM migration_{table} ORDER BY id".encode()).fetchall()
            for table in ("change", "auditevent", "instance")
        }
