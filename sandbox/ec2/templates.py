"""Launch templates and their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox import ids
from sandbox.calls import Call, operation
from sandbox.ec2.idempotency import once
from sandbox.errors import AwsError
from sandbox.paging import paged
from sandbox.protocol import iso
from sandbox.world import LaunchTemplate, TemplateVersion

if TYPE_CHECKING:
    from sandbox.world import Region

_PAGE = 200


def find_template(region: Region, template_id: str | None, name: str | None) -> LaunchTemplate:
    """By id or by name."""
    if template_id:
        found = region.templates.get(template_id)
        if found is None:
            raise AwsError(
                "InvalidLaunchTemplateId.NotFound",
                f"The specified launch template, with template ID {template_id}, does not exist.",
            )
        return found
    named = region.template_named(name or "")
    if named is None:
        raise AwsError(
            "InvalidLaunchTemplateName.NotFoundException",
            f"The specified launch template, with template name {name}, does not exist.",
        )
    return named


def find_version(template: LaunchTemplate, wanted: str) -> TemplateVersion:
    """A number, $Latest or $Default."""
    version = template.version(wanted)
    if version is None:
        raise AwsError(
            "InvalidLaunchTemplateId.VersionNotFound",
            f"Could not find the specified version {wanted} for the launch template with ID {template.template_id}.",
        )
    return version


def _of_call(call: Call) -> LaunchTemplate:
    return find_template(call.region, call.params.get("LaunchTemplateId"), call.params.get("LaunchTemplateName"))


@operation("ec2", "CreateLaunchTemplate", writes=True)
def create_launch_template(call: Call) -> dict[str, Any]:
    """A template with its first version."""
    name = call.params.get("LaunchTemplateName", "")
    if call.region.template_named(name):
        raise AwsError("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
    call.stop_if_dry_run()
    version = TemplateVersion(
        1, call.params.get("LaunchTemplateData", {}), call.params.get("VersionDescription", ""), call.now
    )
    template = LaunchTemplate(ids.aws_id("lt", call.region.account_id, call.region.name, name), name, [version])
    template.tags = {
        tag["Key"]: tag.get("Value", "")
        for spec in call.params.get("TagSpecifications", [])
        if spec.get("ResourceType") == "launch-template"
        for tag in spec.get("Tags", [])
    }
    call.region.templates[template.template_id] = template
    call.applied = True
    return {"LaunchTemplate": _template(call, template)}


@operation("ec2", "CreateLaunchTemplateVersion", writes=True)
def create_launch_template_version(call: Call) -> dict[str, Any]:
    """A new version: what is sent over what SourceVersion has, or only what is sent.

    A parameter that is sent replaces the inherited one whole; whether AWS merges the members of a block is open.
    """
    template = _changeable(_of_call(call))
    source = call.params.get("SourceVersion")
    data = _without_snapshots(find_version(template, str(source)).data) if source else {}
    data.update(call.params.get("LaunchTemplateData", {}))
    call.stop_if_dry_run()

    def create() -> dict[str, Any]:
        version = TemplateVersion(len(template.versions) + 1, data, call.params.get("VersionDescription", ""), call.now)
        template.versions.append(version)
        return {"LaunchTemplateVersion": _version(call, template, version)}

    return once(call, create)


def _without_snapshots(data: dict[str, Any]) -> dict[str, Any]:
    """What a version inherits: the snapshots of its source's block devices are ignored unless they are sent again."""
    inherited = dict(data)
    if "BlockDeviceMappings" in data:
        inherited["BlockDeviceMappings"] = [
            {**one, "Ebs": {name: value for name, value in one["Ebs"].items() if name != "SnapshotId"}}
            if "Ebs" in one
            else one
            for one in data["BlockDeviceMappings"]
        ]
    return inherited


def _changeable(template: LaunchTemplate) -> LaunchTemplate:
    if template.operator:
        raise AwsError(
            "OperationNotPermitted",
            f"The launch template '{template.template_id}' is managed by {template.operator}: it cannot be modified.",
        )
    return template


