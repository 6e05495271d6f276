"""A pass that is killed twice, and goes on twice, beside one that is left alone: are the rows the same?"""

import hashlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import passes
from benchmarks.installation import DATABASE, MANAGE, Installation, NotMeasured, Server, installed, replay
from benchmarks.passes import SHORT
from benchmarks.replay import LARGEST_PAGE, MOST_QUERIES

SIZE = {False: 100_000, True: 1_001}  # by quick; 1,001 are two pages
LONGEST = 7200  # seconds for one attempt
DIFFERING = 5  # rows shown of each kind

# Tables of the collector's own doings, and columns that tell when, by whom and how often something was written.
NOT_COMPARED = {"migration_apiday", "migration_collectionrun", "migration_launchreading", "migration_scheduledrun"}
WHEN = re.compile(r"id|.*_at|usage_until|clock_skew|status_since|status_reason|fence|attempts|lease_owner|.*_message")
KEPT = {"instance_id", "account_id", "launched_at", "first_launched_at"}  # AWS's own words, and no time of ours
NAMES = {  # what a foreign key is replaced by, as ids depend on the order of writing
    "migration_account": "SELECT id, account_id FROM migration_account",
    "migration_scope": "SELECT s.id, a.account_id || '/' || s.region FROM migration_scope s "
    "JOIN migration_account a ON a.id = s.account_id",
    "migration_instance": "SELECT id, instance_id FROM migration_instance",
}


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Kill -9 halfway through the inventory and again halfway through the usage; then to the end."""
    size = SIZE[quick]
    with (
        replay(instances=size, usage="mixed", **passes.a_day()) as server,
        installed(server.url, **SHORT) as one,
        installed(server.url, **SHORT) as other,
    ):
        alone = passes.collect(one, server)
        killed = [
            kill_when(other, server, "DescribeInstances", size // LARGEST_PAGE // 2),
            kill_when(other, server, "GetMetricData", size // MOST_QUERIES // 2),
        ]
        last = passes.collect(other, server)
        compared = compare(one.folder / DATABASE, other.folder / DATABASE)
    return {
        "instances": size,
        "undisturbed": {"seconds": round(alone.spent.seconds, 1), "calls": told(alone.seen)},
        "killed": [attempt.told() for attempt in killed],
        "last": {
            "seconds": round(last.spent.seconds, 1),
            "scopes": last.told["scopes"],
            "calls": told(last.seen),
        },
        "calls_again": again(alone.seen, [*(attempt.seen for attempt in killed), last.seen]),
        **compared,
    }


# --- killing -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """A `collect` that was killed."""

    during: str
    seconds: float
    kept: dict[str, int]  # rows it left, by table
    seen: dict[str, Any]

    def told(self) -> dict[str, Any]:
        return {
            "killed_in": self.during,
            "seconds": round(self.seconds, 1),
            "calls": told(self.seen),
            "kept": self.kept,
        }


def kill_when(one: Installation, server: Server, operation: str, calls: int) -> Attempt:
    """Start a pass and kill -9 it once the server has answered more of these calls than that."""
    server.calls(forget=True)
    began = time.monotonic()
    process = one.start("killed", sys.executable, MANAGE, "collect", "--json")
    try:
        watch(process, server.calls, operation, calls)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with opened(one.folder / DATABASE) as database:
        kept = {name: len(list(rows_of(database, name))) for name in tables(database)}
    return Attempt(operation, time.monotonic() - began, kept, server.calls())


def watch(process: subprocess.Popen[bytes], calls: Callable[[], dict[str, Any]], operation: str, enough: int) -> None:
    """Return as soon as there were more of the calls. Raises NotMeasured when the pass ends before."""
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        ended = process.poll() is not None
        if calls()["operations"].get(operation, {}).get("calls", 0) > enough:
            return
        if ended:
            raise NotMeasured(f"The pass ended before it had made {enough} {operation} calls, so it was not killed.")
        time.sleep(0.02)
    raise NotMeasured(f"After {LONGEST} s the pass had not made {enough} {operation} calls.")


# --- comparing -----------------------------------------------------------------------------------------


def compare(wanted: Path, found: Path) -> dict[str, Any]:
    """Two SQLite databases, table by table, whatever tables and columns the models have."""
    counts: dict[str, int] = {}
    unlike: dict[str, Any] = {}
    with opened(wanted) as one, opened(found) as other:
        for name in sorted({*tables(one), *tables(other)}):
            left = {digest(row) for row in rows_of(one, name)}
            right = {digest(row) for row in rows_of(other, name)}
            counts[name] = len(left)
            if left != right:
                unlike[name] = {
                    "missing": len(left - right),
                    "extra": len(right - left),
                    "for_example": examples(rows_of(one, name), right) + examples(rows_of(other, name), left),
                }
    return {"rows": counts, "same_rows": not unlike, "differing": unlike}


def examples(rows: Iterable[dict[str, Any]], known: set[bytes]) -> list[dict[str, Any]]:
    return list(islice((row for row in rows if digest(row) not in known), DIFFERING))


def digest(row: dict[str, Any]) -> bytes:
    """Small, so that two databases of 100,000 instances fit in memory."""
    return hashlib.blake2b(repr(row).encode(), digest_size=8).digest()


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=60)) as database:
        yield database


def tables(database: sqlite3.Connection) -> list[str]:
    """Those of the app that have rows, without the collector's own diary."""
    named = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'migration_%'")
    every = sorted(str(name) for (name,) in named if name not in NOT_COMPARED)
    return [name for name in every if database.execute(f"SELECT EXISTS (SELECT 1 FROM {name})").fetchone()[0]]  # noqa: S608 -- the database's own names


def rows_of(database: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    """The rows without times and ids of ours; a foreign key is replaced by the name of what it points to."""
    foreign = {
        str(key[3]): dict(database.execute(NAMES[key[2]]).fetchall())
        for key in database.execute(f"PRAGMA foreign_key_list({table})")
        if key[2] in NAMES
    }
    cursor = database.execute(f"SELECT * FROM {table}")  # noqa: S608 -- the database's own name
    columns = [str(column[0]) for column in cursor.description]
    compared = [name for name in columns if name in KEPT or name in foreign or not WHEN.fullmatch(name)]
    for values in cursor:
        row = dict(zip(columns, values, strict=True))
        yield {name: foreign[name].get(row[name]) if name in foreign else row[name] for name in compared}


def told(seen: dict[str, Any]) -> dict[str, int]:
    return {name: tally["calls"] for name, tally in sorted(seen["operations"].items())}


def again(alone: dict[str, Any], attempts: list[dict[str, Any]]) -> dict[str, float]:
    """Calls of all the attempts together over those of the undisturbed pass; 1.0: none was made twice."""
    once = told(alone)
    together = {name: sum(told(seen).get(name, 0) for seen in attempts) for name in once}
    return {name: round(together[name] / once[name], 2) for name in once}
