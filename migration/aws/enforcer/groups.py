from collections.abc import Mapping
from typing import Any

from migration.aws import errors, ladder
from migration.aws.enforcer.sending import only, request_id
from migration.aws.sessions import Edge, Target
from migration.domain.ladder import GROUP, awaited, before_write
from migration.domain.live import Finding

SOURCES = frozenset({"LaunchTemplate", "MixedInstancesPolicy"})
LOWEST_PRICE = "lowest-price"


def update_group(  # noqa: PLR0917 -- the form of every writer
    edge: Edge,
    target: Target,
    region: str,
    name: str,
    before: Mapping[str, Any],
    send: Mapping[str, Any],
    token: str,
) -> str:
    """Let a group launch other versions of the templates it launches from. Returns the request id.

    A mixed instances policy is replaced as a whole (AWS's text says both ways), so what is not ours goes along as it
    stands at this moment: it is read right before, and where the group has moved meanwhile nothing is sent. There is
    no ClientToken; sending it again changes nothing. Raises AwsError, and ValueError where more than versions differs
    from `before`, or a version is not known yet.

    What this botocore does not know of an override or a distribution is neither read nor sent, and would be lost.
    """
    del token
    _check(before, send)
    if "MixedInstancesPolicy" in send:
        distribution = _distribution(edge, target, region, name, before=before, send=send)
        source: dict[str, Any] = {
            "MixedInstancesPolicy": {
                "LaunchTemplate": _sendable(send["MixedInstancesPolicy"]["LaunchTemplate"]),
                **({"InstancesDistribution": distribution} if distribution else {}),
            }
        }
    else:
        source = {"LaunchTemplate": _sendable(send["LaunchTemplate"])}
    answer = edge.ask(
        target, "autoscaling", region, "update_auto_scaling_group", once=True, AutoScalingGroupName=name, **source
    )
    return request_id(answer)


def _check(before: Mapping[str, Any], send: Mapping[str, Any]) -> None:
    only(send, SOURCES)
    if awaited(send):
        raise ValueError(f"the versions of {sorted(awaited(send))} are not known yet")
    if any(_without_versions(before.get(name)) != _without_versions(value) for name, value in send.items()):
        raise ValueError("only versions of a group's templates may be changed")


def _distribution(
    edge: Edge, target: Target, region: str, name: str, *, before: Mapping[str, Any], send: Mapping[str, Any]
) -> dict[str, Any]:
    """The group's InstancesDistribution as it stands. Raises Passing where the group is not what it was, so that the
    caller looks again, and the other errors of a read.
    """
    answer = edge.ask(
        target,
        "autoscaling",
        region,
        "describe_auto_scaling_groups",
        AutoScalingGroupNames=[name],
        IncludeManagedResources=True,
    )
    members = answer.get("AutoScalingGroups", ())
    sight = before_write(GROUP, ladder.group(members[0]) if members else None, before, send)
    if sight.finding not in {Finding.GO, Finding.ALREADY}:
        raise errors.Passing(f"{name} was not updated. {sight.reason}", operation="DescribeAutoScalingGroups")
    told: dict[str, Any] = members[0]["MixedInstancesPolicy"].get("InstancesDistribution", {})
    if told.get("SpotAllocationStrategy", LOWEST_PRICE) == LOWEST_PRICE:
        return told
    # Valid with lowest-price alone, and refused otherwise, even if AWS tells of it (Auto Scaling API).
    return {member: value for member, value in told.items() if member != "SpotInstancePools"}


def _sendable(value: Any) -> Any:
    """As Auto Scaling takes what it tells: a template by its id or its name, not both."""
    if isinstance(value, list):
        return [_sendable(inner) for inner in value]
    if not isinstance(value, Mapping):
        return value
    unsent = "LaunchTemplateName" if value.get("LaunchTemplateId") else ""
    return {name: _sendable(inner) for name, inner in value.items() if name != unsent}


def _without_versions(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_versions(inner) for inner in value]
    if not isinstance(value, Mapping):
        return value
    unsent = {"Version", "InstancesDistribution"} | ({"LaunchTemplateName"} if value.get("LaunchTemplateId") else set())
    return {name: _without_versions(inner) for name, inner in value.items() if name not in unsent}
