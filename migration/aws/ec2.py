"""Reading EC2. Nothing here writes."""

from collections.abc import Iterable, Iterator
from typing import Any

from migration.aws import parse
from migration.aws.sessions import Edge, Target
from migration.domain.facts import DefaultsFact, InstanceFact

PAGE = 1000  # the most DescribeInstances gives
IDS_PER_FILTER = 200  # the most values one filter takes


def regions(edge: Edge, target: Target) -> list[str]:
    """The Regions this account may use, as it says itself. Raises AwsError."""
    answer = edge.ask(target, "ec2", edge.home_region, "describe_regions", AllRegions=False)
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
    keep = frozenset(keep_tags)
    more: dict[str, Any] = {}
    while True:
        answer = edge.ask(
            target, "ec2", region, "describe_instances", MaxResults=PAGE, IncludeManagedResources=True, **more
        )
        token = answer.get("NextToken")
        yield parse.instances(answer, keep_tags=keep)
        del answer  # a page is large: the next one is not read beside it
        if not token:
            return
        more = {"NextToken": token}


def instances_by_id(edge: Edge, target: Target, region: str, ids: Iterable[str]) -> dict[str, InstanceFact]:
    """A fresh read of some instances. By filter, not by `InstanceIds`: there, one unknown id fails the whole call.

    An id that is not in the answer is not proof that it is gone: EC2 is eventually consistent. Raises AwsError.
    """
    wanted = list(ids)
    found: dict[str, InstanceFact] = {}
    for start in range(0, len(wanted), IDS_PER_FILTER):
        filters = [{"Name": "instance-id", "Values": wanted[start : start + IDS_PER_FILTER]}]
        more: dict[str, Any] = {}
        while True:
            answer = edge.ask(
                target,
                "ec2",
                region,
                "describe_instances",
                Filters=filters,
                MaxResults=PAGE,
                IncludeManagedResources=True,
                **more,
            )
            found |= {fact.instance_id: fact for fact in parse.instances(answer)}
            token = answer.get("NextToken")
            if not token:
                break
            more = {"NextToken": token}
    return found


def metadata_defaults(edge: Edge, target: Target, region: str) -> DefaultsFact:
    """The account's launch defaults in a Region. Raises AwsError."""
    return parse.defaults(edge.ask(target, "ec2", region, "get_instance_metadata_defaults"))
