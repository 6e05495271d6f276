"""How fast a run may go, and what its canary says."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.domain import rollout
from migration.domain.rollout import Seen
from migration.enums import CanaryState

NOW = datetime(2026, 11, 20, 9, 2, 30, tzinfo=UTC)
LATER = NOW + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("verified", "in_flight", "limit", "may"),
    [
        (0, 0, 10, 1),  # the canary
        (0, 1, 10, 0),
        (1, 0, 10, 2),
        (1, 1, 10, 1),
        (3, 0, 10, 4),
        (3, 4, 10, 0),
        (3, 9, 10, 0),
        (7, 0, 10, 8),
        (50, 0, 10, 10),
        (50, 4, 10, 6),
    ],
)
def test_as_many_again_as_are_verified_and_one_more(verified, in_flight, limit, may):
    assert rollout.may_begin(Seen(verified, in_flight, failed=0), limit=limit) == may


def test_the_ramp_doubles():
    verified, ramp = 0, []
    while verified < 100:
        wave = rollout.may_begin(Seen(verified, 0, failed=0), limit=64)
        ramp.append(wave)
        verified += wave

    assert ramp[:7] == [1, 2, 4, 8, 16, 32, 64]


@pytest.mark.parametrize(
    ("failed", "forgiven", "most", "over"),
    [(0, 0, 0, False), (1, 0, 0, True), (2, 0, 2, False), (3, 0, 2, True), (3, 3, 0, False), (4, 3, 0, True)],
)
def test_the_budget_is_over_with_the_failure_beyond_it(failed, forgiven, most, over):
    assert rollout.over_budget(Seen(5, 0, failed=failed, forgiven=forgiven), max_failures=most) is over


@given(st.integers(0, 3), st.integers(1, 8), st.lists(st.booleans(), max_size=60))
def test_failures_never_exceed_the_budget_by_more_than_what_was_on_its_way(most, limit, outcomes):
    """R19: with c on their way at once, at most `most` + c fail; the canary with 0 allowed, exactly one."""
    verified = failed = concurrency = 0
    left = list(outcomes)
    while left and not rollout.over_budget(Seen(verified, 0, failed), max_failures=most):
        begun = min(len(left), rollout.may_begin(Seen(verified, 0, failed), limit=limit))
        concurrency = max(concurrency, begun)
        done, left = left[:begun], left[begun:]
        verified, failed = verified + sum(done), failed + len(done) - sum(done)

    assert failed <= most + max(1, concurrency)
    if most == 0 and outcomes and not outcomes[0]:
        assert failed == 1


@pytest.mark.parametrize(
    ("points", "complete", "now", "state"),
    [
        ([0, 0], True, NOW, CanaryState.QUIET),
        ([None, 0], True, NOW, CanaryState.QUIET),
        ([0, 0], False, NOW, CanaryState.WATCHING),
        ([0, 0], False, LATER, CanaryState.SILENT),
        ([0, 3], True, NOW, CanaryState.CALLED),
        ([None, 1], False, NOW, CanaryState.CALLED),
        ([None, None], True, NOW, CanaryState.WATCHING),
        ([None, None], True, LATER, CanaryState.SILENT),
        ([], True, NOW, CanaryState.WATCHING),
        ([], True, LATER, CanaryState.SILENT),
        ([2], True, LATER, CanaryState.CALLED),
        ([0], True, LATER, CanaryState.QUIET),
    ],
)
def test_silence_is_never_quiet(points, complete, now, state):
    assert rollout.judge_canary(points, complete=complete, until=LATER, now=now) is state


@given(st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=1), st.data())
def test_taking_a_point_away_never_makes_a_canary_quiet(points, data):
    at = data.draw(st.integers(0, len(points) - 1))
    less = [*points[:at], None, *points[at + 1 :]]

    def judged(some):
        return rollout.judge_canary(some, complete=True, until=LATER, now=NOW)

    if judged(less) is CanaryState.QUIET and judged(points) is not CanaryState.QUIET:
        assert judged(points) is CanaryState.CALLED
        assert points[at]


@pytest.mark.parametrize(
    ("called", "first", "before"),
    [("09:02:30", "09:05", "09:00"), ("09:05:00", "09:05", "09:05"), ("09:59:59", "10:00", "09:55")],
)
def test_only_five_minutes_that_lie_wholly_after_the_change_are_looked_at(called, first, before):
    def at(text):
        return datetime.fromisoformat(f"2026-11-20T{text}+00:00")

    assert rollout.first_point(at(called)) == at(first)
    assert rollout.point_before(at(called)) == at(before)


@pytest.mark.parametrize(
    ("counts", "canary", "seconds"),
    [([1], 30, 0.0), ([2], 0, 0.4), ([2], 30, 1800.4), ([501], 30, 1800 + 200.0), ([6, 6], 0, 4.0), ([], 30, 0.0)],
)
def test_a_run_takes_its_pace_and_its_canary(counts, canary, seconds):
    assert rollout.duration(counts, writes_per_second=2.5, canary_minutes=canary) == pytest.approx(seconds)
