"""What a waiver covers, in words and by itself, and when people are reminded of it."""

from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest

from migration.domain import waivers
from migration.domain.waivers import Waived, Waiving

TODAY = date(2026, 11, 20)


@dataclass
class Row:
    instance_id: str = "i-1"
    asg_name: str = ""
    tags: dict[str, str] = field(default_factory=dict)


def waiving(days: int, words: str = "") -> Waiving:
    return Waiving(TODAY + timedelta(days=days), words)


def test_the_one_that_lasts_longest_counts():
    waived = Waived(
        instances={"i-1": waiving(3)}, groups={"web": waiving(9)}, tags={"Team=x": waiving(5)}, account=waiving(4)
    )

    assert waived.until(Row(asg_name="web", tags={"Team": "x"})) == waiving(9)
    assert waived.until(Row(tags={"Team": "x"})) == waiving(5)
    assert waived.until(Row("i-2")) == waiving(4)


def test_of_equally_long_ones_the_narrowest_counts():
    waived = Waived(instances={"i-1": waiving(9, "by itself")}, account=waiving(9, "by the account"))

    assert waived.until(Row()).words == "by itself"


def test_an_instance_of_no_group_is_in_no_group_of_no_name():
    assert Waived(groups={"": waiving(9)}).until(Row()) is None


@pytest.mark.parametrize(
    ("target", "kept", "found"),
    [
        ("Team=payments", ["Team"], ("Team", "payments")),
        ("Team=", ["Team"], ("Team", "")),
        ("a=b=c", ["a"], ("a", "b=c")),
        ("a=b=c", ["a", "a=b"], ("a=b", "c")),
        ("team=x", ["Team"], None),
        ("Team", ["Team"], None),
        ("Team=x", [], None),
    ],
)
def test_a_tag_is_taken_apart_by_the_keys_that_are_kept(target, kept, found):
    assert waivers.tag_of(target, kept) == found


@pytest.mark.parametrize(
    ("kind", "target", "reason", "words"),
    [
        ("asg", "web", "A fix comes in May", "(by group web): A fix comes in May."),
        ("tag", "Team=x", "Really?", "(by tag Team=x): Really?"),
        ("account", "", "Sold.", "(by the whole account): Sold."),
        ("instance", "i-1", "One\n  line.", "(this instance): One line."),
    ],
)
def test_the_words_say_by_what_and_why(kind, target, reason, words):
    assert waivers.words(kind, target, reason) == words


def test_the_longest_words_there_are_fit_beside_the_date():
    longest = waivers.words("asg", "x" * 400, "y" * 2000)

    assert len(f"Waived until 2027-02-20 {longest}") <= 400


DUE = {60: None, 15: None, 14: 14, 10: 14, 4: 14, 3: 3, 1: 3, 0: 3, -1: None}


@pytest.mark.parametrize(("left", "due"), DUE.items())
def test_people_are_reminded_fourteen_and_three_days_before(left, due):
    end = TODAY + timedelta(days=left)

    assert waivers.reminder(expires_on=end, since=TODAY - timedelta(days=60), today=TODAY) == due


@pytest.mark.parametrize(("left", "due"), {10: None, 3: 3}.items())
def test_nobody_is_reminded_of_a_moment_that_was_over_when_it_was_granted(left, due):
    granted = TODAY - timedelta(days=10 - left)

    assert waivers.reminder(expires_on=granted + timedelta(days=10), since=granted, today=TODAY) == due
