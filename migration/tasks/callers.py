"""Asking CloudTrail about one instance because a person clicked: a spot check, never a sweep."""

from datetime import timedelta

import structlog
from celery import shared_task
from django.utils import timezone

from migration.actions import callers
from migration.aws import cloudtrail, errors
from migration.models import Instance
from migration.tasks import edges

log = structlog.get_logger(__name__)
DAYS = 14


@shared_task(name="migration.tasks.callers.look_up")
def look_up(instance_pk: int) -> None:
    """Look one instance's events up, and write down what they tell."""
    row = Instance.objects.select_related("account").filter(pk=instance_pk).first()
    if row is None or not row.cloudtrail.get("asked_at"):
        return
    now = timezone.now()
    target = edges.reader_target(row.account, run="imdsdash-callers")
    try:
        found = cloudtrail.looked_up(
            edges.reader(), target, row.region, row.instance_id, start=now - timedelta(days=DAYS), end=now
        )
    except errors.AwsError as error:
        log.info("cloudtrail_not_read", instance=row.instance_id, error=str(error))
        callers.record_looked_up(instance=row, gap=str(error), now=timezone.now())
        return
    callers.record_looked_up(
        instance=row,
        sightings=found.sightings,
        events=found.events,
        by_v2=found.by_v2,
        whole=found.whole,
        now=timezone.now(),
    )
