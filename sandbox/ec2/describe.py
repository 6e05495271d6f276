"""DescribeInstances and DescribeInstanceStatus: paged by instances, as AWS counts."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from sandbox.calls import Call, operation
from sandbox.ec2 import filters, render
from sandbox.ec2.platforms import STATE_CODES
from sandbox.errors import AwsError
from sandbox.paging import make_token, read_token
from sandbox.protocol import Answer
from sandbox.world import is_shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox.instances import Instance

_ID: Final = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})$")
_SMALLEST_PAGE: Final = 5
_LARGEST_PAGE: Final = 1000
_sequence = attrgetter("sequence")


def find(call: Call, instance_id: str) -> Instance:
    """The instance of this id in the caller's account and Region."""
    if not _ID.match(instance_id):
        raise AwsError("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
    found = call.region.instances.get(instance_id)
    if found is None or not is_shown(found, call.now):
        raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
    return found


def _shown(call: Call, instances: Iterable[Instance]) -> Iterator[Instance]:
    """What a list call shows: AWS-run ones only when asked for, or when the account shows them; no long gone ones."""
    managed_too = call.params.get("IncludeManagedResources") or call.account.managed_visibility == "visible"
    return (i for i in instances if is_shown(i, call.now) and (managed_too or not i.managed))


def _chosen(call: Call, after: int) -> Iterator[Instance]:
    """Shown instances by ids and filters, in their order and none before its turn; those after a sequence number."""
    wanted = call.params.get("InstanceIds")
    if wanted:
        held = sorted({i.instance_id: i for i in (find(call, one) for one in wanted)}.values(), key=_sequence)
        hidden = {i.instance_id for i in held} - {i.instance_id for i in _shown(call, held)}
        if hidden:
            raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{min(hidden)}' does not exist")
    else:
        held = list(call.region.held())
    begin = bisect_right(held, after, key=_sequence)
    return filters.select(_shown(call, held[begin:]), call.params.get("Filters", []), call.now)


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


def _page(call: Call, size: int, *, running: bool = False) -> tuple[list[Instance], str | None]:
    """The page that NextToken asks for, and the token of the next one; a page may be empty and still carry a token."""
    token = call.params.get("NextToken")
    after, empty_before = read_token("instances", token, 2) if token is not None else (0, 0)
    if after < 0:
        raise AwsError("InvalidNextToken", "The specified NextToken is not valid.")
    found = (instance for instance in _chosen(call, after) if not running or instance.state == "running")
    page = list(islice(found, size + 1))
    if call.world.settings.empty_pages and page and not empty_before:
        return [], make_token("instances", after, 1)
    return page[:size], make_token("instances", page[size - 1].sequence, 0) if len(page) > size else None


@operation("ec2", "DescribeInstances")
def describe_instances(call: Call) -> Answer:
    """Reservations of the page."""
    size = page_size(call, call.world.settings.page_size)
    call.stop_if_dry_run()
    page, token = _page(call, size)
    stale = {i.instance_id for i in page} if call.effects.stale else set()
    body = render.reservations(page, stale, call.now)
    return Answer(200, render.page("DescribeInstances", call.request.request_id, body, token), "text/xml;charset=UTF-8")


@operation("ec2", "DescribeInstanceStatus")
def describe_instance_status(call: Call) -> dict[str, Any]:
    """Running instances, or all of them with IncludeAllInstances."""
    size = page_size(call, call.world.settings.page_size)
    call.stop_if_dry_run()
    page, token = _page(call, size, running=not call.params.get("IncludeAllInstances"))
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
