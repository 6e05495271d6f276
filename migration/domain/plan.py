"""A plan: exactly what would change, what would not and why. Immutable, and named by its hash."""

import copy
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from migration.domain.facts import MetadataOptions
from migration.enums import RequestKind, ResourceKind, ScopeKind, Status

VERSION = 2  # 1 had no kind, scope nor policy; such plans are still read, and verified by their hash
# What enforcement sends; the hop limit goes beside it only where one was chosen. HttpEndpoint never travels with it:
# sending it re-opens IMDS where it was off.
SEND: Mapping[str, str | int] = {"HttpTokens": "required"}
OFF: Mapping[str, str | int] = {"HttpEndpoint": "disabled"}
HOP_LIMIT = "HttpPutResponseHopLimit"
ANSWERS_AGAIN = "These answer IMDSv1 again afterwards: this loosens security."  # a note, and the gravest there is

Key = tuple[str, str, str]  # ResourceKind, Region, resource id


@dataclass(frozen=True, slots=True)
class Candidate:
    """An instance as the planner sees it."""

    instance_id: str
    region: str
    name: str
    options: MetadataOptions
    status: Status
    reason: str
    measured_days: int
    v1_calls: int | None
    last_v1_hour: datetime | None
    blockers: tuple[str, ...]
    warnings: tuple[str, ...]
    hop_limit: int | None = None  # chosen for its workload


@dataclass(frozen=True, slots=True)
class Scope:
    """What of an account is planned for. Nothing given: all of it."""

    kind: ScopeKind = ScopeKind.ACCOUNT
    region: str = ""  # of a group or a filter; empty: every Region
    group: str = ""  # an Auto Scaling group's name
    instances: tuple[str, ...] = ()
    status: str = ""  # of a filter, as the pages filter
    q: str = ""
    of: str = ""  # an OU or a wave that this account is one of, in words

    def __str__(self) -> str:
        said = {
            ScopeKind.ACCOUNT: "the whole account",
            ScopeKind.INSTANCES: f"{len(self.instances):,} chosen",
            ScopeKind.GROUP: f"Auto Scaling group {self.group}",
            ScopeKind.FILTER: "what the filter shows: " + ", ".join(filter(None, (self.status, self.q))),
        }[self.kind]
        return said + (f" in {self.region}" if self.region else "") + (f", as part of {self.of}" if self.of else "")

    def as_plan(self) -> dict[str, Any]:
        """As a plan holds it: only what was said."""
        said = {
            "kind": str(self.kind),
            "region": self.region,
            "group": self.group,
            "instances": list(self.instances),
            "status": self.status,
            "q": self.q,
            "of": self.of,
        }
        return {name: value for name, value in said.items() if value}


def scope_of(plan: Mapping[str, Any]) -> Scope:
    """The scope of a stored plan; of one that has none, from before there were scopes, the whole account."""
    told = dict(plan.get("scope") or {})
    told["kind"] = ScopeKind(told.get("kind", ScopeKind.ACCOUNT))
    told["instances"] = tuple(told.get("instances", ()))
    return Scope(**told)


