"""Instances, compactly: what siblings share is held once, what time does to them is held as a short history."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from sandbox import ids
from sandbox.usage import QUIET, Usage

UNTIL_START: Final = math.inf
"""`settles_at` of a change made to a stopped instance: applied when it next starts."""


@dataclass(frozen=True, slots=True)
class MetadataOptions:
    """The five options of InstanceMetadataOptions; State is a matter of time and lives on the instance."""

    http_tokens: str = "optional"
    http_put_response_hop_limit: int = 1
    http_endpoint: str = "enabled"
    http_protocol_ipv6: str = "disabled"
    instance_metadata_tags: str = "disabled"

    @property
    def mode(self) -> str:
        """Which of the two metrics an instance with these options emits: optional, required, or off (none)."""
        return "off" if self.http_endpoint == "disabled" else self.http_tokens


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What the instances of one group share."""

    image_id: str
    instance_type: str = "t3.medium"
    platform: str = "linux"
    lifecycle: str = ""
    profile_arn: str = ""
    subnet_id: str = ""
    vpc_id: str = ""
    public: bool = False
    operator: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    asg: str = ""
    template_id: str = ""
    template_version: int = 0
    configuration: str = ""
    user_data: str = ""
    usage: Usage = QUIET


@dataclass(slots=True)
class Run:
    """One stretch of time between a start and a stop."""

    start: float
    end: float | None = None


@dataclass(slots=True)
class Instance:
    """One instance. Times are seconds since 1970, UTC."""

    instance_id: str
    account_id: str
    region: str
    blueprint: Blueprint
    name: str
    reservation_id: str
    first_launch: float
    options: MetadataOptions
    state: str = "running"
    runs: list[Run] = field(default_factory=list)
    modes: list[tuple[float, str]] = field(default_factory=list)
    settles_at: float = 0.0
    fixed_at: float = math.inf
    before: MetadataOptions | None = None
    own_tags: dict[str, str] | None = None
    sequence: int = 0
    number: int = 0

    def __post_init__(self) -> None:
        """Fill in what follows from the rest."""
        if not self.number:
            self.number = ids.number("instance", self.instance_id)
        if not self.modes:
            self.modes = [(self.first_launch, self.options.mode)]
        if not self.runs:
            self.runs = [Run(self.first_launch)]

    @property
    def last_start(self) -> float:
        """LaunchTime, which AWS moves on each start."""
        return self.runs[-1].start

    @property
    def last_stop(self) -> float | None:
        """When it stopped, None while it runs."""
        return self.runs[-1].end

    @property
    def managed(self) -> bool:
        """Run by an AWS service, so not the account's to change."""
        return bool(self.blueprint.operator)

    @property
    def zone(self) -> str:
        """Its Availability Zone."""
        return self.region + "abc"[self.number % 3]

    @property
    def private_ip(self) -> str:
        """An address of 10.0.0.0/8 that follows from the id."""
        n = self.number
        return f"10.{n % 250}.{(n >> 8) % 250}.{(n >> 16) % 250 + 4}"

    @property
    def public_ip(self) -> str:
        """An address of 198.51.100.0/24 or 203.0.113.0/24 (documentation ranges), or nothing."""
        if not self.blueprint.public or self.state != "running":
            return ""
        n = self.number
        return f"{('198.51.100', '203.0.113')[n & 1]}.{(n >> 24) % 250 + 4}"

    def options_state(self, now: float) -> str:
        """`pending` until the change has settled."""
        return "applied" if now >= self.settles_at else "pending"

    def tags(self) -> dict[str, str]:
        """All tags, with those that Auto Scaling and the launch template put on."""
        shared = self.blueprint
        tags = {"Name": self.name} if self.name else {}
        tags.update(shared.tags)
        if shared.asg:
            tags["aws:autoscaling:groupName"] = shared.asg
        if shared.template_id:
            tags["aws:ec2launchtemplate:id"] = shared.template_id
            tags["aws:ec2launchtemplate:version"] = str(shared.template_version)
        if self.own_tags is not None:
            tags.update(self.own_tags)
        return tags

    def change_options(self, options: MetadataOptions, now: float, settles_at: float) -> None:
        """Take new options at `now`; the metrics switch at once, State follows."""
        self.before = self.options
        if options.mode != self.options.mode:
            self.modes.append((now, options.mode))
        self.options = options
        self.settles_at = settles_at

    def start(self, now: float) -> None:
        """Run again; what was waiting for a start is applied."""
        self.state = "running"
        self.runs.append(Run(now))
        if self.settles_at == UNTIL_START:
            self.settles_at = now

    def stop(self, now: float, state: str) -> None:
        """Stop running, as `stopped` or `terminated`."""
        self.state = state
        if self.runs[-1].end is None:
            self.runs[-1].end = now
