"""kill -9 of `manage.py collect`, in mid-inventory and again in mid-usage; a third run ends with the rows of one."""

import json
import shutil
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from benchmarks.resume import compare
from migration.tasks.scope import asked_until
from tests import fleets
from tests.processes import DATABASE, MANAGE, House, Process, Sandbox, house

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")
SIZE = 400  # instances of a Region; DescribeInstances takes two calls, for AWS may give an empty page first
CALLS = {"profile": "office", "calls_per_hour": 20}


def fleet() -> dict:
    groups = [
        group | {"region": region}
        for region in REGIONS
        for group in (
            {"count": SIZE - 150, "name_prefix": "quiet", **fleets.QUIET},
            {"count": 100, "name_prefix": "web", "launched_days_ago": [1, 60], "usage": CALLS},
            {"count": 50, "name_prefix": "done", "http_tokens": "required", "enforced_days_ago": 5},
            {"count": 5, "state": "terminated", "launched_days_ago": 5, "stopped_days_ago": 3, "usage": CALLS},
        )
    ]
    return fleets.alone(*groups, regions=REGIONS, settings={"empty_pages": True})


@pytest.mark.chaos
def test_a_collect_that_is_killed_twice_goes_on_and_ends_with_the_rows_of_one_left_alone(tmp_path: Path):
    folders = [tmp_path / "alone", tmp_path / "killed"]
    for folder in folders:
        folder.mkdir()
    wait_until_no_hour_ends()
    with house(folders[0], fleet(), IMDSDASH_AWS_READ_TIMEOUT="60", IMDSDASH_LEASE_SECONDS="90") as (alone, sandbox):
        shutil.copy(folders[0] / DATABASE, folders[1])
        killed = House(folders[1], alone.environment | {"IMDSDASH_DATA_DIR": str(folders[1])}, alone.processes)
        alone.manage("collect")

        listed, measured = (f"SELECT count(*) FROM migration_{name}" for name in ("instance", "instanceday"))
        begin_and_kill(killed, sandbox, "DescribeInstances", spare=4, then="ListMetrics", written=listed)
        assert 0 < killed.value(listed) < len(REGIONS) * SIZE
        assert not killed.value(measured)

        again = begin_and_kill(killed, sandbox, "GetMetricData", spare=2, written=measured)
        assert "Going on with the pass" in again.log.read_text()
        known = f"{listed} WHERE usage_until IS NOT NULL"
        assert 0 < killed.value(known) < alone.value(known)

        told = json.loads(killed.manage("collect", "--json").strip().splitlines()[-1])

        assert told["scopes"] == {"complete": 3, "incomplete": 0, "denied": 0}
        assert told["instances"] == len(REGIONS) * SIZE
        asked = alone.value("SELECT sum(metrics) FROM migration_apiday")
        assert told["metric_queries"] < asked, "what has been read is not asked again"
    assert compare(folders[0] / DATABASE, folders[1] / DATABASE)["differing"] == {}


def begin_and_kill(
    one: House, sandbox: Sandbox, operation: str, *, spare: int, written: str, then: str = "nothing"
) -> Process:
    """Begin a pass, let so many of the calls through, hold those after them and all of `then`, and kill it there, once
    the query `written` shows that the answers that came are stored.
    """
    sandbox.faults(
        {"kind": "barrier", "name": "kill", "operation": operation, "after": spare},
        {"kind": "barrier", "name": "then", "operation": then},
    )
    process = one.start("collect", sys.executable, MANAGE, "collect")
    sandbox.wait_for_barrier("kill")
    one.wait_for(written)
    process.kill()
    sandbox.faults()
    sandbox.release("kill", "drop")
    sandbox.release("then", "drop")
    return process


def wait_until_no_hour_ends() -> None:
    """All of the story asks up to one hour."""
    while asked_until(timezone.now()) != asked_until(timezone.now() + timedelta(minutes=1)):
        time.sleep(1)
