"""The timetable of collection: who is due, and which worker takes what. The command line runs the same passes."""

import random
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from celery import shared_task
from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from migration.actions import collection
from migration.actions.collection import Kinds
from migration.aws import ec2, errors
from migration.aws.sessions import Edge
from migration.enums import AccountSource, GapKind, RoleState
from migration.models import Account, Scope
from migration.queries import links
from migration.tasks import edges, linked
from migration.tasks import scope as scopes
from migration.tasks.publish import nudge
from migration.tasks.scope import Passed
from migration.tasks.timetable import first_to, sweep

log = structlog.get_logger(__name__)

EVERY = 55.0  # seconds: a nudge of the minute before is worth nothing, the next tick sends another
WAKE_UPS = 64  # workers woken in a minute; each goes on from scope to scope while any is due
OPENED = 500  # accounts looked into in a minute
LOOK_AHEAD = 25  # due scopes a worker chooses from, so that many workers do not all reach for the same one


@shared_task(name="migration.tasks.collection.dispatch_due")
def dispatch_due() -> None:
    """Every minute: wake a worker for each account to look into, and workers for the scopes that are due. Two beats
    make one tick; a scope that a living worker has is left to it.
    """
    now = timezone.now()
    if not first_to(job="collect-what-is-due", window=now.replace(second=0, microsecond=0), now=now):
        return
    if not Account.objects.exists():
        nudge(collect_ambient, expires=EVERY)
    for pk in _accounts_to_open(now):
        nudge(open_one_account, pk, expires=EVERY)
    for _ in range(min(WAKE_UPS, _due(now).count())):
        nudge(collect_what_is_due, expires=EVERY)
    linked.dispatch(now)


def _due(now: datetime) -> QuerySet[Scope]:
    """Scopes that are due and may be taken, and are not left to the monitoring account; the longest overdue first."""
    return (
        Scope.objects.filter(collection.takeable())
        .filter(Q(next_due_at__isnull=True) | Q(next_due_at__lte=now))
        .exclude(links.only_left(now))
        .order_by(F("next_due_at").asc(nulls_first=True), "pk")
    )


def _accounts_to_open(now: datetime) -> list[int]:
    """Accounts whose Regions were not asked for since the last round; those that failed, when their time has come."""
    round_ = timedelta(hours=settings.IMDSDASH_COLLECT_EVERY_HOURS)
    fine = Q(role_state=RoleState.OK, role_checked_at__lte=now - round_)
    failed = ~Q(role_state=RoleState.OK) & (Q(retry_at__isnull=True) | Q(retry_at__lte=now))
    due = Account.objects.filter(fine | failed, enabled=True)
    return list(due.order_by(F("role_checked_at").asc(nulls_first=True)).values_list("pk", flat=True)[:OPENED])


@shared_task(name="migration.tasks.collection.collect_ambient")
def collect_ambient() -> None:
    """No account is configured: the one the ambient credentials belong to is collected as it stands."""
    try:
        account = ambient_account(edges.reader())
    except errors.AwsError as error:
        log.warning("ambient_account_unknown", error=str(error))
        return
    open_one_account(account.pk)


@shared_task(name="migration.tasks.collection.open_one_account")
def open_one_account(account_pk: int) -> None:
    """Ask an account which Regions it may use, and wake a worker for what of it is due."""
    account = Account.objects.filter(pk=account_pk, enabled=True).first()
    if account is None:
        return
    now = timezone.now()
    try:
        found = open_account(edges.reader(), account, now=now, run=sweep(now))
    except errors.AwsError:
        return  # told on the account's row, and tried again when it is due
    for _ in [scope for scope in found if scope.next_due_at is None or scope.next_due_at <= now]:
        nudge(collect_what_is_due, expires=EVERY)


@shared_task(name="migration.tasks.collection.collect_what_is_due")
def collect_what_is_due() -> None:
    """One worker's turn: scope after scope while any is due, until its time is over. The table says what is next, so
    any number of workers on any number of hosts share the work, and a message that came twice finds less to do.
    """
    slice_ = settings.IMDSDASH_SLICE_SECONDS
    begins_until = time.monotonic() + slice_ / 2  # a scope begun later might not end before the task's time limit
    for scope in _turns():
        with suppress(Exception):  # in the log and on the scope's row, and no reason to leave out the next one
            collect_if_due(edges.reader(), scope, seconds=slice_ / 2)
        if time.monotonic() > begins_until:
            return


def _turns() -> Iterator[Scope]:
    """The next due scope, and the next, until none is. Chosen among the first few, for others are choosing too."""
    tried: set[int] = set()
    while True:
        ahead = [
            scope
            for scope in _due(timezone.now()).select_related("account")[: LOOK_AHEAD + len(tried)]
            if scope.pk not in tried
        ]
        if not ahead:
            return
        scope = random.choice(ahead)  # noqa: S311 -- to spread, not to hide
        tried.add(scope.pk)
        yield scope


@shared_task(name="migration.tasks.collection.collect_one_scope")
def collect_one_scope(scope_pk: int) -> None:
    """One pass over one scope, if it is due and nobody else has it."""
    scope = Scope.objects.select_related("account").filter(pk=scope_pk, enabled=True).first()
    if scope is not None:
        collect_if_due(edges.reader(), scope, seconds=settings.IMDSDASH_SLICE_SECONDS)


def collect_if_due(edge: Edge, scope: Scope, *, seconds: float) -> Passed | None:
    """What of the scope is due, as the timetable does it. None when nothing is, or another worker has it."""
    now = timezone.now()
    kinds = scopes.due(scope, now=now)
    if not kinds:
        return None
    return scopes.collect(edge, scope, kinds=kinds, run=sweep(now), seconds=seconds)


def collect_scope(
    edge: Edge, scope: Scope, *, run: str = "", until: datetime | None = None, again: bool = True
) -> Passed | None:
    """Inventory and usage of one scope now, due or not. None while another worker has it. As `scope.collect`."""
    return scopes.collect(edge, scope, kinds=Kinds(inventory=True, usage=True), run=run, until=until, again=again)


def ambient_account(edge: Edge) -> Account:
    """The account of the ambient credentials, remembered. Raises AwsError."""
    account_id = edge.ambient().account_id
    if Account.objects.filter(account_id=account_id).exists():
        return collection.remember_account(account_id=account_id)
    return collection.remember_account(account_id=account_id, source=AccountSource.AMBIENT)


def open_account(edge: Edge, account: Account, *, now: datetime, only: str = "", run: str = "") -> list[Scope]:
    """Enter an account and list its scopes. `only`: a single Region; `IMDSDASH_REGIONS` narrows the others.

    Raises AwsError after the failure is written on the account and on the scopes it was known to have.
    """
    try:
        regions = ec2.regions(edge, edges.reader_target(account, run=run))
    except errors.AwsError as error:
        gap = GapKind(error.gap)
        collection.record_not_entered(account=account, gap=gap, message=str(error), now=now)
        collection.record_denied_account(account=account, gap=gap, message=str(error))
        log.warning("account_not_read", account_id=account.account_id, error=str(error))
        raise
    collection.record_entered(account=account, now=now)
    if settings.IMDSDASH_REGIONS:
        regions = [region for region in regions if region in settings.IMDSDASH_REGIONS]
    found = collection.record_regions(account=account, regions=regions)
    return [scope for scope in found if not only or scope.region == only]
