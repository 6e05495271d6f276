"""Redis, PostgreSQL, workers and messages that fail in the middle of approved runs: nothing is written that nobody
approved, nothing is written twice without need, and every change ends with one outcome.

One installation for all of it, as production has it: PostgreSQL, Redis, two workers of two processes, and two beats.
Each story has an account of its own, whose run was approved at the start and waits until the story lets it begin.
`IMDSDASH_TEST_OUTAGE_SECONDS=60` keeps Redis away for a minute rather than for ten seconds.
"""

import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from celery import Celery
from redis import Redis

from tests import fleets, services
from tests.processes import House, Process, Sandbox, environment, house

WRITE = "ModifyInstanceMetadataOptions"
READ = "DescribeInstances"
TASKS = "migration.tasks"
CELERY = (sys.executable, "-m", "celery", "-A", "imdsdash")
SIZE = 4  # instances of an account
OUTAGE = float(os.environ.get("IMDSDASH_TEST_OUTAGE_SECONDS", "10"))
APPROVED = (
    "asleep-before-intent", "asleep-before-aws", "asleep-after-aws", "flushed", "no-redis", "late", "restarted",
    "fifty",
)  # fmt: skip
FORGED = ("only-asked", "unsigned", "expired", "other-change", "after-forgeries")
ACCOUNTS = {name: f"{number:012d}" for number, name in enumerate((*APPROVED, *FORGED), 700_000_000_000)}
# Everything discovered, collected, and approved in one process; no run may begin yet.
BEGIN = f"""
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
made = {{}}
for account in Account.objects.filter(account_id__in={list(ACCOUNTS.values())!r}):
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
more = {{"HttpTokens": "required", "HttpEndpoint": "disabled"}}
Change.objects.filter(run__account__name="other-change").update(send=more)
print(json.dumps(made))
"""


@contextmanager
def broker(redis: services.Server) -> Iterator[tuple[Celery, Any]]:
    """An app, and a connection of its own: those of Celery's pool do not outlive a Redis that was killed."""
    with Celery(broker=redis.address, set_as_current=False) as app, app.connection_for_write() as connection:
        yield app, connection


