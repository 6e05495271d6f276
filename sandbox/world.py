"""The pretend organisation as it stands: accounts, their Regions, what is in them."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox import ids, partitions

if TYPE_CHECKING:
    from sandbox.instances import Instance, MetadataOptions


@dataclass(slots=True)
class Defaults:
    """Account-level defaults of one Region; None is no preference."""

    http_tokens: str | None = None
    http_put_response_hop_limit: int | None = None
    http_endpoint: str | None = None
    instance_metadata_tags: str | None = None
    http_tokens_enforced: str | None = None
    managed_by: str = "account"
    exception_message: str | None = None

    @property
    def enforced(self) -> bool:
        """Whether v1 may not be allowed any more in this account and Region."""
        return self.http_tokens_enforced == "enabled"


@dataclass(slots=True)
class Image:
    """An AMI."""

    image_id: str
    name: str
    owner_id: str
    platform: str = "linux"
    imds_support: str | None = None
    created_at: float = 0.0
    deprecated: bool = False
    hidden: bool = False
    """Deregistered, or not shared any more: instances run from it, and no call shows it."""


@dataclass(slots=True)
class LaunchConfiguration:
    """A launch configuration; `data` has the names of CreateLaunchConfiguration."""

    name: str
    data: dict[str, Any]
    created_at: float = 0.0


@dataclass(slots=True)
class SpotRequest:
    """A Spot request made without a launch template; `data` has the names of RequestSpotLaunchSpecification."""

    request_id: str
    kind: str
    state: str
    data: dict[str, Any]
    instance_id: str = ""
    created_at: float = 0.0


@dataclass(slots=True)
class TemplateVersion:
    """One immutable version of a launch template; `data` has the names of RequestLaunchTemplateData."""

    number: int
    data: dict[str, Any]
    description: str = ""
    created_at: float = 0.0


@dataclass(slots=True)
class LaunchTemplate:
    """A launch template and its versions, oldest first."""

    template_id: str
    name: str
    versions: list[TemplateVersion]
    default_version: int = 1
    operator: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    def version(self, wanted: str) -> TemplateVersion | None:
        """The version that a number, $Latest or $Default names."""
        if wanted == "$Latest":
            return self.versions[-1]
        number = self.default_version if wanted == "$Default" else int(wanted) if wanted.isdigit() else 0
        return next((v for v in self.versions if v.number == number), None)


@dataclass(slots=True)
class Group:
    """An Auto Scaling group; its members are the instances that carry its name.

    It launches from a template, from a launch configuration, or by a mixed instances policy: then with `overrides`
    (names of LaunchTemplateOverrides) and `distribution` (names of InstancesDistribution, those that were given).
    """

    name: str
    template_id: str
    template_version: str
    desired: int
    created_at: float
    minimum: int = 0
    maximum: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    configuration: str = ""
    overrides: list[dict[str, Any]] = field(default_factory=list)
    distribution: dict[str, Any] = field(default_factory=dict)
    mixed: bool = False
    operator: str = ""


@dataclass(slots=True)
class Region:
    """What one account has in one Region."""

    name: str
    account_id: str
    defaults: Defaults = field(default_factory=Defaults)
    instances: dict[str, Instance] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    templates: dict[str, LaunchTemplate] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    configurations: dict[str, LaunchConfiguration] = field(default_factory=dict)
    spot_requests: dict[str, SpotRequest] = field(default_factory=dict)
    client_tokens: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=dict)
    """What each ClientToken asked, and was answered, by operation and token."""

    def held(self) -> tuple[Instance, ...]:
        """Its instances, copied at once, so that a launch in another thread does not disturb a listing."""
        return tuple(self.instances.values())

    @property
    def partition(self) -> str:
        """The partition's name, which begins every ARN."""
        return partitions.of_region(self.name).name

    @property
    def vpc_id(self) -> str:
        """The one VPC."""
        return ids.aws_id("vpc", self.account_id, self.name)

    def template_named(self, name: str) -> LaunchTemplate | None:
        """The launch template of this name."""
        return next((t for t in self.templates.values() if t.name == name), None)


@dataclass(frozen=True, slots=True)
class Role:
    """A role that can be assumed, and whom it trusts; `source_identity` is whether to sts:SetSourceIdentity as well."""

    name: str
    kind: str = "reader"
    external_id: str | None = None
    trusted: tuple[str, ...] = ()
    source_identity: bool = True


@dataclass(slots=True)
class Account:
    """A member of the organisation."""

    account_id: str
    name: str
    email: str
    path: tuple[str, ...] = ("Root",)
    state: str = "ACTIVE"
    joined_at: float = 0.0
    tags: dict[str, str] = field(default_factory=dict)
    regions: dict[str, Region] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    deny: tuple[str, ...] = ()
    deny_assume: bool = False
    managed_visibility: str = "hidden"


@dataclass(frozen=True, slots=True)
class LongTermKey:
    """An access key of a user in an account."""

    access_key_id: str
    secret_access_key: str
    account_id: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How this AWS behaves where AWS may behave in more than one way; `session_seconds` None is as AssumeRole asks."""

    apply_seconds: float = 1.0
    zero_fill: bool = True
    empty_pages: bool = False
    session_seconds: float | None = None
    page_size: int = 1000


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Cross-account observability: an account that may read the metrics of others (the keys), in some Regions."""

    account_id: str
    sources: dict[str, None]
    regions: frozenset[str]
    linked_at: float = -math.inf

    def has_sink(self, account: Account, region: str) -> bool:
        """Whether the account has a sink in the Region."""
        return account.account_id == self.account_id and region in self.regions and region in account.regions

    def links(self, account: Account, source: Account, region: str) -> bool:
        """Whether the account's sink in the Region has a link from the source account; both must use the Region."""
        return self.has_sink(account, region) and source.account_id in self.sources and region in source.regions


@dataclass(slots=True)
class World:
    """Everything. `lock` is held by whoever changes it."""

    seed: int
    anchor: float
    settings: Settings = field(default_factory=Settings)
    accounts: dict[str, Account] = field(default_factory=dict)
    keys: dict[str, LongTermKey] = field(default_factory=dict)
    partition: str = "aws"
    organization_id: str | None = None
    management_account: str = ""
    monitoring: Monitoring | None = None
    instances: dict[str, Instance] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    listeners: list[Any] = field(default_factory=list)

    @property
    def first_account(self) -> Account:
        """Whose key any long-term key is, when the fleet names no credentials."""
        return next(iter(self.accounts.values()))

    def add(self, instance: Instance) -> None:
        """Put an instance in its account and Region."""
        with self.lock:
            instance.sequence = len(self.instances) + 1
            self.instances[instance.instance_id] = instance
            self.accounts[instance.account_id].regions[instance.region].instances[instance.instance_id] = instance

    def tell(self, event: str, **facts: object) -> None:
        """Tell the listeners (the state file) of a change."""
        for listener in self.listeners:
            listener({"at": time.time(), "event": event, **facts})

    def change_options(self, instance: Instance, options: MetadataOptions, now: float, settles_at: float) -> None:
        """Change an instance's options and tell of it."""
        with self.lock:
            instance.change_options(options, now, settles_at)
        self.tell("options", instance_id=instance.instance_id, options=as_dict(options))


def as_dict(options: MetadataOptions) -> dict[str, Any]:
    """The options by field name."""
    return {name: getattr(options, name) for name in options.__slots__}


def is_shown(instance: Instance, now: float) -> bool:
    """Whether AWS still shows it: an hour after its end it does not."""
    return instance.state != "terminated" or (instance.last_stop or now) > now - 3600
