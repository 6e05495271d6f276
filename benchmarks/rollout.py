"""A whole fleet made to require IMDSv2, as production does it: approved runs of many accounts at once, an enforcing
worker of docker-compose.yml for each core on PostgreSQL and Redis, beat, and a pretend AWS with AWS's own limits.

The limit is our own share: of an account's ModifyInstanceMetadataOptions we take IMDSDASH_WRITES_PER_SECOND, so a run
cannot be over before its instances ÷ that. In some accounts a client of the owners takes the other half meanwhile.
"""

import contextlib
import json
import os
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psycopg
from botocore.config import Config
from botocore.exceptions import ClientError

from benchmarks import services
from benchmarks.installation import MANAGE, ROOT, Installation, NotMeasured, bare_environment, end, scratch
from benchmarks.passes import SHORT
from benchmarks.scale_out import listening, wait

FLEET = {False: (20, 500), True: (3, 6)}  # accounts, instances of each, by quick
OWNERS = {False: 2, True: 1}  # accounts whose owners write as well
REGION, CENTRAL, EXTERNAL_ID = "us-east-1", "111122223333", "imdsdash-bench"
WRITES_PER_SECOND = 2.5  # half of AWS's 5, the most the settings allow
WRITE = "ModifyInstanceMetadataOptions"
LONGEST = 3600  # seconds for all runs
PREPARE = """
import json
from django.contrib.auth.models import User
from django.utils import timezone
from migration.actions import requests
from migration.models import Account, Grant
ellen, adam = User.objects.create_user("ellen"), User.objects.create_user("adam")
Grant.objects.create(user=ellen, role="engineer")
Grant.objects.create(user=adam, role="approver")
changes = 0
for account in Account.objects.filter(name__startswith="member"):
    now = timezone.now()
    draft = requests.draft_plan(account=account, by=ellen, now=now)
    waiting = requests.submit(request=draft, by=ellen, reason="", version=draft.version, now=now)
    changes += requests.approve(request=waiting, by=adam, comment="", version=waiting.version, now=now).changes.count()
print(json.dumps({"changes": changes}))
"""
SWEEP = """
from imdsdash.celery import app
app.send_task(app.conf.beat_schedule["sweep-the-enforcement-queue"]["task"])
"""
LEFT = "SELECT count(*) FROM migration_run WHERE state IN ('queued', 'running')"
TOOK = "SELECT extract(epoch FROM finished_at - started_at)::float FROM migration_run ORDER BY 1"
OUTCOMES = "SELECT state, count(*), max(writes) FROM migration_change GROUP BY state"


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Seconds from the first wake-up to the last run over, and what was asked of AWS for it."""
    accounts, instances = FLEET[quick]
    fleet = organization(accounts, instances)
    with (
        scratch() as folder,
        services.postgres(folder) as database,
        services.redis(folder) as broker,
        pretend_aws(folder, fleet) as (url, aws),
    ):
        services.create_database(database, "rollout")
        environment = bare_environment(
            folder,
            AWS_ENDPOINT_URL=url,
            DATABASE_URL=f"{database.url}rollout",
            REDIS_URL=f"{broker.url}0",
            IMDSDASH_EXTERNAL_ID=EXTERNAL_ID,
            IMDSDASH_WRITES_PER_SECOND=str(WRITES_PER_SECOND),
            IMDSDASH_CANARY_MINUTES="0",  # the canary's half hour is the policy's, not the machinery's
            **SHORT,
        )
        one = Installation(folder, environment)
        prepare(one, expected=accounts * instances)
        owners = Owners(url, [account["id"] for account in fleet["accounts"][1 : 1 + OWNERS[quick]]])
        ask(url, "DELETE", "calls")
        workers = os.cpu_count() or 1
        with enforcing(one, workers) as pids, owners.writing():
            one.run(sys.executable, "-c", SWEEP)  # beat's first would come after half a minute
            began, before = time.monotonic(), cpu(pids, aws, database.pid)
            wait(one, LEFT, lambda left: left == 0, seconds=LONGEST)
            seconds = time.monotonic() - began
            used = {name: round(now - before[name], 1) for name, now in cpu(pids, aws, database.pid).items()}
        return told(one, url, owners, seconds=seconds, limit=instances / WRITES_PER_SECOND) | {
            "accounts": accounts,
            "instances": accounts * instances,
            "worker": worker_words(),
            "workers": workers,
            "cores": os.cpu_count(),
            "cpu_seconds": used,
        }


def organization(accounts: int, instances: int) -> dict[str, Any]:
    """A management account, and members with quiet instances and one of their owners' own, which requires IMDSv2."""
    roles = [
        {"name": "imdsdash-reader", "kind": "reader", "external_id": EXTERNAL_ID, "trusted": [CENTRAL]},
        {"name": "imdsdash-enforcer", "kind": "enforcer", "external_id": EXTERNAL_ID, "trusted": [CENTRAL]},
        {"name": "owner", "kind": "admin", "trusted": [CENTRAL]},
    ]
    quiet = {"count": instances, "name_prefix": "web", "launched_days_ago": 40, "usage": "quiet"}
    members = [
        {
            "id": f"{500_000_000_000 + number}",
            "name": f"member-{number}",
            "regions": [REGION],
            "roles": roles,
            "instances": [quiet, {"name": "theirs", "http_tokens": "required", "enforced_days_ago": 5}],
        }
        for number in range(accounts)
    ]
    return {"accounts": [{"id": CENTRAL, "name": "central", "regions": [REGION]}, *members]}


