"""Tags and attributes of instances."""

from __future__ import annotations

from typing import Any, Final

from sandbox.calls import Call, operation
from sandbox.ec2.describe import find
from sandbox.errors import AwsError, NotOurs

NO_INSTANCE_OPERATIONS: Final = (
    "RebootInstances", "MonitorInstances", "UnmonitorInstances", "ModifyInstanceAttribute", "ResetInstanceAttribute",
    "AssociateIamInstanceProfile", "DisassociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation",
    "DescribeIamInstanceProfileAssociations", "ModifyInstancePlacement", "CreateReplaceRootVolumeTask",
    "CreateImage", "CopyImage", "ResetImageAttribute", "CreateFleet", "RequestSpotInstances", "RequestSpotFleet",
    "CancelSpotInstanceRequests", "GetLaunchTemplateData", "DescribeInstanceCreditSpecifications",
    "ModifyManagedResourceVisibility",
)  # fmt: skip
"""Operations that moto would answer from instances and images of its own, which are not those the sandbox shows."""


def _refuse(call: Call) -> dict[str, Any]:
    raise AwsError("UnsupportedOperation", f"The sandbox does not do {call.request.operation}.")


for _name in NO_INSTANCE_OPERATIONS:
    operation("ec2", _name)(_refuse)


def _instance_ids(call: Call) -> list[str]:
    """The resources, if all are instances; other resources are moto's."""
    resources = [str(r) for r in call.params.get("Resources", [])]
    if not all(r.startswith("i-") for r in resources):
        raise NotOurs
    return resources


@operation("ec2", "CreateTags", writes=True)
def create_tags(call: Call) -> dict[str, Any]:
    """Tags on instances."""
    instances = [find(call, instance_id) for instance_id in _instance_ids(call)]
    for tag in call.params.get("Tags", []):
        if str(tag.get("Key", "")).startswith("aws:"):
            raise AwsError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
    call.stop_if_dry_run()
    for instance in instances:
        instance.own_tags = {**(instance.own_tags or {})}
        instance.own_tags.update({tag["Key"]: tag.get("Value", "") for tag in call.params.get("Tags", [])})
    call.applied = True
    return {}


@operation("ec2", "DescribeInstanceAttribute")
def describe_instance_attribute(call: Call) -> dict[str, Any]:
    """UserData and instanceType."""
    instance = find(call, call.params.get("InstanceId", ""))
    call.stop_if_dry_run()
    attribute = call.params.get("Attribute")
    if attribute == "userData":
        return {"InstanceId": instance.instance_id, "UserData": {"Value": instance.blueprint.user_data or None}}
    if attribute == "instanceType":
        return {"InstanceId": instance.instance_id, "InstanceType": {"Value": instance.blueprint.instance_type}}
    raise AwsError("UnsupportedOperation", "The sandbox describes no instance attribute but userData and instanceType.")
