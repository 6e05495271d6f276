"""Reading Auto Scaling: the groups, what they launch from, and which one launched an instance that is gone."""

import re
from collections.abc import Iterator
from typing import Any

from migration.aws import launch_parse
from migration.aws.sessions import Edge, Target
from migration.domain.facts import Activity
from migration.domain.launch_facts import ConfigurationFact, GroupFact

PAGE = 100  # the most of all three: activities, groups and launch configurations
INSTANCE_ID = re.compile(r"\bi-[0-9a-f]{8,17}\b")


def activities(edge: Edge, target: Target, region: str) -> Iterator[list[Activity]]:
    """Every group's scaling activities of the last six weeks, newest first, page by page; deleted groups included.

    AWS names the instance only in the text of `Description` (Auto Scaling API, Activity). Raises AwsError.
    """
    more: dict[str, Any] = {}
    while True:
        answer = edge.ask(
            target,
            "autoscaling",
            region,
            "describe_scaling_activities",
            MaxRecords=PAGE,
            IncludeDeletedGroups=True,
            **more,
        )
        yield [
            Activity(
                instance_id=found[0],
                asg_name=told.get("AutoScalingGroupName", ""),
                launched_at=told.get("StartTime") if told["Description"].startswith("Launching") else None,
                ended_at=told.get("StartTime") if told["Description"].startswith("Terminating") else None,
            )
            for told in answer.get("Activities", ())
            if (found := INSTANCE_ID.search(told.get("Description", "")))
        ]
        token = answer.get("NextToken")
        if not token:
            return
        more = {"NextToken": token}


def groups(edge: Edge, target: Target, region: str) -> Iterator[list[GroupFact]]:
    """Every Auto Scaling group with its members, page by page, those of AWS services included. Raises AwsError.

    Here AWS shows these by default, and EC2 hides their instances: both are asked for by name, so that both agree.
    """
    more: dict[str, Any] = {}
    while True:
        answer = edge.ask(
            target,
            "autoscaling",
            region,
            "describe_auto_scaling_groups",
            MaxRecords=PAGE,
            IncludeManagedResources=True,
            **more,
        )
        yield [launch_parse.group(one) for one in answer.get("AutoScalingGroups", ())]
        token = answer.get("NextToken")
        if not token:
            return
        more = {"NextToken": token}


def launch_configurations(edge: Edge, target: Target, region: str) -> Iterator[list[ConfigurationFact]]:
    """Every launch configuration, page by page. Raises AwsError."""
    more: dict[str, Any] = {}
    while True:
        answer = edge.ask(target, "autoscaling", region, "describe_launch_configurations", MaxRecords=PAGE, **more)
        yield [launch_parse.configuration(one) for one in answer.get("LaunchConfigurations", ())]
        token = answer.get("NextToken")
        if not token:
            return
        more = {"NextToken": token}
