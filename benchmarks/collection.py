"""One account, three Regions, 1,000 instances: AWS calls beside the fewest possible, and seconds, in two passes."""

import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MANAGE = str(ROOT / "manage.py")
REGIONS = {"us-east-1": 334, "eu-west-1": 333, "ap-southeast-2": 333}
INSTANCES_PER_CALL = 1000  # DescribeInstances, MaxResults
QUERIES_PER_CALL = 500  # GetMetricData
POINTS_PER_CALL = 100_800  # GetMetricData, datapoints of one answer
READY_WITHIN = 60  # seconds for the pretend AWS to come up


def measure() -> dict[str, Any]:
    """Two passes over a fresh installation. Every instance runs and is `optional`, so every one is asked about."""
    with tempfile.TemporaryDirectory(prefix="imdsdash-bench-") as name, pretend_aws(Path(name)) as (url, environment):
        manage(environment, "migrate", "--verbosity", "0")
        return {
            "instances": sum(REGIONS.values()),
            "regions": len(REGIONS),
            "first_pass": one_pass(url, environment),
            "second_pass": one_pass(url, environment),
        }


def one_pass(url: str, environment: dict[str, str]) -> dict[str, Any]:
    """`collect --json`, and what the pretend AWS saw of it."""
    seen = max((call["seq"] for call in journal(url)), default=0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    told = json.loads(manage(environment, "collect", "--json").strip().splitlines()[-1])
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    calls = [call for call in journal(url) if call["seq"] > seen]
    thousands = told["instances"] / 1000
    return {
        "scopes": told["scopes"],
        "metric_queries": told["metric_queries"],
        "calls": {
            "DescribeInstances": beside(calls, "DescribeInstances", fewest_describe()),
            "GetMetricData": beside(calls, "GetMetricData", fewest_metric(calls)),
        },
        "seconds_per_1000_instances": round(seconds / thousands, 2),
        "cpu_seconds_per_1000_instances": round(cpu / thousands, 2),
    }


def beside(calls: list[dict[str, Any]], operation: str, fewest: int) -> dict[str, float]:
    made = sum(call["operation"] == operation for call in calls)
    return {"made": made, "fewest_possible": fewest, "ratio": round(made / fewest, 3)}


def fewest_describe() -> int:
    return sum(math.ceil(count / INSTANCES_PER_CALL) for count in REGIONS.values())


def fewest_metric(calls: list[dict[str, Any]]) -> int:
    """By the number of queries, or by the datapoints their window holds, whichever asks for more calls."""
    return sum(
        max(math.ceil(count / QUERIES_PER_CALL), math.ceil(count * hours(calls, region) / POINTS_PER_CALL))
        for region, count in REGIONS.items()
    )


def hours(calls: list[dict[str, Any]], region: str) -> int:
    """The length of the window that was asked for in a Region."""
    asked = next(call["params"] for call in calls if call["operation"] == "GetMetricData" and call["region"] == region)
    return round((float(asked["EndTime"]) - float(asked["StartTime"])) / 3600)  # epoch seconds


@contextmanager
def pretend_aws(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A sandbox with the fleet, and the environment of an installation in the folder that talks to it."""
    groups = [
        {
            "count": count,
            "region": region,
            "name_prefix": f"bench-{position}",
            "launched_days_ago": 100,
            "usage": "quiet",
        }
        for position, (region, count) in enumerate(REGIONS.items())
    ]
    fleet = {"accounts": [{"id": "111122223333", "name": "bench", "regions": list(REGIONS), "instances": groups}]}
    (folder / "fleet.json").write_text(json.dumps(fleet))
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    environment |= {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "IMDSDASH_DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder / 'bench.sqlite3'}",
        "REDIS_URL": "",
        "PYTHONUNBUFFERED": "1",
    }
    words = [sys.executable, MANAGE, "sandbox", "--port", "0", "--fleet", str(folder / "fleet.json")]
    with subprocess.Popen(words, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 -- our own manage.py
        try:
            assert server.stdout is not None  # noqa: S101 -- for the type checker: it is a pipe
            url = next(word for word in server.stdout.readline().split() if word.startswith("http://"))
            yield url, environment | {"AWS_ENDPOINT_URL": url}
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(READY_WITHIN)


def manage(environment: dict[str, str], *words: str) -> str:
    """Run a command to its end; its standard output. A failure ends the benchmark with the command's own words."""
    done = subprocess.run(  # noqa: S603 -- our own manage.py
        [sys.executable, MANAGE, *words], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"`manage.py {' '.join(words)}` ended with {done.returncode}, so nothing was measured.")
    return done.stdout


def journal(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/_sandbox/calls", timeout=30) as answer:  # noqa: S310 -- our own sandbox on loopback
        found: list[dict[str, Any]] = json.load(answer)["calls"]
    return found
