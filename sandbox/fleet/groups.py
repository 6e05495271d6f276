"""`instances` of an account: groups of instances that share everything but their id, name and dates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox import ids
from sandbox.checks import Mistake, Reader
from sandbox.ec2.options import ON_OFF
from sandbox.ec2.platforms import PLATFORMS
from sandbox.fleet.churn import Churn, read_churn
from sandbox.fleet.sources import find_image, find_launch_template, region_of
from sandbox.fleet.usage import Span, read_usage
from sandbox.instances import UNTIL_START, Blueprint, Instance, MetadataOptions, Run
from sandbox.usage import DAY, Usage
from sandbox.world import Group, LaunchTemplate, SpotRequest

if TYPE_CHECKING:
    from sandbox.world import Account, Region, World

STATES: Final = ("running", "stopped", "terminated")
LIFECYCLES: Final = ("on-demand", "spot", "scheduled", "capacity-block")
_REBOOT_SECONDS: Final = 300
_RESERVATION: Final = 6


@dataclass(slots=True)
class _Dates:
    """Spans of days before the anchor; `churn` instead of them says when its instances ran."""

    anchor: float
    churn: Churn | None
    launched: Span
    restarted: Span | None
    stopped: Span | None
    enforced: Span | None
    regressed: Span | None
    fixed: Span | None

    def day(self, instance_id: str, span: Span, what: str) -> float:
        """The instance's own second in a span."""
        days = span[0] + (span[1] - span[0]) * ids.fraction(instance_id, what)
        return float(int(self.anchor - days * DAY))

    def runs(self, instance_id: str, index: int, state: str) -> list[Run]:
        """When the instance ran."""
        if self.churn:
            return [self.churn.run(instance_id, index, self.anchor)]
        launched = self.day(instance_id, self.launched, "launched")
        runs = [Run(launched)]
        if self.restarted:
            restarted = self.day(instance_id, self.restarted, "restarted")
            if restarted > launched + _REBOOT_SECONDS:
                runs = [Run(launched, restarted - _REBOOT_SECONDS), Run(restarted)]
        if state != "running" and self.stopped:
            runs[-1].end = max(runs[-1].start, self.day(instance_id, self.stopped, "stopped"))
        return runs


