"""DescribeRegions: what this account may use, not what the SDK lists."""

from __future__ import annotations

from typing import Any

from sandbox.calls import Call, operation
from sandbox.world import DEFAULT_REGIONS, OPT_IN_REGIONS


@operation("ec2", "DescribeRegions")
def describe_regions(call: Call) -> dict[str, Any]:
    """Enabled Regions; with AllRegions also those not opted in to."""
    call.stop_if_dry_run()
    enabled = set(call.account.regions)
    listed = sorted(enabled | (OPT_IN_REGIONS if call.params.get("AllRegions") else frozenset()))
    names = call.params.get("RegionNames")
    if names:
        listed = [name for name in listed if name in names]
    regions = [_region(name, opted_in=name in enabled) for name in listed]
    for each in call.params.get("Filters", []):
        if each.get("Name") == "opt-in-status":
            regions = [r for r in regions if r["OptInStatus"] in each.get("Values", [])]
    return {"Regions": regions}


def _region(name: str, *, opted_in: bool) -> dict[str, str]:
    status = "opt-in-not-required" if name in DEFAULT_REGIONS else "opted-in" if opted_in else "not-opted-in"
    return {"RegionName": name, "Endpoint": f"ec2.{name}.amazonaws.com", "OptInStatus": status}
