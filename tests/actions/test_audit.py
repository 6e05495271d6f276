"""The chain: what was written stays, and whoever changes it is seen."""

import threading

import pytest
from django.db import DatabaseError, connection, connections, transaction

from migration.actions import audit
from migration.models import AuditEvent, AuditHead
from tests.conftest import triggers
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _armed(db):
    """A test with real transactions before this one may have left the triggers off for its flush."""
    triggers("on")


def three_events() -> None:
    for number in range(3):
        audit.append(verb="test", object_type="Thing", object_id=number, after={"n": number}, reason="why", now=NOW)


def test_a_chain_as_written_holds():
    three_events()

    assert audit.verify() is None


@pytest.mark.parametrize(
    "statement", ["UPDATE migration_auditevent SET reason = 'x'", "DELETE FROM migration_auditevent"]
)
def test_the_database_refuses_to_change_or_remove_an_event(statement):
    three_events()

    with pytest.raises(DatabaseError, match="the audit log cannot be changed"), transaction.atomic():
        connection.cursor().execute(statement)


def test_the_database_refuses_to_empty_the_log():
    """TRUNCATE passes triggers of rows by; SQLite has none."""
    words = {"sqlite": "DELETE FROM migration_auditevent", "postgresql": "TRUNCATE migration_auditevent CASCADE"}
    three_events()

    with pytest.raises(DatabaseError, match="the audit log cannot be changed"), transaction.atomic():
        connection.cursor().execute(words[connection.vendor])


@pytest.mark.parametrize("column", ["id", "seq", "hash"])
def test_no_event_takes_the_place_of_another(column):
    """REPLACE on SQLite removes a row without a trigger on DELETE; on PostgreSQL it is an UPDATE."""
    three_events()
    columns = [str(field.column) for field in AuditEvent._meta.concrete_fields]
    own = {"id": "id + 10", "seq": "seq + 10", "hash": "'another'"} | {column: column, "reason": "'forged'"}
    forged = f"({', '.join(columns)}) SELECT {', '.join(own.get(name, name) for name in columns)}"
    words = {
        "sqlite": f"REPLACE INTO migration_auditevent {forged} FROM migration_auditevent WHERE seq = 2",
        "postgresql": f"INSERT INTO migration_auditevent {forged} FROM migration_auditevent WHERE seq = 2 "
        f"ON CONFLICT ({column}) DO UPDATE SET reason = 'forged'",
    }

    with pytest.raises(DatabaseError, match="the audit log cannot be changed"), transaction.atomic():
        connection.cursor().execute(words[connection.vendor])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actor", "somebody"),
        ("verb", "other"),
        ("object_id", "9"),
        ("account_id", "1"),
        ("after", {"n": 9}),
        ("before", {"n": 9}),
        ("reason", "because"),
        ("source_ip", "127.0.0.2"),
        ("request_id", "r"),
        ("actor_kind", "user"),
        ("object_type", "Other"),
        ("at", NOW.replace(year=2025)),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_a_changed_column_is_found_at_its_event(field, value):
    three_events()
    triggers("off")
    AuditEvent.objects.filter(seq=2).update(**{field: value})

    broken = audit.verify()

    assert broken is not None
    assert broken.seq == 2


@pytest.mark.django_db(transaction=True)
def test_a_removed_event_is_found():
    three_events()
    triggers("off")
    AuditEvent.objects.filter(seq=2).delete()

    assert audit.verify() == audit.Broken(2, "event 2 is missing")


@pytest.mark.django_db(transaction=True)
def test_a_cut_off_tail_is_found_by_the_head():
    three_events()
    triggers("off")
    AuditEvent.objects.filter(seq=3).delete()

    assert audit.verify() == audit.Broken(3, "the log ends at event 2 and its head says 3")


@pytest.mark.parametrize(
    ("head", "broken"),
    [
        ({"seq": 4}, audit.Broken(4, "the log ends at event 3 and its head says 4")),
        ({"seq": 2}, audit.Broken(2, "event 2 is not the one the head of the log names")),
        ({"hash": "f" * 64}, audit.Broken(3, "event 3 is not the one the head of the log names")),
    ],
)
def test_a_head_that_was_moved_is_found(head, broken):
    three_events()
    AuditHead.objects.update(**head)

    assert audit.verify() == broken


def test_events_behind_the_head_are_found():
    three_events()
    AuditHead.objects.update(seq=2, hash=AuditEvent.objects.get(seq=2).hash)

    assert audit.verify() == audit.Broken(3, "the log ends at event 3 and its head says 2")


def test_an_empty_log_with_a_head_of_another_is_found():
    AuditHead.objects.update(hash="f" * 64)

    assert audit.verify() == audit.Broken(1, "the log ends at event 0 and its head says 0")


# --- many at once ---------------------------------------------------------------------------------------


def test_what_is_written_while_the_log_is_read_breaks_nothing(monkeypatch):
    three_events()
    read = audit._events

    def read_and_others_write():
        for event in list(read()):
            audit.append(verb="meanwhile", object_type="Thing", object_id=9, now=NOW)
            yield event

    monkeypatch.setattr(audit, "_events", read_and_others_write)
    assert audit.verify() is None


def test_what_was_written_before_the_events_were_read_breaks_nothing(monkeypatch):
    three_events()
    read = audit._events

    def others_write_and_read():
        audit.append(verb="meanwhile", object_type="Thing", object_id=9, now=NOW)
        yield from list(read())
        audit.append(verb="meanwhile", object_type="Thing", object_id=9, now=NOW)

    monkeypatch.setattr(audit, "_events", others_write_and_read)
    assert audit.verify() is None


WRITERS, EACH = 6, 15


@pytest.mark.django_db(transaction=True)
def test_many_writers_at_once_leave_no_gap_and_no_fork_whoever_takes_back_what_was_written():
    gate, failed = threading.Barrier(WRITERS), []

    def write(writer: int) -> None:
        try:
            gate.wait(10)
            for number in range(EACH):
                _write_or_take_back(writer, number)
        except Exception as error:  # noqa: BLE001 -- a thread's error is the test's
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    kept = WRITERS * EACH * 2 // 3
    assert failed == []
    assert list(AuditEvent.objects.order_by("seq").values_list("seq", flat=True)) == list(range(1, kept + 1))
    assert len(set(AuditEvent.objects.values_list("object_id", flat=True))) == kept
    assert AuditHead.objects.get().seq == kept
    assert audit.verify() is None


def _write_or_take_back(writer: int, number: int) -> None:
    """Each third one is taken back together with the change it tells of."""
    with transaction.atomic():
        audit.append(verb="test", object_type="Thing", object_id=f"{writer}-{number}", now=NOW)
        if number % 3 == 0:
            transaction.set_rollback(True)


def test_a_text_cannot_pretend_to_be_a_second_line():
    event = audit.append(verb="test", object_type="Thing", object_id=1, reason="ok\nroot: granted\x1b[2J", now=NOW)

    assert event.reason == "ok root: granted [2J"
    assert AuditHead.objects.get().seq == 1
