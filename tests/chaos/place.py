"""One installation for stories of failing services: PostgreSQL, Redis, two workers of two processes, two beats.

Each story has an account of its own, whose run was approved at the start and waits until the story lets it begin.
"""

import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from celery import Celery

from tests import fleets, services
from tests.chaos.story import WRITE
from tests.processes import House, Process, Sandbox, environment, house

CELERY = (sys.executable, "-m", "celery", "-A", "imdsdash")
SIZE = 4  # instances of an account
ASKED, UNSIGNED, EXPIRED, ALTERED = FORGED = ("only-asked", "unsigned", "expired", "altered")
# Everything discovered, collected, and approved in one process; no run may begin yet. Those that are forged look as
# somebody would leave them who can write to the database, or who waited too long.
BEGIN = """
from datetime import timedelta
from django.contrib.auth.models import User
from django.core.management import call_command
from migration.actions import requests
out = open("/dev/null", "w")
for words in (["accounts", "discover"], ["accounts", "test"], ["collect"]):
    call_command(*words, stdout=out)
ellen, adam = User.objects.create_user("ellen"), User.objects.create_user("adam")
Grant.objects.create(user=ellen, role="engineer")
Grant.objects.create(user=adam, role="approver")
now, far = timezone.now(), timezone.now() + timedelta(days=1)
made = {}
for account in Account.objects.exclude(name="central"):
    draft = requests.draft_plan(account=account, by=ellen, now=now)
    waiting = requests.submit(request=draft, by=ellen, reason="", version=draft.version, now=now)
    if account.name not in ("only-asked", "unsigned"):
        run = requests.approve(request=waiting, by=adam, comment="", version=waiting.version, now=now)
        run.changes.update(not_before=far)
    else:
        run = Run.objects.create(request=waiting, account=account, state="running", created_at=now, started_at=now)
        for one in waiting.plan["changes"]:
            instance = Instance.objects.get(instance_id=one["instance_id"])
            Change.objects.create(
                run=run, instance=instance, target_account_id=account.account_id, region=one["region"],
                resource_id=one["instance_id"], before=one["before"], send=one["send"], not_before=far,
            )
    made[account.name] = run.pk
of = EnforcementRequest.objects.filter
of(account__name="unsigned").update(state="approved", decided_by=adam, decided_at=now)
of(account__name="expired").update(expires_at=now)
more = {"HttpTokens": "required", "HttpEndpoint": "disabled"}
Change.objects.filter(run__account__name="altered").update(send=more)
print(json.dumps(made))
"""


