"""Reading the two IMDS metrics with GetMetricData."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from migration.aws.sessions import Edge, Target, call
from migration.domain.facts import Series

NAMESPACE = "AWS/EC2"
V1 = "MetadataNoToken"
REJECTED = "MetadataNoTokenRejected"
PERIOD = 3600  # seconds; also the only period CloudWatch answers for data older than 63 days
QUERIES_PER_CALL = 500
RETRIES = 2  # of queries that came back partial or failed


@dataclass(frozen=True, slots=True)
class Ask:
    """One metric of one instance."""

    instance_id: str
    metric: str


@dataclass
class _Gathered:
    points: dict[datetime, float] = field(default_factory=dict)
    status: str = "Missing"  # the last StatusCode seen for the Id
    message: str = ""


def hourly(
    edge: Edge, target: Target, region: str, *, asks: Sequence[Ask], start: datetime, end: datetime
) -> Iterator[list[Series]]:
    """Hourly Sums over the half-open window [start, end), UTC whole hours, in batches of up to 500 queries.

    A Series is complete only when its Id's last StatusCode is `Complete`; what came back `PartialData` or
    `InternalError` after the last page is asked again by itself, and stays incomplete if it does not heal.
    Raises AwsError when a call as a whole fails.
    """
    for first in range(0, len(asks), QUERIES_PER_CALL):
        batch = list(asks[first : first + QUERIES_PER_CALL])
        found = _batch(edge, target, region, asks=batch, start=start, end=end)
        for _ in range(RETRIES):
            again = [ask for ask in batch if found[ask].status in {"PartialData", "InternalError"}]
            if not again:
                break
            for ask, more in _batch(edge, target, region, asks=again, start=start, end=end).items():
                found[ask].points.update(more.points)  # what the first answer did have stays
                found[ask].status, found[ask].message = more.status, more.message
        yield [
            Series(
                instance_id=ask.instance_id,
                metric=ask.metric,
                points=found[ask].points,
                complete=found[ask].status == "Complete",
                message=found[ask].message or ("" if found[ask].status == "Complete" else found[ask].status),
            )
            for ask in batch
        ]


def _batch(
    edge: Edge, target: Target, region: str, *, asks: Sequence[Ask], start: datetime, end: datetime
) -> dict[Ask, _Gathered]:
    """One GetMetricData over all its pages. An Id may be split over pages: its parts are merged."""
    client = edge.client(target, "cloudwatch", region)
    # An instance id has a hyphen and cannot be an Id ([a-z][A-Za-z0-9_]*), so the position stands for it.
    by_id = {f"m{position}": ask for position, ask in enumerate(asks)}
    gathered = {ask: _Gathered() for ask in asks}
    token: str | None = None
    while True:
        asked: dict[str, Any] = {
            "MetricDataQueries": [_query(name, ask) for name, ask in by_id.items()],
            "StartTime": start,
            "EndTime": end,
            "ScanBy": "TimestampAscending",
        }
        if token:
            asked["NextToken"] = token
        answer = call(
            lambda asked=asked: client.get_metric_data(**asked),  # type: ignore[misc]
            place=f"{target.account_id}/{region}",
            operation="GetMetricData",
        )
        for result in answer.get("MetricDataResults", ()):
            one = gathered[by_id[result["Id"]]]
            one.points.update(zip(result.get("Timestamps", ()), result.get("Values", ()), strict=True))
            one.status = result.get("StatusCode", "Missing")
            one.message = "; ".join(f"{note.get('Code')}: {note.get('Value')}" for note in result.get("Messages", ()))
        token = answer.get("NextToken")
        if not token:
            return gathered


def _query(name: str, ask: Ask) -> dict[str, Any]:
    """Without `Unit`: a mismatch would return nothing, and nothing is not zero."""
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": NAMESPACE,
                "MetricName": ask.metric,
                "Dimensions": [{"Name": "InstanceId", "Value": ask.instance_id}],
            },
            "Period": PERIOD,
            "Stat": "Sum",
        },
        "ReturnData": True,
    }
