"""What a fresh read says about a planned change: the guards that stand between an approval and a write. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from migration.domain.facts import InstanceFact

ENDED = frozenset({"shutting-down", "terminated"})
OPTIONS = ("HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint", "HttpProtocolIpv6", "InstanceMetadataTags")


class Finding(StrEnum):
    GO = "go"  # live is exactly what the plan says was before
    ALREADY = "already"  # live is already what the plan wants
    DRIFTED = "drifted"  # live is something else: not ours to overwrite
    GONE = "gone"  # not in the answer, which right after a launch or a change proves nothing
    ENDED = "ended"  # AWS says so itself
    MANAGED = "managed"


class Check(StrEnum):
    VERIFIED = "verified"
    GONE = "gone"  # terminated: there is nothing left that could be required
    WAIT = "wait"  # AWS has it, and has not applied it yet, or a lagging replica answers
    DISTURBED = "disturbed"  # applied, but a field we did not send has moved


@dataclass(frozen=True, slots=True)
class Sight:
    finding: Finding
    reason: str


def before_write(*, live: InstanceFact | None, before: Mapping[str, Any], send: Mapping[str, Any]) -> Sight:
    """May the planned change be written? Only where live equals the plan's `before`, field by field."""
    if live is None:
        return Sight(Finding.GONE, "AWS no longer shows this instance.")
    if live.instance_state in ENDED:
        return Sight(Finding.ENDED, f"The instance is {live.instance_state}.")
    if live.operator_managed:
        return Sight(Finding.MANAGED, "An AWS service runs this instance; it cannot be changed by us.")
    now = live.options.as_aws()
    moved = [name for name in OPTIONS if name not in send and now[name] != before.get(name)]
    if not moved and all(now[name] == value for name, value in send.items()):
        return Sight(Finding.ALREADY, "It already is what the plan wants.")
    moved += [name for name in send if now[name] != before.get(name)]
    if moved:
        told = ", ".join(f"{name} was {before.get(name)} and is {now[name]}" for name in moved)
        return Sight(Finding.DRIFTED, f"Changed since the plan was made: {told}.")
    return Sight(Finding.GO, "")


def after_write(*, live: InstanceFact | None, before: Mapping[str, Any], send: Mapping[str, Any]) -> tuple[Check, str]:
    """Has the write arrived? `State` must be `applied`; on a stopped instance AWS applies it at the next start."""
    if live is None:
        return Check.WAIT, "AWS does not show the instance; it may be a lagging read."
    if live.instance_state in ENDED:
        return Check.GONE, f"The instance is {live.instance_state}."
    now = live.options.as_aws()
    short = [name for name, value in send.items() if now[name] != value]
    if short:
        return Check.WAIT, f"AWS still shows {', '.join(f'{name}={now[name]}' for name in short)}."
    if now["State"] != "applied" and live.instance_state != "stopped":
        return Check.WAIT, "AWS has accepted it and has not applied it yet."
    moved = [name for name in OPTIONS if name not in send and now[name] != before.get(name)]
    if moved:
        told = ", ".join(f"{name} was {before.get(name)} and is {now[name]}" for name in moved)
        return Check.DISTURBED, f"{_done(send)} now, but something else moved too: {told}."
    if now["State"] != "applied":
        return Check.VERIFIED, f"{_done(send)}; the instance is stopped and takes it at its next start."
    return Check.VERIFIED, f"{_done(send)} and applied, read back from AWS."


def _done(send: Mapping[str, Any]) -> str:
    if send.get("HttpTokens") == "required":
        return "Required"
    return "Sent (" + ", ".join(f"{name}={value}" for name, value in send.items()) + ")"
