"""Who may decide, and when enough have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.domain.approval import Asked, Signature, approvers, barred, missing

ELLEN, EDITH, ADAM, BEA, CARL = range(1, 6)
ASKED = Asked(plan_hash="h", quorum=2, creator=ELLEN, requester=EDITH, editors={CARL})


def yes(person: int, *, approves: bool = True, plan_hash: str = "h", void: bool = False) -> Signature:
    return Signature(person, approves, plan_hash, void)


@pytest.mark.parametrize(
    ("person", "why"),
    [(EDITH, "You made this request"), (ELLEN, "You made this plan"), (CARL, "You edited this plan"), (ADAM, "")],
)
def test_whoever_has_a_hand_in_it_is_barred(person, why):
    assert barred(person, ASKED).startswith(why)
    assert bool(barred(person, ASKED)) == bool(why)


@pytest.mark.parametrize(
    "signature",
    [yes(ADAM, approves=False), yes(ADAM, plan_hash="other"), yes(ADAM, void=True), yes(EDITH), yes(ELLEN), yes(CARL)],
)
def test_what_does_not_count(signature):
    assert approvers([signature], ASKED) == frozenset()
    assert missing([signature], ASKED) == 2


def test_one_person_counts_once():
    assert missing([yes(ADAM), yes(ADAM)], ASKED) == 1


def test_two_people_are_two():
    assert missing([yes(ADAM), yes(BEA)], ASKED) == 0


def test_more_than_enough_is_enough():
    assert missing([yes(ADAM), yes(BEA), yes(9)], ASKED) == 0


def test_while_nobody_has_asked_all_are_missing():
    unasked = Asked(plan_hash="h", quorum=2, creator=ELLEN, requester=None)

    assert missing([yes(ADAM), yes(BEA)], unasked) == 2


@pytest.mark.parametrize("requester", [EDITH, None])
def test_a_quorum_of_none_is_still_one(requester):
    assert missing([], Asked(plan_hash="h", quorum=0, creator=ELLEN, requester=requester)) == 1


@given(
    st.lists(
        st.builds(
            Signature,
            person=st.integers(1, 6),
            approves=st.booleans(),
            plan_hash=st.sampled_from(["h", "x"]),
            void=st.booleans(),
        )
    ),
    st.integers(1, 3),
)
def test_nothing_but_approvals_of_others_for_this_plan_ever_lowers_what_is_missing(signatures, quorum):
    asked = Asked(plan_hash="h", quorum=quorum, creator=ELLEN, requester=EDITH, editors={CARL})
    good = {
        one.person
        for one in signatures
        if one.approves and not one.void and one.plan_hash == "h" and one.person not in {ELLEN, EDITH, CARL}
    }

    assert missing(signatures, asked) == max(0, quorum - len(good))
