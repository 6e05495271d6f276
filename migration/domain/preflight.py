"""What to ask AWS before anybody decides: may the change be made, and may it be put back? Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from migration.domain import ladder
from migration.domain.plan import key_of
from migration.enums import ResourceKind

CHANGE, BACK = "change", "put back"
# AWS's codes in words (domain.md 9; EC2 API, error codes).
WORDS = {
    "": "AWS would allow it.",
    "UnauthorizedOperation": "AWS forbids it: the enforcer role, an SCP or a declarative policy does not allow it.",
    "UnsupportedOperation": "AWS does not support it here; HttpTokensEnforced may be on.",
    "OperationNotPermitted": "AWS does not permit it; a service may keep this resource.",
}
NO_TRIAL = "AWS offers no trial for this (Auto Scaling has no DryRun)."


@dataclass(frozen=True, slots=True)
class Trial:
    """One question: may `send` be sent to this resource?"""

    what: str  # CHANGE or BACK
    kind: str
    region: str
    resource_id: str
    send: Mapping[str, Any]


def trials(plan: Mapping[str, Any]) -> Iterator[Trial]:
    """One resource of each kind in each Region, for the change and for its way back: rights differ by Region and kind,
    hardly by resource. A version that is not made yet is not asked about.
    """
    asked: set[tuple[str, str]] = set()
    for item in plan["changes"]:
        kind, region, resource_id = key_of(item)
        if (kind, region) in asked:
            continue
        asked.add((kind, region))
        yield Trial(CHANGE, kind, region, resource_id, item["send"])
        back = ladder.restore(kind, item["before"], item["send"])
        if back and None not in back.values():
            yield Trial(BACK, kind, region, resource_id, back)


def answer(trial: Trial, code: str | None) -> dict[str, Any]:
    """An answer as it is stored. `code` None: there is no trial for it."""
    said = NO_TRIAL if code is None else WORDS.get(code, f"AWS would refuse it: {code}.")
    return {
        "what": trial.what,
        "kind": trial.kind,
        "label": ResourceKind(trial.kind).label,
        "region": trial.region,
        "resource_id": trial.resource_id,
        "code": code,
        "said": said,
    }


def unanswered(trial: Trial, why: str) -> dict[str, Any]:
    """AWS did not say: neither yes nor no."""
    return answer(trial, None) | {"said": f"AWS did not answer: {why}"}
