"""Which policy holds for an account, and that a plan carries it unchanged."""

import json
from datetime import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.domain.policy import Terms, as_plan, narrowest, of_plan, problem, words
from migration.domain.windows import LONGEST, Window
from migration.enums import Emergency

MINE = "111122223333"


def place(of_account: str = "", of_ou: str = "", *, quorum: int = 1) -> tuple[str, str, Terms]:
    return of_account, of_ou, Terms(quorum=quorum, place=of_account or of_ou)


EVERYWHERE, PROD, PAYMENTS, OWN = place(), place("", "Root/Prod"), place("", "Root/Prod/Payments"), place(MINE)
ELSEWHERE, OTHER = place("", "Root/Test"), place("444455556666")

NARROWEST = {
    "its own before all": ([EVERYWHERE, PROD, PAYMENTS, OWN], MINE),
    "the deeper OU before the shallower": ([PAYMENTS, PROD, EVERYWHERE], "Root/Prod/Payments"),
    "an OU before everywhere": ([EVERYWHERE, PROD], "Root/Prod"),
    "everywhere when nothing is nearer": ([ELSEWHERE, EVERYWHERE, OTHER], ""),
}


@pytest.mark.parametrize(("places", "found"), NARROWEST.values(), ids=NARROWEST)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_narrowest_place_holds_whatever_the_order(places, found, backwards):
    asked = reversed(places) if backwards else places

    terms = narrowest(asked, account_id=MINE, ou_path="Root/Prod/Payments")

    assert terms is not None
    assert terms.place == found


@pytest.mark.parametrize("places", [[], [ELSEWHERE], [OTHER], [ELSEWHERE, OTHER]])
def test_what_covers_it_nowhere_is_none(places):
    assert narrowest(places, account_id=MINE, ou_path="Root/Prod/Payments") is None


@pytest.mark.parametrize(
    ("ou", "path", "covers"),
    [
        ("Root/Prod", "Root/Prod", True),
        ("Root/Prod", "Root/Prod/Payments", True),
        ("Root/Prod", "Root/Production", False),
        ("Root/Prod", "Root/prod", False),
        ("Root/Prod/Payments", "Root/Prod", False),
        ("Root/Prod", "", False),
    ],
)
def test_an_ou_covers_itself_and_what_is_below_and_nothing_of_a_like_name(ou, path, covers):
    assert (narrowest([place("", ou)], account_id=MINE, ou_path=path) is not None) == covers


LEVELS = st.lists(st.sampled_from(["Root", "Prod", "Test", "a"]), min_size=0, max_size=5)


@given(st.lists(LEVELS, max_size=6), LEVELS, st.booleans(), st.randoms())
def test_no_place_of_the_organization_is_nearer_than_the_one_found(ous, levels, own, dice):
    path = "/".join(levels)
    places = [place("", "/".join(ou)) for ou in ous] + [place("444455556666")] + ([place(MINE)] if own else [])
    dice.shuffle(places)

    found = narrowest(places, account_id=MINE, ou_path=path)

    covering = [ou for ou in ous if levels[: len(ou)] == ou]
    if own:
        assert found is not None
        assert found.place == MINE
    elif covering:
        deepest = max(covering, key=len)
        assert found is not None
        assert found.place == "/".join(deepest)
    else:
        assert found is None


# --- in a plan -------------------------------------------------------------------------------------------

TERMS = st.builds(
    Terms,
    quorum=st.integers(1, 9),
    one_click=st.integers(0, 10_000),
    max_failures=st.integers(0, 1000),
    canary_minutes=st.integers(0, 1440),
    watch_hours=st.integers(0, 720),
    max_rejecting=st.integers(0, 1000),
    emergency=st.sampled_from(Emergency),
    window=st.none()
    | st.builds(
        Window,
        zone=st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe"]),
        days=st.lists(st.integers(0, 6), min_size=1, unique=True).map(tuple),
        start=st.builds(time, hour=st.integers(0, 23), minute=st.integers(0, 59)),
        minutes=st.integers(1, LONGEST),
    ),
    place=st.sampled_from(["", "Root/Prod", MINE]),
    policy_id=st.none() | st.integers(1, 99),
)


@given(TERMS)
def test_a_plan_gives_back_the_terms_it_was_given_through_json(terms):
    assert of_plan(json.loads(json.dumps(as_plan(terms)))) == terms


def test_a_plan_from_before_there_were_policies_has_the_cautious_terms():
    """No canary was promised, so none is waited for."""
    assert of_plan({}) == Terms(
        quorum=1, one_click=0, max_failures=2, canary_minutes=0, watch_hours=24, max_rejecting=0,
        emergency=Emergency.NOBODY, window=None, place="", policy_id=None,
    )  # fmt: skip


