"""Lines that tell what the head of the audit log was: written, read back, and nothing else taken for one."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from migration.domain.anchors import LAST_SEQ, Anchor, Anchors, of_lines

AT = datetime(2026, 11, 20, 3, 41, 7, tzinfo=UTC)
HASH = "0123456789abcdef" * 4
ONE = Anchor(AT, 42, HASH)


def test_a_line_is_one_object_with_the_moment_in_utc():
    assert ONE.line == f'{{"at": "2026-11-20T03:41:07+00:00", "seq": 42, "hash": "{HASH}"}}'


def test_what_is_written_is_read_back():
    assert of_lines([ONE.line, "", "  ", Anchor(AT, 0, HASH).line]) == Anchors((ONE, Anchor(AT, 0, HASH)))


def test_a_moment_of_another_zone_is_the_same_moment():
    there = AT.astimezone(timezone(timedelta(hours=5)))

    assert of_lines([json.dumps(ONE.fields | {"at": there.isoformat()})]).told == (ONE,)


@pytest.mark.parametrize(
    "line",
    [
        ONE.line[:-9],
        "not JSON",
        "[" * 900,
        "[]",
        "null",
        json.dumps({"at": AT.isoformat(), "seq": 42}),
        json.dumps(ONE.fields | {"seq": "42"}),
        json.dumps(ONE.fields | {"seq": True}),
        json.dumps(ONE.fields | {"seq": 4.2}),
        json.dumps(ONE.fields | {"seq": -1}),
        json.dumps(ONE.fields | {"seq": LAST_SEQ + 1}),
        json.dumps(ONE.fields | {"hash": HASH.upper()}),
        json.dumps(ONE.fields | {"hash": HASH[1:]}),
        json.dumps(ONE.fields | {"hash": HASH + "\n"}),
        json.dumps(ONE.fields | {"hash": None}),
        json.dumps(ONE.fields | {"at": "2026-11-20T03:41:07"}),
        json.dumps(ONE.fields | {"at": "yesterday"}),
        json.dumps(ONE.fields | {"at": "0001-01-01T00:00:00+23:00"}),
        json.dumps(ONE.fields | {"more": "x" * 1000}),
    ],
)
def test_a_line_that_is_no_anchor_is_told_by_its_number_and_hides_no_other(line):
    assert of_lines([ONE.line, line, ONE.line]) == Anchors((ONE, ONE), (2,))


def test_the_newest_is_by_the_moment_and_not_by_the_place_in_the_file():
    older, newer = Anchor(AT - timedelta(days=1), 50, HASH), Anchor(AT, 40, HASH)

    assert Anchors((newer, older)).newest(AT) == newer
    assert Anchors().newest(AT) is None


def test_a_moment_still_to_come_is_not_the_newest():
    assert Anchors((ONE, Anchor(AT + timedelta(days=900), 50, HASH))).newest(AT) == ONE


def test_a_day_has_an_anchor_when_one_was_made_on_it_in_utc():
    assert Anchors((ONE,)).of_day(AT.date())
    assert not Anchors((ONE,)).of_day(AT.date() + timedelta(days=1))


@pytest.mark.parametrize(
    ("other", "repeats"),
    [
        (Anchor(AT.replace(hour=23), 42, HASH), True),
        (Anchor(AT + timedelta(days=1), 42, HASH), False),
        (Anchor(AT, 43, HASH), False),
        (Anchor(AT, 42, HASH[::-1]), False),
    ],
)
def test_an_anchor_repeats_another_when_head_and_utc_day_are_the_same(other, repeats):
    assert other.repeats(ONE) is repeats
