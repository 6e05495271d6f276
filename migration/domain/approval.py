"""Who may decide on a plan, and when enough have. The rule alone; the database holds parts of it again. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signature:
    """One person's decision as it stands now. `plan_hash`: what was signed."""

    person: int
    approves: bool
    plan_hash: str
    void: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be decided. People are primary keys; `requester` None: nobody has asked yet."""

    plan_hash: str
    quorum: int
    creator: int
    requester: int | None
    editors: Collection[int] = ()


def barred(person: int, asked: Asked) -> str:
    """Why this person cannot decide, in a sentence, or "": whoever made, asked for or edited the plan is barred."""
    if person == asked.requester:
        return "You made this request, so somebody else must decide on it."
    if person == asked.creator:
        return "You made this plan, so somebody else must decide on it."
    if person in asked.editors:
        return "You edited this plan, so somebody else must decide on it."
    return ""


def approvers(signatures: Iterable[Signature], asked: Asked) -> frozenset[int]:
    """Whose approvals count: distinct people, not barred, for this very plan, not taken back."""
    return frozenset(
        one.person
        for one in signatures
        if one.approves and not one.void and one.plan_hash == asked.plan_hash and not barred(one.person, asked)
    )


def missing(signatures: Iterable[Signature], asked: Asked) -> int:
    """How many approvals are still missing. Nobody having asked for it, all of them."""
    if asked.requester is None:
        return max(1, asked.quorum)
    return max(0, max(1, asked.quorum) - len(approvers(signatures, asked)))
