"""botocore's own service models, cut down to what this product reads.

botocore builds an object for every member that an answer may have. DescribeInstances has some 250 of them an
instance, and we read about twenty, so its stock parser is nearly the whole cost of a pass over a large fleet. botocore
takes its models from the session's `data_loader` component; ours gives it the same models with fewer members and
operations. What is not there is not parsed; what is there is parsed as ever. Nor is it made into a tree first: at the
event `before-parse` the elements that no member is read from are taken out of the bytes. A property test holds that
the facts are the same as by botocore's own model from the whole answer.
"""

import os
import re
import threading
from collections.abc import Iterable
from typing import Any

from botocore.loaders import Loader, create_loader

# service -> the operations we call; all others are left out. A service that is not named here is not cut.
OPERATIONS = {
    "ec2": (
        "CreateLaunchTemplateVersion",
        "DescribeImages",
        "DescribeInstanceAttribute",
        "DescribeInstances",
        "DescribeLaunchTemplateVersions",
        "DescribeLaunchTemplates",
        "DescribeRegions",
        "DescribeSpotInstanceRequests",
        "GetInstanceMetadataDefaults",
        "ModifyImageAttribute",
        "ModifyInstanceMetadataDefaults",
        "ModifyInstanceMetadataOptions",
        "ModifyLaunchTemplate",
    ),
    "cloudwatch": ("GetMetricData", "ListMetrics"),
    "autoscaling": (
        "DescribeAutoScalingGroups",
        "DescribeLaunchConfigurations",
        "DescribeScalingActivities",
        "UpdateAutoScalingGroup",
    ),
}
# (service, shape) -> the members that are read, and of what is written those that may be sent; all others are left out.
# A member of a request that is not here cannot be sent: botocore refuses a parameter that its model does not know.
MEMBERS = {
    ("ec2", "DescribeInstancesResult"): ("NextToken", "Reservations"),
    ("ec2", "Reservation"): ("Instances",),
    ("ec2", "Instance"): (
        "InstanceId",
        "State",
        "StateTransitionReason",
        "MetadataOptions",
        "InstanceType",
        "PlatformDetails",
        "InstanceLifecycle",
        "ImageId",
        "IamInstanceProfile",
        "Tags",
        "Operator",
        "PublicIpAddress",
        "LaunchTime",
        "NetworkInterfaces",
    ),
    ("ec2", "InstanceAttribute"): ("UserData",),
    ("ec2", "InstanceState"): ("Name",),
    ("ec2", "IamInstanceProfile"): ("Arn",),
    ("ec2", "OperatorResponse"): ("Managed", "Principal"),
    ("ec2", "InstanceNetworkInterface"): ("Attachment",),
    ("ec2", "InstanceNetworkInterfaceAttachment"): ("AttachTime", "DeviceIndex"),
    # User data may hold secrets. It is a member of a template version, a launch configuration and a Spot request's
    # launch specification; none of the three keeps it here, so it never becomes a value of ours.
    ("ec2", "LaunchTemplate"): (
        "LaunchTemplateId",
        "LaunchTemplateName",
        "DefaultVersionNumber",
        "LatestVersionNumber",
        "Tags",
        "Operator",
    ),
    ("ec2", "LaunchTemplateVersion"): (
        "LaunchTemplateId",
        "VersionNumber",
        "VersionDescription",
        "LaunchTemplateData",
    ),
    # The block devices go into a new version again, with their snapshots: whole, as they came.
    ("ec2", "ResponseLaunchTemplateData"): ("ImageId", "MetadataOptions", "BlockDeviceMappings"),
    ("ec2", "RequestLaunchTemplateData"): ("MetadataOptions", "BlockDeviceMappings"),
    ("ec2", "Image"): ("ImageId", "ImdsSupport", "Name", "OwnerId", "State"),
    ("ec2", "ModifyImageAttributeRequest"): ("ImageId", "ImdsSupport", "DryRun"),
    ("ec2", "SpotInstanceRequest"): (
        "SpotInstanceRequestId",
        "State",
        "Type",
        "InstanceId",
        "LaunchSpecification",
    ),
    ("ec2", "LaunchSpecification"): ("ImageId",),
    ("autoscaling", "AutoScalingGroup"): (
        "AutoScalingGroupName",
        "LaunchConfigurationName",
        "LaunchTemplate",
        "MixedInstancesPolicy",
        "DesiredCapacity",
        "Instances",
        "Tags",
        "Operator",
        "Status",
    ),
    # A mixed instances policy is sent back whole, so all of it is read.
    ("autoscaling", "UpdateAutoScalingGroupType"): ("AutoScalingGroupName", "LaunchTemplate", "MixedInstancesPolicy"),
    ("autoscaling", "Instance"): ("LifecycleState", "LaunchConfigurationName"),
    ("autoscaling", "TagDescription"): ("Key",),
    ("autoscaling", "LaunchConfiguration"): ("LaunchConfigurationName", "ImageId", "MetadataOptions"),
}


