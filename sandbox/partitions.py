"""The partitions of AWS: each has its own Regions, its own ARNs and its own host names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition; the first default Region is where an account of a fleet is unless the file says otherwise."""

    name: str
    dns_suffix: str
    default_regions: tuple[str, ...]
    opt_in_regions: tuple[str, ...] = ()

    @property
    def regions(self) -> frozenset[str]:
        """All of its Regions."""
        return frozenset(self.default_regions + self.opt_in_regions)


_AWS: Final = Partition(
    "aws",
    "amazonaws.com",
    (
        "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1",
        "eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1",
        "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
    ),
    (
        "af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
        "ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1",
        "me-central-1", "me-south-1", "mx-central-1",
    ),
)  # fmt: skip

PARTITIONS: Final = {
    partition.name: partition
    for partition in (
        _AWS,
        Partition("aws-us-gov", "amazonaws.com", ("us-gov-west-1", "us-gov-east-1")),
        Partition("aws-cn", "amazonaws.com.cn", ("cn-north-1", "cn-northwest-1")),
        Partition("aws-eusc", "amazonaws.eu", ("eusc-de-east-1",)),
    )
}
"""By name. Default Regions need no opt-in, and an account cannot disable them; the small partitions have no others."""

_OF_REGION: Final = {region: partition for partition in PARTITIONS.values() for region in partition.regions}


def of_region(region: str) -> Partition:
    """The partition of a Region."""
    return _OF_REGION[region]
