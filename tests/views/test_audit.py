"""The line of the audit page that tells when the head was anchored, and whether the log still agrees."""

from datetime import timedelta

import pytest
from django.urls import reverse

from migration.actions import audit
from migration.domain.anchors import Anchor
from migration.models import AuditEvent
from tests.factories import NOW
from tests.views.test_quality import words

pytestmark = pytest.mark.django_db
FORGED = "f" * 64


@pytest.fixture
def file(settings, tmp_path):
    settings.AUDIT_ANCHOR_FILE = tmp_path / "anchors.jsonl"
    return settings.AUDIT_ANCHOR_FILE


@pytest.fixture
def log(db) -> list[AuditEvent]:
    at = NOW - timedelta(days=3)
    return [audit.append(verb="test", object_type="Thing", object_id=number, now=at) for number in (1, 2, 3)]


def write(file, *some: Anchor) -> None:
    file.write_text("".join(f"{one.line}\n" for one in some))


def page(as_) -> str:
    return words(as_("approver").get(reverse("audit")))


def test_a_fresh_anchor_is_told_quietly(as_, log, file):
    write(file, Anchor(NOW - timedelta(hours=5), 2, log[1].hash))

    told = page(as_)

    assert "Last anchored outside the database 5 h ago, 2026-11-20 04:00 UTC, with event 2; the log agrees" in told
    assert "anchored late" not in told


def test_an_anchor_older_than_a_day_and_a_half_is_late(as_, log, file):
    write(file, Anchor(NOW - timedelta(hours=37), 2, log[1].hash))

    assert f"The log is anchored late: its head was last written to {file} 1 d ago, 2026-11-18 20:00 UTC" in page(as_)


def test_an_old_log_without_a_file_is_late(as_, log, file):
    assert f"its head was never written to {file}, or the file is gone. It is due once a day." in page(as_)


def test_an_empty_log_is_not_late(as_, file):
    assert "Not anchored outside the database yet; that is done once a day." in page(as_)


def test_a_log_that_contradicts_is_an_alert_beside_the_newest_anchor(as_, log, file):
    write(file, Anchor(NOW - timedelta(days=1), 5, FORGED), Anchor(NOW, 3, log[2].hash))

    told = page(as_)

    assert "The log does not hold at event 4: the log was cut or rewritten: anchor of 2026-11-19 09:00 UTC" in told
    assert "Last anchored outside the database just now" in told
    assert "the log agrees" not in told


def test_a_file_that_cannot_be_read_is_told_and_nothing_is_said_of_anchors(as_, log, file):
    file.mkdir()

    told = page(as_)

    assert f"could be compared with the log. The anchors in {file} cannot be read: Is a directory." in told
    assert "never written" not in told
    assert "Not anchored" not in told


def test_a_line_that_is_no_anchor_is_told(as_, log, file):
    file.write_text("<script>alert(1)</script>\n")

    told = page(as_)

    assert f"Not every anchor could be compared with the log. Line 1 of {file} is no anchor." in told
    assert "<script>alert" not in told


@pytest.mark.parametrize("count", [1, 3, 800])
def test_the_page_costs_the_same_queries_for_one_anchor_and_for_many(as_, log, file, django_assert_num_queries, count):
    write(file, *(Anchor(NOW - timedelta(days=day), day % 3 + 1, log[day % 3].hash) for day in range(count)))
    client = as_("approver")

    with django_assert_num_queries(9):
        client.get(reverse("audit"))
