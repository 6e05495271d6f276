"""What a waiver covers, for how long, and when people are reminded of it. Pure: values in, values out."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Protocol

from migration.enums import WaiverKind

LONGEST = timedelta(days=365)
REMINDERS = (14, 3)  # days before the last one
REASON = 200  # characters of a reason that a status repeats


class Coverable(Protocol):
    """What of an instance a waiver may name."""

    @property
    def instance_id(self) -> str: ...
    @property
    def asg_name(self) -> str: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Waiving:
    """Until which day, inclusive, an instance is waived; and by what and why, for the sentence of its status."""

    until: date
    words: str


@dataclass(frozen=True, slots=True)
class Waived:
    """The waivers that hold in one account and Region, ready to be asked instance by instance."""

    instances: Mapping[str, Waiving] = field(default_factory=dict)
    groups: Mapping[str, Waiving] = field(default_factory=dict)
    tags: Mapping[str, Waiving] = field(default_factory=dict)  # by Key=Value
    account: Waiving | None = None

    def until(self, row: Coverable) -> Waiving | None:
        """The one that lasts longest; of equally long ones the narrowest."""
        found = [self.instances.get(row.instance_id), self.groups.get(row.asg_name) if row.asg_name else None]
        if self.tags:
            found += [self.tags.get(f"{key}={value}") for key, value in row.tags.items()]
        known = [one for one in [*found, self.account] if one is not None]
        return max(known, key=lambda one: one.until, default=None)


def covers(kind: str, target: str) -> str:
    """What it names, in words: "group web-asg"."""
    if kind == WaiverKind.ACCOUNT:
        return "the whole account"
    return f"{NOUNS[WaiverKind(kind)]} {target}"


NOUNS = {WaiverKind.INSTANCE: "instance", WaiverKind.GROUP: "group", WaiverKind.TAG: "tag"}


def words(kind: str, target: str, reason: str) -> str:
    """What follows the date in an instance's status: "(by group web-asg): the vendor ships a fix in May.", for one."""
    by = "this instance" if kind == WaiverKind.INSTANCE else f"by {covers(kind, target)}"
    said = " ".join(reason.split())
    said = said if len(said) <= REASON else f"{said[: REASON - 1]}…"
    return f"({by[:100]}): {said if said.endswith(ENDS) else f'{said}.'}"


ENDS = (".", "!", "?", "…")


def tag_of(target: str, kept: Collection[str]) -> tuple[str, str] | None:
    """Key and value of a `Key=Value`, or None when its key is not among those that are kept. Both may hold a "="."""
    for key in sorted(kept, key=len, reverse=True):
        if target.startswith(f"{key}="):
            return key, target[len(key) + 1 :]
    return None


def reminder(*, expires_on: date, since: date, today: date) -> int | None:
    """How many days before its end people are to be reminded of a waiver by now; None: not yet, or it is over.

    One that was granted later than that moment (`since`) is not reminded of it.
    """
    left = (expires_on - today).days
    due = [days for days in REMINDERS if 0 <= left <= days and expires_on - timedelta(days=days) > since]
    return min(due, default=None)
