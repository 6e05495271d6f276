"""DescribeScalingActivities: what Auto Scaling launched and terminated, also of members that are long gone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.utils import parse_timestamp

from sandbox import ids
from sandbox.autoscaling import find_group, group_arn
from sandbox.calls import Call, operation
from sandbox.errors import AwsError
from sandbox.paging import paged
from sandbox.protocol import iso
from sandbox.usage import DAY

if TYPE_CHECKING:
    from sandbox.instances import Instance

_PAGE: Final = 100
_MOST_IDS: Final = 50
_REMEMBERED: Final = 42 * DAY
_LONGEST_LAUNCH: Final = 60
_WORDS: Final = {
    "launch": (
        "Launching a new EC2 instance: ",
        "an instance was launched in response to an unhealthy instance needing to be replaced.",
    ),
    "terminate": (
        "Terminating EC2 instance: ",
        "an instance was taken out of service in response to a difference between desired and actual capacity.",
    ),
}


class Activity(NamedTuple):
    """One launch or termination, by the time it began."""

    at: float
    kind: str
    instance: Instance

    @property
    def activity_id(self) -> str:
        """A UUID that follows from the rest."""
        return ids.uuid_of("activity", self.kind, self.instance.instance_id)


@operation("autoscaling", "DescribeScalingActivities")
def describe_scaling_activities(call: Call) -> dict[str, Any]:
    """Activities of the last six weeks, newest first, at most 100 a page; all of them were successful."""
    wanted = set(call.params.get("ActivityIds") or ())
    if len(wanted) > _MOST_IDS:
        raise AwsError("ValidationError", f"No more than {_MOST_IDS} ActivityIds may be given.")
    least, most = _window(call)
    found = [
        activity
        for instance in _members(call)
        for activity in _of(instance)
        if least <= activity.at <= most and (not wanted or activity.activity_id in wanted)
    ]
    found.sort(key=lambda activity: activity.at, reverse=True)
    page, token = paged(call, found, _PAGE, limit="MaxRecords")
    return {"Activities": [_shown(call, activity) for activity in page], "NextToken": token}


def _members(call: Call) -> list[Instance]:
    """Every instance that ever was in the groups asked for."""
    name = call.params.get("AutoScalingGroupName")
    deleted_too = bool(call.params.get("IncludeDeletedGroups"))
    if name and not deleted_too:
        find_group(call, name)
    managed_too = call.params.get("IncludeManagedResources", True)
    return [
        instance
        for instance in call.region.held()
        if instance.blueprint.asg
        and (not name or instance.blueprint.asg == name)
        and (deleted_too or instance.blueprint.asg in call.region.groups)
        and (managed_too or not instance.managed)
    ]


def _of(instance: Instance) -> list[Activity]:
    activities = [Activity(instance.first_launch, "launch", instance)]
    if instance.state == "terminated" and instance.last_stop is not None:
        activities.append(Activity(instance.last_stop, "terminate", instance))
    return activities


def _window(call: Call) -> tuple[float, float]:
    """From when to when activities are asked for; a Status other than Successful asks for none."""
    least, most = call.now - _REMEMBERED, call.now
    for one in call.params.get("Filters", []):
        name, values = one.get("Name"), one.get("Values") or [""]
        try:
            match name:
                case "StartTimeLowerBound":
                    least = max(least, parse_timestamp(values[0]).timestamp())
                case "StartTimeUpperBound":
                    most = min(most, parse_timestamp(values[0]).timestamp())
                case "Status" if call.params.get("AutoScalingGroupName"):
                    most = most if "Successful" in values else -1.0
                case _:
                    raise AwsError("ValidationError", f"The filter {name} is not valid for this call.")
        except ValueError as error:
            raise AwsError("ValidationError", f"{values[0]} is not a time in ISO 8601.") from error
    return least, most


def _shown(call: Call, activity: Activity) -> dict[str, Any]:
    instance = activity.instance
    name = instance.blueprint.asg
    began, cause = _WORDS[activity.kind]
    taken = 1 + ids.number("activity", instance.instance_id) % _LONGEST_LAUNCH
    return {
        "ActivityId": activity.activity_id,
        "AutoScalingGroupName": name,
        "AutoScalingGroupARN": group_arn(call, name),
        "AutoScalingGroupState": None if name in call.region.groups else "Deleted",
        "Description": f"{began}{instance.instance_id}",
        "Cause": f"At {iso(activity.at):%Y-%m-%dT%H:%M:%SZ} {cause}",
        "StartTime": iso(activity.at),
        "EndTime": iso(activity.at + taken),
        "StatusCode": "Successful",
        "Progress": 100,
        "Details": json.dumps({"Subnet ID": instance.blueprint.subnet_id, "Availability Zone": instance.zone}),
    }
