"""Reading EC2. Nothing here writes."""

from collections.abc import Iterable, Iterator
from typing import Any

from migration.aws import parse
from migration.aws.sessions import Edge, Target, call
from migration.domain.facts import DefaultsFact, InstanceFact

PAGE = 1000  # the most DescribeInstances gives
IDS_PER_FILTER = 200  # the most values one filter takes


def regions(edge: Edge, target: Target) -> list[str]:
    """The Regions this account may use, as it says itself. Raises AwsError."""
    client = edge.client(target, "ec2", edge.home_region)
    answer = call(
        lambda: client.describe_regions(AllRegions=False),
        place=_place(target, edge.home_region),
        operation="DescribeRegions",
    )
    return sorted(
        region["RegionName"]
        for region in answer.get("Regions", ())
        if region.get("OptInStatus", "opt-in-not-required") != "not-opted-in"
    )


def instance_pages(
    edge: Edge, target: Target, region: str, *, keep_tags: Iterable[str] = ()
) -> Iterator[list[InstanceFact]]:
    """Every instance of an account in a Region, page by page, those run by AWS services included.

    A page may be empty and still carry a token. Raises AwsError, possibly after some pages: then the
    inventory is not complete, and absence from it means nothing.
    """
    client = edge.client(target, "ec2", region)
    token: str | None = None
    while True:
        asked: dict[str, Any] = {"MaxResults": PAGE, "IncludeManagedResources": True}
        if token:
            asked["NextToken"] = token
        answer = call(
            lambda asked=asked: client.describe_instances(**asked),  # type: ignore[misc]
            place=_place(target, region),
            operation="DescribeInstances",
        )
        yield parse.instances(answer, keep_tags=keep_tags)
        token = answer.get("NextToken")
        if not token:
            return


def instances_by_id(edge: Edge, target: Target, region: str, ids: Iterable[str]) -> dict[str, InstanceFact]:
    """A fresh read of some instances. By filter, not by `InstanceIds`: there, one unknown id fails the whole call.

    An id that is not in the answer is not proof that it is gone: EC2 is eventually consistent. Raises AwsError.
    """
    client = edge.client(target, "ec2", region)
    wanted = list(ids)
    found: dict[str, InstanceFact] = {}
    for start in range(0, len(wanted), IDS_PER_FILTER):
        token: str | None = None
        while True:
            asked: dict[str, Any] = {
                "Filters": [{"Name": "instance-id", "Values": wanted[start : start + IDS_PER_FILTER]}],
                "MaxResults": PAGE,
                "IncludeManagedResources": True,
            }
            if token:
                asked["NextToken"] = token
            answer = call(
                lambda asked=asked: client.describe_instances(**asked),  # type: ignore[misc]
                place=_place(target, region),
                operation="DescribeInstances",
            )
            found |= {fact.instance_id: fact for fact in parse.instances(answer)}
            token = answer.get("NextToken")
            if not token:
                break
    return found


def metadata_defaults(edge: Edge, target: Target, region: str) -> DefaultsFact:
    """The account's launch defaults in a Region. Raises AwsError."""
    client = edge.client(target, "ec2", region)
    answer = call(
        client.get_instance_metadata_defaults,
        place=_place(target, region),
        operation="GetInstanceMetadataDefaults",
    )
    return parse.defaults(answer)


def _place(target: Target, region: str) -> str:
    return f"{target.account_id}/{region}"
