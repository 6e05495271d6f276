"""A fresh read of what the rungs above the instance change, with the reader's role: what stands there now, as
`domain.ladder` compares it. Nothing here writes.

A resource that is not in AWS's answer is not in ours, and that proves nothing: EC2 is eventually consistent.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

from migration.aws import autoscaling, ec2, errors, launch_parse
from migration.aws.sessions import Edge, Target
from migration.domain import ladder
from migration.domain.ladder import Seen
from migration.domain.launch_facts import TemplateFact
from migration.domain.live import OPTIONS

NAMES_PER_CALL = 50  # names of groups (DescribeAutoScalingGroups)
DELETING = "Delete in progress"  # Status of a group; it has none otherwise
DEREGISTERED = "deregistered"  # State of an AMI


@dataclass(frozen=True, slots=True)
class Mark:
    """How the version that a change makes is known again: it is later than its source, and bears the change's token
    as its description.
    """

    source_version: int
    token: str


NO_MARKS: Mapping[str, Mark] = MappingProxyType({})


class Reader(Protocol):
    """The resources of these ids by their ids. `marks` by template id, for new versions only. Raises AwsError."""

    def __call__(
        self, edge: Edge, target: Target, region: str, resource_ids: Iterable[str], marks: Mapping[str, Mark] = NO_MARKS
    ) -> dict[str, Seen]: ...


# --- launch templates -------------------------------------------------------------------------------------


def template_versions(
    edge: Edge, target: Target, region: str, resource_ids: Iterable[str], marks: Mapping[str, Mark] = NO_MARKS
) -> dict[str, Seen]:
    """Each template's version that bears the mark; while there is none, the version it is to be made from.

    Every template in `resource_ids` has its mark. One series of calls a template. Raises AwsError.
    """
    found: dict[str, Seen] = {}
    for template_id, fact in _templates(edge, target, region, resource_ids).items():
        mark = marks[template_id]
        later = _versions_from(edge, target, region, template_id, mark.source_version)
        state = _marked(mark, later)
        if state is not None:
            found[template_id] = Seen(state, managed=fact.provider)
    return found


def template_defaults(
    edge: Edge, target: Target, region: str, resource_ids: Iterable[str], marks: Mapping[str, Mark] = NO_MARKS
) -> dict[str, Seen]:
    """The default version of each template. Raises AwsError."""
    del marks
    return {
        template_id: Seen({"DefaultVersion": fact.default_version}, managed=fact.provider)
        for template_id, fact in _templates(edge, target, region, resource_ids).items()
    }


def _marked(mark: Mark, versions: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The made version, else the source; None where neither is shown. The earliest, should several bear the mark."""
    source: dict[str, Any] | None = None
    for member in sorted(versions, key=lambda one: int(one["VersionNumber"])):
        stated = member.get("LaunchTemplateData", {}).get("MetadataOptions", {})
        # `State`, which the answer has too, says nothing about a version that never changes.
        state = {
            "SourceVersion": mark.source_version,
            "MetadataOptions": {name: stated[name] for name in OPTIONS if name in stated},
        }
        if member["VersionNumber"] == mark.source_version:
            source = state
        elif member["VersionNumber"] > mark.source_version and member.get("VersionDescription") == mark.token:
            return {"VersionNumber": member["VersionNumber"], **state}
    return source


def _versions_from(
    edge: Edge, target: Target, region: str, template_id: str, source_version: int
) -> list[Mapping[str, Any]]:
    """The source and all that came after it; empty where the template is not shown.

    MinVersion is "the version number after which": whether that version is among them is not said, so it is asked from
    one before.
    """
    asked: dict[str, Any] = {"MinVersion": str(source_version - 1)} if source_version > 1 else {}
    ask = partial(
        edge.ask,
        target,
        "ec2",
        region,
        "describe_launch_template_versions",
        LaunchTemplateId=template_id,
        MaxResults=ec2.TEMPLATES_PAGE,
        IncludeManagedResources=True,
        **asked,
    )
    try:
        return list(_members("LaunchTemplateVersions", ask))
    except errors.Refused as refused:
        if refused.code not in ec2.NO_VERSION:
            raise
        return []


def _templates(edge: Edge, target: Target, region: str, template_ids: Iterable[str]) -> dict[str, TemplateFact]:
    """The templates of these ids. There is no filter by id, and one unknown id fails the whole call: then singly."""
    found: dict[str, TemplateFact] = {}
    for batch in _batches(template_ids, ec2.TEMPLATES_PAGE):
        try:
            found |= _templates_named(edge, target, region, batch)
        except errors.Refused as refused:
            if refused.code not in ec2.NO_VERSION:
                raise
            if len(batch) > 1:
                for one in batch:
                    found |= _templates(edge, target, region, [one])
    return found