@dataclass
class Place:
    """The installation, and what stories do to it and ask of it."""

    one: House
    sandbox: Sandbox
    redis: services.RedisServer
    postgres: services.PostgresServer
    accounts: dict[str, str]  # the 12 digits, by the story's name
    runs: dict[str, int]
    workers: dict[str, Process]

    def begin(self, *names: str) -> int:
        """Let the runs of these accounts begin: the next sweep finds them. The id of the first."""
        runs = [self.runs[name] for name in names]
        self.change(f"UPDATE migration_change SET not_before = NULL WHERE run_id IN ({', '.join(map(str, runs))})")
        return runs[0]

    def change(self, statement: str) -> None:
        with psycopg.connect(self.postgres.address, autocommit=True) as connection:
            connection.execute(statement.encode())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.postgres.address) as connection:
            return connection.execute(statement.encode()).fetchall()

    @contextmanager
    def broker(self) -> Iterator[tuple[Celery, Any]]:
        """An app, and a connection of its own: those of Celery's pool do not outlive a Redis that went away."""
        with (
            Celery(broker=self.redis.address, set_as_current=False) as app,
            app.connection_for_write() as connection,
        ):
            yield app, connection

    def send(self, task: str, *args: Any, times: int = 1, queue: str = "enforce", **more: Any) -> None:
        """The same message, as often as that: as a broker, or somebody who got into it, hands it out."""
        with self.broker() as (app, connection):
            for _ in range(times):
                app.send_task(
                    f"migration.tasks.{task}", args=args, queue=queue, ignore_result=True, connection=connection, **more
                )

    def restart_the_ended(self) -> None:
        """As Docker's `restart: unless-stopped` does. Celery's worker ends when Redis goes away while it has a message
        in hand, once its tasks are done: kombu 5.7 cannot give the message back (kombu issue 582).
        """
        for name, worker in self.workers.items():
            if worker.child.poll() is not None:
                self.workers[name] = self.one.worker(name)

    def wait_until_idle(self, *names: str) -> None:
        """These workers have nothing in hand; without names, all of them."""
        for name in names or tuple(self.workers):
            until = time.monotonic() + 40
            whole = f"{name}@{socket.gethostname()}"
            with self.broker() as (app, connection):
                asking = app.control.inspect(destination=[whole], timeout=0.5, connection=connection)
                while (asking.active() or {}).get(whole) != []:
                    self.restart_the_ended()
                    assert time.monotonic() < until, self.workers[name].log.read_text()[-1500:]

    def written(self, name: str) -> Counter[str]:
        """How often each instance of the account was written to, by the journal of AWS."""
        calls = self.sandbox.calls(operation=WRITE, account_id=self.accounts[name])
        return Counter(call["params"]["InstanceId"] for call in calls)

    def holder(self, name: str) -> str:
        """The worker that has a change of this account in hand."""
        held = f"SELECT lease_owner FROM migration_change WHERE run_id = {self.runs[name]} AND lease_owner <> ''"
        self.one.wait_for(f"SELECT EXISTS ({held})")
        group = os.getpgid(int(str(self.one.value(held)).split(":")[1]))
        return next(worker for worker, process in self.workers.items() if process.child.pid == group)

    def wait_for_a_write(self, name: str, count: int = 1) -> None:
        changes = f"FROM migration_change WHERE run_id = {self.runs[name]} AND writes > 0"
        self.one.wait_for(f"SELECT count(*) >= {count} {changes}")

    def let_time_pass(self, name: str) -> None:
        """The leases of the run and its changes run out, as if their minute had passed."""
        run = self.runs[name]
        self.change(f"UPDATE migration_change SET lease_expires_at = now() WHERE run_id = {run} AND lease_owner <> ''")
        self.change(f"UPDATE migration_run SET driver_expires_at = now() WHERE id = {run}")

    def standing(self, name: str) -> list[Any]:
        """All that is stored of a run and its changes, and all that was told of any account's."""
        run = self.runs[name]
        changes = self.rows(f"SELECT * FROM migration_change WHERE run_id = {run} ORDER BY id")
        told = self.rows("SELECT seq, object_type, object_id, verb FROM migration_auditevent ORDER BY seq")
        over = self.rows(f"SELECT state, state_reason, finished_at FROM migration_run WHERE id = {run}")
        return [changes, told, over]

    def settled(self, name: str, *, most: int = 1) -> None:
        """The run ends; all of it is done, once, and told once. `most`: writes to one instance, and only to one."""
        run = self.runs[name]
        over = f"SELECT state NOT IN ('queued', 'running') FROM migration_run WHERE id = {run}"
        self.one.wait_for(over, seconds=60)
        assert self.rows(f"SELECT state, state_reason FROM migration_run WHERE id = {run}") == [("done", "")]
        changes = f"FROM migration_change WHERE run_id = {run}"
        found = self.rows(f"SELECT resource_id, state, after ->> 'HttpTokens', writes <= {most} {changes}")
        assert {row[1:] for row in found} == {("verified", "required", True)}
        told = self.rows(
            "SELECT count(*) FROM migration_auditevent WHERE object_type = 'Change' AND verb = 'change.verified'"
            f" AND object_id IN (SELECT id::text {changes}) GROUP BY object_id"
        )
        assert told == [(1,)] * SIZE, "exactly one `after` each"
        written = self.written(name)
        assert written.keys() == {row[0] for row in found}
        assert max(written.values()) <= most
        assert sum(written.values()) <= SIZE + most - 1

    def nothing_unapproved(self) -> None:
        """Every write there ever was belongs to a change of an approved run, in its account, with what was approved."""
        planned = {
            row[0]: row[1:]
            for row in self.rows(
                "SELECT c.resource_id, c.target_account_id, r.state FROM migration_change c"
                " JOIN migration_run u ON c.run_id = u.id JOIN migration_enforcementrequest r ON u.request_id = r.id"
            )
        }
        for call in self.sandbox.calls(operation=WRITE):
            params = call["params"]
            assert planned[params["InstanceId"]] == (call["account_id"], "approved")
            assert params["HttpTokens"] == "required"
            assert set(params) <= {"InstanceId", "HttpTokens", "Action", "Version"}, params
        for name in FORGED:
            assert not self.written(name)


@contextmanager
def running(folder: Path, names: Iterable[str]) -> Iterator[Place]:
    """The installation with an account for each name; at the end its audit chain must hold."""
    accounts = {name: f"{number:012d}" for number, name in enumerate((*names, *FORGED), 700_000_000_000)}
    postgres, redis = services.PostgresServer(), services.RedisServer()
    try:
        more = {
            "DATABASE_URL": postgres.address, "REDIS_URL": redis.address, "IMDSDASH_EXTERNAL_ID": fleets.EXTERNAL_ID,
            "IMDSDASH_LEASE_SECONDS": "60", "IMDSDASH_AWS_READ_TIMEOUT": "50",  # no call that is held is given up
        }  # fmt: skip
        House(folder, environment(folder, **more)).manage("migrate", "--verbosity", "0")
        with house(folder, _fleet(accounts), **more) as (one, sandbox):
            workers = {name: one.worker(name) for name in ("first", "second")}  # they rise while the rest is prepared
            runs = one.ask(BEGIN)
            assert runs.keys() == accounts.keys()
            for name in ("beat-one", "beat-two"):  # each with a timetable of its own
                one.start(name, *CELERY, "beat", "-s", str(folder / name))
            place = Place(one, sandbox, redis, postgres, accounts, runs, workers)
            place.wait_until_idle()
            yield place
            assert "the chain holds" in one.manage("audit", "verify")
            for process in one.processes[1:]:
                process.kill()  # nothing is left to be finished
    finally:
        redis.stop()
        postgres.remove()


def _fleet(accounts: dict[str, str]) -> dict[str, Any]:
    """The central account, and one for each story."""
    group = {"count": SIZE, "name_prefix": "web", **fleets.QUIET}
    members = [
        {"id": number, "name": name, "regions": ["us-east-1"], "roles": fleets.ROLES, "instances": [group]}
        for name, number in accounts.items()
    ]
    central = {"id": fleets.CENTRAL, "name": "central", "regions": ["us-east-1"]}
    return {"settings": {"apply_seconds": 0.2}, "accounts": [central, *members]}
