"""What the planner and the workers read, as frozen values."""

from collections.abc import Iterator

from migration.domain.facts import MetadataOptions
from migration.domain.plan import Candidate
from migration.enums import Status
from migration.models import Account, Instance


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


def candidates(account: Account) -> Iterator[Candidate]:
    """Every instance of the account that is not gone, with the verdict stored by the last pass."""
    for row in Instance.objects.filter(account=account, gone_at__isnull=True).iterator(chunk_size=2000):
        yield Candidate(
            instance_id=row.instance_id,
            region=row.region,
            name=row.name,
            options=options_of(row),
            status=Status(row.status),
            reason=row.status_reason,
            measured_days=row.measured_days,
            v1_calls=row.v1_calls_window,
            last_v1_hour=row.last_v1_hour,
            blockers=tuple(row.blockers),
            warnings=tuple(row.warnings),
        )
