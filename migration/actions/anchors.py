"""The head of the audit log, written down outside the database: into a file, and into our own log."""

import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path

import structlog

from migration.actions.errors import Refused
from migration.domain.anchors import Anchor, of_lines
from migration.models import AuditHead

log = structlog.get_logger(__name__)


def anchor(*, file: Path, now: datetime) -> tuple[Anchor, bool]:
    """Append the head to the file and tell it in the log. False: the same head was anchored on this UTC day before, and
    nothing was written.

    Nothing is verified here. Raises Refused when the file cannot be written; the log tells the head all the same.
    """
    head = AuditHead.objects.filter(pk=1).first() or AuditHead()
    made = Anchor(now.astimezone(UTC).replace(microsecond=0), head.seq, head.hash)
    try:
        added = _append(file, made)
    except OSError as error:
        log.info("audit_anchor", **made.fields)
        raise Refused(
            f"The anchor could not be written to {file}: {error.strerror}. The log line audit_anchor was written. Make "
            "the folder writable for imdsdash, or set IMDSDASH_AUDIT_ANCHOR_FILE to another file, then run "
            "“manage.py audit anchor”."
        ) from error
    if added:
        log.info("audit_anchor", **made.fields)
    return made, added


def _append(file: Path, made: Anchor) -> bool:
    """One line, on the disk when this returns. Two writers take turns."""
    new = not file.exists()
    handle = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        so_far = file.read_bytes()
        newest = of_lines(line.decode(errors="replace") for line in so_far.split(b"\n")).newest(made.at)
        if newest is not None and made.repeats(newest):
            return False
        # A line that broke off stays a line of its own.
        apart = "" if not so_far or so_far.endswith(b"\n") else "\n"
        _write(handle, f"{apart}{made.line}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    if new:
        _keep_name(file.parent)
    return True


def _write(handle: int, line: bytes) -> None:
    """All of it; a full disk takes a part, and refuses the next."""
    while line:
        line = line[os.write(handle, line) :]


def _keep_name(folder: Path) -> None:
    """A new file is lost with its name: the folder goes to the disk as well."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
