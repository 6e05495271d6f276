"""Is the picture fresh, and is the machinery alive? What the banner of every page and the readiness probe ask."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Count, Max, Min, Q, QuerySet, Subquery

from migration.domain.schedule import LEASE_LOST, SKEW_LIMIT, Cadences, Pulse, pulse
from migration.enums import ChangeState, Outcome, RoleState, ScopeState
from migration.models import Account, Change, ScheduledRun, Scope
from migration.queries.fleet import UNREADABLE

DISPATCHER = "collect-what-is-due"  # the job whose ticks are the timetable's pulse
RECENT = timedelta(days=1)  # a clock that was wrong before that may have been set since


def cadences() -> Cadences:
    return Cadences.of(
        collect_hours=settings.IMDSDASH_COLLECT_EVERY_HOURS, usage_hours=settings.IMDSDASH_USAGE_EVERY_HOURS
    )


# --- How fresh the picture is -----------------------------------------------------------------------


def overdue(now: datetime, every: Cadences) -> Q:
    """Scopes whose inventory or usage is older than its cadence and grace, or whose watch was due and nobody came; as
    `Cadence.overdue` and `Cadence.late`, in SQL.
    """
    old = Q(watch_due_at__lt=now - every.watch.grace)
    for field, cadence in (("inventory_at", every.inventory), ("usage_at", every.usage)):
        before = now - cadence.longest
        old |= Q(**{f"{field}__lt": before}) | Q(**{f"{field}__isnull": True, "account__added_at__lt": before})
    return old


@dataclass(frozen=True)
class Freshness:
    """How much of what a person may see is known, how old it is, and whether anybody goes on reading."""

    accounts: int
    unreadable: int
    untested: int
    scopes: int
    complete: int  # the last pass had no gap
    overdue: int
    never: int  # not one pass without a gap yet
    running: int
    newest_at: datetime | None  # the youngest pass without a gap
    oldest_at: datetime | None  # the oldest whole reading, of inventory or usage, among those that are overdue
    skew: float  # seconds AWS's clock is ahead of ours, the worst of late; negative: behind
    last_tick: datetime | None
    pulse: Pulse

    @property
    def share(self) -> float | None:
        return self.complete / self.scopes if self.scopes else None

    @property
    def nothing_yet(self) -> bool:
        return self.newest_at is None

    @property
    def stopped(self) -> bool:
        return self.pulse == Pulse.STOPPED

    @property
    def all_overdue(self) -> bool:
        return self.scopes > 0 and self.overdue == self.scopes

    @property
    def skewed(self) -> bool:
        return self.skew_seconds > SKEW_LIMIT.total_seconds()

    @property
    def skew_seconds(self) -> float:
        return abs(self.skew)

    @property
    def telling(self) -> bool:
        """Is there anything to put in the banner?"""
        if not self.accounts:
            return False
        return bool(self.stopped or self.nothing_yet or self.overdue or self.unreadable or self.skewed)


NOTHING = Freshness(0, 0, 0, 0, 0, 0, 0, 0, None, None, 0.0, None, Pulse.STARTING)


def freshness(accounts: QuerySet[Account], *, now: datetime, every: Cadences) -> Freshness:
    """In two queries, whatever the number of accounts. Accounts that are switched off are left out."""
    tick = ScheduledRun.objects.filter(job=DISPATCHER).order_by("-window_start").values("started_at")[:1]
    told = accounts.filter(enabled=True).aggregate(
        accounts=Count("pk"),
        unreadable=Count("pk", filter=Q(role_state__in=UNREADABLE)),
        untested=Count("pk", filter=Q(role_state=RoleState.UNTESTED)),
        since=Min("added_at"),
        last_tick=Max(Subquery(tick)),  # the same for every row: it rides along, to save a query on every page
    )
    since, last_tick = told.pop("since"), told["last_tick"]
    if not told["accounts"]:
        return NOTHING
    recent = Q(last_started_at__gte=now - RECENT)
    scopes = Scope.objects.filter(account__in=accounts, account__enabled=True, enabled=True).aggregate(
        complete=Count("pk", filter=Q(outcome=Outcome.COMPLETE)),
        never=Count("pk", filter=Q(complete_at__isnull=True)),
        running=Count("pk", filter=Q(state=ScopeState.LEASED)),
        newest_at=Max("complete_at"),
        ahead=Max("clock_skew", filter=recent),
        behind=Min("clock_skew", filter=recent),
        **_ages(now, every),
    )
    skews = [scopes.pop("ahead") or 0.0, scopes.pop("behind") or 0.0]
    return Freshness(
        **told,
        oldest_at=_oldest(scopes, now=now, every=every),
        **scopes,
        skew=max(skews, key=abs),
        pulse=pulse(last_tick, since=since, now=now),
    )


def _ages(now: datetime, every: Cadences) -> dict[str, Any]:
    return {
        "scopes": Count("pk"),
        "overdue": Count("pk", filter=overdue(now, every)),
        "oldest_inventory": Min("inventory_at"),
        "oldest_usage": Min("usage_at"),
    }


def _oldest(found: dict[str, Any], *, now: datetime, every: Cadences) -> datetime | None:
    """The oldest reading that is overdue; takes the two it was made of out of `found`."""
    kinds = ((found.pop("oldest_inventory"), every.inventory), (found.pop("oldest_usage"), every.usage))
    late = [at for at, cadence in kinds if at is not None and cadence.overdue(at, since=at, now=now)]
    return min(late, default=None)


# --- What the readiness probe asks --------------------------------------------------------------------


def database_answers() -> bool:
    try:
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def migrations_applied() -> bool:
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def installed_at() -> datetime | None:
    """When this database got its first table of ours."""
    ours = MigrationRecorder(connections[DEFAULT_DB_ALIAS]).migration_qs.filter(app="migration")
    at: datetime | None = ours.aggregate(first=Min("applied"))["first"]
    return at


def last_tick() -> datetime | None:
    """When the dispatcher last ticked."""
    ticks = ScheduledRun.objects.filter(job=DISPATCHER).order_by("-window_start")
    return ticks.values_list("started_at", flat=True).first()


@dataclass(frozen=True)
class Sweeps:
    """Account-Regions that are not read in time, of all there are."""

    overdue: int
    scopes: int
    oldest_at: datetime | None


def sweeps(*, now: datetime, every: Cadences) -> Sweeps:
    found = Scope.objects.filter(account__enabled=True, enabled=True).aggregate(**_ages(now, every))
    oldest = _oldest(found, now=now, every=every)
    return Sweeps(found["overdue"], found["scopes"], oldest)


def lost_leases(now: datetime) -> int:
    """Account-Regions and changes whose worker is gone and that nobody has taken over."""
    ended = {"lease_expires_at__lt": now - LEASE_LOST}
    scopes = Scope.objects.filter(state=ScopeState.LEASED, **ended)
    changes = Change.objects.filter(state__in=[ChangeState.LEASED, ChangeState.CALLING], **ended)
    return scopes.count() + changes.count()
