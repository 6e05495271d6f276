"""Looking into user data, where somebody switched that on: one instance a call, with a role of its own."""

import time

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from migration.actions import collection, userdata
from migration.aws import ec2, errors
from migration.enums import GapKind, UserData
from migration.models import Scope
from migration.queries import findings
from migration.tasks import edges
from migration.tasks.publish import nudge
from migration.tasks.timetable import first_to

log = structlog.get_logger(__name__)
TURN = 480.0  # seconds; the rest is the next turn's
STEP = 600  # seconds between two turns


@shared_task(name="migration.tasks.userdata.dispatch")
def dispatch() -> int:
    """Wake a worker for each Region with something to look into. Returns how many."""
    now = timezone.now()
    window = now.replace(minute=now.minute - now.minute % (STEP // 60), second=0, microsecond=0)
    if not settings.IMDSDASH_USER_DATA or not first_to(job="user-data", window=window, now=now):
        return 0
    count = 0
    for scope in Scope.objects.filter(enabled=True, account__enabled=True, inventory_at__isnull=False):
        if findings.due(scope).exists():
            nudge(look_into, scope.pk, expires=float(STEP))
            count += 1
    return count


@shared_task(name="migration.tasks.userdata.look_into")
def look_into(scope_pk: int) -> int:
    """Look into what is due in one Region, for one turn. Returns how many instances were looked into."""
    scope = Scope.objects.select_related("account").filter(pk=scope_pk, enabled=True).first()
    if scope is None or not settings.IMDSDASH_USER_DATA:
        return 0
    claim = userdata.claim(scope=scope, owner=edges.me(), now=timezone.now())
    if claim is None:
        return 0
    done, gap, message = 0, GapKind.NONE, ""
    until = time.monotonic() + TURN
    target = edges.user_data_target(scope.account)
    for instance in findings.due(scope).iterator(chunk_size=500):
        if time.monotonic() > until:
            break
        try:
            looked = userdata.look(ec2.user_data(edges.reader(), target, scope.region, instance.instance_id))
        except errors.AwsError as error:
            if error.code == "InvalidInstanceID.NotFound":
                looked = userdata.Looked(UserData.REFUSED)  # ended since the inventory
            else:
                gap, message = GapKind(error.gap), str(error)
                log.warning("user_data_not_read", scope=str(scope), error=message)
                break
        if not userdata.store(claim=claim, instance=instance, looked=looked, now=timezone.now()):
            return done
        done += 1
    userdata.finish(claim=claim, gap=gap, message=message, now=timezone.now())
    if done:  # what was found stands in a verdict after the next pass, which need not wait for hours
        collection.due_now(Scope.objects.filter(pk=scope.pk), now=timezone.now())
    return done
