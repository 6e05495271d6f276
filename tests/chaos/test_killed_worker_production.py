"""Workers on PostgreSQL and Redis: they share the work, and one that is killed or stopped costs nothing but time."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from celery import Celery

from migration.enums import Outcome
from tests import fleets, services
from tests.chaos.story import FLEET, POINTS, kill_and_settle
from tests.processes import House, Process, Sandbox, environment, house

REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "eu-north-1", "ap-southeast-2", "ap-northeast-1")
OPERATIONS = ("DescribeInstances", "GetInstanceMetadataDefaults", "ListMetrics", "GetMetricData")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a database that `manage.py migrate` made, for installations to copy: migrating takes seconds."""
    with services.postgres() as server:
        address = create(server)
        folder = tmp_path_factory.mktemp("tables")
        House(folder, environment(folder, DATABASE_URL=address)).manage("migrate", "--verbosity", "0")
        yield address


def create(server: str, like: str = "template1") -> str:
    """A new database on the server of this address, a copy of the one called `like`; its address."""
    name = f"chaos_{time.time_ns()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}"'.encode())
    return server.rsplit("/", 1)[0] + f"/{name}"


@contextmanager
def production(tables: str, folder: Path, fleet: dict[str, Any], **more: str) -> Iterator[tuple[House, Sandbox]]:
    """An installation on a database of its own."""
    with services.redis() as redis:
        address = create(tables, like=tables.rsplit("/", 1)[1])
        with house(folder, fleet, DATABASE_URL=address, REDIS_URL=redis, **more) as (one, sandbox):
            yield one, sandbox


@pytest.mark.chaos
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_worker_loses_nothing_and_writes_nothing_a_third_time(tables: str, tmp_path: Path, point: str):
    with production(tables, tmp_path, FLEET) as (one, sandbox):
        kill_and_settle(one, sandbox, point)


@pytest.mark.chaos
def test_workers_share_the_scopes_and_finish_those_of_one_that_was_killed_or_stopped(tables: str, tmp_path: Path):
    """One story, for an installation takes long to start: sharing, a kill, a worker that comes back too late."""
    with production(tables, tmp_path, fleet(), IMDSDASH_AWS_READ_TIMEOUT="60", IMDSDASH_LEASE_SECONDS="90") as (
        one,
        sandbox,
    ):
        workers = [one.worker("first")]

        shared(one, sandbox, workers)
        killed(one, sandbox, workers)
        workers.append(one.worker("third"))
        came_back_too_late(one, sandbox, workers)


def fleet() -> dict[str, Any]:
    group = {"count": 3, "launched_days_ago": 40, "usage": {"profile": "steady", "calls_per_hour": 5}}
    return fleets.alone(*[group | {"region": region} for region in REGIONS], regions=REGIONS)


def shared(one: House, sandbox: Sandbox, workers: list[Process]) -> None:
    """With a second worker twice as many scopes are read at once; each scope is read once."""
    sandbox.faults({"kind": "barrier", "name": "inventory", "operation": "DescribeInstances"})
    nudge(one, "dispatch_due")
    sandbox.wait_for_barrier("inventory", 2)
    workers.append(one.worker("second"))
    sandbox.wait_for_barrier("inventory", 4)
    sandbox.faults()
    sandbox.release("inventory", "continue")
    one.wait_for(f"SELECT count(*) = {len(REGIONS)} FROM migration_scope WHERE outcome = '{Outcome.COMPLETE}'")

    for operation in OPERATIONS:
        assert Counter(call["region"] for call in sandbox.calls(operation=operation)) == dict.fromkeys(REGIONS, 1)
    assert one.value("SELECT count(*) FROM migration_scope WHERE fence <> 1") == 0
    assert one.value("SELECT count(*) FROM migration_instance") == 3 * len(REGIONS)
    assert one.value("SELECT count(*) FROM migration_collectionrun") == 1


def killed(one: House, sandbox: Sandbox, workers: list[Process]) -> None:
    """The scope it held is free when its lease is over, and another worker reads all of it."""
    holder = held(one, sandbox, workers)
    holder.kill()
    workers.remove(holder)
    sandbox.faults()
    sandbox.release("usage", "drop")

    lease_is_over(one)
    nudge_until(one, "SELECT state = 'idle' AND fence = 3 AND outcome = 'complete' FROM migration_scope WHERE id = 1")


def came_back_too_late(one: House, sandbox: Sandbox, workers: list[Process]) -> None:
    """What it goes on to write, when another has read the scope since, changes nothing."""
    holder = held(one, sandbox, workers)
    holder.stop()
    sandbox.faults()
    lease_is_over(one)
    nudge_until(one, "SELECT state = 'idle' AND fence = 5 AND outcome = 'complete' FROM migration_scope WHERE id = 1")
    # Marked, for what it would write is what the other has just read.
    change(one, "UPDATE migration_instance SET usage_until = usage_until - interval '1 hour', status_reason = 'marked'")
    before = everything(one)

    holder.go_on()
    sandbox.release("usage", "continue")
    until = time.monotonic() + 40
    while "scope_lease_lost" not in holder.log.read_text():
        assert time.monotonic() < until, holder.log.read_text()[-1500:]
        time.sleep(0.05)

    assert everything(one) == before


def held(one: House, sandbox: Sandbox, workers: list[Process]) -> Process:
    """One scope is due; the worker that has it, in the middle of its usage."""
    sandbox.faults({"kind": "barrier", "name": "usage", "operation": "GetMetricData"})
    change(
        one, "UPDATE migration_scope SET next_due_at = NULL, inventory_due_at = NULL, usage_due_at = NULL WHERE id = 1"
    )
    nudge_until(one, "SELECT state = 'leased' FROM migration_scope WHERE id = 1")
    sandbox.wait_for_barrier("usage")
    pid = int(one.value("SELECT lease_owner FROM migration_scope WHERE id = 1").split(":")[1])
    return next(worker for worker in workers if worker.child.pid == os.getpgid(pid))


def lease_is_over(one: House) -> None:
    """As if so much time had passed."""
    change(one, "UPDATE migration_scope SET lease_expires_at = now() - interval '1 second' WHERE id = 1")


def nudge(one: House, task: str) -> None:
    with Celery(broker=one.environment["REDIS_URL"], set_as_current=False) as app:
        app.send_task(f"migration.tasks.collection.{task}", queue="collect", ignore_result=True)


def nudge_until(one: House, query: str) -> None:
    """As beat does, until it is so: Redis hands a message to a stopped worker too."""
    until = time.monotonic() + 60
    while not one.value(query):
        assert time.monotonic() < until, query
        nudge(one, "collect_what_is_due")
        time.sleep(0.5)


def change(one: House, statement: str) -> None:
    with psycopg.connect(one.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(statement.encode())


def everything(one: House) -> dict[str, list[Any]]:
    """All rows of what is collected, times of observation included."""
    with psycopg.connect(one.environment["DATABASE_URL"]) as connection:
        return {
            table: connection.execute(f"SELECT * FROM migration_{table} ORDER BY id".encode()).fetchall()
            for table in ("account", "scope", "instance", "instanceday", "scopeday", "regiondefaults", "apiday")
        }
