"""The daily anchor of the audit log."""

from pathlib import Path

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from migration.actions import anchors
from migration.actions.errors import Refused
from migration.domain.anchors import Anchors
from migration.queries.anchors import Unreadable, contradictions, kept

log = structlog.get_logger(__name__)


@shared_task(name="migration.tasks.audit.anchor")
def anchor() -> None:
    """Once a UTC day: write the head down outside the database, and tell the log when it contradicts what was written
    before. The timetable asks each hour, so that a file that could not be written, or a process that was down, costs
    an hour and not a day. Two beats at one moment make one anchor, unless the log grew between.
    """
    file, now = settings.AUDIT_ANCHOR_FILE, timezone.now()
    before = _before(file)
    if not before.of_day(now.date()):
        try:
            anchors.anchor(file=file, now=now)
        except Refused as refusal:
            log.error("audit_anchor_not_kept", why=str(refusal))  # noqa: TRY400 -- the sentence says it all
    for one in contradictions(before.told)[:1]:
        log.error("audit_log_contradicts_anchor", seq=one.first_bad, why=one.why)


def _before(file: Path) -> Anchors:
    """What cannot be read cannot be written either: the anchor says so, and tells the log."""
    try:
        return kept(file) or Anchors()
    except Unreadable:
        return Anchors()
