from collections.abc import Mapping
from typing import Any

from migration.aws import errors
from migration.aws.enforcer.sending import client_token, only, request_id
from migration.aws.sessions import Edge, Target
from migration.domain.ladder import HOP_LIMIT, TOKENS, awaited
from migration.domain.live import OPTIONS

ALLOWED = frozenset({TOKENS, HOP_LIMIT})


def create_version(  # noqa: PLR0917 -- the form of every writer
    edge: Edge,
    target: Target,
    region: str,
    template_id: str,
    before: Mapping[str, Any],
    send: Mapping[str, Any],
    token: str,
) -> str:
    """Make a version from `before`'s SourceVersion with other tokens or hop limit. Returns the request id.

    All that is not sent is inherited, user data included, which is never seen here. But snapshots of the source's
    block devices are ignored unless they are sent again (EC2 API, CreateLaunchTemplateVersion): where it states any,
    its block devices go along as they stand there. `token` is ClientToken and mark: sent again with the same token
    nothing more is made, and the version bears it as its description. Raises AwsError, by the read before it too, and
    then `operation` is DescribeLaunchTemplateVersions and nothing was sent.
    """
    _check(send)
    stated, wanted = before["MetadataOptions"], send["MetadataOptions"]
    if any(stated.get(name) != wanted.get(name) for name in OPTIONS if name not in ALLOWED):
        raise ValueError(f"only {sorted(ALLOWED)} may differ from the source, and it is {dict(stated)}")
    source = str(int(before["SourceVersion"]))
    answer = edge.ask(
        target,
        "ec2",
        region,
        "create_launch_template_version",
        once=True,
        LaunchTemplateId=template_id,
        SourceVersion=source,
        LaunchTemplateData={"MetadataOptions": dict(wanted)}
        | _block_devices(edge, target, region, template_id, source),
        VersionDescription=client_token(token),
        ClientToken=client_token(token),
    )
    return request_id(answer)


def try_version(edge: Edge, target: Target, region: str, template_id: str, send: Mapping[str, Any]) -> None:
    """DryRun of `create_version`. Raises AwsError, whatever AWS says."""
    _check(send)
    edge.ask(
        target,
        "ec2",
        region,
        "create_launch_template_version",
        once=True,
        DryRun=True,
        LaunchTemplateId=template_id,
        LaunchTemplateData={"MetadataOptions": dict(send["MetadataOptions"])},
    )


def set_default(  # noqa: PLR0917 -- the form of every writer
    edge: Edge,
    target: Target,
    region: str,
    template_id: str,
    before: Mapping[str, Any],
    send: Mapping[str, Any],
    token: str,
) -> str:
    """Set the version that is launched where none is named. Returns the request id. Raises AwsError."""
    del before
    only(send, {"DefaultVersion"})
    answer = edge.ask(
        target,
        "ec2",
        region,
        "modify_launch_template",
        once=True,
        LaunchTemplateId=template_id,
        DefaultVersion=str(int(send["DefaultVersion"])),
        ClientToken=client_token(token),
    )
    return request_id(answer)


def try_default(edge: Edge, target: Target, region: str, template_id: str, send: Mapping[str, Any]) -> None:
    """DryRun of `set_default`; a version that is not made yet is left out. Raises AwsError, whatever AWS says."""
    only(send, {"DefaultVersion"})
    asked: dict[str, Any] = {"LaunchTemplateId": template_id}
    if not awaited(send):
        asked["DefaultVersion"] = str(int(send["DefaultVersion"]))
    edge.ask(target, "ec2", region, "modify_launch_template", once=True, DryRun=True, **asked)


def _check(send: Mapping[str, Any]) -> None:
    """HttpEndpoint may stand in the block, for it is the source's whole block: `domain.ladder`."""
    only(send, {"MetadataOptions"})
    only(send["MetadataOptions"], OPTIONS)


def _block_devices(edge: Edge, target: Target, region: str, template_id: str, source: str) -> dict[str, Any]:
    """The source's block devices where one has a snapshot; what has none is inherited by itself."""
    answer = edge.ask(
        target,
        "ec2",
        region,
        "describe_launch_template_versions",
        LaunchTemplateId=template_id,
        Versions=[source],
        IncludeManagedResources=True,
    )
    found = next((one for one in answer["LaunchTemplateVersions"] if str(one["VersionNumber"]) == source), None)
    if found is None:
        raise errors.Passing(
            f"AWS does not show version {source} of {template_id}, from which the new one is to be made.",
            operation="DescribeLaunchTemplateVersions",
        )
    devices = found.get("LaunchTemplateData", {}).get("BlockDeviceMappings", [])
    return {"BlockDeviceMappings": devices} if any(one.get("Ebs", {}).get("SnapshotId") for one in devices) else {}
