"""Reading the two IMDS metrics: what they were by the hour, and which instances published one at all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from migration.aws.sessions import Edge, Target
from migration.domain.facts import Ask, Series
from migration.domain.metrics import PERIOD, POINT, V1

NAMESPACE = "AWS/EC2"
RETRIES = 2  # of queries that came back partial, or did not come back
AGAIN = frozenset({"PartialData", "Missing"})  # Forbidden and InternalError are gaps: CloudWatch has answered


@dataclass
class _Gathered:
    hours: list[int | None]
    status: str = "Missing"  # the last StatusCode seen for the Id
    message: str = ""


@dataclass(frozen=True)
class _Window:
    """The hours, or other periods, that are asked for."""

    start: datetime
    end: datetime
    period: int = PERIOD  # seconds
    first: int = field(init=False)  # epoch seconds
    hours: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "first", int(self.start.timestamp()))
        object.__setattr__(self, "hours", max(0, (int(self.end.timestamp()) - self.first) // self.period))


def hourly(
    edge: Edge, target: Target, region: str, *, asks: Sequence[Ask], start: datetime, end: datetime
) -> list[Series]:
    """Hourly Sums over the half-open window [start, end), UTC whole hours, of at most 500 metrics.

    `domain.metrics.queries_per_call` says how many fit one page of an answer. A Series is complete only when the
    last StatusCode of its Id is `Complete`; what came back `PartialData` or not at all is asked again by itself, and
    stays incomplete if it does not heal. Raises AwsError when a call as a whole fails.
    """
    window = _Window(start, end)
    found = _batch(edge, target, region, asks=asks, window=window)
    for _ in range(RETRIES):
        again = [ask for ask in asks if found[ask].status in AGAIN]
        if not again:
            break
        for ask, more in _batch(edge, target, region, asks=again, window=window).items():
            first = found[ask]
            # What an earlier answer did have stays where the later one has nothing.
            first.hours = [old if new is None else new for old, new in zip(first.hours, more.hours, strict=True)]
            first.status, first.message = more.status, more.message
    return [
        Series(
            ask=ask,
            start=start,
            hours=found[ask].hours,
            complete=found[ask].status == "Complete",
            message=found[ask].message or ("" if found[ask].status == "Complete" else found[ask].status),
        )
        for ask in asks
    ]


def lately(
    edge: Edge, target: Target, region: str, *, ask: Ask, start: datetime, end: datetime
) -> tuple[list[int | None], bool]:
    """Sums of whole five minutes of one metric over [start, end), both at five minutes, and whether AWS said that it
    told all of them. CloudWatch keeps five minutes for 63 days. Raises AwsError.
    """
    window = _Window(start, end, POINT)
    if not window.hours:
        return [], True
    found = _batch(edge, target, region, asks=[ask], window=window)[ask]
    return found.hours, found.status == "Complete"


def _batch(edge: Edge, target: Target, region: str, *, asks: Sequence[Ask], window: _Window) -> dict[Ask, _Gathered]:
    """One GetMetricData over all its pages. An Id may be split over pages: its parts are merged."""
    # An instance id has a hyphen and cannot be an Id ([a-z][A-Za-z0-9_]*), so the position stands for it.
    by_id = {f"m{position}": ask for position, ask in enumerate(asks)}
    gathered = {ask: _Gathered([None] * window.hours) for ask in asks}
    queries = [_query(name, ask, window.period) for name, ask in by_id.items()]
    more: dict[str, Any] = {}
    while True:
        answer = edge.ask(
            target,
            "cloudwatch",
            region,
            "get_metric_data",
            points=len(queries) * window.hours,
            MetricDataQueries=queries,
            StartTime=window.start,
            EndTime=window.end,
            ScanBy="TimestampAscending",
            **more,
        )
        for result in answer.get("MetricDataResults", ()):
            ask = by_id.get(result.get("Id"))
            if ask is not None:
                _add(gathered[ask], result, window)
        token = answer.get("NextToken")
        if not token:
            return gathered
        more = {"NextToken": token}


def _add(one: _Gathered, result: dict[str, Any], window: _Window) -> None:
    """Put a result's points at their hours. Two points of one hour cannot be; the later part of an answer wins."""
    hours, first = one.hours, window.first
    for at, value in zip(result.get("Timestamps", ()), result.get("Values", ()), strict=True):
        place = (int(at) - first) // window.period
        if 0 <= place < window.hours:
            hours[place] = round(value)
    one.status = result.get("StatusCode", "Missing")
    one.message = "; ".join(f"{note.get('Code')}: {note.get('Value')}" for note in result.get("Messages", ()))


def _query(name: str, ask: Ask, period: int) -> dict[str, Any]:
    """Without `Unit`: a mismatch would return nothing, and nothing is not zero."""
    query: dict[str, Any] = {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": NAMESPACE,
                "MetricName": ask.metric,
                "Dimensions": [{"Name": "InstanceId", "Value": ask.instance_id}],
            },
            "Period": period,
            "Stat": "Sum",
        },
        "ReturnData": True,
    }
    if ask.account_id:
        query["AccountId"] = ask.account_id
    return query


def published(edge: Edge, target: Target, region: str, *, metric: str = V1) -> Iterator[list[str]]:
    """The ids of the instances that published the metric within two weeks, page by page (ListMetrics, 500 a page).

    ListMetrics forgets a metric after two weeks of silence (CloudWatch API). It tells that there are points, not how
    many, and it also names instances that are long gone: that is what it is asked for. Raises AwsError.
    """
    for answer in _lists(edge, target, region, metric):
        yield [instance_id for told in answer.get("Metrics", ()) for instance_id in _instance_of(told)]


def published_by_account(
    edge: Edge, target: Target, region: str, *, metric: str = V1, owner: str = ""
) -> Iterator[dict[str, list[str]]]:
    """As `published`, of the accounts linked to a monitoring account and of its own, by the account's id.

    `owner`: of one account only. A metric is listed here from its first datapoint after the link on (CloudWatch user
    guide, cross-account observability). Raises AwsError.
    """
    only = {"OwningAccount": owner} if owner else {}
    for answer in _lists(edge, target, region, metric, IncludeLinkedAccounts=True, **only):
        metrics = answer.get("Metrics", ())
        page: dict[str, list[str]] = {}
        # One owner for each metric, in the same order; none are told to an account that has no sink.
        owners = answer.get("OwningAccounts") or [target.account_id] * len(metrics)
        for account_id, told in zip(owners, metrics, strict=True):
            page.setdefault(account_id, []).extend(_instance_of(told))
        yield page


def _lists(edge: Edge, target: Target, region: str, metric: str, **params: Any) -> Iterator[dict[str, Any]]:
    """Every page of ListMetrics: only a missing token ends it."""
    more: dict[str, Any] = {}
    while True:
        answer = edge.ask(
            target,
            "cloudwatch",
            region,
            "list_metrics",
            Namespace=NAMESPACE,
            MetricName=metric,
            Dimensions=[{"Name": "InstanceId"}],
            **params,
            **more,
        )
        yield answer
        token = answer.get("NextToken")
        if not token:
            return
        more = {"NextToken": token}


def _instance_of(told: dict[str, Any]) -> list[str]:
    """The instance a metric is of; none when it has other dimensions too."""
    dimensions = told.get("Dimensions", ())
    return [one["Value"] for one in dimensions if one["Name"] == "InstanceId" and len(dimensions) == 1]