@dataclass
class Place:
    """The installation of all stories."""

    one: House
    sandbox: Sandbox
    redis: services.Server
    postgres: services.Server
    runs: dict[str, int]
    workers: dict[str, Process]

    def begin(self, *names: str) -> int:
        """Let the runs of these accounts begin: the next sweep finds them. The id of the first."""
        runs = [self.runs[name] for name in names]
        self.change(f"UPDATE migration_change SET not_before = NULL WHERE run_id IN ({', '.join(map(str, runs))})")
        return runs[0]

    def change(self, statement: str) -> None:
        with psycopg.connect(self.one.environment["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(statement.encode())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.one.environment["DATABASE_URL"]) as connection:
            return connection.execute(statement.encode()).fetchall()

    def send(self, task: str, *args: Any, times: int = 1, queue: str = "enforce") -> None:
        """As often as that, the same message."""
        with broker(self.redis) as (app, connection):
            for _ in range(times):
                app.send_task(f"{TASKS}.{task}", args=args, queue=queue, ignore_result=True, connection=connection)

    def restart_the_ended(self) -> None:
        """As Docker's `restart: unless-stopped` does. Celery's worker ends when Redis goes away while it has a message
        in hand, once its tasks are done: kombu 5.7 cannot give the message back (kombu issue 582).
        """
        for name, worker in self.workers.items():
            if worker.child.poll() is not None:
                self.workers[name] = self.one.worker(name)

    def wait_until_idle(self, name: str) -> None:
        """The worker has nothing in hand."""
        until = time.monotonic() + 40
        whole = f"{name}@{socket.gethostname()}"
        with broker(self.redis) as (app, connection):
            asking = app.control.inspect(destination=[whole], timeout=0.5, connection=connection)
            while (asking.active() or {}).get(whole) != []:
                self.restart_the_ended()
                assert time.monotonic() < until, self.workers[name].log.read_text()[-1500:]

    def written(self, name: str) -> Counter[str]:
        """How often each instance of the account was written to, by the journal of AWS."""
        calls = self.sandbox.calls(operation=WRITE, account_id=ACCOUNTS[name])
        return Counter(call["params"]["InstanceId"] for call in calls)

    def holder(self, name: str) -> str:
        """The worker that has a change of this account in hand."""
        held = f"SELECT lease_owner FROM migration_change WHERE run_id = {self.runs[name]} AND lease_owner <> ''"
        self.one.wait_for(f"SELECT EXISTS ({held})")
        group = os.getpgid(int(str(self.one.value(held)).split(":")[1]))
        return next(worker for worker, process in self.workers.items() if process.child.pid == group)

    def settled(self, name: str, *, most: int = 1) -> None:
        """The run ends; all of it is done, once, and told once. `most`: writes to one instance."""
        run = self.runs[name]
        over = f"SELECT state NOT IN ('queued', 'running') FROM migration_run WHERE id = {run}"
        self.one.wait_for(over, seconds=60)
        assert self.rows(f"SELECT state FROM migration_run WHERE id = {run}") == [("done",)]
        changes = f"FROM migration_change WHERE run_id = {run}"
        tokens = self.rows(f"SELECT resource_id, state, after ->> 'HttpTokens', writes <= {most} {changes}")
        assert {row[1:] for row in tokens} == {("verified", "required", True)}
        told = self.rows(
            "SELECT object_id, count(*) FROM migration_auditevent WHERE object_type = 'Change'"
            f" AND verb = 'change.verified' AND object_id IN (SELECT id::text {changes}) GROUP BY object_id"
        )
        assert sorted(count for _, count in told) == [1] * SIZE, "each has one outcome"
        written = self.written(name)
        assert written.keys() == {row[0] for row in tokens}
        assert max(written.values()) <= most
        assert sum(written.values()) <= SIZE + most - 1

    def nothing_unapproved(self) -> None:
        """Every write there ever was belongs to a change of an approved run, in its account, with what was approved."""
        planned = {
            row[0]: row[1:]
            for row in self.rows(
                "SELECT c.resource_id, c.target_account_id, c.send ->> 'HttpTokens', r.state FROM migration_change c"
                " JOIN migration_run u ON c.run_id = u.id JOIN migration_enforcementrequest r ON u.request_id = r.id"
            )
        }
        for call in self.sandbox.calls(operation=WRITE):
            params = call["params"]
            assert planned[params["InstanceId"]] == (call["account_id"], params["HttpTokens"], "approved")
            assert set(params) <= {"InstanceId", "HttpTokens", "Action", "Version"}, params
        for name in FORGED[:-1]:
            assert not self.written(name)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("failing")
    with services.own_postgres() as postgres, services.own_redis() as redis:
        more = {
            "DATABASE_URL": postgres.address, "REDIS_URL": redis.address, "IMDSDASH_EXTERNAL_ID": fleets.EXTERNAL_ID,
            "IMDSDASH_LEASE_SECONDS": "5",
        }  # fmt: skip
        House(folder, environment(folder, **more)).manage("migrate", "--verbosity", "0")
        with house(folder, fleet(), **more) as (one, sandbox):
            made = one.ask(BEGIN)
            assert made.keys() == ACCOUNTS.keys()
            workers = {name: one.worker(name) for name in ("first", "second")}
            beats(one)
            place = Place(one, sandbox, redis, postgres, made, workers)
            for name in workers:
                place.wait_until_idle(name)
            yield place
            for process in one.processes[1:]:
                process.kill()  # nothing is left to be finished


@pytest.fixture(autouse=True)
def _nothing_unapproved(place: Place) -> Iterator[None]:
    yield
    place.sandbox.faults()
    place.nothing_unapproved()


def fleet() -> dict[str, Any]:
    """The central account, and one for each story."""
    group = {"count": SIZE, "name_prefix": "web", **fleets.QUIET}
    members = [
        {"id": number, "name": name, "regions": ["us-east-1"], "roles": fleets.ROLES, "instances": [group]}
        for name, number in ACCOUNTS.items()
    ]
    central = {"id": fleets.CENTRAL, "name": "central", "regions": ["us-east-1"]}
    return {"settings": {"apply_seconds": 0.2}, "accounts": [central, *members]}


def beats(one: House) -> None:
    """Two, each with a timetable of its own."""
    for name in ("beat-one", "beat-two"):
        one.start(name, *CELERY, "beat", "-s", str(one.folder / name))


def standing(place: Place, name: str) -> list[Any]:
    """All that is stored of a run's changes, and all that was told of any."""
    run = place.runs[name]
    changes = place.rows(f"SELECT * FROM migration_change WHERE run_id = {run} ORDER BY id")
    told = "SELECT seq, object_type, object_id, verb FROM migration_auditevent ORDER BY seq"
    return [changes, place.rows(told), place.rows(f"SELECT state, finished_at FROM migration_run WHERE id = {run}")]


# Where a worker falls asleep, and how often the instance may be written to.
ASLEEP = {
    "asleep-before-intent": (READ, "after", 1),  # it would begin, and finds that the change is another's
    "asleep-before-aws": (WRITE, "before", 2),  # its call is under way for so long that another makes it again
    "asleep-after-aws": (WRITE, "after", 1),  # another finds it done by reading
}


@pytest.mark.chaos
def test_workers_that_slept_past_their_leases_change_nothing_when_they_wake(place):
    place.sandbox.faults(
        *(
            {"kind": "barrier", "name": name, "operation": operation, "point": point, "times": 1}
            | {"account_id": ACCOUNTS[name]}
            for name, (operation, point, _) in ASLEEP.items()
        )
    )
    place.begin(*ASLEEP)
    for name in ASLEEP:
        place.sandbox.wait_for_barrier(name)
    sleepers = {place.holder(name) for name in ASLEEP}
    assert sleepers == {"first", "second"}, "one worker has two processes"
    for worker in sleepers:
        place.workers[worker].stop()
    try:
        place.workers["third"] = place.one.worker("third")
        for name, (_, _, most) in ASLEEP.items():
            place.settled(name, most=most)
        before = [standing(place, name) for name in ASLEEP]
        for name in ASLEEP:
            place.sandbox.release(name, "continue")
    finally:
        for worker in sleepers:
            place.workers[worker].go_on()
    for worker in sleepers:
        place.wait_until_idle(worker)

    assert [standing(place, name) for name in ASLEEP] == before
    for name, (_, _, most) in ASLEEP.items():
        place.settled(name, most=most)
    place.workers.pop("third").kill()


@pytest.mark.chaos
def test_a_run_survives_that_redis_forgets_everything(place):
    place.sandbox.faults({"kind": "barrier", "name": "hold", "operation": WRITE, "account_id": ACCOUNTS["flushed"]})
    place.begin("flushed")
    place.sandbox.wait_for_barrier("hold")
    killed = place.holder("flushed")
    place.workers[killed].kill()  # so that somebody must be woken after it
    with Redis.from_url(place.redis.address) as client:
        client.flushall()
    place.sandbox.faults()
    place.sandbox.release("hold", "drop")
    try:
        place.settled("flushed", most=2)
    finally:
        place.workers[killed] = place.one.worker(killed)


@pytest.mark.chaos
def test_a_run_goes_on_without_redis_and_the_next_begins_when_it_is_back(place):
    place.begin("no-redis")
    place.one.wait_for(
        f"SELECT count(*) > 0 FROM migration_change WHERE run_id = {place.runs['no-redis']} AND writes > 0"
    )
    place.redis.kill()
    down = time.monotonic()
    place.begin("late")

    place.settled("no-redis")

    time.sleep(max(0.0, OUTAGE - (time.monotonic() - down)))
    assert not place.written("late")
    place.redis.start()
    place.restart_the_ended()
    place.settled("late")


@pytest.mark.chaos
def test_a_call_whose_answer_came_while_postgresql_was_away_is_found_by_reading(place):
    name = "restarted"
    rule = {"kind": "barrier", "name": name, "operation": WRITE, "point": "after", "account_id": ACCOUNTS[name]}
    place.sandbox.faults(rule | {"after": 1, "times": 1})
    place.begin(name)
    place.sandbox.wait_for_barrier(name)
    place.postgres.kill(signal.SIGQUIT)  # PostgreSQL's immediate shutdown: as after a crash it recovers from its log
    place.sandbox.release(name, "continue")
    time.sleep(1)  # the worker has its answer, and nowhere to write it
    place.postgres.start()

    place.settled(name)


@pytest.mark.chaos
def test_each_message_that_comes_fifty_times_is_worth_one(place):
    run = place.begin("fifty")
    for _ in range(2):
        place.send("enforcement.drive_run", run, times=50)
        place.send("enforcement.sweep", times=50)
        place.one.wait_for(f"SELECT count(*) > 0 FROM migration_change WHERE run_id = {run} AND writes > 0")

    place.settled("fifty")


@pytest.mark.chaos
def test_two_beats_make_each_tick_once(place):
    """The tick of a minute: both beats, and fifty more, say that it is time. Every account is due, and entered once."""
    wait_until_no_minute_ends()
    place.change("UPDATE migration_account SET role_checked_at = now() - interval '7 hours'")
    place.change("DELETE FROM migration_scheduledrun WHERE job = 'collect-what-is-due'")
    since = str(place.sandbox.calls(operation="DescribeRegions")[-1]["seq"])

    place.send("collection.dispatch_due", times=50)

    late = "SELECT count(*) = 0 FROM migration_account WHERE role_checked_at < now() - interval '6 hours'"
    place.one.wait_for(late)
    for name in place.workers:
        place.wait_until_idle(name)
    entered = Counter(call["account_id"] for call in place.sandbox.calls(operation="DescribeRegions", since=since))
    assert entered == dict.fromkeys([fleets.CENTRAL, *ACCOUNTS.values()], 1)
    assert place.rows("SELECT count(*) FROM migration_scheduledrun WHERE job = 'collect-what-is-due'") == [(1,)]


def wait_until_no_minute_ends() -> None:
    """A tick is of its minute; the next one's would be another."""
    while time.time() % 60 > 50:
        time.sleep(0.5)


@pytest.mark.chaos
def test_forged_messages_write_nothing(place):
    """Runs without an approval, with a forged or an expired one, with a change that nobody approved; no runs at all."""
    for name in FORGED[:-1]:
        place.send("enforcement.drive_run", place.begin(name), times=3)
    for garbage in (0, -1, 10**6, 10**30, "1; DROP TABLE migration_run", "", None, 1.5, [1], {"pk": 1}, {"$ne": 0}):
        place.send("enforcement.drive_run", garbage)
    place.send("enforcement.drive_run")
    place.send("enforcement.drive_run", 1, 2, 3)
    place.send("enforcement.modify_metadata_options", "i-1")
    with broker(place.redis) as (app, connection):
        more = {"queue": "enforce", "ignore_result": True, "connection": connection}
        app.send_task(f"{TASKS}.enforcement.drive_run", args=[1], serializer="pickle", **more)

    place.begin("after-forgeries")
    place.settled("after-forgeries")  # the workers are alive, and do what was approved

    ids = ", ".join(str(place.runs[name]) for name in FORGED[:-1])
    place.one.wait_for(f"SELECT count(*) = 0 FROM migration_run WHERE id IN ({ids}) AND state IN ('queued', 'running')")
    assert place.rows(f"SELECT sum(writes) FROM migration_change WHERE run_id IN ({ids})") == [(0,)]
    told = dict(
        place.rows(
            "SELECT a.name, r.state_reason FROM migration_run r JOIN migration_account a ON a.id = r.account_id"
            f" WHERE r.id IN ({ids})"
        )
    )
    assert told["only-asked"].startswith("The request is not approved")
    assert told["unsigned"].startswith("The request is not approved by as many")
    assert told["expired"].startswith("The approval has expired")
    assert "changes failed" in told["other-change"]
