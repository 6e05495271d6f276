"""Reading EC2. Nothing here writes."""

from collections.abc import Iterable, Iterator
from typing import Any

from migration.aws import errors, launch_parse, parse
from migration.aws.sessions import Edge, Target
from migration.domain.facts import DefaultsFact, InstanceFact
from migration.domain.launch_facts import ImageFact, SpotFact, TemplateFact, VersionFact

PAGE = 1000  # the most DescribeInstances, DescribeImages and DescribeSpotInstanceRequests give
TEMPLATES_PAGE = 200  # the most DescribeLaunchTemplates and DescribeLaunchTemplateVersions give
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


def launch_templates(edge: Edge, target: Target, region: str) -> Iterator[list[TemplateFact]]:
    """Every launch template of an account in a Region, page by page, those of AWS services included.

    Raises AwsError.
    """
    more: dict[str, Any] = {}
    while True:
        answer = edge.ask(
            target,
            "ec2",
            region,
            "describe_launch_templates",
            MaxResults=TEMPLATES_PAGE,
            IncludeManagedResources=True,
            **more,
        )
        yield [launch_parse.template(one) for one in answer.get("LaunchTemplates", ())]
        token = answer.get("NextToken")
        if not token:
            return
        more = {"NextToken": token}


def current_versions(edge: Edge, target: Target, region: str) -> Iterator[list[VersionFact]]:
    """`$Default` and `$Latest` of every launch template, page by page: one series of calls for all. Raises AwsError."""
    return _versions(edge, target, region, ["$Default", "$Latest"])


def numbered_versions(
    edge: Edge, target: Target, region: str, template_id: str, numbers: Iterable[int]
) -> list[VersionFact]:
    """Some versions of one template. One that does not exist fails the whole call, and is found by asking singly; it
    comes back without options. Raises AwsError.
    """
    wanted = sorted(set(numbers))
    found: list[VersionFact] = []
    for start in range(0, len(wanted), TEMPLATES_PAGE):
        batch = wanted[start : start + TEMPLATES_PAGE]
        try:
            found += _of_template(edge, target, region, template_id, batch)
        except errors.Refused as refused:
            if refused.code not in NO_VERSION:
                raise
            for number in batch:
                found += _single_version(edge, target, region, template_id, number)
    return found


# A version, or the whole template, that is deleted.
NO_VERSION = frozenset({"InvalidLaunchTemplateId.VersionNotFound", "InvalidLaunchTemplateId.NotFound"})


def _single_version(edge: Edge, target: Target, region: str, template_id: str, number: int) -> list[VersionFact]:
    try:
        return _of_template(edge, target, region, template_id, [number])
    except errors.Refused as refused:
        if refused.code not in NO_VERSION:
            raise
        return [VersionFact(template_id, number, options=None)]


def _of_template(edge: Edge, target: Target, region: str, template_id: str, numbers: list[int]) -> list[VersionFact]:
    pages = _versions(edge, target, region, [str(number) for number in numbers], LaunchTemplateId=template_id)
    return [fact for page in pages for fact in page]


def _versions(
    edge: Edge, target: Target, region: str, versions: list[str], **params: Any
) -> Iterator[list[VersionFact]]:
    more: dict[str, Any] = {}
    while True:
        answer = edge.ask(
            target,
            "ec2",
            region,
            "describe_launch_template_versions",
            Versions=versions,
            MaxResults=TEMPLATES_PAGE,
            IncludeManagedResources=True,
            **params,
            **more,
        )
        yield [launch_parse.version(one) for one in answer.get("LaunchTemplateVersions", ())]
        token = answer.get("NextToken")
        if not token:
            return
        more = {"NextToken": token}


def images(edge: Edge, target: Target, region: str, ids: Iterable[str]) -> list[ImageFact]:
    """The AMIs of these ids; one that is not shown comes back as not readable, of which nothing is known.

    By filter, not by `ImageIds`: there, one unknown id fails the whole call. Deprecated AMIs of others, and disabled
    ones, are shown only when asked for, and instances run from both. Raises AwsError.
    """
    wanted = sorted(set(ids))
    found: dict[str, ImageFact] = {}
    for start in range(0, len(wanted), IDS_PER_FILTER):
        filters = [{"Name": "image-id", "Values": wanted[start : start + IDS_PER_FILTER]}]
        more: dict[str, Any] = {}
        while True:
            answer = edge.ask(
                target,
                "ec2",
                region,
                "describe_images",
                Filters=filters,
                IncludeDeprecated=True,
                IncludeDisabled=True,
                MaxResults=PAGE,
                **more,
            )
            found |= {fact.image_id: fact for fact in map(launch_parse.image, answer.get("Images", ()))}
            token = answer.get("NextToken")
            if not token:
                break
            more = {"NextToken": token}
    return [found.get(image_id) or ImageFact(image_id, readable=False) for image_id in wanted]


def spot_requests(edge: Edge, target: Target, region: str) -> Iterator[list[SpotFact]]:
    """The Spot requests that may still launch an instance, page by page. Raises AwsError."""
    more: dict[str, Any] = {}
    while True:
        answer = edge.ask(
            target,
            "ec2",
            region,
            "describe_spot_instance_requests",
            Filters=[{"Name": "state", "Values": ["open", "active"]}],
            MaxResults=PAGE,
            **more,
        )
        read = map(launch_parse.spot_request, answer.get("SpotInstanceRequests", ()))
        yield [fact for fact in read if fact is not None]
        token = answer.get("NextToken")
        if not token:
            return
        more = {"NextToken": token}


def user_data(edge: Edge, target: Target, region: str, instance_id: str) -> str:
    """DescribeInstanceAttribute of `userData`, base64; empty when there is none. One instance a call.

    What it returns may hold secrets: it goes to `domain.userdata` and nowhere else. Raises AwsError.
    """
    answer = edge.ask(
        target, "ec2", region, "describe_instance_attribute", InstanceId=instance_id, Attribute="userData"
    )
    return str(answer.get("UserData", {}).get("Value") or "")