def read_group(given: Reader, account: Account, world: World, number: int) -> None:
    """Read one group and put its instances into the world."""
    region = region_of(given, account)
    churn = read_churn(given)
    count = churn.count if churn else given.integer("count", 1, 1, 1_000_000) or 1
    state = given.choice("state", STATES, "terminated" if churn else "running")
    options = _options(given)
    usage, fixed = read_usage(given, world.anchor)
    blueprint = _blueprint(given, account, region, 0 if churn else count, usage=usage, anchor=world.anchor)
    dates = _dates(given, state, fixed, world.anchor, churn)
    pending = given.choice("options_state", ("applied", "pending"), "applied") == "pending"
    names = _Names(given, count)
    requested = given.choice("spot_request", ("", "one-time", "persistent"), "")
    size = given.integer("reservation_size", _RESERVATION if blueprint.asg or blueprint.operator else 1, 1) or 1
    given.finish()
    for index in range(count):
        key = (world.seed, account.account_id, region.name, number)
        instance_id = names.instance_id or ids.aws_id("i", *key, index)
        if instance_id in world.instances:
            raise Mistake(given.place("instance_id"), f'"{instance_id}" is there twice')
        instance = _instance(instance_id, dates, options, state, dates.runs(instance_id, index, state))
        instance.account_id, instance.region = account.account_id, region.name
        instance.blueprint, instance.name = blueprint, names.of(index)
        instance.reservation_id = ids.aws_id("r", *key, index // size)
        if pending:
            instance.settles_at = UNTIL_START
        world.add(instance)
        if requested:
            _request(region, instance, requested)


def _request(region: Region, instance: Instance, kind: str) -> None:
    """The active Spot request that has launched an instance."""
    data = {"ImageId": instance.blueprint.image_id, "InstanceType": instance.blueprint.instance_type}
    request_id = f"sir-{ids.digest('spot', instance.instance_id)[:8]}"
    region.spot_requests[request_id] = SpotRequest(
        request_id, kind, "active", data, instance.instance_id, instance.first_launch
    )


class _Names:
    """`name`, `name_prefix`, `instance_id`."""

    def __init__(self, given: Reader, count: int) -> None:
        self.name = given.text("name", "")
        self.prefix = given.text("name_prefix", "")
        pattern = r"i-([0-9a-f]{8}|[0-9a-f]{17})"
        self.instance_id = given.text("instance_id", "", pattern, "i- and 8 or 17 hexadecimal digits")
        if self.instance_id and count > 1:
            raise Mistake(given.place("instance_id"), "needs a count of 1")
        self.digits = len(str(count))

    def of(self, index: int) -> str:
        return f"{self.prefix}-{index + 1:0{self.digits}d}" if self.prefix else self.name


def _options(given: Reader) -> MetadataOptions:
    managed = given.has("managed")
    return MetadataOptions(
        http_tokens=given.choice("http_tokens", ("optional", "required"), "required" if managed else "optional"),
        http_put_response_hop_limit=given.integer("hop_limit", 1, 1, 64) or 1,
        http_endpoint=given.choice("http_endpoint", ON_OFF, "enabled"),
        http_protocol_ipv6=given.choice("ipv6", ON_OFF, "disabled"),
        instance_metadata_tags=given.choice("metadata_tags", ON_OFF, "disabled"),
    )


def _tags(given: Reader) -> tuple[tuple[str, str], ...]:
    tags = dict(given.words("tags"))
    cluster = given.text("containers", "")
    if cluster:
        tags[f"kubernetes.io/cluster/{cluster}"] = "owned"
        tags["eks:cluster-name"] = cluster
    return tuple(tags.items())


def _blueprint(
    given: Reader, account: Account, region: Region, count: int, *, usage: Usage, anchor: float
) -> Blueprint:
    template, version, wanted = find_launch_template(given, region)
    group = _group(given, region, template, wanted)
    if group:
        group.desired += count
        group.maximum = group.desired * 2
        group.created_at = anchor - 200 * DAY
    image = find_image(given, region)
    configuration = given.choice("launch_configuration", ["", *region.configurations], "")
    if configuration and group and not group.configuration:
        group.configuration = configuration
    data = version.data if version else region.configurations[configuration].data if configuration else {}
    if data and not given.has("ami"):
        image = region.images.get(data["ImageId"], image)
    profile = given.text("profile", "")
    lifecycle = given.choice("lifecycle", LIFECYCLES, "on-demand")
    stock_type = str(version.data["InstanceType"]) if version else "t3.medium"
    return Blueprint(
        image_id=image.image_id,
        instance_type=given.text("instance_type", stock_type),
        platform=given.choice("platform", PLATFORMS, image.platform),
        lifecycle="" if lifecycle == "on-demand" else lifecycle,
        profile_arn=f"arn:{region.partition}:iam::{account.account_id}:instance-profile/{profile}" if profile else "",
        subnet_id=ids.aws_id("subnet", account.account_id, region.name),
        vpc_id=region.vpc_id,
        public=given.flag("public"),
        operator=given.text("managed", ""),
        tags=_tags(given),
        asg=group.name if group else "",
        template_id=template.template_id if template else "",
        template_version=version.number if version else 0,
        configuration=configuration,
        user_data=given.text("user_data", str(version.data.get("UserData", "")) if version else ""),
        usage=usage,
    )


def _group(given: Reader, region: Region, template: LaunchTemplate | None, wanted: str) -> Group | None:
    name = given.text("asg", "")
    if not name:
        return None
    return region.groups.setdefault(name, Group(name, template.template_id if template else "", wanted, 0, 0.0))


def _dates(given: Reader, state: str, fixed: Span | None, anchor: float, churn: Churn | None) -> _Dates:
    stopped_default = {"running": None, "stopped": (10.0, 10.0), "terminated": (0.0, 0.0)}[state]
    dates = _Dates(
        anchor=anchor,
        churn=churn,
        launched=given.span("launched_days_ago", (100.0, 300.0)) or (100.0, 300.0),
        restarted=given.span("restarted_days_ago", None),
        stopped=given.span("stopped_days_ago", stopped_default),
        enforced=given.span("enforced_days_ago", None),
        regressed=given.span("regressed_days_ago", None),
        fixed=fixed,
    )
    if state == "running" and dates.stopped:
        raise Mistake(given.place("stopped_days_ago"), 'needs a state of "stopped" or "terminated"')
    tokens = given.data.get("http_tokens", "optional")
    if dates.regressed and not dates.enforced:
        raise Mistake(given.place("regressed_days_ago"), "needs enforced_days_ago, a time before it")
    if dates.enforced and (tokens == "required") == bool(dates.regressed):
        word = "optional" if dates.regressed else "required"
        raise Mistake(given.place("http_tokens"), f"must be {word} with these enforced_days_ago and regressed_days_ago")
    return dates


def _instance(instance_id: str, dates: _Dates, options: MetadataOptions, state: str, runs: list[Run]) -> Instance:
    launched = runs[0].start
    modes = [(launched, options.mode)]
    if dates.enforced and (enforced := dates.day(instance_id, dates.enforced, "enforced")) > launched:
        modes = [(launched, "optional"), (enforced, "required")]
        if dates.regressed:
            modes.append((max(enforced, dates.day(instance_id, dates.regressed, "regressed")), "optional"))
    fixed = dates.day(instance_id, dates.fixed, "fixed") if dates.fixed else math.inf
    return Instance(
        instance_id=instance_id, account_id="", region="", blueprint=Blueprint(""), name="", reservation_id="",
        first_launch=launched, options=options, state=state, runs=runs, modes=modes, fixed_at=fixed,
    )  # fmt: skip
