"""A plan: exactly what would change, what would not and why. Immutable, and named by its hash."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from migration.domain.facts import MetadataOptions
from migration.enums import Status

VERSION = 1
# What enforcement sends; the hop limit goes beside it only where one was chosen. HttpEndpoint never travels: sending it
# re-opens IMDS where it was off.
SEND: Mapping[str, str | int] = {"HttpTokens": "required"}


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


def build(
    *, account_id: str, candidates: Iterable[Candidate], window_days: int, as_of: datetime, notes: Iterable[str] = ()
) -> dict[str, Any]:
    """Plan to require tokens on every `ready` instance without a blocker; everything else is excluded with its reason.

    Instances already done and those gone are in neither list: there is nothing to decide about them.
    """
    changes, excluded = [], []
    for one in sorted(candidates, key=lambda candidate: (candidate.region, candidate.instance_id)):
        if one.status in {Status.ENFORCED, Status.GONE}:
            continue
        if one.status is Status.READY and not one.blockers:
            changes.append(_change(one, window_days))
        else:
            excluded.append(
                {
                    "instance_id": one.instance_id,
                    "region": one.region,
                    "name": one.name,
                    "status": one.status.value,
                    "reason": "; ".join(one.blockers) or one.reason,
                }
            )
    return {
        "version": VERSION,
        "account_id": account_id,
        "window_days": window_days,
        "as_of": as_of.isoformat(),
        "changes": changes,
        "excluded": excluded,
        "notes": list(notes),
    }


def _change(one: Candidate, window_days: int) -> dict[str, Any]:
    return {
        "instance_id": one.instance_id,
        "region": one.region,
        "name": one.name,
        "before": one.options.as_aws(),
        "send": _send(one),
        "reason": one.reason,
        "evidence": {
            "measured_days": one.measured_days,
            "window_days": window_days,
            "v1_calls": one.v1_calls,
            "last_v1_hour": one.last_v1_hour.isoformat() if one.last_v1_hour else None,
        },
        "warnings": list(one.warnings),
    }


def _send(one: Candidate) -> dict[str, str | int]:
    """Exactly what goes to AWS. A chosen hop limit only ever raises the one there is."""
    now = one.options.http_put_response_hop_limit
    if one.hop_limit is None or now is None or now >= one.hop_limit:
        return dict(SEND)
    return {**SEND, "HttpPutResponseHopLimit": one.hop_limit}


def canonical(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, ASCII only, so that a hash means the same everywhere."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(plan: Mapping[str, Any]) -> str:
    """SHA-256 of the plan's canonical JSON, hexadecimal. What an approver signs."""
    return hashlib.sha256(canonical(plan).encode()).hexdigest()
