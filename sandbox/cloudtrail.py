"""CloudTrail LookupEvents: what the instances' credentials did, made up from what they are and who still calls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sandbox import ids
from sandbox.calls import Call, operation
from sandbox.errors import AwsError
from sandbox.paging import paged
from sandbox.protocol import iso

if TYPE_CHECKING:
    from sandbox.instances import Instance

_PAGE: Final = 50
_HOUR: Final = 3600
_EVENTS: Final = 12
_OLD: Final = "aws-cli/1.16.102 Python/2.7.16 Linux/4.14 botocore/1.12.92"
_NEW: Final = "Boto3/1.34.0 md/Botocore#1.34.0 ua/2.0"


@operation("cloudtrail", "LookupEvents")
def lookup_events(call: Call) -> dict[str, Any]:
    """Events by user name only, as imdsdash asks; the newest first. An instance without a role did nothing."""
    wanted = call.params.get("LookupAttributes") or []
    if len(wanted) > 1:
        raise AwsError("InvalidLookupAttributesException", "You can use only one lookup attribute.", 400)
    name = wanted[0].get("AttributeValue", "") if wanted else ""
    found = call.region.instances.get(name)
    events = [] if found is None or not found.blueprint.profile_arn else _events(call, found)
    page, token = paged(call, events, _PAGE)
    return {"Events": page, "NextToken": token}


def _events(call: Call, instance: Instance) -> list[dict[str, Any]]:
    role = instance.blueprint.profile_arn.replace(":instance-profile/", ":role/")
    old = instance.options.http_tokens != "required" and instance.blueprint.usage.profile != "quiet"
    return [
        {
            "EventId": ids.uuid_of("event", instance.instance_id, str(number)),
            "EventName": "GetObject" if number % 2 else "DescribeTags",
            "EventSource": "ec2.amazonaws.com",
            "EventTime": iso(call.now - number * _HOUR),
            "Username": instance.instance_id,
            "CloudTrailEvent": json.dumps(_event(call, instance, role, number, old=old and number % 3 == 0)),
        }
        for number in range(1, _EVENTS + 1)
    ]


def _event(call: Call, instance: Instance, role: str, number: int, *, old: bool) -> dict[str, Any]:
    return {
        "eventTime": f"{iso(call.now - number * _HOUR):%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "ec2.amazonaws.com",
        "userAgent": _OLD if old else _NEW,
        "userIdentity": {
            "type": "AssumedRole",
            "arn": f"{role.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/{instance.instance_id}",
            "sessionContext": {
                "sessionIssuer": {"type": "Role", "arn": role},
                "ec2RoleDelivery": "1.0" if old else "2.0",
            },
        },
    }
