"""Which policy holds for an account, and that a plan carries it unchanged."""

import json
from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.domain.policy import Terms, as_plan, narrowest, of_plan
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
    terms = of_plan({})

    assert (terms.quorum, terms.one_click, terms.emergency, terms.window) == (1, 0, Emergency.NOBODY, None)
    assert (terms.canary_minutes, terms.policy_id) == (0, None)  # no canary was promised, so none is waited for
