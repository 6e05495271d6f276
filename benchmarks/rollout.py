"""Approved runs in many accounts at once, against the pretend AWS with its token buckets on: how near the allowed pace
they come, and whether anybody is throttled by it.
"""

import json
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import services
from benchmarks.installation import MANAGE, Installation, NotMeasured, bare_environment, end, scratch

FLEET = {False: (20, 500), True: (2, 6)}  # accounts, instances in each, by quick
PACE = 2.5  # writes a second that imdsdash allows itself: half of AWS's 5 per account and Region
THREADS = "24"
CENTRAL, EXTERNAL_ID = "111122223333", "imdsdash-bench"
WRITE = "ModifyInstanceMetadataOptions"
PREPARE = """
import json
from django.contrib.auth.models import User
from django.utils import timezone
from migration.actions import requests
from migration.models import *
Instance.objects.update(
    status="ready", status_reason="14 of 14 days", measured_days=14, window_days=14, usage_until=timezone.now(),
    blockers=[], warnings=[],
)
ellen, adam = User.objects.create_user("ellen"), User.objects.create_user("adam")
Grant.objects.create(user=ellen, role="engineer")
Grant.objects.create(user=adam, role="approver")
for account in Account.objects.exclude(account_id="111122223333"):
    now = timezone.now()
    draft = requests.draft_plan(account=account, by=ellen, now=now)
    waiting = requests.submit(request=draft, by=ellen, reason="", version=draft.version, now=now)
    requests.approve(request=waiting, by=adam, comment="", version=waiting.version, now=now)
print(json.dumps({"changes": Change.objects.count(), "runs": Run.objects.count()}))
"""
LEFT = "SELECT count(*) FROM migration_change WHERE state NOT IN ('verified', 'skipped', 'failed')"
STATES = "SELECT state, count(*) FROM migration_change GROUP BY state"
TOOK = "SELECT extract(epoch FROM max(called_at) - min(called_at))::float FROM migration_change"
EACH = (
    "SELECT extract(epoch FROM max(called_at) - min(called_at))::float FROM migration_change GROUP BY target_account_id"
)
LONGEST = 3000  # seconds


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Seconds from the first write to the last, of one account and of all of them, over the least the pace allows."""
    accounts, instances = FLEET[quick]
    with scratch() as folder, services.postgres(folder) as database, services.redis(folder) as broker:
        port = services.free_port()
        (folder / "fleet.json").write_text(json.dumps(fleet(accounts, instances)))
        services.create_database(database, "rollout")
        one = Installation(
            folder,
            bare_environment(
                folder,
                AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
                DATABASE_URL=f"{database.url}rollout",
                REDIS_URL=f"{broker.url}0",
                IMDSDASH_EXTERNAL_ID=EXTERNAL_ID,
                IMDSDASH_CANARY_MINUTES="0",
                IMDSDASH_BACKFILL_DAYS="15",
            ),
        )
        sandbox = one.start(
            "sandbox", sys.executable, MANAGE, "sandbox", "--port", str(port), "--fleet", str(folder / "fleet.json")
        )
        try:
            services.wait_for_port(port)
            return _measured(one, port, accounts, instances)
        finally:
            end(sandbox)


def _measured(one: Installation, port: int, accounts: int, instances: int) -> dict[str, Any]:
    one.manage("migrate", "--verbosity", "0")
    one.manage("accounts", "discover")
    one.manage("collect")
    said = one.manage("shell", "--no-imports", "-c", PREPARE).last_object
    if said != {"changes": accounts * instances, "runs": accounts}:
        raise NotMeasured(f"Planned were {said}, not {accounts} runs of {instances} changes.")
    _ask(port, "DELETE")
    celery = [sys.executable, "-m", "celery", "-A", "imdsdash"]
    worker = one.start("worker", *celery, "worker", "-Q", "enforce", "-P", "threads", "-c", THREADS, "-l", "WARNING")
    beat = one.start("beat", *celery, "beat", "-s", str(Path(one.folder) / "beat"), "-l", "WARNING")
    try:
        _wait(one)
    finally:
        end(beat)
        end(worker)
    with psycopg.connect(one.environment["DATABASE_URL"]) as connection:
        states: dict[str, int] = dict(connection.execute(STATES.encode()).fetchall())
        whole = connection.execute(TOOK.encode()).fetchone()
        each = sorted(row[0] for row in connection.execute(EACH.encode()).fetchall())
    calls = _ask(port, "GET")["calls"]
    least = (instances - 1) / PACE
    return {
        "accounts": accounts,
        "instances": accounts * instances,
        "threads": int(THREADS),
        "states": states,
        "least_seconds": least,
        "seconds_of_one_account": {"median": round(each[len(each) // 2], 1), "slowest": round(each[-1], 1)},
        "one_account_over_least": round(each[len(each) // 2] / least, 2),
        "all_over_least": round((whole[0] if whole else 0) / least, 2),
        "writes_an_instance": round(sum(call["operation"] == WRITE for call in calls) / (accounts * instances), 3),
        "throttled": sum(call["error_code"] == "RequestLimitExceeded" for call in calls),
        "calls": dict(Counter(call["operation"] for call in calls)),
    }


def fleet(accounts: int, instances: int) -> dict[str, Any]:
    """An organization whose members have quiet instances in one Region."""
    roles = [
        {"name": f"imdsdash-{kind}", "kind": kind, "external_id": EXTERNAL_ID, "trusted": [CENTRAL]}
        for kind in ("reader", "enforcer")
    ]
    members = [
        {
            "id": f"{222200000000 + number}",
            "name": f"member-{number}",
            "regions": ["us-east-1"],
            "roles": roles,
            "instances": [{"count": instances, "name_prefix": "web", "launched_days_ago": 40, "usage": "quiet"}],
        }
        for number in range(accounts)
    ]
    central = {"id": CENTRAL, "name": "central", "regions": ["us-east-1"], "roles": roles}
    return {"settings": {"apply_seconds": 0.5}, "accounts": [central, *members]}


def _wait(one: Installation) -> None:
    until, left = time.monotonic() + LONGEST, None
    with psycopg.connect(one.environment["DATABASE_URL"], autocommit=True) as connection:
        while time.monotonic() < until:
            left = connection.execute(LEFT.encode()).fetchone()
            if left is not None and left[0] == 0:
                return
            time.sleep(0.5)
    raise NotMeasured(f"After {LONGEST} s {left and left[0]} changes were not settled.")


def _ask(port: int, method: str) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/_sandbox/calls", method=method
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 -- our own sandbox
        return json.loads(answer.read() or b"null")
