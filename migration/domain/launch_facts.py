"""What AWS said of what launches instances, as frozen values. `None` always means: AWS did not say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """The metadata options a launch, a template version or a launch configuration states; what it leaves out is None.

    An option that is left out is "not specified", which is not "optional".
    """

    http_tokens: str | None = None  # optional, required
    http_put_response_hop_limit: int | None = None  # 1-64
    http_endpoint: str | None = None  # enabled, disabled
    http_protocol_ipv6: str | None = None  # enabled, disabled; a launch configuration has none
    instance_metadata_tags: str | None = None  # enabled, disabled; a launch configuration has none


NOTHING_STATED = LaunchOptions()


@dataclass(frozen=True, slots=True)
class ImageFact:
    """An AMI. One that DescribeImages does not show is not readable, and nothing is known of its ImdsSupport."""

    image_id: str
    readable: bool
    imds_support: str | None = None  # v2.0, the only word there is; of a readable AMI, None is "not set"
    name: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class TemplateFact:
    """A launch template. `provider`: the service that made it and keeps it, empty when it is the account's own."""

    template_id: str
    name: str
    default_version: int
    latest_version: int
    provider: str = ""


@dataclass(frozen=True, slots=True)
class VersionFact:
    """An immutable version of a launch template. `options` None: AWS says that there is no such version any more."""

    template_id: str
    number: int
    options: LaunchOptions | None
    image_id: str = ""  # an AMI, `resolve:ssm:...`, or empty: the launch itself names one


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """A template and version as a group names them: `version` is a number, `$Latest` or `$Default`."""

    template_id: str
    name: str
    version: str
    image_id: str = ""  # an override's own AMI
    instance_type: str = ""  # an override's


@dataclass(frozen=True, slots=True)
class GroupFact:
    """An Auto Scaling group. `uses`: every template it may launch from, overrides included. `specification`: what it
    launches from as AWS gives it, LaunchTemplate or MixedInstancesPolicy, as a plan keeps it.
    """

    name: str
    uses: tuple[TemplateUse, ...] = ()
    launch_configuration: str = ""
    mixed: bool = False
    desired: int = 0
    configured: Mapping[str, int] = field(default_factory=dict)  # members by the launch configuration they came from
    members: int = 0
    warm: int = 0  # of the members, those waiting in the warm pool
    provider: str = ""
    specification: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConfigurationFact:
    """A launch configuration. It cannot be edited."""

    name: str
    options: LaunchOptions
    image_id: str = ""


@dataclass(frozen=True, slots=True)
class SpotFact:
    """A Spot request that may still launch. Its launch specification has no place for metadata options."""

    request_id: str
    kind: str  # one-time, persistent
    state: str  # open, active
    image_id: str = ""
    instance_id: str = ""  # the instance it launched last