class TrimmedLoader(Loader):
    """A loader whose service models are cut, once a process. Safe to share between sessions and threads."""

    def __init__(self, data_path: str | None = None) -> None:
        """`data_path`: further folders of models, as boto3's own setting of that name gives them."""
        super().__init__(extra_search_paths=[path for path in (data_path or "").split(os.pathsep) if path])
        self._data_path = data_path
        self._trimmed: dict[tuple[str, str | None], dict[str, Any]] = {}
        self.unread: re.Pattern[bytes] | None = None  # of DescribeInstances, once its model is loaded
        self._one = threading.Lock()

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """As botocore's, but for the models named in OPERATIONS."""
        if type_name != "service-2" or service_name not in OPERATIONS:
            return super().load_service_model(service_name, type_name, api_version)
        with self._one:
            key = (service_name, api_version)
            if key not in self._trimmed:
                # A loader of its own, thrown away: one that lives would keep the whole model, 30 MB of it for EC2.
                whole = create_loader(self._data_path).load_service_model(service_name, type_name, api_version)
                self._trimmed[key] = trim(service_name, whole)
                if service_name == "ec2":
                    self.unread = unread("ec2", whole["shapes"], "DescribeInstancesResult")
            return self._trimmed[key]


def trim(service: str, model: dict[str, Any]) -> dict[str, Any]:
    """The model with the operations and members named above, and the shapes these still reach."""
    operations = {name: model["operations"][name] for name in OPERATIONS[service]}
    shapes: dict[str, Any] = {}
    waiting = [name for operation in operations.values() for name in _named_by(operation)]
    while waiting:
        name = waiting.pop()
        if name in shapes:
            continue
        shape = model["shapes"][name]
        keep = MEMBERS.get((service, name))
        if keep is not None:
            shape = shape | {"members": {member: shape["members"][member] for member in keep}}
        shapes[name] = shape
        waiting.extend(_named_by(shape))
    return model | {"operations": operations, "shapes": shapes}


def unread(service: str, shapes: dict[str, Any], root: str) -> re.Pattern[bytes]:
    """The elements of an answer that no member is read from, wherever in it they stand.

    Not among them: a name that some member which is read has too, and one that may stand inside itself, for there the
    first end tag is not its own.
    """
    kept: set[str] = set()
    left: dict[str, set[str]] = {}
    waiting, seen = [root], set()
    while waiting:
        shape = waiting.pop()
        if shape in seen:
            continue
        seen.add(shape)
        keep = MEMBERS.get((service, shape))
        for member, name, inner in _elements(shapes[shape]):
            if keep is None or member in keep:
                kept.add(name)
                waiting.append(inner)
            else:
                left.setdefault(name, set()).add(inner)
    names = sorted(
        name for name, inner in left.items() if name not in kept and name not in _names_within(shapes, inner)
    )
    return re.compile(rb"<(" + "|".join(map(re.escape, names)).encode() + rb")>.*?</\1>", re.DOTALL)


def cut(body: bytes, pattern: re.Pattern[bytes]) -> bytes:
    """The answer without them. Text is escaped in XML, so a tag's value cannot look like an element, unless there is
    a CDATA section or a comment; AWS writes none, and an answer with one is left as it is.
    """
    return body if b"<!" in body else pattern.sub(b"", body)


def _elements(shape: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    """Member, element name and shape of what a shape holds."""
    for member, told in shape.get("members", {}).items():
        yield member, told.get("locationName", member), told["shape"]
    if shape["type"] == "list":
        yield "", shape["member"].get("locationName", "member"), shape["member"]["shape"]


def _names_within(shapes: dict[str, Any], roots: Iterable[str]) -> set[str]:
    """The names of all elements below these shapes."""
    found: set[str] = set()
    waiting, seen = list(roots), set()
    while waiting:
        shape = waiting.pop()
        if shape not in seen:
            seen.add(shape)
            for _, name, inner in _elements(shapes[shape]):
                found.add(name)
                waiting.append(inner)
    return found


def _named_by(part: Any) -> Iterable[str]:
    """Every shape an operation or a shape refers to."""
    if isinstance(part, dict):
        if isinstance(part.get("shape"), str):
            yield part["shape"]
        for name, inner in part.items():
            if name != "shape":
                yield from _named_by(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _named_by(inner)
