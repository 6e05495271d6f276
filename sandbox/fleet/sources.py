"""Images and launch templates of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox import ids
from sandbox.checks import Mistake, Reader
from sandbox.ec2.options import ON_OFF
from sandbox.ec2.platforms import PLATFORMS
from sandbox.usage import DAY
from sandbox.world import Group, Image, LaunchConfiguration, LaunchTemplate, SpotRequest, TemplateVersion

if TYPE_CHECKING:
    from sandbox.world import Account, Region

STOCK_IMAGE: Final = "amzn2-ami-kernel-5.10-hvm-2.0.20251105-x86_64-gp2"
"""What a group runs that names no image: Amazon Linux 2, which says nothing about IMDS."""


def region_of(given: Reader, account: Account) -> Region:
    """The Region a thing is in: named, or the account's first."""
    name = given.choice("region", account.regions, next(iter(account.regions)))
    return account.regions[name]


def read_images(given: Reader, account: Account, anchor: float) -> None:
    """`images`: each is in every Region of the account."""
    for one in given.objects("images"):
        name = one.text("name")
        platform = one.choice("platform", PLATFORMS, "linux")
        support = one.choice("imds_support", ("v2.0",), "") or None
        created = anchor - one.number("created_days_ago", 100.0, 0) * DAY
        owner = one.text("owner", account.account_id, r"\d{12}", "an account id, which has 12 digits")
        deprecated, hidden = one.flag("deprecated"), one.flag("hidden")
        one.finish()
        for region in account.regions.values():
            image_id = ids.aws_id("ami", account.account_id, region.name, name)
            region.images[image_id] = Image(
                image_id, name, owner, platform, support, created, deprecated=deprecated, hidden=hidden
            )


def find_image(given: Reader, region: Region, field: str = "ami") -> Image:
    """The image a group or template names, by name or by id; the stock image when it names none."""
    wanted = given.text(field, "")
    for image in region.images.values():
        if wanted in {image.name, image.image_id}:
            return image
    if wanted:
        names = ", ".join(image.name for image in region.images.values()) or "none"
        raise Mistake(given.place(field), f'"{wanted}" is not one of this account\'s images: {names}')
    image_id = ids.aws_id("ami", region.name, STOCK_IMAGE)
    return region.images.setdefault(image_id, Image(image_id, STOCK_IMAGE, "137112412989"))


def read_templates(given: Reader, account: Account, anchor: float) -> None:
    """`launch_templates`, versions oldest first."""
    for one in given.objects("launch_templates"):
        name = one.text("name")
        region = region_of(one, account)
        versions = [
            TemplateVersion(number, _version_data(version, region), "", anchor - 200 * DAY + number)
            for number, version in enumerate(one.objects("versions", required=True), 1)
        ]
        if not versions:
            raise Mistake(one.place("versions"), "must hold at least one version")
        template = LaunchTemplate(ids.aws_id("lt", account.account_id, region.name, name), name, versions)
        template.default_version = one.integer("default_version", 1, 1, len(versions)) or 1
        template.operator = one.text("managed", "")
        template.tags = one.words("tags")
        one.finish()
        region.templates[template.template_id] = template


def _version_data(one: Reader, region: Region) -> dict[str, Any]:
    alias = one.text("ami", "")
    data: dict[str, Any] = {
        "ImageId": alias if alias.startswith("resolve:") else find_image(one, region).image_id,
        "InstanceType": one.text("instance_type", "t3.medium"),
    }
    if one.has("user_data"):
        data["UserData"] = one.text("user_data")
    if options := _metadata_options(one):
        data["MetadataOptions"] = options
    one.finish()
    return data


def _metadata_options(one: Reader) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if one.has("http_tokens"):
        options["HttpTokens"] = one.choice("http_tokens", ("optional", "required"))
    if one.has("hop_limit"):
        options["HttpPutResponseHopLimit"] = one.integer("hop_limit", 1, 1, 64)
    if one.has("http_endpoint"):
        options["HttpEndpoint"] = one.choice("http_endpoint", ON_OFF)
    return options


def read_configurations(given: Reader, account: Account, anchor: float) -> None:
    """`launch_configurations`."""
    for one in given.objects("launch_configurations"):
        name = one.text("name")
        region = region_of(one, account)
        region.configurations[name] = LaunchConfiguration(name, _version_data(one, region), anchor - 900 * DAY)


def read_groups(given: Reader, account: Account, anchor: float) -> None:
    """`auto_scaling_groups`, where what a group launches now is not what its members were launched from."""
    for one in given.objects("auto_scaling_groups"):
        name = one.text("name")
        region = region_of(one, account)
        template, _, wanted = find_launch_template(one, region)
        group = Group(name, template.template_id if template else "", wanted, 0, anchor - 200 * DAY)
        group.configuration = one.choice("launch_configuration", ["", *region.configurations], "")
        group.overrides = [_override(each, region) for each in one.objects("overrides")]
        group.mixed = bool(group.overrides)
        group.operator, group.tags = one.text("managed", ""), one.words("tags")
        one.finish()
        region.groups[name] = group


def _override(one: Reader, region: Region) -> dict[str, Any]:
    template, _, wanted = find_launch_template(one, region)
    override: dict[str, Any] = {"InstanceType": one.text("instance_type", "t3.large")}
    if template:
        override["LaunchTemplateSpecification"] = {
            "LaunchTemplateId": template.template_id,
            "LaunchTemplateName": template.name,
            "Version": wanted,
        }
    if one.has("ami"):
        override["ImageId"] = find_image(one, region).image_id
    one.finish()
    return override


def read_spot_requests(given: Reader, account: Account, anchor: float) -> None:
    """`spot_requests`, made without a template: their launch specification has no place for metadata options."""
    for index, one in enumerate(given.objects("spot_requests")):
        region = region_of(one, account)
        kind = one.choice("type", ("one-time", "persistent"), "persistent")
        state = one.choice("state", ("open", "active", "cancelled", "closed"), "open")
        count = one.integer("count", 1, 1, 10_000) or 1
        data = _version_data(one, region)
        for number in range(count):
            request_id = f"sir-{ids.digest(account.account_id, region.name, index, number)[:8]}"
            region.spot_requests[request_id] = SpotRequest(request_id, kind, state, data, created_at=anchor - 20 * DAY)


def find_launch_template(given: Reader, region: Region) -> tuple[LaunchTemplate | None, TemplateVersion | None, str]:
    """`launch_template`: `name` or `name:version`; the template, the version it means now, and the version as named."""
    wanted = given.text("launch_template", "")
    if not wanted:
        return None, None, ""
    name, _, version = wanted.partition(":")
    template = region.template_named(name)
    found = template.version(version or "$Default") if template else None
    if template is None or found is None:
        known = ", ".join(t.name for t in region.templates.values()) or "none"
        raise Mistake(
            given.place("launch_template"), f'"{wanted}" is not one of the launch templates in {region.name}: {known}'
        )
    return template, found, version or "$Default"
