"""CPU of a whole pass (inventory, 24 hourly points, database) beside botocore's parsing of the same pages."""

import json
import sys
from typing import Any

from benchmarks import passes
from benchmarks.installation import Installation, Server, installed, replay
from benchmarks.passes import POINTS, SHORT

SIZE = 10_000
QUICK = 200
AIM = 0.6
MICRO = 1e6


def measure(*, quick: bool = False) -> dict[str, Any]:
    """CPU is user and system time of the whole child process, by the operating system.

    `ratio`: that of a pass, the start of the process included, over that of a stock boto3 client which reads the same
    pages and drops them, its start not included. `ratio_to_parsers`: over botocore's parsers alone on the same bytes.
    """
    size = QUICK if quick else SIZE
    hours = passes.a_day()
    with replay(instances=size, usage="mixed", **hours) as server, installed(server.url, **SHORT) as one:
        stock = one.run(
            sys.executable, "-m", "benchmarks.stock", server.url, str(size), str(hours["from"]), str(hours["until"])
        ).last_object
        start = one.manage("check")
        first, later = passes.collect(one, server), passes.collect(one, server)
        profile = sampled(one, server)
    client, parsers = sum(stock["client"].values()), sum(stock["parser"].values())
    cpu = {"first_pass": first.spent.cpu_seconds, "later_pass": later.spent.cpu_seconds}
    return {
        "instances": size,
        "points_an_instance": POINTS,
        "xml_bytes_an_instance": round(stock["bytes"]["inventory"] / size),
        "cpu_us_an_instance": {name: micro(seconds, size) for name, seconds in cpu.items()}
        | {"of_that_starting_python_and_django": micro(start.cpu_seconds, size)},
        "stock_us_an_instance": {
            which: {kind: micro(seconds, size) for kind, seconds in stock[which].items()}
            | {"both": micro(sum(stock[which].values()), size)}
            for which in ("client", "parser", "bare")
        },
        "stock_us_a_point": round(stock["parser"]["points"] / size / POINTS * MICRO, 1),
        "ratio": {name: round(seconds / client, 3) for name, seconds in cpu.items()},
        "aim": AIM,
        "ratio_to_parsers": {name: round(seconds / parsers, 3) for name, seconds in cpu.items()},
        "where_it_goes": profile,
    }


def sampled(one: Installation, server: Server) -> dict[str, Any]:
    """One more pass, watched."""
    server.calls(forget=True)
    report = one.folder / "sampled.json"
    one.run(sys.executable, "-m", "benchmarks.sampled", str(report), "collect", "--json")
    told: dict[str, Any] = json.loads(report.read_text())
    return told


def micro(seconds: float, instances: int) -> int:
    return round(seconds / instances * MICRO)
