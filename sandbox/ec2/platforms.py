"""Platform words of EC2."""

from __future__ import annotations

from typing import Final, NamedTuple


class Platform(NamedTuple):
    """PlatformDetails and UsageOperation of a kind of operating system."""

    details: str
    usage_operation: str


PLATFORMS: Final = {
    "linux": Platform("Linux/UNIX", "RunInstances"),
    "rhel": Platform("Red Hat Enterprise Linux", "RunInstances:0010"),
    "suse": Platform("SUSE Linux", "RunInstances:000g"),
    "windows": Platform("Windows", "RunInstances:0002"),
}
STATE_CODES: Final = {
    "pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80,
}  # fmt: skip
