"""Which IMDS options a launch gets: request or template, account default, AMI, EC2's base value; each on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.instances import MetadataOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.world import Defaults


def resolve(launch: Mapping[str, Any], account: Defaults, imds_support: str | None) -> MetadataOptions:
    """The options, before the enforcement check. `launch` has our field names; a missing key says nothing."""
    flagged = imds_support == "v2.0"
    return MetadataOptions(
        http_tokens=launch.get("http_tokens") or account.http_tokens or ("required" if flagged else "optional"),
        http_put_response_hop_limit=launch.get("http_put_response_hop_limit")
        or account.http_put_response_hop_limit
        or (2 if flagged else 1),
        http_endpoint=launch.get("http_endpoint") or account.http_endpoint or "enabled",
        http_protocol_ipv6=launch.get("http_protocol_ipv6") or "disabled",
        instance_metadata_tags=launch.get("instance_metadata_tags") or account.instance_metadata_tags or "disabled",
    )
