"""Pretend organisations for tests, in the fleet file's form."""

from typing import Any

CENTRAL, MEMBER, CLOSED = "111122223333", "444455556666", "555566667777"
EXTERNAL_ID = "imdsdash-test"
ROLES = [
    {"name": "imdsdash-reader", "kind": "reader", "external_id": EXTERNAL_ID, "trusted": [CENTRAL]},
    {"name": "imdsdash-enforcer", "kind": "enforcer", "external_id": EXTERNAL_ID, "trusted": [CENTRAL]},
]
QUIET = {"launched_days_ago": 40, "usage": "quiet"}


def alone(*instances: dict[str, Any], regions: Any = ("us-east-1",), **more: Any) -> dict[str, Any]:
    """One account, any long-term key: "no setting but credentials"."""
    account = {"id": CENTRAL, "name": "alone", "regions": regions if isinstance(regions, dict) else list(regions)}
    return {
        "settings": {"apply_seconds": 0.2, **more.pop("settings", {})},
        "accounts": [account | {"instances": list(instances)} | more],
    }


def pair(*instances: dict[str, Any], **member: Any) -> dict[str, Any]:
    """A central account, a member reached by roles, and one whose door is closed."""
    return {
        "settings": {"apply_seconds": 0.2},
        "accounts": [
            {"id": CENTRAL, "name": "central", "regions": ["us-east-1"]},
            {"id": MEMBER, "name": "member", "regions": ["us-east-1"], "roles": ROLES, "instances": list(instances)}
            | member,
            {"id": CLOSED, "name": "closed", "regions": ["us-east-1"], "roles": ROLES, "deny_assume": True},
        ],
    }


def thousand() -> dict[str, Any]:
    """1,000 instances over 3 Regions."""
    return alone(
        {"count": 334, "region": "us-east-1", "name_prefix": "a", "launched_days_ago": 100, "usage": "quiet"},
        {"count": 333, "region": "eu-west-1", "name_prefix": "b", "launched_days_ago": 100, "usage": "quiet"},
        {"count": 333, "region": "ap-southeast-2", "name_prefix": "c", "launched_days_ago": 100, "usage": "steady"},
        regions=("us-east-1", "eu-west-1", "ap-southeast-2"),
    )
