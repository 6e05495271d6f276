"""The file of anchors, and what the log says to them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from migration.domain.anchors import GENESIS, Anchor, Anchors, of_lines
from migration.models import AuditEvent, AuditHead

LATE = timedelta(hours=36)  # one is written each day
CHUNK = 10_000  # sequence numbers asked for at once: those of 27 years; SQLite takes 32,766 values, PostgreSQL 65,535


class Unreadable(Exception):
    """There is a file, and it cannot be read; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """An anchor the log does not agree with."""

    anchor: Anchor
    found: str  # the hash the event has now; empty: there is no such event
    last: int  # the head's sequence number

    @property
    def first_bad(self) -> int:
        """The first event that is certainly wrong, or not there: what lies before it may be as well."""
        return self.anchor.seq if self.found else min(self.anchor.seq, self.last + 1)

    @property
    def why(self) -> str:
        now = f"now it has {self.found}" if self.found else f"now the log ends at event {self.last}"
        return (
            f"the log was cut or rewritten: anchor of {self.anchor.at:%Y-%m-%d %H:%M} UTC says event "
            f"{self.anchor.seq} has hash {self.anchor.hash}, and {now}"
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """What the Audit page tells of the anchors."""

    newest: Anchor | None = None
    contradiction: Contradiction | None = None
    late: bool = False
    trouble: str = ""  # a sentence: the file cannot be read, or not all of it


def kept(file: Path) -> Anchors | None:
    """All anchors of a file; None when there is no file. Raises Unreadable."""
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable(f"The anchors in {file} cannot be read: {error.strerror}.") from error
    return of_lines(line.decode(errors="replace") for line in lines)


def malformed(file: Path, anchors: Anchors) -> str:
    """A sentence on the first line that is no anchor; empty when all are."""
    if not anchors.malformed:
        return ""
    first, *others = anchors.malformed
    more = f" (and {len(others)} more)" if others else ""
    return f"Line {first}{more} of {file} is no anchor."


def contradictions(anchors: tuple[Anchor, ...]) -> list[Contradiction]:
    """Those the log does not agree with, by the first event that is wrong."""
    seqs = sorted({one.seq for one in anchors})
    hashes = {0: GENESIS}
    for start in range(0, len(seqs), CHUNK):
        some = AuditEvent.objects.filter(seq__in=seqs[start : start + CHUNK])
        hashes |= dict(some.values_list("seq", "hash"))
    wrong = [one for one in anchors if hashes.get(one.seq) != one.hash]
    last = (AuditHead.objects.filter(pk=1).first() or AuditHead()).seq if wrong else 0
    return sorted((Contradiction(one, hashes.get(one.seq, ""), last) for one in wrong), key=lambda one: one.first_bad)


def standing(file: Path, *, now: datetime) -> Standing:
    """When the head was last anchored, and whether the log agrees with all that was ever anchored: after the next
    anchor a log that was written anew agrees with its newest one.
    """
    try:
        anchors = kept(file) or Anchors()
    except Unreadable as error:
        return Standing(trouble=str(error))
    newest = anchors.newest(now)
    against = contradictions(anchors.told) if anchors.told else []
    since = newest.at if newest else AuditEvent.objects.order_by("seq").values_list("at", flat=True).first()
    return Standing(
        newest,
        against[0] if against else None,
        # A log of days without one anchor: none was written, or the file is gone.
        late=since is not None and now - since > LATE,
        trouble=malformed(file, anchors),
    )
