"""What enforcement takes in one account: the narrowest policy that covers it, as a whole. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import time
from typing import Any

from migration.domain import windows
from migration.domain.windows import Window
from migration.domain.words import some
from migration.enums import Emergency

# The least and the most of each number.
LIMITS = {
    "quorum": (1, 9),
    "one_click": (0, 10_000),
    "max_failures": (0, 1_000),
    "canary_minutes": (0, 1_440),
    "watch_hours": (1, 720),
    "max_rejecting": (0, 1_000),
}
LABELS = {
    "quorum": "Approvals",
    "one_click": "One click",
    "max_failures": "Failures",
    "canary_minutes": "Canary",
    "watch_hours": "Watch",
    "max_rejecting": "Refused calls",
    "emergency": "Emergency",
    "window": "Change window",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """A policy as a plan carries it. Every number is part of what an approver signs."""

    quorum: int = 1  # approvals by different people
    one_click: int = 0  # so many instances at most need no second person; 0: never
    max_failures: int = 2  # beyond it a run pauses
    canary_minutes: int = 30  # how long the canary may take to show data; 0: it is only verified
    watch_hours: int = 24  # hours of MetadataNoTokenRejected after the change
    max_rejecting: int = 0  # instances with refused calls beyond which a run and its wave pause
    emergency: Emergency = Emergency.NOBODY
    window: Window | None = None
    place: str = ""  # whose policy it is: "", an OU path, an account id
    policy_id: int | None = None  # None: the settings' own


def as_plan(terms: Terms) -> dict[str, Any]:
    """The terms as a plan holds them: plain JSON."""
    window = terms.window
    return {
        "quorum": terms.quorum,
        "one_click": terms.one_click,
        "max_failures": terms.max_failures,
        "canary_minutes": terms.canary_minutes,
        "watch_hours": terms.watch_hours,
        "max_rejecting": terms.max_rejecting,
        "emergency": str(terms.emergency),
        "window": window
        and {
            "zone": window.zone,
            "days": list(window.days),
            "start": window.start.strftime("%H:%M"),
            "minutes": window.minutes,
        },
        "place": terms.place,
        "policy": terms.policy_id,
    }


def of_plan(told: dict[str, Any]) -> Terms:
    """The terms of a stored plan; of one that has none, from before there were policies, the cautious defaults."""
    window = told.get("window")
    return Terms(
        quorum=told.get("quorum", 1),
        one_click=told.get("one_click", 0),
        max_failures=told.get("max_failures", 2),
        canary_minutes=told.get("canary_minutes", 0),
        watch_hours=told.get("watch_hours", 24),
        max_rejecting=told.get("max_rejecting", 0),
        emergency=Emergency(told.get("emergency", Emergency.NOBODY)),
        window=window
        and Window(
            zone=window["zone"],
            days=tuple(window["days"]),
            start=time.fromisoformat(window["start"]),
            minutes=window["minutes"],
        ),
        place=told.get("place", ""),
        policy_id=told.get("policy"),
    )


def problem(terms: Terms) -> str:
    """Why terms are refused, in a sentence, or "". What no run could go on with, and what the database cannot hold."""
    for name, (least, most) in LIMITS.items():
        if not least <= getattr(terms, name) <= most:
            return f"“{LABELS[name]}” is {getattr(terms, name):,}; it must be {least} to {most:,}."
    if terms.window is None:
        return ""
    if terms.window.start.second or terms.window.start.microsecond:
        return f"A window opens on a whole minute, not at {terms.window.start}."
    return windows.problem(terms.window)


def words(terms: Terms) -> dict[str, str]:
    """By label, the terms as a person reads them."""
    said = {
        "quorum": "by one person" if terms.quorum == 1 else f"by {terms.quorum} different people",
        "one_click": f"up to {some(terms.one_click, 'instance')}" if terms.one_click else "never",
        "max_failures": f"a run pauses {f'beyond {terms.max_failures:,}' if terms.max_failures else 'at the first'}",
        "canary_minutes": (
            f"{terms.canary_minutes:,} min to show data" if terms.canary_minutes else "only verified, not watched"
        ),
        "watch_hours": f"{terms.watch_hours:,} h after the change",
        "max_rejecting": (
            f"a run and its wave pause beyond {some(terms.max_rejecting, 'instance')} with them"
            if terms.max_rejecting
            else "a run and its wave pause at the first instance with them"
        ),
        "emergency": {
            Emergency.NOBODY: "nobody puts back alone",
            Emergency.OWNER: "who requested or approved a run may put it back alone",
            Emergency.STEERING: "everybody who may steer runs may put one back alone",
        }[terms.emergency],
        "window": str(terms.window) if terms.window else "always open",
    }
    return {LABELS[name]: text for name, text in said.items()}


def narrowest(places: Iterable[tuple[str, str, Terms]], *, account_id: str, ou_path: str) -> Terms | None:
    """Of (account id, OU path, terms) the one that holds for an account: its own, else the deepest OU, else the one
    for everywhere (both empty). None: no policy covers it.
    """
    best: tuple[int, Terms] | None = None
    for of_account, of_ou, terms in places:
        if of_account:
            depth = 10_000 if of_account == account_id else -1
        elif not of_ou:
            depth = 0
        else:
            depth = len(of_ou) if ou_path == of_ou or ou_path.startswith(f"{of_ou}/") else -1
        if depth >= 0 and (best is None or depth > best[0]):
            best = (depth, terms)
    return best[1] if best else None
