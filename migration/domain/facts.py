"""What AWS said, as frozen values. `None` always means: AWS did not say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MetadataOptions:
    """The six members of an instance's MetadataOptions, in AWS's words."""

    http_tokens: str | None = None  # optional, required
    http_put_response_hop_limit: int | None = None  # 1-64
    http_endpoint: str | None = None  # enabled, disabled
    http_protocol_ipv6: str | None = None  # enabled, disabled
    instance_metadata_tags: str | None = None  # enabled, disabled
    state: str | None = None  # pending, applied

    def as_aws(self) -> dict[str, str | int | None]:
        """The options under AWS's own member names, as plans and records keep them."""
        return {
            "HttpTokens": self.http_tokens,
            "HttpPutResponseHopLimit": self.http_put_response_hop_limit,
            "HttpEndpoint": self.http_endpoint,
            "HttpProtocolIpv6": self.http_protocol_ipv6,
            "InstanceMetadataTags": self.instance_metadata_tags,
            "State": self.state,
        }


@dataclass(frozen=True, slots=True)
class InstanceFact:
    """One member of DescribeInstances."""

    instance_id: str
    instance_state: str
    options: MetadataOptions
    name: str = ""
    instance_type: str = ""
    platform_details: str = ""
    lifecycle: str = ""
    image_id: str = ""
    instance_profile_arn: str = ""
    asg_name: str = ""
    launch_template_id: str = ""
    launch_template_version: str = ""
    public: bool = False
    operator_managed: bool = False
    operator_principal: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    launched_at: datetime | None = None  # EC2's LaunchTime: the LAST start
    first_launched_at: datetime | None = None  # attach time of the primary network interface
    stopped_at: datetime | None = None  # from StateTransitionReason
    ended_at: datetime | None = None  # the same, of one that is terminated


@dataclass(frozen=True, slots=True)
class DefaultsFact:
    """GetInstanceMetadataDefaults' AccountLevel. A missing key is None: no preference."""

    http_tokens: str | None = None
    http_put_response_hop_limit: int | None = None
    http_endpoint: str | None = None
    instance_metadata_tags: str | None = None
    http_tokens_enforced: str | None = None
    managed_by: str | None = None
    managed_exception_message: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """One metric of one instance. `account_id`: whose it is, when a monitoring account is asked; else empty."""

    instance_id: str
    metric: str
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Hourly Sums of one metric of one instance from `start`, a UTC midnight, on; None where there is no datapoint.

    Complete only if AWS said so on the last page that named it.
    """

    ask: Ask
    start: datetime
    hours: list[int | None]
    complete: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Activity:
    """A scaling activity that launched or ended an instance."""

    instance_id: str
    asg_name: str
    launched_at: datetime | None  # None: it tells of the end
    ended_at: datetime | None = None
