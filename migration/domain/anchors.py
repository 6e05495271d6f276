"""Anchors: what the head of the audit log was at a moment, one JSON line each, kept outside the database.

Whoever owns the database can cut the log at its end, or write it anew with hashes that fit; a line they do not own
tells.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

GENESIS = "0" * 64  # the hash before the first event
LONGEST = 1000  # characters of a line; ours have about 130
LAST_SEQ = 2**63 - 1  # of the column


@dataclass(frozen=True, slots=True)
class Anchor:
    at: datetime  # UTC, whole seconds
    seq: int  # 0: nothing was written yet
    hash: str

    @property
    def fields(self) -> dict[str, str | int]:
        """As they stand in the file and in the log."""
        return {"at": self.at.isoformat(timespec="seconds"), "seq": self.seq, "hash": self.hash}

    @property
    def line(self) -> str:
        return json.dumps(self.fields)

    def repeats(self, other: "Anchor") -> bool:
        """The same head on the same UTC day: it says nothing new."""
        return (self.at.date(), self.seq, self.hash) == (other.at.date(), other.seq, other.hash)


@dataclass(frozen=True, slots=True)
class Anchors:
    """A file of them, in its order."""

    told: tuple[Anchor, ...] = ()
    malformed: tuple[int, ...] = ()  # numbers of the lines that are no anchor; the first line is 1

    def newest(self, now: datetime) -> Anchor | None:
        """The last one made by then: what a wrong clock dated later tells no time."""
        return max((one for one in self.told if one.at <= now), key=lambda one: one.at, default=None)

    def of_day(self, day: date) -> bool:
        """Is there one of this UTC day?"""
        return any(one.at.date() == day for one in self.told)


def of_lines(lines: Iterable[str]) -> Anchors:
    """Empty lines are passed over."""
    told, malformed = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found = _anchor(line)
        if found is None:
            malformed.append(number)
        else:
            told.append(found)
    return Anchors(tuple(told), tuple(malformed))


def _anchor(line: str) -> Anchor | None:
    """None for whatever `Anchor.line` does not write."""
    try:
        row = json.loads(line) if len(line) <= LONGEST else None
    except (ValueError, RecursionError):
        return None
    match row:
        case {"at": str(at), "seq": int(seq), "hash": str(sealed)}:
            moment = _moment(at)
            if moment is None or isinstance(seq, bool) or not 0 <= seq <= LAST_SEQ:
                return None
            return Anchor(moment, seq, sealed) if re.fullmatch(r"[0-9a-f]{64}", sealed) else None
        case _:
            return None


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None
