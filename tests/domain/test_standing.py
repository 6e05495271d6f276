"""Where an account or a workload stands: the worst that is true, what it rests on, and the next step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.domain.risk import MOST, factors, score
from migration.domain.standing import Facts, stand
from migration.enums import Standing, Status
from tests.domain.test_readiness import OPTIONAL, REQUIRED

SAFE = {"safe": 3}


def facts(counts=None, **fields) -> Facts:
    fields.setdefault("launches", SAFE)
    fields.setdefault("launches_read", True)
    return Facts(by_status=counts or {}, window_days=14, **fields)


CASES = {
    "unreadable": (facts({"enforced": 4}, readable=False), Standing.UNREADABLE),
    "nothing seen": (facts(), Standing.EMPTY),
    "only managed and gone ones": (facts({"managed": 2, "gone": 8}), Standing.EMPTY),
    "nothing lives, and the dead called": (facts({"gone": 8}, dead_calling=3), Standing.IN_USE),
    "one fell back": (facts({"enforced": 90, "regressed": 1, "in_use": 4}), Standing.REGRESSED),
    "one calls": (facts({"enforced": 90, "in_use": 1, "ready": 40}), Standing.IN_USE),
    "the living are done, and the dead called": (facts({"enforced": 90}, dead_calling=1), Standing.IN_USE),
    "one unknown": (facts({"enforced": 90, "unknown": 1, "ready": 40}), Standing.UNKNOWN),
    "one settling": (facts({"enforced": 90, "settling": 1, "ready": 40}), Standing.SETTLING),
    "ready, one of them blocked": (facts({"ready": 40}, blocked=1), Standing.READY),
    "ready, all of them blocked": (facts({"ready": 40}, blocked=40), Standing.BLOCKED),
    "waits for a start": (facts({"enforced": 90, "pending": 1}), Standing.PENDING),
    "all left is waived": (facts({"enforced": 90, "waived": 2}), Standing.WAIVED),
    "done, and a source is unsafe": (
        facts({"enforced": 90}, launches={"safe": 3, "v1_allowed": 1}),
        Standing.COMES_BACK,
    ),
    "done, and a source is not known": (facts({"enforced": 90}, launches={"unknown": 1}), Standing.UNSURE),
    "done, and sources were never read": (facts({"enforced": 90}, launches={}, launches_read=False), Standing.UNSURE),
    "done": (facts({"enforced": 90, "imds_off": 2, "gone": 7}), Standing.DONE),
}


@pytest.mark.parametrize(("given_facts", "standing"), CASES.values(), ids=CASES.keys())
def test_each_case_has_its_word(given_facts: Facts, standing: Standing):
    assert stand(given_facts).standing is standing


def test_the_coverage_has_its_denominator():
    found = stand(facts({"ready": 400, "unknown": 18, "in_use": 12, "enforced": 70}, seen=412))

    assert found.coverage == "412 of 430 instances that allow IMDSv1 measured for 14 days"


def test_enforced_but_will_come_back_says_how_many_sources_bring_it():
    found = stand(facts({"enforced": 90}, launches={"v1_allowed": 2}))

    assert found.reason == "90 instances done, and 2 launch sources would bring IMDSv1 back with the next launch."
    assert found.next_step == "Make 2 launch sources require tokens, or IMDSv1 comes back."


STEPS = {
    "Mend the reader role, so that it can be read.": facts({"ready": 1}, readable=False),
    "Find out what put 2 instances back, then enforce again.": facts({"regressed": 2, "ready": 4}),
    "Plan the enforcement of 3 ready instances.": facts({"ready": 4, "in_use": 9}, blocked=1),
    "Clear what blocks 4 instances: hop limit.": facts(
        {"ready": 4, "in_use": 9}, blocked=4, common_blocker="hop limit."
    ),
    "Find and upgrade what calls IMDSv1 on 1 instance.": facts({"in_use": 1, "unknown": 9}),
    "Upgrade what the short-lived instances run: their image or launch template.": facts(
        {"enforced": 1}, dead_calling=2
    ),
    "Close the gaps in the measurement of 9 instances.": facts({"unknown": 9, "settling": 1}),
    "Wait: it is quiet, and not measured for long enough yet.": facts({"settling": 1}),
    "Start 1 stopped instance once, so that AWS applies it.": facts({"pending": 1}),
    "Find out what 1 launch source launches.": facts({"enforced": 1}, launches={"unknown": 1}),
    "End the waivers of 1 instance when their time comes.": facts({"waived": 1}),
    "Nothing: watch that it stays so.": facts({"enforced": 1}),
}


@pytest.mark.parametrize(("step", "given_facts"), STEPS.items())
def test_the_next_step_is_what_helps_most(step, given_facts):
    assert stand(given_facts).next_step == step


COUNTS = st.dictionaries(st.sampled_from([status.value for status in Status]), st.integers(1, 50))


@given(counts=COUNTS)
def test_done_is_never_said_while_an_instance_may_call_imdsv1(counts):
    found = stand(facts(counts)).standing
    left = {"regressed", "in_use", "unknown", "settling", "ready", "pending", "waived"} & counts.keys()

    assert (found is Standing.DONE) <= (not left)


@given(counts=COUNTS)
def test_done_is_never_said_while_launches_are_not_known(counts):
    assert stand(facts(counts, launches={}, launches_read=False)).standing is not Standing.DONE


# --- risk ----------------------------------------------------------------------------------------------


def risk(options=OPTIONAL, *, public=False, has_role=False, v1_calls=0, fully_measured=True) -> int:
    found = factors(options=options, public=public, has_role=has_role, v1_calls=v1_calls, fully_measured=fully_measured)
    return score(found)


def test_the_most_exposed_is_public_has_a_role_and_calls():
    assert risk(public=True, has_role=True, v1_calls=7) == MOST == 36


def test_what_refuses_imdsv1_has_no_risk_left():
    assert risk(REQUIRED, public=True, has_role=True, v1_calls=7) == 0


def test_not_measured_is_riskier_than_quiet():
    assert risk(v1_calls=None, fully_measured=False) > risk(v1_calls=0)
    assert risk(v1_calls=0, fully_measured=False) > risk(v1_calls=0)


@given(public=st.booleans(), has_role=st.booleans(), calls=st.none() | st.integers(0, 9), measured=st.booleans())
def test_each_factor_only_ever_adds(public, has_role, calls, measured):
    this = risk(public=public, has_role=has_role, v1_calls=calls, fully_measured=measured)

    assert 1 <= risk(v1_calls=0) <= this <= MOST
    assert risk(public=True, has_role=has_role, v1_calls=calls, fully_measured=measured) >= this
    assert risk(public=public, has_role=True, v1_calls=calls, fully_measured=measured) >= this
