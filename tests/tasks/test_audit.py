"""The daily anchor: on the timetable, once a day, tried again when it failed, and loud when the log contradicts."""

from datetime import timedelta

import pytest
from celery import current_app
from structlog.testing import capture_logs

from migration.actions import audit as chain
from migration.domain.anchors import Anchor, of_lines
from migration.tasks import audit
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(settings, tmp_path):
    settings.AUDIT_ANCHOR_FILE = tmp_path / "anchors.jsonl"
    return settings.AUDIT_ANCHOR_FILE


def event(number: int = 1):
    return chain.append(verb="test", object_type="Thing", object_id=number, now=NOW)


def seqs(file) -> list[int]:
    return [one.seq for one in of_lines(file.read_text().split("\n")).told]


def test_the_timetable_names_a_task_that_there_is(settings):
    entry = settings.CELERY_BEAT_SCHEDULE["anchor-the-audit-log"]

    assert entry["task"] in current_app.tasks
    assert current_app.amqp.router.route({}, str(entry["task"]))["queue"].name == "enforce"


def test_a_day_has_one_anchor_though_the_timetable_asks_each_hour_and_the_log_grows(file, time_machine):
    for hour in (0, 1, 2, 24):
        event(hour)
        time_machine.move_to(NOW.replace(hour=0) + timedelta(hours=hour))
        audit.anchor()

    assert seqs(file) == [1, 4]


def test_an_anchor_that_could_not_be_written_is_tried_again(file, settings, time_machine):
    time_machine.move_to(NOW)
    settings.AUDIT_ANCHOR_FILE = file.parent / "missing" / file.name

    with capture_logs() as logged:
        audit.anchor()
    assert [line["event"] for line in logged] == ["audit_anchor", "audit_anchor_not_kept"]

    settings.AUDIT_ANCHOR_FILE.parent.mkdir()
    time_machine.move_to(NOW + timedelta(hours=1))
    audit.anchor()
    assert seqs(settings.AUDIT_ANCHOR_FILE) == [0]


def test_a_file_that_cannot_be_read_is_told_and_the_log_has_the_anchor(file, time_machine):
    time_machine.move_to(NOW)
    file.mkdir()

    with capture_logs() as logged:
        audit.anchor()

    assert [line["event"] for line in logged] == ["audit_anchor", "audit_anchor_not_kept"]


def test_a_log_that_contradicts_an_anchor_is_told_as_an_error(file, time_machine):
    time_machine.move_to(NOW)
    event()
    file.write_text(f"{Anchor(NOW - timedelta(days=1), 5, 'f' * 64).line}\n")

    with capture_logs() as logged:
        audit.anchor()

    assert [(line["event"], line["log_level"]) for line in logged] == [
        ("audit_anchor", "info"),
        ("audit_log_contradicts_anchor", "error"),
    ]
    assert logged[1]["seq"] == 2
    assert seqs(file) == [5, 1]
