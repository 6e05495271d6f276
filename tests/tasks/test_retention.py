"""The nightly task: once a night, on the timetable, and no longer than it may."""

from datetime import timedelta

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from celery import current_app
from django.conf import settings

from migration.models import ScheduledRun
from migration.tasks import enforcement, retention
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def tick():
    ScheduledRun.objects.create(job="old", window_start=NOW - timedelta(days=40), started_at=NOW)
    return lambda: ScheduledRun.objects.filter(job="old").exists()


def test_the_timetable_names_a_task_that_there_is():
    entry = settings.CELERY_BEAT_SCHEDULE["forget-what-is-old"]

    assert entry["task"] in current_app.tasks
    assert current_app.amqp.router.route({}, str(entry["task"]))["queue"].name == "collect"


def test_two_beats_make_one_night(tick, time_machine):
    time_machine.move_to(NOW)
    retention.prune()
    assert not tick()
    ScheduledRun.objects.create(job="old", window_start=NOW - timedelta(days=40), started_at=NOW)

    retention.prune()
    assert tick(), "the second one of the night does nothing"

    time_machine.move_to(NOW + timedelta(days=1))
    retention.prune()
    assert not tick()


@pytest.mark.parametrize("why", ["told to end", "no time left", "the soft limit"])
def test_one_that_must_end_ends_without_an_error_and_the_next_night_goes_on(tick, time_machine, monkeypatch, why):
    time_machine.move_to(NOW)
    with monkeypatch.context() as patch:
        if why == "told to end":
            patch.setattr(enforcement.stopping, "is_set", lambda: True)
        elif why == "no time left":
            patch.setattr(retention, "LONGEST", -1.0)
        else:
            patch.setattr(retention.retention, "prune", raises)
        retention.prune()
    assert tick()

    time_machine.move_to(NOW + timedelta(days=1))
    retention.prune()
    assert not tick()


def raises(**_):
    raise SoftTimeLimitExceeded


def test_it_is_below_the_limits_of_a_task():
    assert retention.LONGEST < settings.CELERY_TASK_SOFT_TIME_LIMIT


def test_what_was_forgotten_is_logged(tick, time_machine, caplog):
    time_machine.move_to(NOW)
    factories.account()

    retention.prune()

    assert "'scheduled_runs': 1" in caplog.text
