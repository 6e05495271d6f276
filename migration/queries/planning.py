"""What the planner and the workers read, as frozen values."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import QuerySet

from migration.domain import workload
from migration.domain.facts import MetadataOptions
from migration.domain.plan import Candidate, Scope
from migration.enums import ScopeKind, Status
from migration.models import Account, Instance, RegionDefaults, Workload
from migration.queries.account import InstanceFilters
from migration.queries.account import instances as shown

FRESH = timedelta(days=2)
LOCKED = (
    "HttpTokensEnforced is on in this Region, so AWS refuses to put HttpTokens back. Lift it first: a plan of its own."
)
LOCKED_BY_POLICY = (
    "A declarative policy of the organization enforces IMDSv2 in this Region, so AWS refuses to put HttpTokens back."
)


def options_of(row: Instance) -> MetadataOptions:
    """The stored metadata options as a value."""
    return MetadataOptions(
        http_tokens=row.http_tokens,
        http_put_response_hop_limit=row.http_put_response_hop_limit,
        http_endpoint=row.http_endpoint,
        http_protocol_ipv6=row.http_protocol_ipv6,
        instance_metadata_tags=row.instance_metadata_tags,
        state=row.options_state,
    )


def stale_because(row: Instance, *, closed: frozenset[str], now: datetime) -> str:
    """Why a stored `ready` is no longer to be believed, or "". A verdict that nobody renews proves nothing."""
    if row.region in closed:
        return "Its Region is no longer collected, so what it calls is not known."
    if row.usage_until is None or now - row.usage_until > FRESH:
        return "CloudWatch has not been read for more than two days."
    return ""


def locked_regions(account: Account) -> dict[str, str]:
    """The Regions in which AWS refuses HttpTokens=optional, and why, as last collected (EC2 user guide:
    HttpTokensEnforced binds ModifyInstanceMetadataOptions too).
    """
    rows = RegionDefaults.objects.filter(scope__account=account, http_tokens_enforced="enabled")
    return {
        region: LOCKED_BY_POLICY if managed == "declarative-policy" else LOCKED
        for region, managed in rows.values_list("scope__region", "managed_by")
    }


def closed_regions(account: Account) -> frozenset[str]:
    """The Regions of an account that are known and not collected any more."""
    return frozenset(account.scopes.filter(enabled=False).values_list("region", flat=True))


def in_scope(account: Account, scope: Scope) -> QuerySet[Instance]:
    """The rows of the account's living instances that a plan of this scope looks at."""
    rows = Instance.objects.filter(account=account, gone_at__isnull=True)
    if scope.region:
        rows = rows.filter(region=scope.region)
    if scope.kind is ScopeKind.INSTANCES:
        return rows.filter(instance_id__in=scope.instances)
    if scope.kind is ScopeKind.GROUP:
        return rows.filter(asg_name=scope.group)
    if scope.kind is ScopeKind.FILTER:
        filters = InstanceFilters(status=scope.status, region=scope.region, q=scope.q)
        return rows.filter(pk__in=shown(account, filters).order_by().values("pk"))
    return rows


def strangers(account: Account, scope: Scope) -> list[str]:
    """The ids of a scope that are no instance of the account, in its order."""
    if scope.kind is not ScopeKind.INSTANCES:
        return []
    known = set(in_scope(account, scope).values_list("instance_id", flat=True))
    return [one for one in scope.instances if one not in known]


def candidates(account: Account, *, now: datetime, scope: Scope | None = None) -> Iterator[Candidate]:
    """Every instance in the scope that is not gone, with the verdict of the last pass while that is fresh."""
    closed = closed_regions(account)
    chosen = _hop_limits(account)
    for row in in_scope(account, scope or Scope()).iterator(chunk_size=2000):
        stale = stale_because(row, closed=closed, now=now) if row.status == Status.READY else ""
        yield Candidate(
            instance_id=row.instance_id,
            region=row.region,
            name=row.name,
            options=options_of(row),
            status=Status.UNKNOWN if stale else Status(row.status),
            reason=stale or row.status_reason,
            measured_days=row.measured_days,
            v1_calls=row.v1_calls_window,
            last_v1_hour=row.last_v1_hour,
            blockers=tuple(row.blockers),
            warnings=tuple(row.warnings),
            hop_limit=chosen.get((row.region, workload.key_of_row(row))),
        )


def _hop_limits(account: Account) -> dict[tuple[str, workload.Key | None], int | None]:
    """What was chosen for workloads, by Region and workload."""
    rows = Workload.objects.filter(account=account, hop_limit__isnull=False)
    return {
        (region, workload.Key(kind, name)): limit
        for region, kind, name, limit in rows.values_list("region", "kind", "name", "hop_limit")
    }
