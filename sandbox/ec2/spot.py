"""DescribeSpotInstanceRequests: those of the fleet file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox.calls import Call, operation
from sandbox.errors import AwsError
from sandbox.paging import paged
from sandbox.protocol import iso

if TYPE_CHECKING:
    from sandbox.world import SpotRequest

_PAGE: Final = 1000


@operation("ec2", "DescribeSpotInstanceRequests")
def describe_spot_instance_requests(call: Call) -> dict[str, Any]:
    """By ids and the filters state, type and spot-instance-request-id."""
    call.stop_if_dry_run()
    wanted = call.params.get("SpotInstanceRequestIds")
    found = [one for one in call.region.spot_requests.values() if not wanted or one.request_id in wanted]
    for each in call.params.get("Filters", []):
        found = [one for one in found if _passes(one, each)]
    page, token = paged(call, found, _PAGE)
    return {"SpotInstanceRequests": [_shown(one) for one in page], "NextToken": token}


def _passes(one: SpotRequest, given: dict[str, Any]) -> bool:
    values = {"state": one.state, "type": one.kind, "spot-instance-request-id": one.request_id}
    name = given.get("Name", "")
    if name not in values:
        raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return values[name] in given.get("Values", [])


def _shown(one: SpotRequest) -> dict[str, Any]:
    return {
        "SpotInstanceRequestId": one.request_id,
        "Type": one.kind,
        "State": one.state,
        "InstanceId": one.instance_id or None,
        "CreateTime": iso(one.created_at),
        "LaunchSpecification": one.data,
        "ProductDescription": "Linux/UNIX",
    }
