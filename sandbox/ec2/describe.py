"""DescribeInstances and DescribeInstanceStatus: paged by instances, as AWS counts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sandbox.calls import Call, operation
from sandbox.ec2 import filters, render
from sandbox.ec2.platforms import STATE_CODES
from sandbox.errors import AwsError
from sandbox.paging import make_token, read_token
from sandbox.protocol import Answer
from sandbox.world import live

if TYPE_CHECKING:
    from sandbox.instances import Instance

_ID: Final = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})$")
_SMALLEST_PAGE: Final = 5
_LARGEST_PAGE: Final = 1000


def find(call: Call, instance_id: str) -> Instance:
    """The instance of this id in the caller's account and Region."""
    if not _ID.match(instance_id):
        raise AwsError("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
    found = call.region.instances.get(instance_id)
    if found is None or found not in live([found], call.now):
        raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
    return found


def visible(call: Call) -> list[Instance]:
    """The instances a list call shows: AWS-run ones only when asked for, or when the account shows them."""
    shown = live(call.region.held(), call.now)
    if call.params.get("IncludeManagedResources") or call.account.managed_visibility == "visible":
        return shown
    return [instance for instance in shown if not instance.managed]


def chosen(call: Call) -> list[Instance]:
    """Visible instances by ids and filters."""
    shown = visible(call)
    wanted = call.params.get("InstanceIds")
    if wanted:
        known = {instance.instance_id for instance in shown}
        for instance_id in wanted:
            find(call, instance_id)
            if instance_id not in known:
                raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
        shown = [instance for instance in shown if instance.instance_id in set(wanted)]
    return filters.select(shown, call.params.get("Filters", []), call.now)


def page_size(call: Call, default: int) -> int:
    """MaxResults, checked."""
    size = call.params.get("MaxResults")
    if size is None:
        return default
    if call.params.get("InstanceIds"):
        raise AwsError(
            "InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults"
        )
    if not _SMALLEST_PAGE <= size <= _LARGEST_PAGE:
        raise AwsError(
            "InvalidParameterValue",
            f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value between 5 and 1000.",
        )
    return int(size)


def cut(call: Call, instances: list[Instance], size: int) -> tuple[list[Instance], str | None]:
    """The page that NextToken asks for, and the token of the next one; a page may be empty and still carry a token."""
    token = call.params.get("NextToken")
    after, empty_before = read_token("instances", token, 2) if token is not None else (0, 0)
    if after < 0:
        raise AwsError("InvalidNextToken", "The specified NextToken is not valid.")
    rest = [instance for instance in instances if instance.sequence > after]
    if call.world.settings.empty_pages and rest and not empty_before:
        return [], make_token("instances", after, 1)
    page = rest[:size]
    return page, make_token("instances", page[-1].sequence, 0) if len(rest) > size else None


@operation("ec2", "DescribeInstances")
def describe_instances(call: Call) -> Answer:
    """Reservations of the page."""
    size = page_size(call, call.world.settings.page_size)
    call.stop_if_dry_run()
    page, token = cut(call, chosen(call), size)
    stale = {i.instance_id for i in page} if call.effects.stale else set()
    body = render.reservations(page, stale, call.now)
    return Answer(200, render.page("DescribeInstances", call.request.request_id, body, token), "text/xml;charset=UTF-8")


@operation("ec2", "DescribeInstanceStatus")
def describe_instance_status(call: Call) -> dict[str, Any]:
    """Running instances, or all of them with IncludeAllInstances."""
    size = page_size(call, call.world.settings.page_size)
    call.stop_if_dry_run()
    everything = bool(call.params.get("IncludeAllInstances"))
    page, token = cut(call, [i for i in chosen(call) if everything or i.state == "running"], size)
    return {"InstanceStatuses": [_status(instance) for instance in page], "NextToken": token}


def _status(instance: Instance) -> dict[str, Any]:
    word = "ok" if instance.state == "running" else "not-applicable"
    return {
        "InstanceId": instance.instance_id,
        "AvailabilityZone": instance.zone,
        "InstanceState": {"Code": STATE_CODES[instance.state], "Name": instance.state},
        "InstanceStatus": {"Status": word},
        "SystemStatus": {"Status": word},
        "Operator": {"Managed": instance.managed},
    }
