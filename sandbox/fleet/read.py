"""A fleet file, as a world."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, Final

from sandbox import ids
from sandbox.checks import Mistake, Reader
from sandbox.ec2.options import ON_OFF
from sandbox.fleet.groups import read_group
from sandbox.fleet.sources import read_configurations, read_groups, read_images, read_spot_requests, read_templates
from sandbox.partitions import PARTITIONS, Partition
from sandbox.permissions import KINDS
from sandbox.usage import DAY, HOUR
from sandbox.world import Account, Defaults, LongTermKey, Monitoring, Region, Role, Settings, World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ACCOUNT_ID: Final = r"\d{12}"
_ACCOUNT_STATES: Final = ("ACTIVE", "PENDING_ACTIVATION", "SUSPENDED", "PENDING_CLOSURE", "CLOSED")


def load(path: Path) -> dict[str, Any]:
    """The JSON of a file, or one sentence."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Mistake(str(path), f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Mistake(str(path), "is not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise Mistake(str(path), f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    if not isinstance(data, dict):
        raise Mistake(str(path), "must hold a JSON object")
    return data


def build(fleet: Mapping[str, Any], *, seed: int | None = None, anchor: float | None = None) -> World:
    """The world that a fleet describes; `seed` and `anchor` given here win over those in the file."""
    top = Reader(dict(fleet), "")
    file_seed = top.integer("seed", 1, 0) or 0
    now = anchor if anchor is not None else time.time()
    world = World(seed=file_seed if seed is None else seed, anchor=now // HOUR * HOUR)
    world.settings = _settings(top.object("settings"))
    world.partition = top.choice("partition", PARTITIONS, "aws")
    accounts = top.objects("accounts", required=True)
    if not accounts:
        raise Mistake("accounts", "must hold at least one account")
    for given in accounts:
        _account(given, world)
    _organization(top, world)
    world.monitoring = _monitoring(top, world)
    for given in accounts:
        _contents(given, world)
    _credentials(top, world)
    top.finish()
    return world


def _settings(given: Reader) -> Settings:
    settings = Settings(
        apply_seconds=given.number("apply_seconds", 1.0, 0),
        zero_fill=given.flag("zero_fill", default=True),
        empty_pages=given.flag("empty_pages"),
        session_seconds=given.number("session_seconds", 0, 0) or None,
    )
    given.finish()
    return settings


def _account(given: Reader, world: World) -> None:
    account_id = given.text("id", pattern=_ACCOUNT_ID, allowed="an account id, which has 12 digits")
    if account_id in world.accounts:
        raise Mistake(given.place("id"), f'"{account_id}" is there twice')
    name = given.text("name", f"account-{account_id}")
    account = Account(account_id, name, given.text("email", f"aws+{account_id}@example.com"))
    account.path = tuple(part for part in given.text("ou", "Root").split("/") if part)
    if not account.path or account.path[0] != "Root":
        raise Mistake(
            given.place("ou"), f'"{given.data.get("ou")}" is not a path from Root, such as Root/Payments/Prod'
        )
    account.state = given.choice("state", _ACCOUNT_STATES, "ACTIVE")
    account.joined_at = world.anchor - given.number("joined_days_ago", 700.0, 0) * DAY
    account.tags = given.words("tags")
    account.deny = tuple(given.texts("deny"))
    account.deny_assume = given.flag("deny_assume")
    account.managed_visibility = given.choice("managed_visibility", ("hidden", "visible"), "hidden")
    _regions(given, account, PARTITIONS[world.partition])
    world.accounts[account_id] = account


def _regions(given: Reader, account: Account, partition: Partition) -> None:
    """A list of names, or an object that says more of each."""
    given.has("regions")
    value = given.data.get("regions", [partition.default_regions[0]])
    named = isinstance(value, list) and all(isinstance(name, str) for name in value)
    entries: object = {name: {} for name in value} if named else value
    if not isinstance(entries, dict) or not entries:
        raise Mistake(
            given.place("regions"), "must be a list of Region names, or an object by Region name, and not empty"
        )
    for name, more in entries.items():
        if name not in partition.regions:
            raise Mistake(given.place("regions"), f'"{name}" is not an AWS Region of the partition {partition.name}')
        region = Region(name, account.account_id)
        one = Reader(more, f"{given.place('regions')}.{name}")
        region.defaults = _defaults(one.object("defaults"))
        one.finish()
        account.regions[name] = region


def _defaults(given: Reader) -> Defaults:
    defaults = Defaults(
        http_tokens=given.choice("http_tokens", ("optional", "required"), "") or None,
        http_put_response_hop_limit=given.integer("hop_limit", None, 1, 64),
        http_endpoint=given.choice("http_endpoint", ON_OFF, "") or None,
        instance_metadata_tags=given.choice("metadata_tags", ON_OFF, "") or None,
        http_tokens_enforced=given.choice("http_tokens_enforced", ON_OFF, "") or None,
        managed_by=given.choice("managed_by", ("account", "declarative-policy"), "account"),
        exception_message=given.text("exception_message", "") or None,
    )
    given.finish()
    return defaults


def _organization(top: Reader, world: World) -> None:
    """Several accounts are an organisation whose management account is the first, unless the file says otherwise."""
    absent = "organization" in top.data and top.data["organization"] is None
    given = top.object("organization")
    first = world.first_account.account_id
    world.management_account = given.choice("management_account", world.accounts, first)
    chosen = given.text("id", "", r"o-[a-z0-9]{10,32}", "an organization id, o- and 10 to 32 letters or digits")
    given.finish()
    if not absent and (chosen or len(world.accounts) > 1):
        world.organization_id = chosen or f"o-{ids.digest('organization', world.seed, first)[:10]}"


def _monitoring(top: Reader, world: World) -> Monitoring | None:
    """`monitoring`: who may read whose metrics."""
    if not top.has("monitoring"):
        return None
    given = top.object("monitoring")
    account = world.accounts[given.choice("account", world.accounts)]
    others = dict.fromkeys(account_id for account_id in world.accounts if account_id != account.account_id)
    given.has("linked")
    linked = others if given.data.get("linked") == "all" else dict.fromkeys(given.texts("linked"))
    for account_id in linked:
        if account_id not in others:
            raise Mistake(given.place("linked"), f'"{account_id}" is not another account of this fleet')
    regions = given.texts("regions") or list(account.regions)
    for name in regions:
        if name not in account.regions:
            raise Mistake(
                given.place("regions"),
                f'"{name}" is not a Region of the monitoring account: {", ".join(account.regions)}',
            )
    since = world.anchor - given.number("linked_days_ago", 0, 0) * DAY if given.has("linked_days_ago") else -math.inf
    given.finish()
    return Monitoring(account.account_id, linked, frozenset(regions), since)


def _contents(given: Reader, world: World) -> None:
    account = world.accounts[given.data["id"]]
    for one in given.objects("roles"):
        trusted = one.texts("trusted") or [world.management_account]
        role = Role(
            name=one.text("name"),
            kind=one.choice("kind", KINDS, "reader"),
            external_id=one.text("external_id", "") or None,
            trusted=tuple(trusted),
            source_identity=one.flag("source_identity", default=True),
        )
        one.finish()
        account.roles[role.name] = role
    read_images(given, account, world.anchor)
    read_templates(given, account, world.anchor)
    read_configurations(given, account, world.anchor)
    read_groups(given, account, world.anchor)
    read_spot_requests(given, account, world.anchor)
    for number, group in enumerate(given.objects("instances")):
        read_group(group, account, world, number)
    given.finish()


def _credentials(top: Reader, world: World) -> None:
    for one in top.objects("credentials"):
        key_id = one.text("access_key_id", pattern=r"(?!ASIA)[A-Z0-9]{16,128}", allowed="a long-term access key id")
        secret = one.text("secret_access_key")
        account_id = one.choice("account_id", world.accounts, world.management_account)
        one.finish()
        world.keys[key_id] = LongTermKey(key_id, secret, account_id)