def build(
    *,
    account_id: str,
    candidates: Iterable[Candidate],
    window_days: int,
    as_of: datetime,
    notes: Iterable[str] = (),
    kind: RequestKind = RequestKind.ENFORCE,
    scope: Scope | None = None,
    policy: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Plan a change of instances: to require tokens on every `ready` one without a blocker, to raise hop limits where
    one was chosen, or to switch IMDS off on those named. Everything else is excluded with its reason.

    Instances already done and those gone are in neither list: there is nothing to decide about them.
    """
    changes, excluded = [], []
    for one in sorted(candidates, key=lambda candidate: (candidate.region, candidate.instance_id)):
        send, reason = _wanted(kind, one)
        if send:
            changes.append(_change(one, send, window_days, reason))
        elif reason:
            excluded.append(_excluded(one, reason))
    return compose(
        kind=kind,
        account_id=account_id,
        changes=changes,
        excluded=excluded,
        window_days=window_days,
        as_of=as_of,
        notes=notes,
        scope=scope,
        policy=policy,
    )


def compose(
    *,
    kind: RequestKind,
    account_id: str,
    changes: list[dict[str, Any]],
    excluded: list[dict[str, Any]],
    window_days: int,
    as_of: datetime,
    notes: Iterable[str] = (),
    scope: Scope | None = None,
    policy: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The plan as it is stored and hashed. `changes`: items with kind, region, resource, before and send."""
    return {
        "version": VERSION,
        "kind": str(kind),
        "account_id": account_id,
        "scope": (scope or Scope()).as_plan(),
        "policy": dict(policy or {}),
        "window_days": window_days,
        "as_of": as_of.isoformat(),
        "changes": changes,
        "excluded": excluded,
        "notes": list(notes),
    }


def _wanted(kind: RequestKind, one: Candidate) -> tuple[Mapping[str, str | int], str]:
    """What is sent and why that is safe, or nothing and why not; ({}, "") when there is nothing to decide."""
    if one.status is Status.GONE:
        return {}, ""
    if kind is RequestKind.HOP_LIMIT:
        return _raise_hop_limit(one)
    if kind is RequestKind.IMDS_OFF:
        return _switch_off(one)
    if one.status is Status.ENFORCED:
        return {}, ""
    if one.status is Status.READY and not one.blockers:
        return _send(one), one.reason
    return {}, "; ".join(one.blockers) or one.reason


def _raise_hop_limit(one: Candidate) -> tuple[Mapping[str, str | int], str]:
    now = one.options.http_put_response_hop_limit
    if one.hop_limit is None:
        return {}, ""
    if one.status is Status.MANAGED:
        return {}, one.reason
    if now is None:
        return {}, "Its hop limit is not known."
    if now >= one.hop_limit:
        return {}, ""
    return {HOP_LIMIT: one.hop_limit}, f"{one.hop_limit} was chosen for its workload; only ever raised."


def _switch_off(one: Candidate) -> tuple[Mapping[str, str | int], str]:
    if one.status is Status.MANAGED:
        return {}, one.reason
    if one.options.http_endpoint == "disabled":
        return {}, "IMDS is off already."
    if one.options.http_endpoint is None:
        return {}, "Whether IMDS is on is not known."
    if one.status is Status.IN_USE:
        return {}, one.reason
    return dict(OFF), "Named by hand."


def _excluded(one: Candidate, reason: str) -> dict[str, Any]:
    return {
        "instance_id": one.instance_id,
        "region": one.region,
        "name": one.name,
        "status": one.status.value,
        "reason": reason,
    }


def _change(one: Candidate, send: Mapping[str, str | int], window_days: int, reason: str) -> dict[str, Any]:
    warnings = list(one.warnings)
    if "HttpEndpoint" in send:
        warnings.append(
            "Whatever reads IMDS on it stops, IMDSv2 too, which no metric counts: role credentials run out within "
            "about six hours."
        )
    return {
        "instance_id": one.instance_id,
        "region": one.region,
        "name": one.name,
        "before": one.options.as_aws(),
        "send": dict(send),
        "reason": reason,
        "evidence": {
            "measured_days": one.measured_days,
            "window_days": window_days,
            "v1_calls": one.v1_calls,
            "last_v1_hour": one.last_v1_hour.isoformat() if one.last_v1_hour else None,
        },
        "warnings": warnings,
    }


def _send(one: Candidate) -> dict[str, str | int]:
    """Exactly what goes to AWS. A chosen hop limit only ever raises the one there is."""
    now = one.options.http_put_response_hop_limit
    if one.hop_limit is None or now is None or now >= one.hop_limit:
        return dict(SEND)
    return {**SEND, HOP_LIMIT: one.hop_limit}


# --- reading a plan ---------------------------------------------------------------------------------------


def key_of(item: Mapping[str, Any]) -> Key:
    """Which resource an item of a plan is about; no two items of a plan are about the same."""
    kind = str(item.get("kind", ResourceKind.INSTANCE))
    return kind, item["region"], item["instance_id"] if kind == ResourceKind.INSTANCE else item["resource_id"]


def items(plan: Mapping[str, Any]) -> dict[Key, Mapping[str, Any]]:
    """The changes of a plan by what they are about."""
    return {key_of(item): item for item in plan["changes"]}


def wholly_ready(plan: Mapping[str, Any]) -> bool:
    """True for the plan of a whole account in which nothing had to be left out and nothing is to be warned of."""
    changes = plan["changes"]
    whole = scope_of(plan).kind is ScopeKind.ACCOUNT and plan.get("kind") == RequestKind.ENFORCE
    return whole and bool(changes) and not plan["excluded"] and not any(item.get("warnings") for item in changes)


def without(plan: Mapping[str, Any], keys: Iterable[Key], *, reason: str) -> dict[str, Any]:
    """The plan with some of its changes among the excluded, with the reason. Raises KeyError for one it has not."""
    left = copy.deepcopy(dict(plan))
    mine = items(left)
    out = {key: mine[key] for key in keys}
    left["changes"] = [item for item in left["changes"] if key_of(item) not in out]
    left["excluded"] = [
        *left["excluded"],
        *(
            {
                "instance_id": key[2],
                "region": key[1],
                "name": item.get("name", ""),
                "status": "left_out",
                "reason": reason,
            }
            for key, item in out.items()
        ),
    ]
    return left


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What a plan made from today's data would say otherwise, in sentences: what the approver must know."""
    was, is_ = items(then), items(now)
    excluded = {(item["region"], item["instance_id"]): item for item in now["excluded"]}
    for key, item in was.items():
        named = f"{item['name']} ({key[2]})" if item.get("name") else key[2]
        if key not in is_:
            why = excluded.get((key[1], key[2]), {}).get("reason") or "there is nothing to do any more"
            yield f"{named} would not be planned now: {why}"
        elif is_[key]["before"] != item["before"]:
            yield f"{named} has been changed since: {_moved(item['before'], is_[key]['before'])}"
        elif is_[key]["send"] != item["send"]:
            yield f"{named} would be sent {_told(is_[key]['send'])} now, not {_told(item['send'])}"
    left_out = {(item["region"], item["instance_id"]) for item in then["excluded"] if item.get("status") == "left_out"}
    new = [key for key in is_ if key not in was and (key[1], key[2]) not in left_out]
    if new:
        yield f"{len(new):,} more would be planned now; they are not in this plan and stay untouched."


def _moved(was: Mapping[str, Any], is_: Mapping[str, Any]) -> str:
    names = [name for name in {**was, **is_} if was.get(name) != is_.get(name)]
    return ", ".join(f"{name} was {was.get(name)} and is {is_.get(name)}" for name in names)


def _told(send: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in send.items())


def canonical(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, ASCII only, so that a hash means the same everywhere."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(plan: Mapping[str, Any]) -> str:
    """SHA-256 of the plan's canonical JSON, hexadecimal. What an approver signs."""
    return hashlib.sha256(canonical(plan).encode()).hexdigest()
