"""What the clock does to waivers."""

from celery import shared_task
from django.utils import timezone

from migration.actions import waivers
from migration.models import Waiver
from migration.tasks import notification
from migration.tasks.collection import collect_one_scope
from migration.tasks.publish import nudge
from migration.tasks.timetable import first_to


def judge_soon(waiver: Waiver) -> None:
    """Wake a worker for each Region the waiver is about, once the caller's transaction is committed: they are due."""
    for pk in waivers.scopes_of(waiver).filter(enabled=True).values_list("pk", flat=True):
        nudge(collect_one_scope, pk, expires=SOON)


SOON = 60.0  # seconds: by then the timetable has found out by itself


@shared_task(name="migration.tasks.waivers.tend")
def tend() -> None:
    """Every five minutes: expire what is over, and have judged again what a pass may have missed. Once a day: remind.
    Two beats do no harm: each move happens once, and so does each message.
    """
    now = timezone.now()
    waivers.expire(now=now)
    waivers.judge_what_changed(now=now)
    if first_to(job="remind-of-waivers", window=now.replace(hour=0, minute=0, second=0, microsecond=0), now=now):
        waivers.remind(now=now)
    notification.wake()
