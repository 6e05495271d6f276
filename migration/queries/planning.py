"""What the planner and the workers read, as frozen values."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from migration.domain import workload
from migration.domain.facts import MetadataOptions
from migration.domain.plan import Candidate
from migration.enums import Status
from migration.models import Account, Instance, Workload

FRESH = timedelta(days=2)


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


def closed_regions(account: Account) -> frozenset[str]:
    """The Regions of an account that are known and not collected any more."""
    return frozenset(account.scopes.filter(enabled=False).values_list("region", flat=True))


def candidates(account: Account, *, now: datetime) -> Iterator[Candidate]:
    """Every instance of the account that is not gone, with the verdict of the last pass while that is fresh."""
    closed = closed_regions(account)
    chosen = _hop_limits(account)
    for row in Instance.objects.filter(account=account, gone_at__isnull=True).iterator(chunk_size=2000):
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
