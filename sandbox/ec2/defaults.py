"""Account-level IMDS defaults and enforcement of a Region."""

from __future__ import annotations

from typing import Any, Final

from sandbox.calls import Call, operation
from sandbox.ec2.options import HOP_RANGE
from sandbox.errors import AwsError, bad_value

NO_PREFERENCE: Final = "no-preference"
NO_HOP_PREFERENCE: Final = -1
FIELDS: Final = {
    "HttpTokens": ("http_tokens", ("optional", "required", NO_PREFERENCE)),
    "HttpEndpoint": ("http_endpoint", ("disabled", "enabled", NO_PREFERENCE)),
    "InstanceMetadataTags": ("instance_metadata_tags", ("disabled", "enabled", NO_PREFERENCE)),
    "HttpTokensEnforced": ("http_tokens_enforced", ("disabled", "enabled", NO_PREFERENCE)),
}


@operation("ec2", "GetInstanceMetadataDefaults")
def get_instance_metadata_defaults(call: Call) -> dict[str, Any]:
    """What is not set is not in the answer."""
    call.stop_if_dry_run()
    defaults = call.region.defaults
    level = {name: getattr(defaults, field) for name, (field, _) in FIELDS.items()}
    level["HttpPutResponseHopLimit"] = defaults.http_put_response_hop_limit
    level["ManagedBy"] = defaults.managed_by
    level["ManagedExceptionMessage"] = defaults.exception_message
    return {"AccountLevel": {name: value for name, value in level.items() if value is not None}}


@operation("ec2", "ModifyInstanceMetadataDefaults", writes=True)
def modify_instance_metadata_defaults(call: Call) -> dict[str, Any]:
    """Set what is given; `no-preference` and -1 take a default away."""
    changes = _read(call.params)
    defaults = call.region.defaults
    call.stop_if_dry_run()
    if defaults.managed_by == "declarative-policy":
        raise AwsError(
            "OperationNotPermitted",
            defaults.exception_message or "This functionality has been disabled by an organizational policy.",
        )
    with call.world.lock:
        for field, value in changes.items():
            setattr(defaults, field, value)
    call.world.tell("defaults", account_id=call.account.account_id, region=call.request.region, changes=changes)
    call.applied = True
    return {"Return": True}


def _read(given: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, (field, allowed) in FIELDS.items():
        value = given.get(name)
        if value is None:
            continue
        if value not in allowed:
            raise bad_value(value, name)
        changes[field] = None if value == NO_PREFERENCE else value
    hop = given.get("HttpPutResponseHopLimit")
    if hop is not None:
        if hop not in HOP_RANGE and hop != NO_HOP_PREFERENCE:
            raise bad_value(hop, "HttpPutResponseHopLimit")
        changes["http_put_response_hop_limit"] = None if hop == NO_HOP_PREFERENCE else hop
    return changes


@operation("ec2", "GetManagedResourceVisibility")
def get_managed_resource_visibility(call: Call) -> dict[str, Any]:
    """Whether list calls show instances that AWS services run."""
    return {"Visibility": {"DefaultVisibility": call.account.managed_visibility}}
