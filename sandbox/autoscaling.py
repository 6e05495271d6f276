"""Auto Scaling groups, whose members are instances of the sandbox's own store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox import ids, permissions
from sandbox.calls import Call, operation
from sandbox.ec2.launch import launch
from sandbox.ec2.templates import find_template, find_version
from sandbox.errors import AwsError
from sandbox.paging import paged
from sandbox.protocol import iso
from sandbox.world import Group, LaunchConfiguration

if TYPE_CHECKING:
    from sandbox.instances import Instance

DISTRIBUTION: Final = {
    "OnDemandAllocationStrategy": "prioritized",
    "OnDemandBaseCapacity": 0,
    "OnDemandPercentageAboveBaseCapacity": 100,
    "SpotAllocationStrategy": "lowest-price",
    "SpotInstancePools": 2,
}
"""What a mixed instances policy has where nothing else is given."""


def members(call: Call, name: str) -> list[Instance]:
    """The live members of a group."""
    return [i for i in call.region.held() if i.blueprint.asg == name and i.state != "terminated"]


@operation("autoscaling", "CreateAutoScalingGroup", writes=True)
def create_auto_scaling_group(call: Call) -> dict[str, Any]:
    """A group from a launch template, a launch configuration or a mixed instances policy; its members take the
    MetadataOptions of that.
    """
    name = call.params["AutoScalingGroupName"]
    if name in call.region.groups:
        raise AwsError("AlreadyExists", f"AutoScalingGroup by this name already exists - {name}")
    desired = int(call.params.get("DesiredCapacity", call.params["MinSize"]))
    group = Group(name, "", "", desired, call.now)
    if not _take_source(call, group):
        raise AwsError(
            "ValidationError",
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
            "MixedInstancesPolicy parameter.",
        )
    group.minimum, group.maximum = int(call.params["MinSize"]), int(call.params["MaxSize"])
    group.tags = {tag["Key"]: tag.get("Value", "") for tag in call.params.get("Tags", [])}
    if desired:
        _scale_out(call, group, desired)
    call.region.groups[name] = group
    call.applied = True
    return {}


def _scale_out(call: Call, group: Group, count: int) -> None:
    if group.configuration:
        data = dict(call.region.configurations[group.configuration].data)
        # What an absent MetadataOptions sends is open; the API's text calls HttpTokens optional then.
        data["MetadataOptions"] = {"HttpTokens": "optional", **data.get("MetadataOptions", {})}
        launch(call, data, count, asg=group.name, configuration=group.configuration)
        return
    spec = {"LaunchTemplate": {"LaunchTemplateId": group.template_id, "Version": group.template_version}}
    launch(call, spec, count, asg=group.name)


@operation("autoscaling", "UpdateAutoScalingGroup", writes=True)
def update_auto_scaling_group(call: Call) -> dict[str, Any]:
    """Another source or capacity; more capacity is launched at once, less terminates the oldest."""
    group = find_group(call, call.params["AutoScalingGroupName"])
    if group.operator:
        raise AwsError("OperationNotPermitted", f"The group {group.name} is managed by {group.operator}.")
    with call.world.lock:
        _take_source(call, group)
    group.minimum = int(call.params.get("MinSize", group.minimum))
    group.maximum = int(call.params.get("MaxSize", group.maximum))
    _set_desired(call, group, int(call.params.get("DesiredCapacity", group.desired)))
    call.applied = True
    return {}


def _take_source(call: Call, group: Group) -> bool:
    """Launch from what the call names, one of three, from now on; False when it names none."""
    given = [
        name for name in ("LaunchTemplate", "LaunchConfigurationName", "MixedInstancesPolicy") if call.params.get(name)
    ]
    if len(given) > 1:
        raise AwsError("ValidationError", f"A request must not contain both {given[0]} and {given[1]}.")
    if not given:
        return False
    told = call.params[given[0]]
    if given == ["LaunchConfigurationName"]:
        if told not in call.region.configurations:
            raise AwsError("ValidationError", f"Launch configuration name not found - {told}")
        group.configuration, group.mixed = told, False
        return True
    policy = told.get("LaunchTemplate", {}) if given == ["MixedInstancesPolicy"] else {}
    spec = _checked(call, policy.get("LaunchTemplateSpecification", {}) if policy else told)
    overrides = [_override(call, one) for one in policy.get("Overrides", [])]
    group.template_id, group.template_version = spec["LaunchTemplateId"], spec["Version"]
    group.configuration, group.overrides, group.mixed = "", overrides, bool(policy)
    # Whether AWS keeps a distribution that is left out, its text says both ways: here it is lost.
    group.distribution = _distribution(told.get("InstancesDistribution", {})) if policy else {}
    return True


def _distribution(given: dict[str, Any]) -> dict[str, Any]:
    strategy = given.get("SpotAllocationStrategy", DISTRIBUTION["SpotAllocationStrategy"])
    if "SpotInstancePools" in given and strategy != "lowest-price":
        raise AwsError(
            "ValidationError", "SpotInstancePools option is only available with the lowest-price allocation strategy."
        )
    return dict(given)


def _override(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    if "LaunchTemplateSpecification" not in given:
        return dict(given)
    return {**given, "LaunchTemplateSpecification": _checked(call, given["LaunchTemplateSpecification"])}


def _checked(call: Call, spec: dict[str, Any]) -> dict[str, Any]:
    """The specification as DescribeAutoScalingGroups tells it.

    It is tried as a launch by the caller, who needs ec2:RunInstances; id and name together are refused.
    """
    template_id, name = spec.get("LaunchTemplateId"), spec.get("LaunchTemplateName")
    if bool(template_id) == bool(name):
        raise AwsError("ValidationError", "Valid requests must contain either launchTemplateId or LaunchTemplateName")
    version = str(spec.get("Version") or "$Default")
    try:
        template = find_template(call.region, template_id, name)
        find_version(template, version)
    except AwsError as error:
        raise AwsError(
            "ValidationError", f"You must use a valid fully-formed launch template. {error.message}"
        ) from error
    if not permissions.may(call.account, call.principal, "ec2:RunInstances", call.request.region):
        raise AwsError("AccessDenied", f"You are not authorized to use launch template: {template.template_id}", 403)
    return {"LaunchTemplateId": template.template_id, "LaunchTemplateName": template.name, "Version": version}


@operation("autoscaling", "SetDesiredCapacity", writes=True)
def set_desired_capacity(call: Call) -> dict[str, Any]:
    """Capacity alone."""
    _set_desired(call, find_group(call, call.params["AutoScalingGroupName"]), int(call.params["DesiredCapacity"]))
    call.applied = True
    return {}


def _set_desired(call: Call, group: Group, desired: int) -> None:
    now_in = members(call, group.name)
    if desired > len(now_in):
        _scale_out(call, group, desired - len(now_in))
    for instance in now_in[: max(0, len(now_in) - desired)]:
        instance.stop(call.now, "terminated")
    group.desired = desired


@operation("autoscaling", "DeleteAutoScalingGroup", writes=True)
def delete_auto_scaling_group(call: Call) -> dict[str, Any]:
    """With ForceDelete its members are terminated."""
    group = find_group(call, call.params["AutoScalingGroupName"])
    now_in = members(call, group.name)
    if now_in and not call.params.get("ForceDelete"):
        raise AwsError("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances in it.")
    for instance in now_in:
        instance.stop(call.now, "terminated")
    del call.region.groups[group.name]
    call.applied = True
    return {}


def find_group(call: Call, name: str) -> Group:
    """The group of this name in the caller's account and Region."""
    group = call.region.groups.get(name)
    if group is None:
        raise AwsError("ValidationError", f"AutoScalingGroup name not found - {name}")
    return group


