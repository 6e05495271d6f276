"""One account: its Regions, its instances, and what has been decided about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.db.models import Case, Count, F, Q, QuerySet, Value, When

from migration.enums import ACTIVE_RUN, RequestKind, RequestState, Status
from migration.models import Account, EnforcementRequest, Instance, RegionDefaults, Run, Scope
from migration.queries.progress import Mix

ATTENTION = (
    Status.REGRESSED,
    Status.IN_USE,
    Status.READY,
    Status.UNKNOWN,
    Status.SETTLING,
    Status.PENDING,
    Status.WAIVED,
    Status.ENFORCED,
    Status.IMDS_OFF,
    Status.MANAGED,
    Status.GONE,
)


@dataclass(frozen=True)
class RegionRow:
    scope: Scope
    defaults: RegionDefaults | None
    mix: Mix


@dataclass(frozen=True)
class InstanceFilters:
    status: str = ""
    region: str = ""
    q: str = ""

    @property
    def any(self) -> bool:
        return bool(self.status or self.region or self.q)


MARKED = {
    RequestKind.ENFORCE: "enforced on",
    RequestKind.IMDS_OFF: "switched off on",
    RequestKind.ROLLBACK: "put back",
}


@dataclass(frozen=True)
class Marker:
    """When the first run of a UTC day began that changed instances. `told`: of all of that day."""

    at: datetime
    told: str


def refuses(regions: Iterable[RegionRow]) -> bool:
    """Does one of them refuse launches that allow IMDSv1?"""
    return any(row.defaults is not None and row.defaults.http_tokens_enforced == "enabled" for row in regions)


def regions(account: Account) -> list[RegionRow]:
    counts: dict[str, dict[str, int]] = {}
    for region, status, count in (
        Instance.objects.filter(account=account).order_by().values_list("region", "status").annotate(Count("pk"))
    ):
        counts.setdefault(region, {})[status] = count
    scopes = Scope.objects.filter(account=account).select_related("defaults").order_by("region")
    return [RegionRow(scope, getattr(scope, "defaults", None), Mix(counts.get(scope.region, {}))) for scope in scopes]


def instances(account: Account, filters: InstanceFilters) -> QuerySet[Instance]:
    """What needs work first, the loudest of it first. Without a chosen status, terminated ones stay out of the way."""
    found = Instance.objects.filter(account=account)
    found = found.filter(status=filters.status) if filters.status else found.exclude(status=Status.GONE)
    if filters.region:
        found = found.filter(region=filters.region)
    if filters.q:
        found = found.filter(
            Q(name__icontains=filters.q) | Q(instance_id__icontains=filters.q) | Q(asg_name__icontains=filters.q)
        )
    rank = Case(*[When(status=status, then=Value(place)) for place, status in enumerate(ATTENTION)])
    return found.order_by(rank, F("v1_calls_window").desc(nulls_last=True), "name", "pk")


def open_request(account: Account) -> EnforcementRequest | None:
    """The request that waits for a decision, if there is one."""
    return EnforcementRequest.objects.filter(account=account, state=RequestState.REQUESTED).first()


def active_run(account: Account) -> Run | None:
    return Run.objects.filter(account=account, state__in=ACTIVE_RUN).first()


def markers(account: Account) -> list[Marker]:
    """One a day: what began the same day would be written over one another."""
    begun = Run.objects.filter(account=account, started_at__isnull=False, request__kind__in=list(MARKED))
    days: dict[date, list[tuple[Run, int]]] = {}
    for run in begun.select_related("request").annotate(size=Count("changes")).order_by("started_at"):
        if run.started_at:
            days.setdefault(run.started_at.astimezone(UTC).date(), []).append((run, run.size))
    firsts = ((runs[0][0].started_at, runs) for runs in days.values())
    return [Marker(at=at, told=_told(runs)) for at, runs in firsts if at]


def _told(runs: Iterable[tuple[Run, int]]) -> str:
    counts: dict[str, int] = {}
    for run, size in runs:
        counts[run.request.kind] = counts.get(run.request.kind, 0) + size
    told = ", ".join(f"{MARKED[RequestKind(kind)]} {count:,}" for kind, count in counts.items())
    return told[:1].upper() + told[1:]


def history(account: Account, limit: int = 8) -> list[EnforcementRequest]:
    found = EnforcementRequest.objects.filter(account=account).select_related("created_by", "decided_by", "run")
    return list(found.order_by("-created_at", "-pk")[:limit])


def region_names(account: Account) -> list[str]:
    return list(Scope.objects.filter(account=account).order_by("region").values_list("region", flat=True))
