"""What all periodic jobs share: a tick that is one however many beats there are, and the sweep of a day."""

from datetime import datetime

from django.db import IntegrityError, transaction

from migration.actions import collection
from migration.models import CollectionRun, ScheduledRun


def first_to(*, job: str, window: datetime, now: datetime) -> bool:
    """True for the one that writes this tick first; a second beat gets False."""
    try:
        with transaction.atomic():
            ScheduledRun.objects.create(job=job, window_start=window, started_at=now)
    except IntegrityError:
        return False
    return True


def sweep(now: datetime) -> str:
    """The name of the timetable's sweep of this UTC day, as session names carry it. Passes that begin at one moment
    agree on one.
    """
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    known = _sweep_of(day)
    if known is None:
        with transaction.atomic():
            tick = {"job": "sweep", "window_start": day}
            ScheduledRun.objects.select_for_update().get_or_create(
                **tick, defaults={"started_at": now}
            )  # one at a time
            known = _sweep_of(day) or collection.begin_run(trigger="timetable", owner="", asked={}, now=day)
    return run_name(known)


def _sweep_of(day: datetime) -> CollectionRun | None:
    return CollectionRun.objects.filter(trigger="timetable", started_at=day).order_by("pk").first()


def run_name(run: CollectionRun) -> str:
    return f"imdsdash-collect-{run.pk}"
