"""The 24 UTC hours of a day as one short text, for storage. Pure.

`"0,0,12,,…"`: 24 places, an empty place is an hour without a datapoint; it is not zero. A run of the same value is
written once with its length, `"0*23,7"`, so a steady or quiet day is a few bytes. Readable in any SQL shell, and the
same on both databases.
"""

from itertools import groupby

from migration.domain.readiness import HOURS, Hours


def pack(hours: Hours | list[int | None]) -> str:
    """24 numbers or Nones -> text. Raises ValueError when there are not 24 of them, or one is negative."""
    if len(hours) != HOURS:
        raise ValueError(f"a day has {HOURS} hours, not {len(hours)}")
    parts = []
    for value, run in groupby(hours):
        if value is not None and value < 0:
            raise ValueError(f"{value} is not a count of calls")
        length = sum(1 for _ in run)
        text = "" if value is None else str(value)
        parts.append(text if length == 1 else f"{text}*{length}")
    return ",".join(parts)


def unpack(text: str) -> Hours:
    """The 24 hours of a packed text. Raises ValueError when it is not one: a damaged row is never read as quiet."""
    hours: list[int | None] = []
    for part in text.split(","):
        value, _, length = part.partition("*")
        hours.extend([int(value) if value else None] * (int(length) if length else 1))
    if len(hours) != HOURS:
        raise ValueError(f"{text!r} holds {len(hours)} hours, not {HOURS}")
    return tuple(hours)
