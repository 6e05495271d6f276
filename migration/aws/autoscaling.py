"""Reading Auto Scaling: which group launched an instance that is gone."""

import re
from collections.abc import Iterator
from typing import Any

from migration.aws.sessions import Edge, Target
from migration.domain.facts import Activity

PAGE = 100  # the most DescribeScalingActivities gives
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
