"""What a month of collecting costs, and how many calls it takes."""

import pytest

from migration.domain.cost import Asked, Line, Month, ScopeLoad, dollars, lines, month, passes


def reckon(*loads: ScopeLoad, collect: float = 6, usage: float = 24, price: float = 0.01) -> Month:
    return month(loads, collect_hours=collect, usage_hours=usage, price_per_1000=price)


@pytest.mark.parametrize(("hours", "times"), [(24, 30), (6, 120), (1, 720), (7, 103), (0.25, 2880)])
def test_a_reading_fits_so_often_in_a_month(hours, times):
    assert passes(hours) == times


@pytest.mark.parametrize(
    ("load", "usage_hours", "metrics"),
    [
        (ScopeLoad(), 24, 0),
        (ScopeLoad(instances=9, owing=1), 24, 30),
        (ScopeLoad(instances=100_000, owing=100_000), 24, 3_000_000),
        (ScopeLoad(instances=1, owing=1), 1, 720),
        (ScopeLoad(instances=5, owing=0, watched=2, watch_hours=96, watch_longest=72), 24, 96),
        (ScopeLoad(owing=1, watched=1, watch_hours=24, watch_longest=24), 24, 54),
    ],
)
def test_metrics_are_one_a_reading_for_what_owes_and_one_an_hour_for_what_is_watched(load, usage_hours, metrics):
    assert reckon(load, usage=usage_hours).metrics == metrics


def test_a_hundred_thousand_instances_cost_thirty_dollars_a_month():
    assert reckon(ScopeLoad(instances=100_000, owing=100_000)).dollars == pytest.approx(30)


def test_no_watch_counts_for_more_than_a_month():
    found = reckon(ScopeLoad(watched=1, watch_hours=10_000, watch_longest=10_000))

    assert (found.watch_metrics, found.get_metric_data) == (720, 720)


@pytest.mark.parametrize(
    ("load", "data", "describe"),
    [
        (ScopeLoad(), 0, 120),  # an empty Region is listed all the same
        (ScopeLoad(instances=1, owing=1), 30, 120),
        (ScopeLoad(instances=500, owing=500), 30, 120),
        (ScopeLoad(instances=501, owing=501), 60, 120),
        (ScopeLoad(instances=1001, owing=0), 0, 240),
        (ScopeLoad(watched=501, watch_hours=501, watch_longest=1), 2, 120),
    ],
)
def test_calls_are_counted_by_what_one_of_them_holds(load, data, describe):
    found = reckon(load)

    assert (found.get_metric_data, found.describe_instances, found.list_metrics) == (data, describe, 30)


def test_every_account_region_needs_calls_of_its_own():
    apart, together = reckon(*[ScopeLoad(1, 1)] * 100), reckon(ScopeLoad(100, 100))

    assert (apart.metrics, apart.get_metric_data) == (together.metrics, 100 * together.get_metric_data)


@pytest.mark.parametrize(("metrics", "price", "cost"), [(0, 0.01, 0), (1000, 0.01, 0.01), (5000, 0, 0), (1, 10, 0.01)])
def test_the_price_is_by_the_thousand(metrics, price, cost):
    assert dollars(metrics, price_per_1000=price) == pytest.approx(cost)


def test_expected_and_asked_stand_side_by_side_and_neither_hides_the_other():
    asked = [Asked("DescribeInstances", 7, 1, 0), Asked("AssumeRole", 3, 0, 0), Asked("DescribeRegions", 9, 0, 0)]

    assert lines(reckon(ScopeLoad(1, 1)), asked) == [
        Line("GetMetricData", 30, None, 0),
        Line("DescribeInstances", 120, 7, 1),
        Line("ListMetrics", 30, None, 0),
        Line("DescribeRegions", None, 9, 0),
        Line("AssumeRole", None, 3, 0),
    ]
