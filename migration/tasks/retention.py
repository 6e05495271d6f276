"""The nightly forgetting."""

import time
from dataclasses import asdict

import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from celery import shared_task
from django.utils import timezone

from migration.actions import retention
from migration.tasks.enforcement import stopping
from migration.tasks.timetable import first_to

log = structlog.get_logger(__name__)

LONGEST = 600.0  # seconds: below the soft time limit; what is left over is the next night's


@shared_task(name="migration.tasks.retention.prune")
def prune() -> None:
    """Once a night: delete what is past its time. Two beats make one night; one that ends early loses nothing."""
    now = timezone.now()
    if not first_to(job="prune", window=now.replace(hour=0, minute=0, second=0, microsecond=0), now=now):
        return
    until = time.monotonic() + LONGEST
    try:
        told = retention.prune(now=now, go_on=lambda: not stopping.is_set() and time.monotonic() < until)
    except SoftTimeLimitExceeded:
        log.warning("prune_broke_off")
        return
    log.info("pruned", **asdict(told))