@operation("autoscaling", "DescribeAutoScalingGroups")
def describe_auto_scaling_groups(call: Call) -> dict[str, Any]:
    """At most 100 a page. Here those of AWS services are shown unless the call says otherwise."""
    wanted = call.params.get("AutoScalingGroupNames")
    managed_too = call.params.get("IncludeManagedResources", True)
    groups = [
        group
        for group in call.region.groups.values()
        if (not wanted or group.name in wanted) and (managed_too or not group.operator)
    ]
    page, token = paged(call, groups, 100, limit="MaxRecords")
    by_group: dict[str, list[Instance]] = {group.name: [] for group in page}
    for instance in call.region.held():
        if instance.blueprint.asg in by_group and instance.state != "terminated":
            by_group[instance.blueprint.asg].append(instance)
    return {"AutoScalingGroups": [_group(call, g, by_group[g.name]) for g in page], "NextToken": token}


def _template_spec(call: Call, template_id: str, version: str) -> dict[str, Any] | None:
    template = call.region.templates.get(template_id)
    if template is None:
        return None
    return {"LaunchTemplateId": template_id, "LaunchTemplateName": template.name, "Version": version}


def group_arn(call: Call, name: str) -> str:
    """The ARN of a group, there or deleted."""
    owner = f"arn:{call.region.partition}:autoscaling:{call.region.name}:{call.region.account_id}"
    return f"{owner}:autoScalingGroup:{ids.digest(name)[:8]}:autoScalingGroupName/{name}"