def test_without_a_policy_one_person_approves_and_nothing_goes_on_one_click():
    terms = Terms()

    assert (terms.quorum, terms.one_click, terms.max_failures, terms.canary_minutes) == (1, 0, 2, 30)
    assert (terms.watch_hours, terms.max_rejecting, terms.emergency, terms.window) == (24, 0, Emergency.NOBODY, None)
    assert (terms.place, terms.policy_id) == ("", None)


def test_a_plan_holds_plain_words_and_numbers():
    window = Window("Europe/Berlin", (5, 6), time(6, 5), 90)

    assert as_plan(Terms(window=window, place="Root/Prod", policy_id=7)) == {
        "quorum": 1,
        "one_click": 0,
        "max_failures": 2,
        "canary_minutes": 30,
        "watch_hours": 24,
        "max_rejecting": 0,
        "emergency": "nobody",
        "window": {"zone": "Europe/Berlin", "days": [5, 6], "start": "06:05", "minutes": 90},
        "place": "Root/Prod",
        "policy": 7,
    }


# --- what is refused, and what is read -------------------------------------------------------------------

BOUNDS = {
    "quorum": (1, 9, "Approvals", "1 to 9"),
    "one_click": (0, 10_000, "One click", "0 to 10,000"),
    "max_failures": (0, 1_000, "Failures", "0 to 1,000"),
    "canary_minutes": (0, 1_440, "Canary", "0 to 1,440"),
    "watch_hours": (1, 720, "Watch", "1 to 720"),
    "max_rejecting": (0, 1_000, "Refused calls", "0 to 1,000"),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_each_number_has_a_least_and_a_most(name):
    least, most, label, span = BOUNDS[name]

    assert [problem(with_number(name, value)) for value in (least, most)] == ["", ""]
    for value in (least - 1, most + 1):
        assert problem(with_number(name, value)) == f"“{label}” is {value:,}; it must be {span}."


def with_number(name: str, value: int) -> Terms:
    fields: dict[str, Any] = {name: value}
    return Terms(**fields)


@pytest.mark.parametrize("start", [time(9, 30, 1), time(9, 30, 0, 1)])
def test_a_window_opens_on_a_whole_minute(start):
    window = Window("UTC", (0,), start, 60)

    assert problem(Terms(window=window)) == f"A window opens on a whole minute, not at {start}."


def test_a_window_is_looked_at_with_the_terms():
    assert problem(Terms(window=Window("UTC", (0,), time(9, 30), 60))) == ""
    assert problem(Terms(window=Window("UTC", (), time(9, 30), 60))).startswith("It opens on no day")


def test_terms_are_read_as_words():
    assert words(Terms()) == {
        "Approvals": "by one person",
        "One click": "never",
        "Failures": "a run pauses beyond 2",
        "Canary": "30 min to show data",
        "Watch": "24 h after the change",
        "Refused calls": "a run and its wave pause at the first instance with them",
        "Emergency": "nobody puts back alone",
        "Change window": "always open",
    }


def test_other_terms_are_read_as_words():
    terms = Terms(
        quorum=3, one_click=1, max_failures=1000, canary_minutes=0, watch_hours=720, max_rejecting=1,
        window=Window("UTC", (5,), time(9), 60), emergency=Emergency.OWNER,
    )  # fmt: skip

    assert words(terms) == {
        "Approvals": "by 3 different people",
        "One click": "up to 1 instance",
        "Failures": "a run pauses beyond 1,000",
        "Canary": "only verified, not watched",
        "Watch": "720 h after the change",
        "Refused calls": "a run and its wave pause beyond 1 instance with them",
        "Emergency": "who requested or approved a run may put it back alone",
        "Change window": "Saturday 09:00 for 1 h, UTC",
    }


def test_a_run_that_takes_no_failure_pauses_at_the_first():
    assert words(Terms(max_failures=0))["Failures"] == "a run pauses at the first"


def test_a_unit_with_a_name_of_one_letter_is_narrower_than_everywhere():
    everywhere, unit = ("", "", Terms(quorum=1)), ("", "R", Terms(quorum=3))

    for places in ([everywhere, unit], [unit, everywhere]):
        found = narrowest(places, account_id=MINE, ou_path="R/Prod")
        assert found is not None
        assert found.quorum == 3


def test_the_largest_terms_are_read_as_words():
    found = words(Terms(one_click=10_000, canary_minutes=1_440, max_rejecting=1_000, emergency=Emergency.STEERING))

    assert found["One click"] == "up to 10,000 instances"
    assert found["Canary"] == "1,440 min to show data"
    assert found["Refused calls"] == "a run and its wave pause beyond 1,000 instances with them"
    assert found["Emergency"] == "everybody who may steer runs may put one back alone"
