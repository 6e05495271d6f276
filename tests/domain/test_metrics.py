"""How much one GetMetricData asks for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.domain.metrics import POINTS_PER_CALL, QUERIES_PER_CALL, queries_per_call

START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "queries"), [(1, 500), (24, 500), (201, 500), (202, 499), (24 * 14, 300), (24 * 63, 66), (10_920, 9)]
)
def test_a_call_asks_for_what_fits_one_page_of_its_answer(hours, queries):
    """domain.md 6: 14 days of hours, 300 queries an unpaged call; 30 days, 140; 90 days, 46."""
    assert queries_per_call(START, START + timedelta(hours=hours)) == queries


@settings(deadline=None)
@given(st.integers(1, 24 * 455))
def test_no_call_goes_beyond_aws_limits(hours):
    queries = queries_per_call(START, START + timedelta(hours=hours))

    assert 1 <= queries <= QUERIES_PER_CALL
    assert queries * hours <= POINTS_PER_CALL
