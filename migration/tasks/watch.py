"""The watch over what was changed: read from what the hourly pass has stored."""

from celery import shared_task
from django.utils import timezone

from migration.actions import watch


@shared_task(name="migration.tasks.watch.tend")
def tend() -> None:
    """Every ten minutes: what has been heard of the instances of every watched run. Two beats find the same."""
    watch.tend(now=timezone.now())
