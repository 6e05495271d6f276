"""When a reading is late, and when the timetable is dead."""

from datetime import UTC, datetime, timedelta

import pytest

from migration.actions import collection
from migration.domain.schedule import OPENS_AFTER, Cadence, Cadences, Pulse, breaker_open, pulse

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
A_SECOND = timedelta(seconds=1)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


@pytest.mark.parametrize(
    ("every", "grace"),
    [(0.25, 0.5), (1, 0.5), (2, 1), (6, 3), (24, 12)],
)
def test_the_grace_is_half_the_cadence_and_at_least_half_an_hour(every, grace):
    assert Cadence(hours(every)).grace == hours(grace)


@pytest.mark.parametrize(
    ("every", "age", "overdue"),
    [
        (6, hours(6), False),
        (6, hours(9), False),
        (6, hours(9) + A_SECOND, True),
        (24, hours(36), False),
        (24, hours(36) + A_SECOND, True),
        (0.25, timedelta(minutes=45), False),
        (0.25, timedelta(minutes=45) + A_SECOND, True),
    ],
)
def test_a_reading_is_overdue_when_it_is_older_than_cadence_and_grace(every, age, overdue):
    known = NOW - timedelta(days=100)

    assert Cadence(hours(every)).overdue(NOW - age, since=known, now=NOW) is overdue


@pytest.mark.parametrize(("known_for", "overdue"), [(hours(8), False), (hours(10), True)])
def test_a_reading_that_was_never_made_is_late_from_when_its_thing_is_known(known_for, overdue):
    assert Cadence(hours(6)).overdue(None, since=NOW - known_for, now=NOW) is overdue


@pytest.mark.parametrize(
    ("due", "late"),
    [
        (None, False),
        (NOW + hours(1), False),
        (NOW - timedelta(minutes=30), False),
        (NOW - timedelta(minutes=30) - A_SECOND, True),
    ],
)
def test_a_watch_is_late_when_it_was_due_longer_ago_than_its_grace(due, late):
    every = Cadences.of(collect_hours=6, usage_hours=24)

    assert every.watch.late(due, now=NOW) is late


@pytest.mark.parametrize(
    ("tick", "since", "found"),
    [
        (NOW, None, Pulse.ALIVE),
        (NOW + hours(1), None, Pulse.ALIVE),  # a clock that is behind is told elsewhere
        (NOW - timedelta(minutes=3), None, Pulse.ALIVE),
        (NOW - timedelta(minutes=3) - A_SECOND, None, Pulse.STOPPED),
        (NOW - timedelta(minutes=4), NOW, Pulse.STOPPED),
        (None, None, Pulse.STARTING),
        (None, NOW - timedelta(minutes=5), Pulse.STARTING),
        (None, NOW - timedelta(minutes=5) - A_SECOND, Pulse.STOPPED),
    ],
)
def test_three_ticks_that_did_not_come_are_a_stopped_timetable(tick, since, found):
    assert pulse(tick, since=since, now=NOW) == found


def test_the_page_and_the_collector_mean_the_same_breaker():
    assert collection.OPENS_AT == OPENS_AFTER
    assert [breaker_open(failures) for failures in (0, 2, 3, 9)] == [False, False, True, True]


def test_the_timetable_ticks_as_often_as_the_switch_believes(settings):
    from migration.domain.schedule import TICK
    from migration.queries.health import DISPATCHER

    assert settings.CELERY_BEAT_SCHEDULE[DISPATCHER]["schedule"] == TICK.total_seconds()


def test_the_dispatcher_never_waits_behind_the_passes_it_wakes():
    from celery import current_app

    def queue(name: str) -> str:
        return str(current_app.amqp.router.route({}, f"migration.tasks.collection.{name}")["queue"].name)

    assert (queue("dispatch_due"), queue("collect_what_is_due")) == ("enforce", "collect")
