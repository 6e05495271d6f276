"""Passes of `collect` over a fleet of the replay server, made once and read by several measures."""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from benchmarks.installation import Installation, Server, Spent, installed, replay
from benchmarks.recorded import HOUR

# The least history the settings allow, so that a fleet of 100,000 does not bring 150 million points.
SHORT = {
    "IMDSDASH_WINDOW_DAYS": "1",
    "IMDSDASH_BACKFILL_DAYS": "2",
    "IMDSDASH_OVERLAP_DAYS": "1",
    "IMDSDASH_HISTORY_DAYS": "2",
}
POINTS = 24  # recorded of each instance, where a pass shall bring just a day's


@dataclass(frozen=True, slots=True)
class Pass:
    """One `collect --json`."""

    spent: Spent
    told: dict[str, Any]  # what it says of itself
    seen: dict[str, Any]  # what the server saw


@cache
def two(instances: int) -> tuple[Pass, Pass]:
    """The first pass and the next over one account in one Region, with a day's points of each instance."""
    with replay(instances=instances, usage="mixed", **a_day()) as server, installed(server.url, **SHORT) as one:
        return collect(one, server), collect(one, server)


def a_day() -> dict[str, int]:
    """24 recorded hours. They end some hours ago, so that it does not matter when in the hour a pass begins."""
    until = int(time.time()) // HOUR * HOUR - 3 * HOUR
    return {"from": until - POINTS * HOUR, "until": until}


def collect(one: Installation, server: Server, *words: str) -> Pass:
    """Raises NotMeasured unless the pass was complete."""
    server.calls(forget=True)
    spent = one.manage("collect", "--json", *words)
    return Pass(spent, spent.last_object, server.calls())
