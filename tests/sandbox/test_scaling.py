"""DescribeScalingActivities: who came and went in a group, against the service model."""

from __future__ import annotations

import re
import time

import pytest

from sandbox.testing import start
from tests.sandbox import fleets
from tests.sandbox.clients import Clients

DAY = 86400
CHURN = {"per_day": 3, "days": 60, "lifetime_hours": [1, 6]}
FLEET = {
    "accounts": [
        {
            "id": fleets.CENTRAL,
            "roles": fleets.ROLES,
            "launch_templates": [{"name": "tiny", "versions": [{}]}],
            "instances": [
                {"count": 5, "asg": "web", "launched_days_ago": [1, 20]},
                {"count": 4, "asg": "old", "launched_days_ago": [60, 90]},
                {"asg": "web", "churn": CHURN},
                {"count": 3, "launched_days_ago": 2},
            ],
        }
    ]
}


@pytest.fixture(scope="module")
def clients():
    with start(FLEET) as running:
        yield Clients(running)


@pytest.fixture(scope="module")
def autoscaling(clients):
    return clients("autoscaling")


@pytest.fixture
def activities(autoscaling):
    def activities(**asked):
        pages = autoscaling.get_paginator("describe_scaling_activities").paginate(**asked)
        return [activity for page in pages for activity in page["Activities"]]

    return activities


def of(clients, name):
    return [i for i in clients.running.world.instances.values() if i.blueprint.asg == name]


def expected(instances):
    """What happened to them within six weeks."""
    since = time.time() - 42 * DAY
    launches = {(f"Launching a new EC2 instance: {i.instance_id}", i.first_launch) for i in instances}
    ends = {(f"Terminating EC2 instance: {i.instance_id}", i.last_stop) for i in instances if i.last_stop}
    return {(what, at) for what, at in launches | ends if at > since}


def test_it_tells_of_members_that_are_there_and_of_those_that_are_gone(clients, activities):
    """Only activities started within the last six weeks can be returned [BC]."""
    told = activities(AutoScalingGroupName="web")
    assert {(a["Description"], a["StartTime"].timestamp()) for a in told} == expected(of(clients, "web"))
    assert len({a["ActivityId"] for a in told}) == len(told) > 200
    assert activities(AutoScalingGroupName="old") == []


def test_an_activity_has_the_fields_of_the_service_model(activities):
    one = activities(AutoScalingGroupName="web")[0]
    assert (one["StatusCode"], one["Progress"], one["AutoScalingGroupName"]) == ("Successful", 100, "web")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one["ActivityId"])
    assert one["StartTime"] < one["EndTime"]
    assert one["Cause"].startswith(f"At {one['StartTime']:%Y-%m-%dT%H:%M:%SZ} an instance was ")


def test_the_newest_comes_first_at_most_a_hundred_a_page(autoscaling, refused):
    """MaxRecords: default 100, maximum 100 [BC]."""
    pages = list(autoscaling.get_paginator("describe_scaling_activities").paginate())
    starts = [a["StartTime"] for page in pages for a in page["Activities"]]
    assert [len(page["Activities"]) for page in pages][:-1] == [100] * (len(pages) - 1)
    assert starts == sorted(starts, reverse=True)
    assert len(autoscaling.describe_scaling_activities(MaxRecords=7)["Activities"]) == 7
    refused("ValidationError", autoscaling.describe_scaling_activities, MaxRecords=101)
    refused("InvalidNextToken", autoscaling.describe_scaling_activities, NextToken="nonsense")


def test_activities_are_chosen_by_id_and_by_time(activities, autoscaling, refused):
    """Unknown ids are ignored with no error; StartTimeLowerBound and StartTimeUpperBound; at most 50 ids [BC]."""
    told = activities()
    some = [told[3]["ActivityId"], told[9]["ActivityId"]]
    assert [a["ActivityId"] for a in activities(ActivityIds=[*some, "no-such"])] == some
    between = [
        {"Name": "StartTimeLowerBound", "Values": [told[9]["StartTime"].isoformat()]},
        {"Name": "StartTimeUpperBound", "Values": [told[3]["StartTime"].isoformat()]},
    ]
    assert [a["ActivityId"] for a in activities(Filters=between)] == [a["ActivityId"] for a in told[3:10]]
    failed = [{"Name": "Status", "Values": ["Failed"]}]
    assert activities(AutoScalingGroupName="web", Filters=failed) == []
    refused("ValidationError", autoscaling.describe_scaling_activities, Filters=failed)
    refused("ValidationError", autoscaling.describe_scaling_activities, ActivityIds=[str(n) for n in range(51)])


def test_an_unknown_group_is_refused(autoscaling, refused):
    refused("ValidationError", autoscaling.describe_scaling_activities, AutoScalingGroupName="nobody")


def test_a_deleted_group_is_told_of_only_when_asked(activities, autoscaling):
    """IncludeDeletedGroups; AutoScalingGroupState is `Deleted` then [BC]."""
    size = {"MinSize": 0, "MaxSize": 2, "DesiredCapacity": 2}
    template = {"LaunchTemplateName": "tiny"}
    autoscaling.create_auto_scaling_group(AutoScalingGroupName="brief", LaunchTemplate=template, **size)
    assert [a["AutoScalingGroupName"] for a in activities()[:2]] == ["brief", "brief"]
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="brief", ForceDelete=True)
    assert "brief" not in {a["AutoScalingGroupName"] for a in activities()}
    told = [a for a in activities(IncludeDeletedGroups=True) if a["AutoScalingGroupName"] == "brief"]
    assert [a["Description"].split(":")[0] for a in told] == [
        "Terminating EC2 instance",
        "Terminating EC2 instance",
        "Launching a new EC2 instance",
        "Launching a new EC2 instance",
    ]
    assert {a["AutoScalingGroupState"] for a in told} == {"Deleted"}


def test_a_reader_may_ask(clients):
    assert clients.assuming()("autoscaling").describe_scaling_activities(MaxRecords=1)["Activities"]
