"""The same work by one worker and by two, on Redis and PostgreSQL, against an AWS that answers after 50 ms."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import passes, services
from benchmarks.installation import (
    WAIT,
    Installation,
    NotMeasured,
    Server,
    bare_environment,
    end,
    replay,
    scratch,
)
from benchmarks.passes import SHORT

LATENCY = 0.05  # seconds
FLEET = {False: (9_000, 20, 3), True: (60, 3, 2)}  # instances, accounts, Regions, by quick
BEGINNING = "beginning"
LONGEST = 1200  # seconds for a sweep
TICK = """
from imdsdash.celery import app
app.send_task(app.conf.beat_schedule["collect-what-is-due"]["task"])
"""
BEGUN = "SELECT count(*) FROM migration_scope WHERE last_started_at IS NOT NULL"
LEFT = "SELECT count(*) FROM migration_scope WHERE enabled AND complete_at IS NULL"
TOOK = "SELECT extract(epoch FROM max(complete_at) - min(last_started_at))::float FROM migration_scope"
ROWS = "SELECT (SELECT count(*) FROM migration_instance), (SELECT count(*) FROM migration_instanceday)"


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Seconds from the first scope claimed to the last one complete. Every scope is due at the start."""
    instances, accounts, regions = FLEET[quick]
    with (
        scratch() as folder,
        services.postgres(folder) as database,
        services.redis(folder) as broker,
        replay(
            instances=instances, accounts=accounts, regions=regions, latency=LATENCY, usage="mixed", **passes.a_day()
        ) as server,
    ):
        place = Place(folder, database, broker, server, scopes=accounts * regions)
        place.prepare()
        sweeps = [place.sweep(workers) for workers in (1, 2)]
    one, two = sweeps
    if one["rows"] != two["rows"]:
        raise NotMeasured(f"One worker wrote {one['rows']} and two wrote {two['rows']}, which must be the same.")
    return {
        "instances": instances,
        "scopes": accounts * regions,
        "latency_seconds": LATENCY,
        "cores": os.cpu_count(),
        "sweeps": sweeps,
        "ratio": round(one["seconds"] / two["seconds"], 2),
        "best_ratio_these_cores_allow": round(
            min(2.0, one["seconds"] * (os.cpu_count() or 1) / two["cpu_seconds"]["all_of_the_machine"]), 2
        ),
    }


@dataclass(frozen=True, slots=True)
class Place:
    """What both sweeps share; each has a database of its own."""

    folder: Path
    database: services.Service
    broker: services.Service
    server: Server
    scopes: int

    def prepare(self) -> None:
        """The database both sweeps begin with: every account known and entered, every scope due."""
        services.create_database(self.database, BEGINNING)
        one = self._installation(BEGINNING, workers=0)
        one.manage("migrate", "--verbosity", "0")
        one.manage("accounts", "discover")
        one.manage("accounts", "test")

    def sweep(self, workers: int) -> dict[str, Any]:
        """Collect everything once, with so many workers of one process each."""
        name = f"workers_{workers}"
        services.create_database(self.database, name, like=BEGINNING)
        one = self._installation(name, workers)
        self.server.calls(forget=True)
        with started(one, workers) as processes:
            one.run(sys.executable, "-c", TICK)  # beat's first would come after a minute
            wait(one, BEGUN, lambda begun: begun > 0, seconds=WAIT)
            before = Used.now(processes, self)
            wait(one, LEFT, lambda left: left == 0, seconds=LONGEST)
            used = Used.now(processes, self).since(before)
        return self._told(one, workers, used)

    def _installation(self, name: str, workers: int) -> Installation:
        folder = self.folder / name
        folder.mkdir()
        environment = bare_environment(
            folder,
            AWS_ENDPOINT_URL=self.server.url,
            DATABASE_URL=f"{self.database.url}{name}",
            REDIS_URL=f"{self.broker.url}{workers}",
            **SHORT,
        )
        return Installation(folder, environment)

    def _told(self, one: Installation, workers: int, used: "Used") -> dict[str, Any]:
        with psycopg.connect(one.environment["DATABASE_URL"]) as connection:
            took, rows = connection.execute(TOOK).fetchone(), connection.execute(ROWS).fetchone()
        assert took is not None  # noqa: S101 -- for the type checker: an aggregate has a row
        assert rows is not None  # noqa: S101
        return {
            "workers": workers,
            "seconds": round(took[0], 2),
            "cpu_seconds": {
                "workers": round(used.workers, 2),
                "pretend_aws": round(used.server, 2),
                "postgresql_and_redis": round(used.services, 2),
                "all_of_the_machine": round(used.busy, 2),
            },
            "cpu_share_of_the_machine": round(used.busy / used.possible, 2),
            "calls": {name: tally["calls"] for name, tally in sorted(self.server.calls()["operations"].items())},
            "rows": {"instances": rows[0], "instance_days": rows[1]},
        }


def wait(one: Installation, query: str, enough: Callable[[int], bool], *, seconds: float) -> None:
    """Ask the database until it is enough. Raises NotMeasured after so many seconds."""
    until = time.monotonic() + seconds
    found = None
    with psycopg.connect(one.environment["DATABASE_URL"], autocommit=True) as connection:
        while time.monotonic() < until:
            found = connection.execute(query.encode()).fetchone()
            if found is not None and enough(found[0]):
                return
            time.sleep(0.05)
    raise NotMeasured(f"After {seconds:g} s `{query}` still says {found and found[0]}.")


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds."""

    workers: float
    server: float
    services: float
    busy: float  # by whatever runs on the machine
    possible: float

    @classmethod
    def now(cls, processes: list[subprocess.Popen[bytes]], place: Place) -> "Used":
        return cls(
            sum(services.cpu_seconds(one.pid) for one in processes),
            services.cpu_seconds(place.server.pid),
            services.cpu_seconds(place.database.pid) + services.cpu_seconds(place.broker.pid),
            *services.machine_busy(),
        )

    def since(self, other: "Used") -> "Used":
        return Used(*(now - before for now, before in zip(astuple(self), astuple(other), strict=True)))


@contextmanager
def started(one: Installation, workers: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The workers, listening, and beat, which wakes them again when a nudge has expired."""
    celery = [sys.executable, "-m", "celery", "-A", "imdsdash"]
    with contextlib.ExitStack() as stack:
        running = []
        for number in range(workers):
            words = [*celery, "worker", "-Q", "collect,enforce,celery", "-c", "1", "-n", f"bench{number}@%h"]
            words += ["-l", "INFO", "--without-mingle", "--without-gossip"]
            beats = one.folder / f"worker-{number}.beats"
            running.append(_start(stack, one, f"worker-{number}", words, IMDSDASH_HEARTBEAT_FILE=str(beats)))
        for number in range(workers):
            listening(one.folder / f"worker-{number}")
        _start(stack, one, "beat", [*celery, "beat", "-s", str(one.folder / "beat")])
        yield running


def listening(worker: Path) -> None:
    """Wait for a worker's first heartbeat."""
    until = time.monotonic() + WAIT
    while not worker.with_suffix(".beats").exists():
        if time.monotonic() > until:
            raise NotMeasured(f"A worker did not come up: {worker.with_suffix('.log').read_text()[-1000:]}")
        time.sleep(0.1)


def _start(
    stack: contextlib.ExitStack, one: Installation, name: str, words: list[str], **more: str
) -> subprocess.Popen[bytes]:
    process = one.start(name, *words, **more)
    stack.callback(end, process)
    return process
