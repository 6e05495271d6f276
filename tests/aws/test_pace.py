"""A part of AWS's limit, less as soon as AWS says "too fast", for each account, Region and API by itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.aws.pace import FULL, LEAST, Pace, Rate

KEY = ("111122223333", "eu-west-1", "DescribeInstances")
OTHER_KEY = ("444455556666", "eu-west-1", "DescribeInstances")


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def paced(clock: Clock, *, share: float = 0.5, burst: float = 10, refill: float = 2) -> Pace:
    return Pace(share=share, limits={"DescribeInstances": Rate(burst, refill)}, clock=clock, sleep=clock.sleep)


def test_after_the_burst_calls_go_at_the_share_of_awss_rate():
    clock = Clock()
    pace = paced(clock)

    for _ in range(5 + 20):
        pace.wait(KEY)

    assert clock.now == pytest.approx(20 / 1.0)  # half of 2 a second


def test_one_account_does_not_slow_another():
    clock = Clock()
    pace = paced(clock)
    for _ in range(50):
        pace.wait(KEY)
    before = clock.now

    pace.wait(OTHER_KEY)

    assert clock.now == before


def test_a_throttled_answer_halves_the_pace_at_once_and_good_ones_bring_it_back():
    clock = Clock()
    pace = paced(clock)
    pace.wait(KEY)
    pace.answered(KEY, throttled=True)
    start = clock.now

    pace.wait(KEY)
    assert clock.now - start == pytest.approx(1 / 0.5)

    for _ in range(10):
        pace.answered(KEY, throttled=False)
    for _ in range(5):
        pace.wait(KEY)
    start = clock.now
    pace.wait(KEY)
    assert clock.now - start == pytest.approx(1 / 1.0)


def test_however_often_it_is_throttled_it_asks_again_now_and_then():
    clock = Clock()
    pace = paced(clock)
    for _ in range(100):
        pace.answered(KEY, throttled=True)

    pace.wait(KEY)

    assert clock.now == pytest.approx(1 / (1.0 * LEAST))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["call", "throttled", "fine"]), st.floats(0, 3)), max_size=60),
    st.floats(0.05, 0.9),
)
def test_no_more_is_sent_in_any_stretch_than_the_share_allows(steps, share):
    """The token bucket's own bound: burst + refill x time, whatever is answered."""
    clock = Clock()
    pace = paced(clock, share=share)
    sent = []
    for step, pause in steps:
        clock.now += pause
        if step == "call":
            pace.wait(KEY)
            sent.append(clock.now)
        else:
            pace.answered(KEY, throttled=step == "throttled")

    burst, refill = max(1.0, 10 * share), 2 * share
    for first in range(len(sent)):
        for last in range(first, len(sent)):
            assert last - first + 1 <= burst + refill * (sent[last] - sent[first]) + 1e-6


def test_an_amount_larger_than_the_bucket_goes_through_and_is_paid_for_by_those_after_it():
    clock = Clock()
    pace = paced(clock, burst=10, refill=10)

    pace.wait(KEY, 25)
    assert clock.now == pytest.approx((25 - 5) / 5)


def test_the_pace_never_grows_beyond_the_share():
    pace = paced(Clock())
    for _ in range(100):
        pace.answered(KEY, throttled=False)

    assert pace._buckets[KEY].pace == FULL


def test_many_accounts_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("migration.aws.pace.MOST", 100)
    clock = Clock()
    pace = paced(clock)
    for number in range(1000):
        clock.now += 1
        pace.wait((f"{number:012d}", "eu-west-1", "DescribeInstances"))

    assert len(pace._buckets) <= 101