def _templates_named(edge: Edge, target: Target, region: str, template_ids: list[str]) -> dict[str, TemplateFact]:
    ask = partial(
        edge.ask,
        target,
        "ec2",
        region,
        "describe_launch_templates",
        LaunchTemplateIds=template_ids,
        IncludeManagedResources=True,
    )
    return {fact.template_id: fact for fact in map(launch_parse.template, _members("LaunchTemplates", ask))}


# --- groups, AMIs, defaults -------------------------------------------------------------------------------


def groups(
    edge: Edge, target: Target, region: str, resource_ids: Iterable[str], marks: Mapping[str, Mark] = NO_MARKS
) -> dict[str, Seen]:
    """What each group launches from, by the group's name. Raises AwsError."""
    del marks
    found: dict[str, Seen] = {}
    for batch in _batches(resource_ids, NAMES_PER_CALL):
        ask = partial(
            edge.ask,
            target,
            "autoscaling",
            region,
            "describe_auto_scaling_groups",
            AutoScalingGroupNames=batch,
            MaxRecords=autoscaling.PAGE,
            IncludeManagedResources=True,
        )
        found |= {one["AutoScalingGroupName"]: group(one) for one in _members("AutoScalingGroups", ask)}
    return found


def group(member: Mapping[str, Any]) -> Seen:
    """One member of `AutoScalingGroups`. Pure. InstancesDistribution is the owner's, and no part of the state."""
    state = launch_parse.specification(member)
    return Seen(state, managed=launch_parse.group(member).provider, gone=member.get("Status", "").startswith(DELETING))


def images(
    edge: Edge, target: Target, region: str, resource_ids: Iterable[str], marks: Mapping[str, Mark] = NO_MARKS
) -> dict[str, Seen]:
    """ImdsSupport of each AMI; one of another account is that account's to change.

    By filter, not by `ImageIds`: there, one unknown id fails the whole call. Raises AwsError.
    """
    del marks
    found: dict[str, Seen] = {}
    for batch in _batches(resource_ids, ec2.IDS_PER_FILTER):
        ask = partial(
            edge.ask,
            target,
            "ec2",
            region,
            "describe_images",
            Filters=[{"Name": "image-id", "Values": batch}],
            IncludeDeprecated=True,
            IncludeDisabled=True,
            MaxResults=ec2.PAGE,
        )
        found |= {one["ImageId"]: image(one, target.account_id) for one in _members("Images", ask)}
    return found


def image(member: Mapping[str, Any], account_id: str) -> Seen:
    """One member of `Images`, as the account sees it. Pure."""
    owner = member.get("OwnerId", account_id)
    return Seen(
        {"ImdsSupport": member.get("ImdsSupport")},
        managed="" if owner == account_id else f"Account {owner}",
        gone=member.get("State") == DEREGISTERED,
    )


def region_defaults(
    edge: Edge, target: Target, region: str, resource_ids: Iterable[str], marks: Mapping[str, Mark] = NO_MARKS
) -> dict[str, Seen]:
    """The five defaults of the Region, null for no preference; a Region is asked about itself only. Raises AwsError."""
    del marks
    if region not in set(resource_ids):
        return {}
    fact = ec2.metadata_defaults(edge, target, region)
    state = {
        "HttpTokens": fact.http_tokens,
        "HttpPutResponseHopLimit": fact.http_put_response_hop_limit,
        "HttpEndpoint": fact.http_endpoint,
        "InstanceMetadataTags": fact.instance_metadata_tags,
        "HttpTokensEnforced": fact.http_tokens_enforced,
    }
    by_policy = fact.managed_by == "declarative-policy"
    message = fact.managed_exception_message or "it has no message."
    return {region: Seen(state, managed=message if by_policy else "")}


def _batches(wanted: Iterable[str], most: int) -> Iterator[list[str]]:
    """Each once, at most so many at a time."""
    every = sorted(set(wanted))
    return (every[start : start + most] for start in range(0, len(every), most))


def _members(key: str, ask: Callable[..., dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Every member of every page; a page may be empty and still carry a token."""
    more: dict[str, Any] = {}
    while True:
        answer = ask(**more)
        yield from answer.get(key, ())
        token = answer.get("NextToken")
        if not token:
            return
        more = {"NextToken": token}


READERS: Mapping[str, Reader] = {
    ladder.TEMPLATE_VERSION: template_versions,
    ladder.TEMPLATE_DEFAULT: template_defaults,
    ladder.GROUP: groups,
    ladder.IMAGE: images,
    ladder.REGION_DEFAULTS: region_defaults,
}
