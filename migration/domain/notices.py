"""What people are told: one message, whatever way it takes. Pure; how it looks is for `notify` to say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

SHOWN = 20  # lines of a message; a longer one is read by nobody
SUBJECT, LINE = 200, 400  # characters


@dataclass(frozen=True, slots=True)
class Notice:
    """A message as its receivers get it. `key`: the same for every copy of it, so that one that came twice shows."""

    key: str
    kind: str
    severity: str
    subject: str
    lines: tuple[str, ...]
    url: str  # the page of ours it is about; a path alone when nobody said under which address we are reached
    account_id: str  # 12 digits, or "" when it is about no single account
    at: datetime


def subject(text: str) -> str:
    """One line, whatever a tag or a name had in it."""
    return _cut(tidy(text), SUBJECT)


def capped(lines: Sequence[str]) -> list[str]:
    """The first lines, and how many more there were."""
    kept = [_cut(tidy(line), LINE) for line in lines[:SHOWN]]
    return kept if len(lines) <= SHOWN else [*kept, f"and {len(lines) - SHOWN:,} more"]


def tidy(text: str) -> str:
    """Without control characters, line breaks among them: no text can pretend to be a header or a second line."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
