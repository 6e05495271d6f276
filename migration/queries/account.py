"""One account: its Regions, its instances, and what has been decided about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

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


@dataclass(frozen=True)
class Marker:
    """A moment on the time axis: a run began."""

    at: datetime
    run: int
    kind: RequestKind
    changes: int

    @property
    def told(self) -> str:
        if self.kind == RequestKind.ENFORCE:
            return f"Enforced on {self.changes}"
        return f"{self.kind.label}: {self.changes}"


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
    begun = (
        Run.objects.filter(account=account, started_at__isnull=False)
        .select_related("request")
        .annotate(size=Count("changes"))
    )
    return [
        Marker(at=run.started_at, run=run.pk, kind=RequestKind(run.request.kind), changes=run.size)
        for run in begun.order_by("started_at")
        if run.started_at
    ]


def history(account: Account, limit: int = 8) -> list[EnforcementRequest]:
    found = EnforcementRequest.objects.filter(account=account).select_related("created_by", "decided_by", "run")
    return list(found.order_by("-created_at", "-pk")[:limit])


def region_names(account: Account) -> list[str]:
    return list(Scope.objects.filter(account=account).order_by("region").values_list("region", flat=True))
