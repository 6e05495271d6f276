"""`manage.py audit`: what it says, and its exit codes: 0 holds, 1 does not, 2 could not be checked."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from migration.actions import audit
from migration.domain.anchors import Anchor
from migration.models import AuditEvent
from tests.conftest import triggers
from tests.factories import NOW

pytestmark = pytest.mark.django_db
FORGED = "f" * 64


@pytest.fixture
def file(settings, tmp_path):
    settings.AUDIT_ANCHOR_FILE = tmp_path / "anchors.jsonl"
    return settings.AUDIT_ANCHOR_FILE


@pytest.fixture
def log(db) -> list[AuditEvent]:
    return [audit.append(verb="test", object_type="Thing", object_id=number, now=NOW) for number in (1, 2, 3)]


def say(*words: str) -> str:
    out = StringIO()
    call_command("audit", *words, stdout=out)
    return out.getvalue()


def fails(*words: str) -> tuple[int, str]:
    """The exit code and the sentence."""
    with pytest.raises(CommandError) as error:
        say(*words)
    return error.value.returncode, str(error.value)


def write(file, *some: Anchor) -> None:
    file.write_text("".join(f"{one.line}\n" for one in some))


def test_a_log_that_holds_is_counted(log, file):
    assert say("verify") == "3 events, and the chain holds.\n"


@pytest.mark.django_db(transaction=True)
def test_a_broken_chain_is_1_with_the_first_bad_event(log):
    triggers("off")
    AuditEvent.objects.filter(seq__gte=2).update(reason="x")

    assert fails("verify") == (
        1,
        "The audit log does not hold at event 2: event 2 was changed after it was written.",
    )


def test_a_database_that_does_not_answer_is_2_and_not_a_broken_chain(db, monkeypatch):
    def silent() -> None:
        raise OperationalError("connection refused\nIs the server running?")

    monkeypatch.setattr(audit, "verify", silent)

    assert fails("verify") == (2, "The audit log could not be read: connection refused")


def test_an_anchor_is_written_and_told_and_then_the_log_agrees_with_it(log, file):
    assert say("anchor") == f"Event 3 with hash {log[2].hash} is anchored in {file}.\n"
    assert say("anchor") == f"Event 3 was anchored in {file} before on this day; nothing was written.\n"

    assert say("verify", "--anchors") == (
        f"3 events, and the chain holds.\nAnchors in {file}: 1. The log agrees with all of them.\n"
    )


def test_an_anchor_that_cannot_be_written_is_2(log, settings, tmp_path):
    settings.AUDIT_ANCHOR_FILE = tmp_path / "missing" / "anchors.jsonl"

    code, sentence = fails("anchor")

    assert code == 2
    assert sentence.startswith(f"The anchor could not be written to {settings.AUDIT_ANCHOR_FILE}: No such file")


def test_an_anchor_that_contradicts_is_1_with_the_first_bad_event(log, file):
    write(file, Anchor(NOW, 1, log[0].hash), Anchor(NOW, 7, FORGED), Anchor(NOW, 2, FORGED))

    code, sentence = fails("verify", "--anchors")

    assert code == 1
    assert sentence.startswith("The audit log does not hold at event 2: the log was cut or rewritten: anchor of")


def test_a_log_cut_together_with_its_head_holds_as_a_chain_and_contradicts_its_anchor(log, file):
    write(file, Anchor(NOW, 4, FORGED))

    assert say("verify")
    code, sentence = fails("verify", "--anchors")

    assert (code, sentence[:44]) == (1, "The audit log does not hold at event 4: the ")


def test_another_file_is_checked_when_it_is_named(log, file, tmp_path):
    other = tmp_path / "copy.jsonl"
    write(other, Anchor(NOW, 1, FORGED))
    write(file, Anchor(NOW, 1, log[0].hash))

    assert fails("verify", "--anchors", str(other))[0] == 1
    assert say("verify", "--anchors")


def test_without_being_asked_no_anchor_is_looked_at(log, file):
    write(file, Anchor(NOW, 1, FORGED))

    assert say("verify")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no file {file}, so no anchor was checked."),
        ("", "There is no anchor in {file}, so none was checked."),
        ("{good}broken off", "Line 2 of {file} is no anchor. The log agrees with the others: 1."),
    ],
)
def test_what_was_asked_and_could_not_be_checked_is_2(log, file, content, sentence):
    if content is not None:
        good = f"{Anchor(NOW - timedelta(days=1), 2, log[1].hash).line}\n"
        file.write_text(content.replace("{good}", good))

    assert fails("verify", "--anchors") == (2, sentence.replace("{file}", str(file)))


def test_a_file_that_cannot_be_read_is_2(log, tmp_path):
    assert fails("verify", "--anchors", str(tmp_path)) == (
        2,
        f"The anchors in {tmp_path} cannot be read: Is a directory.",
    )


def test_a_contradiction_counts_more_than_a_line_that_is_no_anchor(log, file):
    file.write_text(f"broken\n{Anchor(NOW, 2, FORGED).line}\n")

    assert fails("verify", "--anchors")[0] == 1
