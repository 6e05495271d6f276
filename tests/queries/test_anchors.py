"""What the log says to its anchors: it agrees, or was cut, or was written anew."""

from datetime import timedelta

import pytest

from migration.actions import audit
from migration.domain.anchors import GENESIS, Anchor, Anchors
from migration.models import AuditEvent
from migration.queries import anchors
from migration.queries.anchors import Contradiction, Standing, Unreadable
from tests.factories import NOW

pytestmark = pytest.mark.django_db
FORGED = "f" * 64


@pytest.fixture
def file(tmp_path):
    return tmp_path / "anchors.jsonl"


@pytest.fixture
def log(db) -> list[AuditEvent]:
    return [audit.append(verb="test", object_type="Thing", object_id=number, now=NOW) for number in (1, 2, 3)]


def anchor(event: AuditEvent, *, days: float = 0) -> Anchor:
    return Anchor(NOW - timedelta(days=days), event.seq, event.hash)


def write(file, *some: Anchor) -> None:
    file.write_text("".join(f"{one.line}\n" for one in some))


def test_a_log_that_only_grew_contradicts_nothing(log):
    assert anchors.contradictions((Anchor(NOW, 0, GENESIS), *map(anchor, log))) == []


def test_a_log_that_was_cut_is_told_from_the_first_event_that_is_gone(log):
    gone = Anchor(NOW, 9, FORGED)

    (found,) = anchors.contradictions((anchor(log[0]), gone))

    assert found == Contradiction(gone, "", 3)
    assert found.first_bad == 4
    assert found.why == (
        f"the log was cut or rewritten: anchor of {NOW:%Y-%m-%d %H:%M} UTC says event 9 has hash {FORGED}, and now "
        "the log ends at event 3"
    )


def test_a_log_that_was_written_anew_is_told_with_both_hashes(log):
    (found,) = anchors.contradictions((Anchor(NOW, 2, FORGED), anchor(log[2])))

    assert (found.first_bad, found.found) == (2, log[1].hash)
    assert found.why.endswith(f"says event 2 has hash {FORGED}, and now it has {log[1].hash}")


def test_of_many_contradictions_the_first_event_comes_first(log):
    wrong = [Anchor(NOW, seq, FORGED) for seq in (9, 3, 1, 2)]

    assert [one.first_bad for one in anchors.contradictions(tuple(wrong))] == [1, 2, 3, 4]


def test_many_anchors_cost_one_query(log, django_assert_num_queries):
    old = tuple(anchor(log[number % 3], days=number) for number in range(5000))

    with django_assert_num_queries(1):
        assert anchors.contradictions(old) == []


def test_more_than_one_query_takes_are_asked_for_in_parts(log, monkeypatch):
    monkeypatch.setattr(anchors, "CHUNK", 2)

    assert anchors.contradictions(tuple(map(anchor, log))) == []


def test_no_file_is_no_anchor_and_one_that_cannot_be_read_is_a_sentence(tmp_path):
    assert anchors.kept(tmp_path / "none") is None
    with pytest.raises(Unreadable, match="cannot be read: Is a directory"):
        anchors.kept(tmp_path)


def test_the_lines_that_are_no_anchor_are_counted(file):
    assert anchors.malformed(file, Anchors()) == ""
    assert anchors.malformed(file, Anchors((), (4,))) == f"Line 4 of {file} is no anchor."
    assert anchors.malformed(file, Anchors((), (4, 7, 9))) == f"Line 4 (and 2 more) of {file} is no anchor."


# --- what the page tells ------------------------------------------------------------------------------


def test_the_page_tells_the_newest_anchor(log, file):
    write(file, anchor(log[0], days=1), anchor(log[1]))

    assert anchors.standing(file, now=NOW) == Standing(anchor(log[1]))


@pytest.mark.parametrize(("hours", "late"), [(36, False), (36.1, True)])
def test_an_anchor_is_late_after_a_day_and_a_half(log, file, hours, late):
    write(file, anchor(log[2]))

    assert anchors.standing(file, now=NOW + timedelta(hours=hours)).late is late


def test_an_anchor_of_a_wrong_clock_hides_no_lateness(log, file):
    write(file, anchor(log[0], days=3), anchor(log[0], days=-900))

    found = anchors.standing(file, now=NOW)

    assert (found.newest, found.late) == (anchor(log[0], days=3), True)


@pytest.mark.parametrize(("hours", "late"), [(36, False), (36.1, True)])
def test_a_log_without_anchors_is_late_when_its_first_event_is_old(log, file, hours, late):
    assert anchors.standing(file, now=NOW + timedelta(hours=hours)) == Standing(late=late)


def test_a_log_without_events_is_not_late(file):
    assert anchors.standing(file, now=NOW) == Standing()


def test_an_old_contradiction_is_told_though_the_newest_anchor_agrees(log, file):
    write(file, Anchor(NOW - timedelta(days=1), 2, FORGED), anchor(log[2]))

    found = anchors.standing(file, now=NOW)

    assert found.contradiction == Contradiction(Anchor(NOW - timedelta(days=1), 2, FORGED), log[1].hash, 3)
    assert found.newest == anchor(log[2])


def test_a_file_that_cannot_be_read_or_not_all_of_it_is_trouble(log, tmp_path, file):
    file.write_text(f"broken\n{anchor(log[0]).line}\n")

    assert anchors.standing(file, now=NOW).trouble == f"Line 1 of {file} is no anchor."
    assert anchors.standing(tmp_path, now=NOW).trouble == (f"The anchors in {tmp_path} cannot be read: Is a directory.")
