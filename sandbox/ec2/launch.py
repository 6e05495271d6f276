"""RunInstances and the other changes of an instance's life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox import ids
from sandbox.calls import Call, operation
from sandbox.ec2 import render
from sandbox.ec2.describe import find
from sandbox.ec2.options import check_enforced, read_options
from sandbox.ec2.platforms import STATE_CODES
from sandbox.ec2.resolve import resolve
from sandbox.ec2.templates import find_template, find_version
from sandbox.errors import AwsError
from sandbox.instances import Blueprint, Instance
from sandbox.protocol import Answer

if TYPE_CHECKING:
    from sandbox.world import Region


def launch(call: Call, given: dict[str, Any], count: int, asg: str = "", configuration: str = "") -> list[Instance]:
    """Launch `count` instances from request data (names of RunInstances), one reservation."""
    template_id, template_version, merged = _with_template(call, given)
    image_id = merged.get("ImageId")
    if not image_id:
        raise AwsError("MissingParameter", "The request must contain the parameter ImageId")
    image = call.region.images.get(image_id)
    asked = read_options(merged.get("MetadataOptions", {}))
    options = resolve(asked, call.region.defaults, image.imds_support if image else None)
    check_enforced(call, options.http_tokens, "Launching an instance with HttpTokens optional")
    call.stop_if_dry_run()
    tags = _instance_tags(merged)
    blueprint = Blueprint(
        image_id=image_id,
        instance_type=merged.get("InstanceType", "m1.small"),
        platform=image.platform if image else "linux",
        lifecycle="spot" if merged.get("InstanceMarketOptions", {}).get("MarketType") == "spot" else "",
        profile_arn=_profile_arn(call.region, merged.get("IamInstanceProfile", {})),
        subnet_id=merged.get("SubnetId") or ids.aws_id("subnet", call.region.account_id, call.region.name),
        vpc_id=call.region.vpc_id,
        tags=tuple((key, value) for key, value in tags.items() if key != "Name"),
        asg=asg,
        template_id=template_id,
        template_version=template_version,
        configuration=configuration,
        user_data=merged.get("UserData", ""),
    )
    reservation = f"r-{ids.request_id().replace('-', '')[:17]}"
    made = [
        Instance(
            instance_id=f"i-{ids.request_id().replace('-', '')[:17]}", account_id=call.region.account_id,
            region=call.region.name, blueprint=blueprint, name=tags.get("Name", ""), reservation_id=reservation,
            first_launch=call.now, options=options,
        )
        for _ in range(count)
    ]  # fmt: skip
    for instance in made:
        call.world.add(instance)
    call.applied = True
    return made


def _with_template(call: Call, given: dict[str, Any]) -> tuple[str, int, dict[str, Any]]:
    """The request over its launch template; MetadataOptions are merged option by option."""
    spec = given.get("LaunchTemplate")
    if not spec:
        return "", 0, given
    template = find_template(call.region, spec.get("LaunchTemplateId"), spec.get("LaunchTemplateName"))
    version = find_version(template, str(spec.get("Version") or "$Default"))
    merged = {**version.data, **{name: value for name, value in given.items() if name != "LaunchTemplate"}}
    merged["MetadataOptions"] = {**version.data.get("MetadataOptions", {}), **given.get("MetadataOptions", {})}
    return template.template_id, version.number, merged


def _instance_tags(given: dict[str, Any]) -> dict[str, str]:
    return {
        tag["Key"]: tag.get("Value", "")
        for spec in given.get("TagSpecifications", [])
        if spec.get("ResourceType") == "instance"
        for tag in spec.get("Tags", [])
    }


def _profile_arn(region: Region, given: dict[str, Any]) -> str:
    name = given.get("Name")
    return str(
        given.get("Arn") or (f"arn:{region.partition}:iam::{region.account_id}:instance-profile/{name}" if name else "")
    )


@operation("ec2", "RunInstances", writes=True)
def run_instances(call: Call) -> Answer:
    """Launch; the answer is one reservation."""
    most = int(call.params.get("MaxCount", 1))
    if not 1 <= int(call.params.get("MinCount", 1)) <= most:
        raise AwsError("InvalidParameterValue", "MinCount must be between 1 and MaxCount.")
    made = launch(call, call.params, most)
    written = "".join(render.instance(one, one.options, call.now)[1] for one in made)
    head = render.HEAD.format("RunInstances", call.request.request_id)
    body = (
        f"{head}<reservationId>{made[0].reservation_id}</reservationId><ownerId>{made[0].account_id}</ownerId>"
        f"<groupSet/><instancesSet>{written}</instancesSet></RunInstancesResponse>"
    )
    return Answer(200, body.encode(), "text/xml;charset=UTF-8")


def _change_state(call: Call, state: str, key: str) -> dict[str, Any]:
    instances = [find(call, instance_id) for instance_id in call.params.get("InstanceIds", [])]
    for instance in instances:
        if instance.managed:
            raise AwsError(
                "OperationNotPermitted", f"The instance '{instance.instance_id}' is managed by an AWS service."
            )
        if instance.state == "terminated" and state != "terminated":
            raise AwsError(
                "IncorrectInstanceState",
                f"The instance '{instance.instance_id}' is not in a state from which it can be {state}.",
            )
    call.stop_if_dry_run()
    changed = []
    for instance in instances:
        previous = instance.state
        if previous != state:
            with call.world.lock:
                if state == "running":
                    instance.start(call.now)
                else:
                    instance.stop(call.now, state)
            call.world.tell("state", instance_id=instance.instance_id, state=state)
        changed.append({
            "InstanceId": instance.instance_id,
            "CurrentState": {"Code": STATE_CODES[state], "Name": state},
            "PreviousState": {"Code": STATE_CODES[previous], "Name": previous},
        })  # fmt: skip
    call.applied = True
    return {key: changed}


@operation("ec2", "StartInstances", writes=True)
def start_instances(call: Call) -> dict[str, Any]:
    """Start: LaunchTime moves, waiting options are applied."""
    return _change_state(call, "running", "StartingInstances")


@operation("ec2", "StopInstances", writes=True)
def stop_instances(call: Call) -> dict[str, Any]:
    """Stop."""
    return _change_state(call, "stopped", "StoppingInstances")


@operation("ec2", "TerminateInstances", writes=True)
def terminate_instances(call: Call) -> dict[str, Any]:
    """Terminate; the instance is listed for an hour."""
    return _change_state(call, "terminated", "TerminatingInstances")
