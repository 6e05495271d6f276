"""Reading the organization: once a day by the timetable, or at once from the command line. Both run exactly this."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from celery import shared_task
from django.utils import timezone

from migration.actions import accounts
from migration.actions.accounts import Summary
from migration.actions.errors import Refused
from migration.aws import errors, organizations
from migration.aws.organizations import Organization
from migration.aws.sessions import Edge
from migration.enums import AccountSource
from migration.models import Account, ScheduledRun
from migration.tasks import edges
from migration.tasks.timetable import first_to

log = structlog.get_logger(__name__)
JOB = "discover-organization"
DAYS = 7  # of a week


@dataclass(frozen=True, slots=True)
class Discovered:
    organization: Organization
    asked_by: str  # the account of the ambient credentials
    summary: Summary
    note: str  # what besides could not be read


def discover(
    edge: Edge, *, now: datetime, dry_run: bool = False, whose_tags: Callable[[str], bool] = lambda _: True
) -> Discovered:
    """Ask the ambient credentials for their organization and take it over. Raises AwsError and Refused.

    `whose_tags`: of which accounts the tags are read.
    """
    me = edge.ambient()
    told = organizations.read(edge, me, whose_tags=whose_tags)
    summary = accounts.record_organization(facts=told.accounts, ambient=me.account_id, now=now, dry_run=dry_run)
    if not dry_run:
        accounts.note_discovery(
            organization=told.organization.organization_id, counts=summary.counts(), note=told.note, now=now
        )
    return Discovered(told.organization, me.account_id, summary, told.note)


def without_owner_or_its_turn(now: datetime) -> Callable[[str], bool]:
    """The tags of an account whose owner is known are read once a week: with thousands of accounts, reading all of
    them every day would take longer than a task may.
    """
    known = set(Account.objects.exclude(owner="").values_list("account_id", flat=True))
    return lambda account_id: account_id not in known or int(account_id) % DAYS == now.weekday()


@shared_task(name="migration.tasks.discovery.discover_organization")
def discover_organization() -> None:
    """Once a day, and only where `accounts discover` was run before. Called every hour: what failed for a passing
    reason is tried again in the next.
    """
    now = timezone.now()
    if not Account.objects.filter(source=AccountSource.ORGANIZATION).exists():
        return
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if not first_to(job=JOB, window=day, now=now):
        return
    try:
        found = discover(edges.reader(), now=now, whose_tags=without_owner_or_its_turn(now))
    except (errors.AwsError, Refused) as error:
        accounts.note_discovery(error=str(error), now=now)
        log.warning("organization_not_read", error=str(error))
        if not getattr(error, "permanent", True):
            ScheduledRun.objects.filter(job=JOB, window_start=day).delete()
        return
    log.info("organization_read", organization=found.organization.organization_id, **found.summary.counts())
