"""Payload -> fact, for what launches instances. Pure. User data is no member of the cut models, and none is read."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from migration.domain.launch_facts import (
    ConfigurationFact,
    GroupFact,
    ImageFact,
    LaunchOptions,
    SpotFact,
    TemplateFact,
    TemplateUse,
    VersionFact,
)
from migration.domain.launch_words import provider_of


def template(member: Mapping[str, Any]) -> TemplateFact:
    """One member of `LaunchTemplates`."""
    operator = member.get("Operator", {})
    principal = operator.get("Principal", "an AWS service") if operator.get("Managed") else ""
    return TemplateFact(
        template_id=member["LaunchTemplateId"],
        name=member.get("LaunchTemplateName", ""),
        default_version=member["DefaultVersionNumber"],
        latest_version=member["LatestVersionNumber"],
        provider=principal or provider_of(tag["Key"] for tag in member.get("Tags", ())),
    )


def version(member: Mapping[str, Any]) -> VersionFact:
    """One member of `LaunchTemplateVersions`; an absent `MetadataOptions` states nothing."""
    data = member.get("LaunchTemplateData", {})
    return VersionFact(
        template_id=member["LaunchTemplateId"],
        number=member["VersionNumber"],
        options=options(data.get("MetadataOptions", {})),
        image_id=data.get("ImageId", ""),
    )


def options(told: Mapping[str, Any]) -> LaunchOptions:
    """`MetadataOptions` of a template version or a launch configuration; an absent member stays None."""
    return LaunchOptions(
        http_tokens=told.get("HttpTokens"),
        http_put_response_hop_limit=told.get("HttpPutResponseHopLimit"),
        http_endpoint=told.get("HttpEndpoint"),
        http_protocol_ipv6=told.get("HttpProtocolIpv6"),
        instance_metadata_tags=told.get("InstanceMetadataTags"),
    )


def image(member: Mapping[str, Any]) -> ImageFact:
    """One member of `Images`."""
    return ImageFact(
        image_id=member["ImageId"],
        readable=True,
        imds_support=member.get("ImdsSupport"),
        name=member.get("Name", ""),
        owner=member.get("OwnerId", ""),
    )


def spot_request(member: Mapping[str, Any]) -> SpotFact | None:
    """One member of `SpotInstanceRequests`; None for one that has launched its one instance and launches no more."""
    kind, state = member.get("Type", ""), member.get("State", "")
    if kind == "one-time" and state == "active":
        return None
    return SpotFact(
        request_id=member["SpotInstanceRequestId"],
        kind=kind,
        state=state,
        image_id=member.get("LaunchSpecification", {}).get("ImageId", ""),
        instance_id=member.get("InstanceId", ""),
    )


def group(member: Mapping[str, Any]) -> GroupFact:
    """One member of `AutoScalingGroups`."""
    policy = member.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    instances = member.get("Instances", ())
    return GroupFact(
        name=member["AutoScalingGroupName"],
        uses=_uses(policy or {"LaunchTemplateSpecification": member.get("LaunchTemplate")}),
        launch_configuration=member.get("LaunchConfigurationName", ""),
        mixed=bool(policy),
        desired=member.get("DesiredCapacity", 0),
        configured=Counter(one["LaunchConfigurationName"] for one in instances if one.get("LaunchConfigurationName")),
        members=len(instances),
        warm=sum(one.get("LifecycleState", "").startswith("Warmed:") for one in instances),
        provider=member.get("Operator", {}).get("Principal", "")
        or provider_of(tag["Key"] for tag in member.get("Tags", ())),
        specification=specification(member),
    )


def specification(member: Mapping[str, Any]) -> dict[str, Any]:
    """What a group launches from, in AWS's words. InstancesDistribution is the owner's, and no part of it."""
    found = {name: member[name] for name in ("LaunchTemplate", "LaunchConfigurationName") if member.get(name)}
    policy = member.get("MixedInstancesPolicy", {}).get("LaunchTemplate")
    if policy:
        found["MixedInstancesPolicy"] = {"LaunchTemplate": policy}
    return found


def _uses(policy: Mapping[str, Any]) -> tuple[TemplateUse, ...]:
    """The group's own template, but where every override names another one; and those of the overrides."""
    base = policy.get("LaunchTemplateSpecification")
    overrides = policy.get("Overrides") or [{}]
    chosen = [(one.get("LaunchTemplateSpecification") or base, one) for one in overrides]
    return tuple(
        TemplateUse(
            template_id=spec.get("LaunchTemplateId", ""),
            name=spec.get("LaunchTemplateName", ""),
            version=spec.get("Version", "$Default"),
            image_id=one.get("ImageId", ""),
            instance_type=one.get("InstanceType", ""),
        )
        for spec, one in chosen
        if spec
    )


def configuration(member: Mapping[str, Any]) -> ConfigurationFact:
    """One member of `LaunchConfigurations`."""
    return ConfigurationFact(
        name=member["LaunchConfigurationName"],
        options=options(member.get("MetadataOptions", {})),
        image_id=member.get("ImageId", ""),
    )
