"""Payload -> fact. Pure: AWS's dictionaries in, frozen values out; what AWS did not say becomes None."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from migration.domain.containers import keeps
from migration.domain.facts import DefaultsFact, InstanceFact, MetadataOptions

STOPPED_AT = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) GMT\)")


def instances(page: Mapping[str, Any], *, keep_tags: Iterable[str] = ()) -> list[InstanceFact]:
    """Every instance of a DescribeInstances page: a reservation may hold several, a page may hold none."""
    keep = frozenset(keep_tags)
    return [
        instance(member, keep=keep)
        for reservation in page.get("Reservations", ())
        for member in reservation.get("Instances", ())
    ]


def instance(member: Mapping[str, Any], *, keep: frozenset[str] = frozenset()) -> InstanceFact:
    """One member of `Instances`."""
    tags = {tag["Key"]: tag.get("Value", "") for tag in member.get("Tags", ())}
    operator = member.get("Operator", {})
    state = member.get("State", {}).get("Name", "")
    return InstanceFact(
        instance_id=member["InstanceId"],
        instance_state=state,
        options=options(member.get("MetadataOptions", {})),
        name=tags.get("Name", "")[:256],
        instance_type=member.get("InstanceType", ""),
        platform_details=member.get("PlatformDetails", ""),
        lifecycle=member.get("InstanceLifecycle", ""),
        image_id=member.get("ImageId", ""),
        instance_profile_arn=member.get("IamInstanceProfile", {}).get("Arn", ""),
        asg_name=tags.get("aws:autoscaling:groupName", ""),
        launch_template_id=tags.get("aws:ec2launchtemplate:id", ""),
        launch_template_version=tags.get("aws:ec2launchtemplate:version", ""),
        public=bool(member.get("PublicIpAddress")),
        operator_managed=bool(operator.get("Managed", False)),
        operator_principal=operator.get("Principal", ""),
        tags={key: value for key, value in tags.items() if key in keep or keeps(key)},
        launched_at=member.get("LaunchTime"),
        first_launched_at=_first_launch(member),
        stopped_at=_stopped_at(member.get("StateTransitionReason", "")) if state == "stopped" else None,
        ended_at=_stopped_at(member.get("StateTransitionReason", "")) if state == "terminated" else None,
    )


def options(told: Mapping[str, Any]) -> MetadataOptions:
    """`MetadataOptions`; an absent member stays None."""
    return MetadataOptions(
        http_tokens=told.get("HttpTokens"),
        http_put_response_hop_limit=told.get("HttpPutResponseHopLimit"),
        http_endpoint=told.get("HttpEndpoint"),
        http_protocol_ipv6=told.get("HttpProtocolIpv6"),
        instance_metadata_tags=told.get("InstanceMetadataTags"),
        state=told.get("State"),
    )


def defaults(answer: Mapping[str, Any]) -> DefaultsFact:
    """GetInstanceMetadataDefaults: a missing key means no preference (the response enums have no word for it)."""
    level = answer.get("AccountLevel", {})
    return DefaultsFact(
        http_tokens=level.get("HttpTokens"),
        http_put_response_hop_limit=level.get("HttpPutResponseHopLimit"),
        http_endpoint=level.get("HttpEndpoint"),
        instance_metadata_tags=level.get("InstanceMetadataTags"),
        http_tokens_enforced=level.get("HttpTokensEnforced"),
        managed_by=level.get("ManagedBy"),
        managed_exception_message=level.get("ManagedExceptionMessage", ""),
    )


def _first_launch(member: Mapping[str, Any]) -> datetime | None:
    """LaunchTime is the last start; the primary interface has been attached since the first one."""
    for interface in member.get("NetworkInterfaces", ()):
        attachment = interface.get("Attachment", {})
        if attachment.get("DeviceIndex", 0) == 0:
            found: datetime | None = attachment.get("AttachTime")
            return found
    return None


def _stopped_at(reason: str) -> datetime | None:
    """`User initiated (2026-11-20 10:00:00 GMT)`."""
    found = STOPPED_AT.search(reason)
    return datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) if found else None
