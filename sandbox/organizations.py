"""AWS Organizations: the tree and its accounts, for the management account only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sandbox import ids
from sandbox.calls import Call, operation
from sandbox.errors import AwsError
from sandbox.paging import paged
from sandbox.partitions import PARTITIONS
from sandbox.protocol import iso

if TYPE_CHECKING:
    from sandbox.world import Account, World

_PAGE: Final = 20
_REGIONS_PAGE: Final = 50


def check_caller(call: Call) -> None:
    """Only the management account may look at the organisation."""
    world = call.world
    if world.organization_id is None:
        raise AwsError("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
    if call.account.account_id != world.management_account:
        raise AwsError("AccessDeniedException", "You don't have permissions to access this resource.")


def root_id(world: World) -> str:
    """The root's id."""
    return f"r-{ids.digest('root', world.organization_id)[:4]}"


def ou_id(world: World, path: tuple[str, ...]) -> str:
    """The id of the organisational unit at a path, or of the root."""
    if len(path) <= 1:
        return root_id(world)
    return f"ou-{root_id(world)[2:]}-{ids.digest('ou', world.organization_id, *path)[:8]}"


def _units(world: World) -> dict[str, tuple[str, ...]]:
    """Every organisational unit by id."""
    paths = {a.path[:depth] for a in world.accounts.values() for depth in range(1, len(a.path) + 1)}
    return {ou_id(world, path): path for path in sorted(paths)}


def _owner(world: World) -> str:
    return f"arn:{world.partition}:organizations::{world.management_account}"


def _arn(world: World, kind: str, tail: str) -> str:
    return f"{_owner(world)}:{kind}/{world.organization_id}/{tail}"


def _account(world: World, account: Account) -> dict[str, Any]:
    path = "/".join(ou_id(world, account.path[:depth]) for depth in range(1, len(account.path) + 1))
    return {
        "Id": account.account_id,
        "Arn": _arn(world, "account", account.account_id),
        "Email": account.email,
        "Name": account.name,
        "State": account.state,
        "Paths": [f"{world.organization_id}/{path}/"],
        "JoinedMethod": "CREATED",
        "JoinedTimestamp": iso(account.joined_at),
    }


def _unit(world: World, unit_id: str, path: tuple[str, ...]) -> dict[str, Any]:
    return {"Id": unit_id, "Arn": _arn(world, "ou", unit_id), "Name": path[-1]}


@operation("organizations", "DescribeOrganization")
def describe_organization(call: Call) -> dict[str, Any]:
    """Any member may ask for this."""
    world = call.world
    if world.organization_id is None:
        check_caller(call)
    master = world.accounts[world.management_account]
    return {
        "Organization": {
            "Id": world.organization_id,
            "Arn": f"{_owner(world)}:organization/{world.organization_id}",
            "FeatureSet": "ALL",
            "MasterAccountArn": _arn(world, "account", master.account_id),
            "MasterAccountId": master.account_id,
            "MasterAccountEmail": master.email,
        }
    }


@operation("organizations", "ListAccounts")
def list_accounts(call: Call) -> dict[str, Any]:
    """At most 20 a page; a page may be empty and still carry a token."""
    check_caller(call)
    accounts = list(call.world.accounts.values())
    page, token = paged(call, accounts, _PAGE, empty_pages=call.world.settings.empty_pages)
    return {"Accounts": [_account(call.world, a) for a in page], "NextToken": token}


@operation("organizations", "DescribeAccount")
def describe_account(call: Call) -> dict[str, Any]:
    """One account."""
    check_caller(call)
    account = call.world.accounts.get(call.params["AccountId"])
    if account is None:
        raise AwsError("AccountNotFoundException", "You specified an account that doesn't exist.")
    return {"Account": _account(call.world, account)}


@operation("organizations", "ListRoots")
def list_roots(call: Call) -> dict[str, Any]:
    """The one root."""
    check_caller(call)
    root = root_id(call.world)
    policy_types = [{"Type": "DECLARATIVE_POLICY_EC2", "Status": "ENABLED"}]
    return {"Roots": [{"Id": root, "Arn": _arn(call.world, "root", root), "Name": "Root", "PolicyTypes": policy_types}]}


@operation("organizations", "ListOrganizationalUnitsForParent")
def list_organizational_units_for_parent(call: Call) -> dict[str, Any]:
    """The units directly below."""
    check_caller(call)
    units = _units(call.world)
    parent = _path(units, call.params["ParentId"])
    below = [_unit(call.world, uid, path) for uid, path in units.items() if path[:-1] == parent and path != parent]
    page, token = paged(call, below, _PAGE)
    return {"OrganizationalUnits": page, "NextToken": token}