@contextmanager
def pretend_aws(folder: Path, fleet: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """The sandbox with AWS's token buckets, in a process of its own: its address and its pid."""
    port = services.free_port()
    (folder / "fleet.json").write_text(json.dumps(fleet))
    (folder / "faults.json").write_text(json.dumps({"rules": [{"kind": "request_limits"}]}))
    words = [sys.executable, MANAGE, "sandbox", "--port", str(port)]
    words += ["--fleet", str(folder / "fleet.json"), "--faults", str(folder / "faults.json")]
    process = Installation(folder, bare_environment(folder)).start("sandbox", *words)
    try:
        services.wait_for_port(port)
        yield f"http://{services.HOST}:{port}", process.pid
    finally:
        end(process)


def ask(url: str, method: str, path: str) -> Any:
    """A page of the sandbox's own."""
    request = urllib.request.Request(f"{url}/_sandbox/{path}", method=method)  # noqa: S310 -- our own server
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")


def prepare(one: Installation, *, expected: int) -> None:
    """Everything collected, planned and approved. Raises NotMeasured when not every instance is in a plan."""
    one.manage("migrate", "--verbosity", "0")
    one.manage("accounts", "discover")
    one.manage("accounts", "test")
    one.manage("collect")
    planned = one.manage("shell", "--no-imports", "-c", PREPARE).last_object["changes"]
    if planned != expected:
        raise NotMeasured(f"{planned} of {expected} instances are in approved plans.")


def worker_words() -> list[str]:
    """How docker-compose.yml starts the enforcing worker."""
    lines = (ROOT / "docker-compose.yml").read_text().partition("  worker-enforce:\n")[2].splitlines()
    command = next(line for line in lines if line.strip().startswith("command:"))
    words: list[str] = json.loads(command.partition(":")[2])
    return words


@contextmanager
def enforcing(one: Installation, workers: int) -> Iterator[list[int]]:
    """So many workers of docker-compose.yml (`--scale worker-enforce=N`) and beat; the workers' pids."""
    with contextlib.ExitStack() as stack:
        pids = []
        for number in range(workers):
            name = f"worker-{number}"
            beats = {"IMDSDASH_HEARTBEAT_FILE": str(one.folder / f"{name}.beats")}
            words = [word.replace("@%h", f"-{number}@%h") for word in worker_words()]  # each is a host of its own there
            worker = one.start(name, sys.executable, "-m", *words, **beats)
            stack.callback(end, worker)
            pids.append(worker.pid)
        for number in range(workers):
            listening(one.folder / f"worker-{number}")
        words = [sys.executable, "-m", "celery", "-A", "imdsdash", "beat", "-s", str(one.folder / "beat")]
        stack.callback(end, one.start("beat", *words))
        yield pids


@dataclass
class Owners:
    """Others who write to instances of their own in some accounts, as fast as our share leaves to them."""

    url: str
    accounts: list[str]
    calls: int = 0
    throttled: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def writing(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._write, args=(account,)) for account in self.accounts]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join()

    def _write(self, account: str) -> None:
        ec2 = self._client(account)
        found = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["theirs"]}])
        mine = found["Reservations"][0]["Instances"][0]["InstanceId"]
        due = time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            due = max(due, time.monotonic()) + 1 / WRITES_PER_SECOND
            self.calls += 1
            try:
                ec2.modify_instance_metadata_options(InstanceId=mine, HttpPutResponseHopLimit=1 + self.calls % 2)
            except ClientError as error:
                if error.response["Error"]["Code"] != "RequestLimitExceeded":
                    raise
                self.throttled += 1

    def _client(self, account: str) -> Any:
        keys: dict[str, Any] = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "any"}
        options: dict[str, Any] = {
            "endpoint_url": self.url,
            "region_name": REGION,
            "config": Config(retries={"total_max_attempts": 1}),
        }
        role = f"arn:aws:iam::{account}:role/owner"
        sts = boto3.Session(**keys).client("sts", **options)
        given = sts.assume_role(RoleArn=role, RoleSessionName="owner")["Credentials"]
        keys = {"aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"]}
        return boto3.Session(**keys, aws_session_token=given["SessionToken"]).client("ec2", **options)


def cpu(workers: list[int], aws: int, database: int) -> dict[str, float]:
    """CPU seconds so far."""
    own = {"workers": sum(map(services.cpu_seconds, workers)), "pretend_aws": services.cpu_seconds(aws)}
    return own | {"postgresql": services.cpu_seconds(database), "all_of_the_machine": services.machine_busy()[0]}


def told(one: Installation, url: str, owners: Owners, *, seconds: float, limit: float) -> dict[str, Any]:
    calls = [call for call in ask(url, "GET", "calls")["calls"] if call["role_name"] != "owner"]
    with psycopg.connect(one.environment["DATABASE_URL"]) as connection:
        took = [row[0] for row in connection.execute(TOOK).fetchall()]
        outcomes = connection.execute(OUTCOMES).fetchall()
    changes = sum(count for _, count, _ in outcomes)
    writes = Counter(call["params"]["InstanceId"] for call in calls if call["operation"] == WRITE)
    return {
        "seconds": round(seconds, 1),
        "limit_seconds": round(limit, 1),
        "ratio": round(seconds / limit, 3),
        "run_seconds": {"shortest": round(took[0], 1), "longest": round(took[-1], 1)},
        "throttled": sum(call["error_code"] == "RequestLimitExceeded" for call in calls),
        "owners": {"accounts": len(owners.accounts), "calls": owners.calls, "throttled": owners.throttled},
        "outcomes": {state: count for state, count, _ in outcomes},
        "most_writes_of_an_instance": max(writes.values(), default=0),
        "calls": dict(sorted(Counter(call["operation"] for call in calls).items())),
        "calls_per_instance": round(len(calls) / changes, 3) if changes else None,
    }
