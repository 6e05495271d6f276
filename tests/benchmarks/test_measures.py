"""Each measure runs, on a small fleet, and its counts are exact. Seconds are measured and never asserted."""

import pytest

from benchmarks import __main__ as runner
from benchmarks import calls, client_cost, judging, memory, resume, rollout, scale_out
from benchmarks.recorded import Fleet
from tests.services import absent


def test_a_pass_makes_the_fewest_calls_there_are():
    told = calls.measure(quick=True)

    (small,) = told["a_day_of_points"]
    backfill, organization = told["63_days_of_points"], told["organization"]
    passes = [*(one[which] for one in (small, backfill) for which in ("first_pass", "later_pass"))]
    assert [one["instances"] for one in passes] == [200, 200, 150, 150]
    assert organization["first_pass"]["instances"] == 120
    for one in (*passes, organization["first_pass"]):
        assert one["told_as_seen"], "what a pass says it asked is what the server answered"
        assert {name: each["ratio"] for name, each in one["calls"].items()} == dict.fromkeys(one["calls"], 1.0)
    assert {name: each["made"] for name, each in organization["discover"].items()} == {
        "DescribeOrganization": 1,
        "GetCallerIdentity": 1,
        "ListAccounts": 1,
        "ListOrganizationalUnitsForParent": 3,  # the root and its two units
        "ListRoots": 1,
        "ListTagsForResource": 3,
    }
    assert {each["ratio"] for each in organization["discover"].values()} == {1.0}
    assert {name: each["made"] for name, each in organization["first_pass"]["calls"].items()} == {
        "AssumeRole": 2,
        "DescribeAutoScalingGroups": 6,
        "DescribeImages": 6,
        "DescribeInstances": 6,
        "DescribeLaunchConfigurations": 6,
        "DescribeLaunchTemplates": 6,
        "DescribeRegions": 3,
        "DescribeSpotInstanceRequests": 6,
        "GetCallerIdentity": 3,
        "GetInstanceMetadataDefaults": 6,
        "GetMetricData": 6,
        "ListMetrics": 6,
    }
    assert backfill["first_pass"]["calls"]["GetMetricData"]["made"] == 3  # 150 instances x 63 days x 24 hours


def test_memory_is_told_by_size_and_by_database():
    told = memory.measure(quick=True)
    if "is not on this machine" in told["postgresql"].get("not_measured", ""):
        absent("PostgreSQL", told["postgresql"]["not_measured"])

    same = {"peak_mib": 1.0, "peak_own_mib": 1.0}
    assert told["sqlite"]["largest_over_smallest"] == {"first_pass": same, "later_pass": same}
    assert told["postgresql"]["largest_over_smallest"] == {"first_pass": same}
    for database in ("sqlite", "postgresql"):
        (small,) = told[database]["by_size"]
        assert small["instances"] == 200
        assert small["first_pass"]["peak_mib"] > small["first_pass"]["peak_own_mib"] > 20


def test_the_clients_cost_is_told_beside_the_stock_parsers_and_by_module():
    told = client_cost.measure(quick=True)

    assert told.keys() >= {"cpu_us_an_instance", "stock_us_an_instance", "ratio", "ratio_to_parsers", "aim"}
    assert told["ratio"].keys() == {"first_pass", "later_pass"}
    stock = told["stock_us_an_instance"]
    assert stock.keys() == {"client", "parser", "bare"}
    for costs in stock.values():
        assert costs["both"] == pytest.approx(costs["inventory"] + costs["points"], abs=1)
    assert 5000 < told["xml_bytes_an_instance"] < 15_000
    modules = {one["name"] for one in told["where_it_goes"]["by_module"]}
    assert "botocore.parsers" in modules


def test_a_pass_that_is_killed_twice_ends_with_the_rows_of_one_left_alone():
    told = resume.measure(quick=True)

    assert [one["killed_in"] for one in told["killed"]] == ["DescribeInstances", "GetMetricData"]
    assert told["rows"]["migration_instance"] == 1001
    assert told["rows"]["migration_instanceday"] >= 1001
    assert told["differing"] == {}
    assert told["same_rows"]
    assert told["last"]["scopes"] == {"complete": 1, "incomplete": 0, "denied": 0}


def test_verdicts_a_second_are_told():
    told = judging.measure(quick=True)

    assert (told["instances"], told["statuses"]) == (200, ["enforced", "in_use", "ready", "unknown"])


# --- the fewest calls ----------------------------------------------------------------------------------


def window(hours: int, queries: int) -> dict:
    return {"start": 0, "end": hours * 3600, "queries": queries}


@pytest.mark.parametrize(
    ("size", "windows", "fewest"),
    [
        (500, [window(24, 500)], 1),
        (501, [window(24, 501)], 2),
        (500, [window(1512, 500)], 8),  # 756,000 points
        (100_000, [window(24, 100_000)], 200),
        (500, [window(24, 1000)], 1),  # asked twice over is not needed twice
        (1000, [window(1512, 400), window(72, 600)], 6 + 2),
    ],
)
def test_the_fewest_metric_calls_are_by_queries_or_by_points(size: int, windows: list[dict], fewest: int):
    assert calls.metric_calls(size, {"windows": windows}) == fewest


def test_a_place_that_was_not_asked_about_still_needs_its_calls():
    assert calls.metric_calls(1200, {}) == 3


def test_the_fewest_calls_are_counted_from_the_fleet_and_not_from_what_was_asked():
    fewest = calls.Fewest(Fleet(2100, accounts=2, regions=1), roles=1)
    seen: dict = {"places": {}}

    assert {name: fewest.of(name, seen) for name in ("DescribeInstances", "ListMetrics", "AssumeRole", "Other")} == {
        "DescribeInstances": 4,  # 1,050 in each account
        "ListMetrics": 6,
        "AssumeRole": 1,
        "Other": 0,
    }


# --- two workers ---------------------------------------------------------------------------------------


def test_one_worker_and_two_write_the_same_rows():
    told = runner.run(["scale_out"], quick=True)["scale_out"]
    if "is not on this machine" in told.get("not_measured", ""):
        absent("PostgreSQL or Redis", told["not_measured"])

    assert "not_measured" not in told, told
    one, two = told["sweeps"]
    assert (one["workers"], two["workers"]) == (1, 2)
    assert one["rows"] == two["rows"]
    assert one["rows"]["instances"] == 60
    for sweep in (one, two):
        assert sweep["calls"]["DescribeInstances"] == sweep["calls"]["GetMetricData"] == told["scopes"] == 6
    assert told.keys() >= {"ratio", "best_ratio_these_cores_allow", "cores", "latency_seconds"}
    assert told["latency_seconds"] == scale_out.LATENCY


def test_a_rollout_writes_each_instance_once_and_throttles_nobody():
    try:
        told = rollout.measure(quick=True)
    except rollout.NotMeasured as why:
        absent("PostgreSQL or Redis", str(why))
        return

    assert told["outcomes"] == {"verified": 18}
    assert (told["most_writes_of_an_instance"], told["throttled"], told["owners"]["throttled"]) == (1, 0, 0)
