"""The filters of DescribeInstances."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING, Any, Final

from sandbox.ec2.platforms import PLATFORMS, STATE_CODES
from sandbox.ec2.render import stamp
from sandbox.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sandbox.instances import Instance

MOST_VALUES: Final = 200

_READERS: Final[dict[str, Callable[[Instance], str]]] = {
    "instance-id": lambda i: i.instance_id,
    "instance-state-name": lambda i: i.state,
    "instance-state-code": lambda i: str(STATE_CODES[i.state]),
    "instance-type": lambda i: i.blueprint.instance_type,
    "instance-lifecycle": lambda i: i.blueprint.lifecycle,
    "image-id": lambda i: i.blueprint.image_id,
    "vpc-id": lambda i: i.blueprint.vpc_id,
    "subnet-id": lambda i: i.blueprint.subnet_id,
    "availability-zone": lambda i: i.zone,
    "private-ip-address": lambda i: i.private_ip,
    "ip-address": lambda i: i.public_ip,
    "platform": lambda i: "windows" if i.blueprint.platform == "windows" else "",
    "platform-details": lambda i: PLATFORMS[i.blueprint.platform].details,
    "usage-operation": lambda i: PLATFORMS[i.blueprint.platform].usage_operation,
    "owner-id": lambda i: i.account_id,
    "reservation-id": lambda i: i.reservation_id,
    "launch-time": lambda i: stamp(i.last_start),
    "network-interface.attachment.attach-time": lambda i: stamp(i.first_launch),
    "iam-instance-profile.arn": lambda i: i.blueprint.profile_arn,
    "operator.managed": lambda i: str(i.managed).lower(),
    "operator.principal": lambda i: i.blueprint.operator,
    "metadata-options.http-tokens": lambda i: i.options.http_tokens,
    "metadata-options.http-endpoint": lambda i: i.options.http_endpoint,
    "metadata-options.http-put-response-hop-limit": lambda i: str(i.options.http_put_response_hop_limit),
    "metadata-options.http-protocol-ipv4": lambda i: i.options.http_endpoint,
    "metadata-options.http-protocol-ipv6": lambda i: i.options.http_protocol_ipv6,
    "metadata-options.instance-metadata-tags": lambda i: i.options.instance_metadata_tags,
}


def select(instances: Iterable[Instance], filters: list[dict[str, Any]], now: float) -> Iterator[Instance]:
    """The instances that pass all filters; an unknown filter is refused."""
    tests = [_test(each, now) for each in filters]
    if sum(len(each.get("Values", [])) for each in filters) > MOST_VALUES:
        raise AwsError(
            "FilterLimitExceeded",
            f"The maximum number of filter values specified on a single call is {MOST_VALUES}.",
        )
    return (instance for instance in instances if all(test(instance) for test in tests))


def _test(one: dict[str, Any], now: float) -> Callable[[Instance], bool]:
    name, values = str(one.get("Name", "")), [str(v) for v in one.get("Values", [])]
    if not values:
        raise AwsError("InvalidParameterValue", f"The filter '{name}' has no values.")
    matches = _matcher(values)
    if name == "metadata-options.state":
        return lambda i: matches(i.options_state(now))
    if name == "tag-key":
        return lambda i: any(matches(key) for key in i.tags())
    if name == "tag-value":
        return lambda i: any(matches(value) for value in i.tags().values())
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda i: (tags := i.tags()).get(key) is not None and matches(tags[key])
    reader = _READERS.get(name)
    if reader is None:
        raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return lambda i: matches(reader(i))


def _matcher(values: list[str]) -> Callable[[str], bool]:
    """Exact words, or AWS's wildcards `*` and `?`."""
    exact = {v for v in values if not any(c in v for c in "*?")}
    patterns = [re.compile(translate(v.replace("[", "[[]"))) for v in values if v not in exact]
    return lambda text: text in exact or any(p.match(text) for p in patterns)
