"""Redis, PostgreSQL, workers and messages that fail in the middle of approved runs: nothing is written that nobody
approved, every change ends with one outcome, and each is told once.

One installation for all of it (place.py). `IMDSDASH_CHAOS_SECONDS` is how long Redis stays away (5; the promise is a
minute). Workers that are killed at barriers are in test_killed_worker_production.py.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from imdsdash import timetable
from tests import fleets
from tests.chaos.place import ALTERED, ASKED, EXPIRED, FORGED, UNSIGNED, Place, running
from tests.chaos.story import WRITE

pytestmark = pytest.mark.chaos
READ = "DescribeInstances"
AWAY = float(os.environ.get("IMDSDASH_CHAOS_SECONDS", "5"))
# Where a worker falls asleep, and how often the instance may be written to.
ASLEEP = {
    "asleep-before-intent": (READ, "after", 1),  # it would begin, and finds that the change is another's
    "asleep-before-aws": (WRITE, "before", 2),  # its call is under way for so long that another makes it again
    "asleep-after-aws": (WRITE, "after", 1),  # another finds it done by reading
}
# Where the other worker is at the very place of the sleeper when that one wakes: only the fence tells them apart.
ABREAST = ("asleep-before-intent", "asleep-before-aws")
STORIES = (*ASLEEP, "flushed", "no-redis", "late", "restarted", "fifty", "after-forgeries")
OTHERS = (0, -1, 10**6, 10**30, "1; DROP TABLE migration_run", "", None, 1.5, [1], {"pk": 1}, {"$ne": 0})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(tmp_path_factory.mktemp("failing"), STORIES) as place:
        yield place


@pytest.fixture(autouse=True)
def _all_workers_before_and_nothing_unapproved_after(place: Place) -> Iterator[None]:
    place.wait_until_idle()  # one that lost its Redis in the story before may end only now
    yield
    place.sandbox.faults()
    place.nothing_unapproved()


def test_workers_that_slept_past_their_leases_change_nothing_when_they_wake(place):
    place.sandbox.faults(*sleep_points(place))
    place.begin(*ASLEEP)
    for name in ASLEEP:
        place.sandbox.wait_for_barrier(name)
    sleepers = {place.holder(name) for name in ASLEEP}
    assert sleepers == {"first", "second"}, "one worker has two processes"
    for worker in sleepers:
        place.workers[worker].stop()
    try:
        for name in ASLEEP:
            place.let_time_pass(name)
        place.workers["third"] = place.one.worker("third", processes=4)
        place.settled("asleep-after-aws")
        for name in ABREAST:
            place.sandbox.wait_for_barrier(f"{name}-again")
        before = [place.standing(name) for name in ASLEEP]
        for name in ASLEEP:
            place.sandbox.release(name, "continue")
    finally:
        for worker in sleepers:
            place.workers[worker].go_on()
    place.wait_until_idle(*sleepers)

    assert [place.standing(name) for name in ASLEEP] == before
    logs = "".join(place.workers[worker].log.read_text() for worker in sleepers)
    assert logs.count('"lease_lost"') == 2, "two had an answer of AWS to record, and were turned away"
    for name in ABREAST:
        place.sandbox.release(f"{name}-again", "continue")
    for name, (_, _, most) in ASLEEP.items():
        place.settled(name, most=most)
    place.wait_until_idle("third")
    place.workers.pop("third").kill()


def sleep_points(place: Place) -> list[dict[str, Any]]:
    """A barrier for each sleeper, and one for who comes after it."""
    rules = []
    for name, (operation, point, _) in ASLEEP.items():
        here = {"kind": "barrier", "operation": operation, "point": point, "account_id": place.accounts[name]}
        rules.append(here | {"name": name, "times": 1})
        if name in ABREAST:
            rules.append(here | {"name": f"{name}-again", "times": 1, "after": 1})
    return rules


def test_a_run_survives_that_redis_forgets_everything(place):
    account = place.accounts["flushed"]
    place.sandbox.faults({"kind": "barrier", "name": "hold", "operation": WRITE, "account_id": account})
    place.begin("flushed")
    place.sandbox.wait_for_barrier("hold")
    killed = place.holder("flushed")
    place.workers[killed].kill()  # so that somebody must be woken after it
    with Redis.from_url(place.redis.address) as client:
        client.flushall()
    place.sandbox.faults()
    place.sandbox.release("hold", "drop")
    place.let_time_pass("flushed")
    try:
        place.settled("flushed", most=2)
    finally:
        place.workers[killed] = place.one.worker(killed)


def test_a_run_goes_on_without_redis_and_the_next_begins_when_it_is_back(place):
    place.begin("no-redis")
    place.wait_for_a_write("no-redis")
    place.redis.stop()
    down = time.monotonic()
    place.begin("late")

    place.settled("no-redis")

    time.sleep(max(0.0, AWAY - (time.monotonic() - down)))
    assert not place.written("late")
    place.redis.start()
    place.restart_the_ended()
    place.settled("late")


def test_a_call_whose_answer_came_while_postgresql_was_away_is_found_by_reading(place):
    name = "restarted"
    rule = {"kind": "barrier", "name": name, "operation": WRITE, "point": "after", "account_id": place.accounts[name]}
    place.sandbox.faults(rule | {"after": 1, "times": 1})
    place.begin(name)
    place.sandbox.wait_for_barrier(name)
    place.postgres.stop()
    place.sandbox.release(name, "continue")
    time.sleep(1)  # the worker has its answer, and nowhere to write it
    place.postgres.start()
    place.let_time_pass(name)

    place.settled(name)


def test_each_message_that_comes_fifty_times_is_worth_one(place):
    """The run's own, and every one of the timetable."""
    run = place.begin("fifty")
    for count in (1, 2):
        place.send("enforcement.drive_run", run, times=50)
        place.send("enforcement.sweep", times=50)
        place.wait_for_a_write("fifty", count)
    for task in {tick["task"] for tick in timetable.schedule(sweep_seconds=1).values()}:
        place.send(task.removeprefix("migration.tasks."), times=50)

    place.settled("fifty")

    before = place.standing("fifty")
    place.send("enforcement.drive_run", run, times=50)  # it is over
    place.wait_until_idle()
    assert place.standing("fifty") == before


