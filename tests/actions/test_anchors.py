"""The head of the log in a file: whole lines, on the disk, each head once a day."""

import os
import threading
from datetime import timedelta

import pytest
from django.db import connections
from structlog.testing import capture_logs

from migration.actions import anchors, audit
from migration.actions.errors import Refused
from migration.domain.anchors import GENESIS, Anchor, of_lines
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path):
    return tmp_path / "anchors.jsonl"


def event(number: int = 1):
    return audit.append(verb="test", object_type="Thing", object_id=number, now=NOW)


def told(file) -> list[tuple[int, str]]:
    found = of_lines(file.read_text().split("\n"))
    assert found.malformed == ()
    return [(one.seq, one.hash) for one in found.told]


def test_the_head_is_written_to_the_file_and_to_the_log(file):
    event(), (last := event(2))

    with capture_logs() as logged:
        made, added = anchors.anchor(file=file, now=NOW)

    assert (made, added) == (Anchor(NOW.replace(microsecond=0), 2, last.hash), True)
    assert file.read_text() == f"{made.line}\n"
    assert logged == [{"event": "audit_anchor", "log_level": "info", **made.fields}]


def test_an_empty_log_has_an_anchor_too(file):
    anchors.anchor(file=file, now=NOW)

    assert told(file) == [(0, GENESIS)]


def test_the_file_is_for_its_owner_alone(file):
    anchors.anchor(file=file, now=NOW)

    assert file.stat().st_mode & 0o777 == 0o600


def test_the_same_head_on_the_same_day_is_written_once_and_on_the_next_day_again(file):
    event()
    anchors.anchor(file=file, now=NOW)

    with capture_logs() as logged:
        assert anchors.anchor(file=file, now=NOW + timedelta(minutes=5))[1] is False
    assert logged == []
    assert anchors.anchor(file=file, now=NOW + timedelta(days=1))[1] is True

    assert len(told(file)) == 2


def test_a_head_that_moved_on_is_written_on_the_same_day(file):
    first = event()
    anchors.anchor(file=file, now=NOW)
    second = event(2)

    anchors.anchor(file=file, now=NOW + timedelta(minutes=5))

    assert told(file) == [(1, first.hash), (2, second.hash)]


def test_a_last_line_that_broke_off_stays_a_line_of_its_own(file):
    file.write_text('{"at": "2026-11-')

    anchors.anchor(file=file, now=NOW)

    found = of_lines(file.read_text().split("\n"))
    assert found.malformed == (1,)
    assert [one.seq for one in found.told] == [0]


def test_what_was_written_before_is_kept_as_it_was(file):
    file.write_bytes(b"\xff\xfe no text\n")

    anchors.anchor(file=file, now=NOW)

    assert file.read_bytes().startswith(b"\xff\xfe no text\n{")


def test_a_disk_that_takes_a_few_bytes_at_a_time_gets_the_whole_line(file, monkeypatch):
    write = os.write
    monkeypatch.setattr(anchors.os, "write", lambda handle, line: write(handle, line[:7]))

    made, _ = anchors.anchor(file=file, now=NOW)

    assert file.read_text() == f"{made.line}\n"


@pytest.mark.parametrize("place", ["there/is/no/such/folder.jsonl", "."])
def test_a_file_that_cannot_be_written_is_a_sentence_and_the_log_tells_the_head_all_the_same(tmp_path, place):
    last = event()

    with capture_logs() as logged, pytest.raises(Refused, match="could not be written") as refusal:
        anchors.anchor(file=tmp_path / place, now=NOW)

    assert str(tmp_path / place) in str(refusal.value)
    assert [(line["event"], line["seq"], line["hash"]) for line in logged] == [("audit_anchor", 1, last.hash)]


@pytest.mark.django_db(transaction=True)
def test_writers_at_one_moment_write_one_line(file):
    event()
    gate, added = threading.Barrier(6), []

    def write() -> None:
        try:
            gate.wait(10)
            added.append(anchors.anchor(file=file, now=NOW)[1])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(added) == [False] * 5 + [True]
    assert len(told(file)) == 1