@operation("organizations", "ListAccountsForParent")
def list_accounts_for_parent(call: Call) -> dict[str, Any]:
    """The accounts directly below."""
    check_caller(call)
    parent = _path(_units(call.world), call.params["ParentId"])
    page, token = paged(call, [a for a in call.world.accounts.values() if a.path == parent], _PAGE)
    return {"Accounts": [_account(call.world, a) for a in page], "NextToken": token}


@operation("organizations", "ListParents")
def list_parents(call: Call) -> dict[str, Any]:
    """The unit or root that holds an account or unit."""
    check_caller(call)
    child = call.params["ChildId"]
    account = call.world.accounts.get(child)
    path = account.path if account else _path(_units(call.world), child)[:-1]
    kind = "ROOT" if len(path) <= 1 else "ORGANIZATIONAL_UNIT"
    return {"Parents": [{"Id": ou_id(call.world, path), "Type": kind}]}


@operation("organizations", "DescribeOrganizationalUnit")
def describe_organizational_unit(call: Call) -> dict[str, Any]:
    """One unit."""
    check_caller(call)
    unit_id = call.params["OrganizationalUnitId"]
    return {"OrganizationalUnit": _unit(call.world, unit_id, _path(_units(call.world), unit_id))}


@operation("organizations", "ListTagsForResource")
def list_tags_for_resource(call: Call) -> dict[str, Any]:
    """An account's tags."""
    check_caller(call)
    account = call.world.accounts.get(call.params["ResourceId"])
    return {"Tags": [{"Key": k, "Value": v} for k, v in (account.tags if account else {}).items()]}


@operation("organizations", "DescribeEffectivePolicy")
def describe_effective_policy(call: Call) -> dict[str, Any]:
    """The declarative policy of an account, as far as the fleet says that Region defaults are managed by one."""
    target = call.params.get("TargetId") or call.account.account_id
    if target != call.account.account_id:
        check_caller(call)
    account = call.world.accounts.get(target)
    managed = [
        region.defaults
        for region in (account.regions.values() if account else ())
        if region.defaults.managed_by == "declarative-policy"
    ]
    if call.params.get("PolicyType") != "DECLARATIVE_POLICY_EC2" or not managed:
        raise AwsError("EffectivePolicyNotFoundException", "The specified effective policy was not found.")
    defaults = managed[0]
    content = {
        "ec2_attributes": {
            "exception_message": defaults.exception_message,
            "instance_metadata_defaults": {
                "http_tokens": defaults.http_tokens or "no_preference",
                "http_put_response_hop_limit": str(defaults.http_put_response_hop_limit or -1),
                "http_endpoint": defaults.http_endpoint or "no_preference",
                "instance_metadata_tags": defaults.instance_metadata_tags or "no_preference",
                "http_tokens_enforced": defaults.http_tokens_enforced or "no_preference",
            },
        }
    }
    return {
        "EffectivePolicy": {
            "PolicyContent": json.dumps(content),
            "PolicyType": "DECLARATIVE_POLICY_EC2",
            "TargetId": target,
            "LastUpdatedTimestamp": iso(call.world.anchor),
        }
    }


@operation("account", "ListRegions")
def list_regions(call: Call) -> dict[str, Any]:
    """The Regions of an account and whether it uses them; the management account must leave out its own id."""
    asked = call.params.get("AccountId")
    manages = call.world.organization_id is not None and call.account.account_id == call.world.management_account
    account = call.world.accounts.get(asked) if asked else call.account
    if account is None or (asked and not manages):
        raise AwsError("AccessDeniedException", "You do not have access to this account.", 403)
    if asked and asked == call.account.account_id:
        raise AwsError("ValidationException", "The management account must not name its own AccountId.", 400)
    partition = PARTITIONS[call.world.partition]
    statuses = dict.fromkeys(partition.opt_in_regions, "DISABLED") | {
        name: "ENABLED_BY_DEFAULT" if name in partition.default_regions else "ENABLED" for name in account.regions
    }
    wanted = call.params.get("RegionOptStatusContains") or statuses.values()
    regions = [
        {"RegionName": name, "RegionOptStatus": status} for name, status in sorted(statuses.items()) if status in wanted
    ]
    page, token = paged(call, regions, _REGIONS_PAGE)
    return {"Regions": page, "NextToken": token}


def _path(units: dict[str, tuple[str, ...]], unit_id: str) -> tuple[str, ...]:
    if unit_id not in units:
        raise AwsError("ParentNotFoundException", "We can't find a root or OU with the ParentId that you specified.")
    return units[unit_id]