def test_two_beats_make_each_tick_once(place):
    """The tick of a minute: both beats, and fifty more, say that it is time. Every account is due, and entered once."""
    wait_until_no_minute_ends()
    place.change("UPDATE migration_account SET role_checked_at = now() - interval '7 hours'")
    place.change("DELETE FROM migration_scheduledrun WHERE job = 'collect-what-is-due'")
    since = str(place.sandbox.calls(operation="DescribeRegions")[-1]["seq"])

    place.send("collection.dispatch_due", times=50)

    late = "SELECT count(*) = 0 FROM migration_account WHERE role_checked_at < now() - interval '6 hours'"
    place.one.wait_for(late)
    place.wait_until_idle()
    entered = Counter(call["account_id"] for call in place.sandbox.calls(operation="DescribeRegions", since=since))
    assert entered == dict.fromkeys([fleets.CENTRAL, *place.accounts.values()], 1)
    assert place.rows("SELECT count(*) FROM migration_scheduledrun WHERE job = 'collect-what-is-due'") == [(1,)]


def wait_until_no_minute_ends() -> None:
    """A tick is of its minute; the next one's would be another."""
    while time.time() % 60 > 50:
        time.sleep(0.5)


def test_forged_messages_write_nothing(place):
    """Runs without an approval, with a forged or an expired one, with a change that nobody approved; no runs at all."""
    for name in FORGED:
        place.send("enforcement.drive_run", place.begin(name), times=3)
    for garbage in OTHERS:
        place.send("enforcement.drive_run", garbage)
    place.send("enforcement.drive_run")
    place.send("enforcement.drive_run", 1, 2, 3)
    place.send("enforcement.modify_metadata_options", "i-1")
    place.send("enforcement.drive_run", 1, serializer="pickle")

    place.begin("after-forgeries")
    place.settled("after-forgeries")  # the workers are alive, and do what was approved

    ids = ", ".join(str(place.runs[name]) for name in FORGED)
    place.one.wait_for(f"SELECT count(*) = 0 FROM migration_run WHERE id IN ({ids}) AND state IN ('queued', 'running')")
    assert place.rows(f"SELECT sum(writes) FROM migration_change WHERE run_id IN ({ids})") == [(0,)]
    told = dict(
        place.rows(
            "SELECT a.name, r.state_reason FROM migration_run r JOIN migration_account a ON a.id = r.account_id"
            f" WHERE r.id IN ({ids})"
        )
    )
    assert told[ASKED].startswith("The request is not approved, so")
    assert told[UNSIGNED].startswith("Fewer people than it takes stand behind the request")
    assert told[EXPIRED].startswith("The approval has expired")
    assert "changes failed" in told[ALTERED]
