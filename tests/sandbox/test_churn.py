"""Instances that came and went: what AWS still tells of them, against domain.md 5.3 and 13.50."""

from __future__ import annotations

import time

import pytest

from sandbox.testing import start
from tests.sandbox.asking import last_hours
from tests.sandbox.clients import Clients

PER_DAY, DAYS, LIVE = 4, 20, 3
GROUP = {"asg": "batch", "lifecycle": "spot", "usage": {"profile": "steady", "calls_per_hour": 30}}
FLEET = {
    "accounts": [
        {
            "id": "111122223333",
            "instances": [
                {**GROUP, "count": LIVE, "launched_days_ago": [0.1, 2]},
                {**GROUP, "churn": {"per_day": PER_DAY, "days": DAYS, "lifetime_hours": [1, 6]}},
            ],
        }
    ]
}


@pytest.fixture(scope="module")
def clients():
    with start(FLEET) as running:
        yield Clients(running)


@pytest.fixture(scope="module")
def gone(clients):
    return [i for i in clients.running.world.instances.values() if i.state == "terminated"]


def listed(clients):
    pages = clients("cloudwatch").get_paginator("list_metrics").paginate(Namespace="AWS/EC2")
    return {m["Dimensions"][0]["Value"] for page in pages for m in page["Metrics"]}


def test_they_are_not_described(clients, gone, refused):
    """Terminated instances linger under about an hour [BC]."""
    ec2 = clients("ec2")
    shown = [i["InstanceId"] for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    assert len(gone) == PER_DAY * DAYS
    assert len(shown) == LIVE
    refused("InvalidInstanceID.NotFound", ec2.describe_instances, InstanceIds=[gone[0].instance_id])


def test_they_are_listed_for_two_weeks(clients, gone):
    """ListMetrics omits metrics silent for two weeks [BC]."""
    two_weeks_ago = time.time() - 14 * 86400
    surely = {i.instance_id for i in gone if i.runs[0].end - 300 > two_weeks_ago + 60}
    perhaps = {i.instance_id for i in gone if i.runs[0].end > two_weeks_ago - 60}
    assert 0 < len(surely) <= len(perhaps) < len(gone)
    assert surely <= listed(clients) & {i.instance_id for i in gone} <= perhaps


def test_their_points_are_those_of_their_life(clients, gone):
    """Metrics outlive their instance: 1-h data is kept 455 d [BC; CW-con]."""
    one = gone[0]
    asked = last_hours(one.instance_id, hours=30 * 24)
    answer = clients("cloudwatch").get_metric_data(**asked, ScanBy="TimestampAscending")["MetricDataResults"][0]
    [run] = one.runs
    stamps = [at.timestamp() for at in answer["Timestamps"]]
    assert run.start - 3600 < stamps[0] <= stamps[-1] < run.end
    assert sum(answer["Values"]) > 0


def test_a_life_without_a_point_is_not_listed():
    """Basic monitoring has a point every 5 minutes [UG-mon]: three minutes may fall between two of them."""
    group = {"churn": {"per_day": 20, "days": 1, "lifetime_hours": 0.05}}
    with start({"accounts": [{"id": "111122223333", "instances": [group]}]}) as running:
        clients = Clients(running)
        ask = last_hours(*running.world.instances, hours=48, period=300)
        results = clients("cloudwatch").get_metric_data(**ask)["MetricDataResults"]
        with_points = {i for i, r in zip(running.world.instances, results, strict=True) if r["Values"]}
        assert 0 < len(with_points) < 20
        assert listed(clients) == with_points


def test_their_group_does_not_count_them(clients):
    [group] = clients("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert (group["DesiredCapacity"], len(group["Instances"])) == (LIVE, LIVE)
