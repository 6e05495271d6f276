"""A day's 24 hours as one short text: nothing is lost, and a damaged text is never read as a quiet day."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.domain import hours

DAY = st.lists(st.none() | st.integers(0, 10**9), min_size=24, max_size=24)


@settings(deadline=None)
@given(DAY)
def test_what_is_packed_comes_back_the_same(day):
    assert hours.unpack(hours.pack(day)) == tuple(day)


@pytest.mark.parametrize(
    ("day", "text"),
    [
        ([0] * 24, "0*24"),
        ([None] * 24, "*24"),
        ([0] * 23 + [7], "0*23,7"),
        ([None, 0, 5] + [12] * 21, ",0,5,12*21"),
    ],
)
def test_an_hour_without_a_datapoint_is_an_empty_place_and_not_a_zero(day, text):
    assert hours.pack(day) == text


@pytest.mark.parametrize("text", ["", "0*23", "0*25", "1,2,3", "x*24", "0*24,"])
def test_a_damaged_text_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 -- whatever int() or the count says
        hours.unpack(text)


@pytest.mark.parametrize("day", [[0] * 23, [0] * 25, [-1] + [0] * 23])
def test_what_is_not_a_day_is_not_packed(day):
    with pytest.raises(ValueError, match=r"hours|count"):
        hours.pack(day)