def _group(call: Call, group: Group, instances: list[Instance]) -> dict[str, Any]:
    return {
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group_arn(call, group.name),
        **_launches(call, group),
        "Operator": {"Principal": group.operator} if group.operator else None,
        "MinSize": group.minimum,
        "MaxSize": group.maximum,
        "DesiredCapacity": group.desired,
        "DefaultCooldown": 300,
        "AvailabilityZones": sorted({i.zone for i in instances}) or [f"{call.region.name}a"],
        "HealthCheckType": "EC2",
        "HealthCheckGracePeriod": 0,
        "CreatedTime": iso(group.created_at),
        "Instances": [_member(call, i) for i in instances],
        "Tags": [
            {
                "Key": k,
                "Value": v,
                "ResourceId": group.name,
                "ResourceType": "auto-scaling-group",
                "PropagateAtLaunch": True,
            }
            for k, v in group.tags.items()
        ],
        "NewInstancesProtectedFromScaleIn": False,
    }


def _launches(call: Call, group: Group) -> dict[str, Any]:
    """What it launches from: one of three."""
    if group.configuration:
        return {"LaunchConfigurationName": group.configuration}
    own = _template_spec(call, group.template_id, group.template_version)
    if not group.mixed:
        return {"LaunchTemplate": own}
    policy = {"LaunchTemplateSpecification": own, "Overrides": group.overrides}
    return {
        "MixedInstancesPolicy": {
            "LaunchTemplate": policy,
            "InstancesDistribution": {**DISTRIBUTION, **group.distribution},
        }
    }


def _member(call: Call, instance: Instance) -> dict[str, Any]:
    shared = instance.blueprint
    return {
        "InstanceId": instance.instance_id,
        "InstanceType": shared.instance_type,
        "AvailabilityZone": instance.zone,
        "LifecycleState": "InService" if instance.state == "running" else "Warmed:Stopped",
        "HealthStatus": "HEALTHY",
        "LaunchTemplate": _template_spec(call, shared.template_id, str(shared.template_version)),
        "LaunchConfigurationName": shared.configuration or None,
        "ProtectedFromScaleIn": False,
    }


@operation("autoscaling", "CreateLaunchConfiguration", writes=True)
def create_launch_configuration(call: Call) -> dict[str, Any]:
    """One that is there cannot be changed."""
    data = dict(call.params)
    name = data.pop("LaunchConfigurationName")
    if name in call.region.configurations:
        raise AwsError("AlreadyExists", f"Launch Configuration by this name already exists - {name}")
    call.region.configurations[name] = LaunchConfiguration(name, data, call.now)
    call.applied = True
    return {}


@operation("autoscaling", "DeleteLaunchConfiguration", writes=True)
def delete_launch_configuration(call: Call) -> dict[str, Any]:
    """Not while a group uses it."""
    name = call.params["LaunchConfigurationName"]
    if name not in call.region.configurations:
        raise AwsError("ValidationError", f"Launch configuration name not found - {name}")
    if any(group.configuration == name for group in call.region.groups.values()):
        raise AwsError("ResourceInUse", f"Cannot delete launch configuration {name} because it is attached.")
    del call.region.configurations[name]
    call.applied = True
    return {}


@operation("autoscaling", "DescribeLaunchConfigurations")
def describe_launch_configurations(call: Call) -> dict[str, Any]:
    """At most 100 a page."""
    wanted = call.params.get("LaunchConfigurationNames")
    found = [one for one in call.region.configurations.values() if not wanted or one.name in wanted]
    page, token = paged(call, found, 100, limit="MaxRecords")
    owner = f"arn:{call.region.partition}:autoscaling:{call.region.name}:{call.region.account_id}"
    return {
        "LaunchConfigurations": [
            {
                "LaunchConfigurationName": one.name,
                "LaunchConfigurationARN": f"{owner}:launchConfiguration:x:launchConfigurationName/{one.name}",
                "CreatedTime": iso(one.created_at),
                **one.data,
            }
            for one in page
        ],
        "NextToken": token,
    }


@operation("autoscaling", "DescribeAutoScalingInstances")
def describe_auto_scaling_instances(call: Call) -> dict[str, Any]:
    """At most 50 a page."""
    wanted = call.params.get("InstanceIds")
    found = [
        i
        for i in call.region.held()
        if i.blueprint.asg in call.region.groups and i.state != "terminated" and (not wanted or i.instance_id in wanted)
    ]
    page, token = paged(call, found, 50, limit="MaxRecords")
    shown = [{**_member(call, i), "AutoScalingGroupName": i.blueprint.asg} for i in page]
    return {"AutoScalingInstances": shown, "NextToken": token}