@operation("ec2", "ModifyLaunchTemplate", writes=True)
def modify_launch_template(call: Call) -> dict[str, Any]:
    """Another default version."""
    template = _changeable(_of_call(call))
    version = find_version(template, str(call.params.get("DefaultVersion") or "$Default"))
    call.stop_if_dry_run()

    def set_default() -> dict[str, Any]:
        template.default_version = version.number
        return {"LaunchTemplate": _template(call, template)}

    return once(call, set_default)


@operation("ec2", "DeleteLaunchTemplate", writes=True)
def delete_launch_template(call: Call) -> dict[str, Any]:
    """Delete it with its versions."""
    template = _of_call(call)
    call.stop_if_dry_run()
    del call.region.templates[template.template_id]
    call.applied = True
    return {"LaunchTemplate": _template(call, template)}


def _shown(call: Call) -> list[LaunchTemplate]:
    everything = call.params.get("IncludeManagedResources") or call.account.managed_visibility == "visible"
    return [t for t in call.region.templates.values() if everything or not t.operator]


@operation("ec2", "DescribeLaunchTemplates")
def describe_launch_templates(call: Call) -> dict[str, Any]:
    """All, or those named."""
    call.stop_if_dry_run()
    shown = _shown(call)
    for template_id in call.params.get("LaunchTemplateIds", []):
        find_template(call.region, template_id, None)
    for name in call.params.get("LaunchTemplateNames", []):
        find_template(call.region, None, name)
    wanted = {*call.params.get("LaunchTemplateIds", []), *call.params.get("LaunchTemplateNames", [])}
    if wanted:
        shown = [t for t in shown if t.template_id in wanted or t.name in wanted]
    page, token = paged(call, shown, _PAGE)
    return {"LaunchTemplates": [_template(call, t) for t in page], "NextToken": token}


@operation("ec2", "DescribeLaunchTemplateVersions")
def describe_launch_template_versions(call: Call) -> dict[str, Any]:
    """Versions of one template, or $Default and $Latest of all templates when none is named."""
    call.stop_if_dry_run()
    wanted = [str(v) for v in call.params.get("Versions", [])]
    if call.params.get("LaunchTemplateId") or call.params.get("LaunchTemplateName"):
        template = _of_call(call)
        if wanted:
            pairs = [(template, find_version(template, v)) for v in wanted]
        else:
            least, most = int(call.params.get("MinVersion", 1)), int(call.params.get("MaxVersion", 10_000))
            pairs = [(template, one) for one in reversed(template.versions) if least <= one.number <= most]
    elif wanted and set(wanted) <= {"$Default", "$Latest"}:
        pairs = [(t, find_version(t, v)) for t in _shown(call) for v in wanted]
    else:
        raise AwsError(
            "MissingParameter",
            "The request must contain the launch template ID or name, unless the versions are $Default or $Latest.",
        )
    distinct = {(t.template_id, v.number): (t, v) for t, v in pairs}
    page, token = paged(call, list(distinct.values()), _PAGE)
    return {"LaunchTemplateVersions": [_version(call, t, v) for t, v in page], "NextToken": token}


def _template(call: Call, template: LaunchTemplate) -> dict[str, Any]:
    return {
        "LaunchTemplateId": template.template_id,
        "LaunchTemplateName": template.name,
        "CreateTime": iso(template.versions[0].created_at),
        "CreatedBy": f"arn:{call.region.partition}:iam::{call.region.account_id}:root",
        "DefaultVersionNumber": template.default_version,
        "LatestVersionNumber": template.versions[-1].number,
        "Tags": [{"Key": key, "Value": value} for key, value in template.tags.items()],
        "Operator": {"Managed": bool(template.operator), "Principal": template.operator or None},
    }


def _version(call: Call, template: LaunchTemplate, version: TemplateVersion) -> dict[str, Any]:
    return {
        "LaunchTemplateId": template.template_id,
        "LaunchTemplateName": template.name,
        "VersionNumber": version.number,
        "VersionDescription": version.description or None,
        "CreateTime": iso(version.created_at),
        "CreatedBy": f"arn:{call.region.partition}:iam::{call.region.account_id}:root",
        "DefaultVersion": version.number == template.default_version,
        "LaunchTemplateData": version.data,
        "Operator": {"Managed": bool(template.operator), "Principal": template.operator or None},
    }
