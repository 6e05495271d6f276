"""Waves in words: what a pasted text names, and how long there is."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.domain import waves

ONE, TWO = "111122223333", "000011112222"
TODAY = date(2026, 11, 20)

TEXTS = {
    "one a line": (f"{ONE}\n{TWO}\n", [ONE, TWO]),
    "with commas, semicolons and spaces": (f"{ONE}, {TWO};{ONE} {TWO}", [ONE, TWO, ONE, TWO]),
    "as the console writes them": ("1111-2222-3333\n0000\u202f1111\u202f2222\n1111 2222 3333", [ONE, TWO, ONE]),
    "a CSV with a header": (f"name,account_id,owner\npayments,{ONE},Ada\nsearch,{TWO},Bo\n", [ONE, TWO]),
    "a CSV of a German spreadsheet": (f"\ufeffName;Account ID\r\nA;{ONE}\r\nB;{TWO}\r\n", [ONE, TWO]),
    "a CSV with quotes": (f'"Account","Note"\n"{ONE}","a, b"\n', [ONE]),
    "numbers kept as text": (f'\'{ONE}\n="{TWO}"', [ONE, TWO]),
    "a header alone": ("account_id\n", []),
    "a row too short": (f"name,account_id\n{ONE}\n", []),
    "nothing": (" \n\n", []),
    "what is no account": ("payments\n12345", ["payments", "12345"]),
}


@pytest.mark.parametrize(("text", "found"), TEXTS.values(), ids=TEXTS)
def test_a_pasted_text_names_its_accounts(text, found):
    assert waves.account_ids(text) == found


@given(st.lists(st.from_regex(r"[0-9]{12}", fullmatch=True)), st.sampled_from(["\n", ",", "; ", "\t", " ", "\r\n"]))
def test_no_account_is_lost_or_made_up_whatever_stands_between(ids, between):
    assert waves.account_ids(between.join(ids)) == ids


@given(st.text())
def test_any_text_can_be_read(text):
    assert all(one == one.strip() for one in waves.account_ids(text))


def test_a_line_of_a_megabyte_is_read_too():
    assert waves.account_ids(f"{ONE} " * 80_000) == [ONE] * 80_000


DUE = {9: "in 9 days", 2: "in 2 days", 1: "tomorrow", 0: "today", -1: "1 day overdue", -12: "12 days overdue"}


@pytest.mark.parametrize(("days", "words"), DUE.items())
def test_how_long_there_is_in_words(days, words):
    assert waves.due(TODAY + timedelta(days=days), today=TODAY) == words


def test_without_a_day_there_is_nothing_to_say():
    assert waves.due(None, today=TODAY) == ""


@pytest.mark.parametrize(
    ("text", "is_one"), [(ONE, True), ("11112222333", False), (f"{ONE}4", False), ("١١١١٢٢٢٢٣٣٣٣", False), ("", False)]
)
def test_an_account_is_its_twelve_digits(text, is_one):
    assert waves.is_account_id(text) == is_one
