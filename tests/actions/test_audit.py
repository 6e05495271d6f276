"""The chain: what was written stays, and whoever changes it is seen."""

import pytest
from django.db import DatabaseError, connection, transaction

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


def test_a_text_cannot_pretend_to_be_a_second_line():
    event = audit.append(verb="test", object_type="Thing", object_id=1, reason="ok\nroot: granted\x1b[2J", now=NOW)

    assert event.reason == "ok root: granted [2J"
    assert AuditHead.objects.get().seq == 1
