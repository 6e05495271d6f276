"""DescribeRegions: what this account may use, not what the SDK lists."""

from __future__ import annotations

from typing import Any

from sandbox.calls import Call, operation
from sandbox.partitions import PARTITIONS, Partition


@operation("ec2", "DescribeRegions")
def describe_regions(call: Call) -> dict[str, Any]:
    """Enabled Regions; with AllRegions also those not opted in to."""
    call.stop_if_dry_run()
    partition = PARTITIONS[call.world.partition]
    enabled = set(call.account.regions)
    listed = sorted(enabled.union(partition.opt_in_regions if call.params.get("AllRegions") else ()))
    names = call.params.get("RegionNames")
    if names:
        listed = [name for name in listed if name in names]
    regions = [_region(partition, name, opted_in=name in enabled) for name in listed]
    for each in call.params.get("Filters", []):
        if each.get("Name") == "opt-in-status":
            regions = [r for r in regions if r["OptInStatus"] in each.get("Values", [])]
    return {"Regions": regions}


def _region(partition: Partition, name: str, *, opted_in: bool) -> dict[str, str]:
    needless = name in partition.default_regions
    status = "opt-in-not-required" if needless else "opted-in" if opted_in else "not-opted-in"
    return {"RegionName": name, "Endpoint": f"ec2.{name}.{partition.dns_suffix}", "OptInStatus": status}
