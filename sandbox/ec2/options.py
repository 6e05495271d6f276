"""ModifyInstanceMetadataOptions: the one write that the product makes to an instance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sandbox.calls import Call, operation
from sandbox.ec2.describe import find
from sandbox.errors import AwsError, bad_value
from sandbox.instances import UNTIL_START

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.instances import Instance, MetadataOptions

ON_OFF: Final = ("disabled", "enabled")
FIELDS: Final = {
    "HttpTokens": ("http_tokens", ("optional", "required")),
    "HttpEndpoint": ("http_endpoint", ON_OFF),
    "HttpProtocolIpv6": ("http_protocol_ipv6", ON_OFF),
    "InstanceMetadataTags": ("instance_metadata_tags", ON_OFF),
}
HOP_RANGE: Final = range(1, 65)


def read_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The given options by our field names, checked; what is not given is not there."""
    changes: dict[str, Any] = {}
    for name, (field, allowed) in FIELDS.items():
        value = given.get(name)
        if value is None:
            continue
        if value not in allowed:
            raise bad_value(value, name)
        changes[field] = value
    hop = given.get("HttpPutResponseHopLimit")
    if hop is not None:
        if hop not in HOP_RANGE:
            raise bad_value(hop, "HttpPutResponseHopLimit")
        changes["http_put_response_hop_limit"] = hop
    return changes


def check_enforced(call: Call, tokens: str | None, doing: str) -> None:
    """HttpTokensEnforced refuses to allow v1, on launches and on existing instances."""
    if call.region.defaults.enforced and tokens == "optional":
        raise AwsError(
            "UnsupportedOperation",
            f"{doing} is not supported: httpTokensEnforced is enabled for this account in {call.request.region}, "
            "so HttpTokens must be required.",
        )


@operation("ec2", "ModifyInstanceMetadataOptions", writes=True)
def modify_instance_metadata_options(call: Call) -> dict[str, Any]:
    """Change what is given, keep the rest; State is pending first."""
    changes = read_options(call.params)
    instance = find(call, call.params.get("InstanceId", ""))
    call.stop_if_dry_run()
    if not changes:
        raise AwsError("MissingParameter", "The request must contain at least one metadata option")
    _check_changeable(instance)
    check_enforced(call, changes.get("http_tokens"), "Setting HttpTokens to optional")
    options = replace(instance.options, **changes)
    call.world.change_options(instance, options, call.now, _settles_at(call, instance))
    call.applied = True
    return {"InstanceId": instance.instance_id, "InstanceMetadataOptions": _shown(options, "pending")}


def _check_changeable(instance: Instance) -> None:
    if instance.managed:
        raise AwsError(
            "OperationNotPermitted",
            f"The instance '{instance.instance_id}' is managed by an AWS service: it cannot be modified.",
        )
    if instance.state in {"terminated", "shutting-down"}:
        raise AwsError(
            "IncorrectInstanceState",
            f"The instance '{instance.instance_id}' is not in a state from which its metadata options can be modified.",
        )


def _settles_at(call: Call, instance: Instance) -> float:
    if instance.state != "running":
        return UNTIL_START
    seconds = call.effects.pending_seconds
    return call.now + (call.world.settings.apply_seconds if seconds is None else seconds)


def _shown(options: MetadataOptions, state: str) -> dict[str, Any]:
    return {
        "State": state,
        "HttpTokens": options.http_tokens,
        "HttpPutResponseHopLimit": options.http_put_response_hop_limit,
        "HttpEndpoint": options.http_endpoint,
        "HttpProtocolIpv6": options.http_protocol_ipv6,
        "InstanceMetadataTags": options.instance_metadata_tags,
    }
