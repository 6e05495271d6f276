"""GetMetricData and ListMetrics for the two IMDS metrics; the rest of CloudWatch is moto's."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sandbox.calls import Call, operation
from sandbox.errors import AwsError, NotOurs
from sandbox.metrics import METRICS, RETENTION, hourly_sums, last_sample, samples
from sandbox.paging import make_token, read_token
from sandbox.protocol import Answer, iso
from sandbox.usage import DAY, FIVE_MINUTES, HOUR

if TYPE_CHECKING:
    from sandbox.instances import Instance
    from sandbox.world import Region

NAMESPACE: Final = "AWS/EC2"
MOST_QUERIES: Final = 500
MOST_POINTS: Final = 100_800
_LIST_PAGE: Final = 500
_ID: Final = re.compile(r"[a-z][a-zA-Z0-9_]{0,254}$")
_STATS: Final = ("Sum", "SampleCount", "Average", "Minimum", "Maximum")
_PROP: Final = re.compile(r"\$\{PROP\('([^']+)'\)\}")


class Query(NamedTuple):
    """One MetricDataQuery, checked. `instance` is None when the metric has no data here.

    `since` is when the metric became readable; `forbidden` says that it is another account's, without a link.
    """

    query_id: str
    metric: str
    instance_id: str
    instance: Instance | None
    period: int
    stat: str
    label: str | None
    returned: bool
    since: float = -math.inf
    forbidden: bool = False


class Window(NamedTuple):
    """The asked time, rounded as AWS rounds it."""

    start: int
    end: float


@operation("cloudwatch", "GetMetricData")
def get_metric_data(call: Call) -> dict[str, Any] | Answer:
    """One page: at most 100,800 points, a metric possibly cut in two."""
    queries = _queries(call)
    window = _window(call)
    most = min(MOST_POINTS, int(call.params.get("MaxDatapoints") or MOST_POINTS))
    token = call.params.get("NextToken")
    index, offset = read_token("data", token, 2) if token else (0, 0)
    if not 0 <= index < len(queries):
        raise AwsError("ValidationError", "The NextToken is not valid.")
    labels = _labels(queries)
    results: list[dict[str, Any]] = []
    room = most
    newest_first = call.params.get("ScanBy") != "TimestampAscending"
    while index < len(queries) and room > 0:
        query = queries[index]
        if query.returned and not {"*", query.instance_id} & call.effects.missing:
            result, left = _result(call, query, window, offset, room, newest_first=newest_first)
            result["Label"] = labels[index]
            results.append(result)
            room -= len(result["Timestamps"])
            if left:
                offset += len(result["Timestamps"])
                break
        index, offset = index + 1, 0
    return _answer(call, results, make_token("data", index, offset) if index < len(queries) else None)


def _answer(call: Call, results: list[dict[str, Any]], token: str | None) -> dict[str, Any] | Answer:
    """JSON is written at once: boto3 speaks it, and 100,000 points are many. The serialiser does the rest."""
    if call.request.protocol == "json":
        body: dict[str, Any] = {"MetricDataResults": results, "Messages": []}
        if token:
            body["NextToken"] = token
        return Answer(200, json.dumps(body, separators=(",", ":")).encode(), "application/x-amz-json-1.0")
    for result in results:
        result["Timestamps"] = [iso(at) for at in result["Timestamps"]]
    return {"MetricDataResults": results, "Messages": [], "NextToken": token}


def _result(
    call: Call, query: Query, window: Window, offset: int, room: int, *, newest_first: bool
) -> tuple[dict[str, Any], int]:
    """The result of one query on this page, and how many points are left for the next."""
    times, values = _points(call, query, window)
    if newest_first:
        times, values = times[::-1], values[::-1]
    left = max(0, len(times) - offset - room)
    if query.forbidden:
        return _forbidden(query), 0
    status = "PartialData" if left else "Complete"
    fault = call.effects.partial.get(query.instance_id) or call.effects.partial.get("*")
    if fault:
        status = fault
        keep = len(times) // 2 if fault == "PartialData" else 0
        times, values, left = times[:keep], values[:keep], 0
    return {
        "Id": query.query_id,
        "Timestamps": times[offset : offset + room],
        "Values": values[offset : offset + room],
        "StatusCode": status,
    }, left


def _forbidden(query: Query) -> dict[str, Any]:
    message = {"Code": "Forbidden", "Value": "The account of this metric is not linked to this account."}
    return {
        "Id": query.query_id, "Timestamps": [], "Values": [], "StatusCode": "Forbidden", "Messages": [message],
    }  # fmt: skip


def _points(call: Call, query: Query, window: Window) -> tuple[list[int], list[float]]:
    """Oldest first. A period too fine for the window's age gives nothing, and no error."""
    instance = query.instance
    if instance is None or query.period % _finest(call.now - window.start):
        return [], []
    start = max(window.start, int(max(call.now - RETENTION, query.since)) // HOUR * HOUR)
    end = min(window.end, call.now)
    whole_hours = start % HOUR == 0 and (window.end % HOUR == 0 or window.end >= call.now)
    if query.stat == "Sum" and query.period == HOUR and whole_hours:
        times, sums = hourly_sums(instance, query.metric, start, end, call.now)
        if not call.world.settings.zero_fill:
            kept = [(at, value) for at, value in zip(times, sums, strict=True) if value]
            return [at for at, _ in kept], [value for _, value in kept]
        return times, list(sums)
    return _bucketed(call, query, instance, start, end)


def _bucketed(call: Call, query: Query, instance: Instance, start: int, end: float) -> tuple[list[int], list[float]]:
    """5-minute samples gathered into periods that count from StartTime."""
    buckets: dict[int, list[int]] = {}
    for at, calls in samples(instance, query.metric, start, end, call.now):
        if calls or call.world.settings.zero_fill:
            buckets.setdefault(start + (at - start) // query.period * query.period, []).append(calls)
    return list(buckets), [_statistic(query.stat, values) for values in buckets.values()]


def _statistic(stat: str, values: list[int]) -> float:
    match stat:
        case "Sum":
            return sum(values)
        case "SampleCount":
            return len(values)
        case "Average":
            return sum(values) / len(values)
        case "Minimum":
            return min(values)
        case _:
            return max(values)


def _finest(age: float) -> int:
    """The finest period that still exists at this age."""
    if age > 63 * DAY:
        return HOUR
    return FIVE_MINUTES if age > 15 * DAY else 60


def _window(call: Call) -> Window:
    start, end = call.params.get("StartTime"), call.params.get("EndTime")
    if start is None or end is None:
        raise AwsError("ValidationError", "StartTime and EndTime are required.")
    if start >= end:
        raise AwsError("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
    grain = _finest(call.now - start)
    return Window(int(start // grain) * grain, end)


def _queries(call: Call) -> list[Query]:
    given = call.params.get("MetricDataQueries") or []
    if not given:
        raise AwsError("ValidationError", "The collection MetricDataQueries must not be empty.")
    if len(given) > MOST_QUERIES:
        raise AwsError(
            "ValidationError", f"The collection MetricDataQueries must not have more than {MOST_QUERIES} entries."
        )
    if all(_foreign(one) for one in given):
        raise NotOurs
    seen: set[str] = set()
    queries = []
    for one in given:
        query = _query(call, one)
        if query.query_id in seen:
            raise AwsError(
                "ValidationError", f"The values for parameter id in MetricDataQueries are not unique: {query.query_id}."
            )
        seen.add(query.query_id)
        queries.append(query)
    return queries


def _foreign(one: dict[str, Any]) -> bool:
    metric = one.get("MetricStat", {}).get("Metric", {})
    return bool(metric) and metric.get("Namespace") != NAMESPACE and not one.get("Expression")


def _query(call: Call, one: dict[str, Any]) -> Query:
    query_id = one.get("Id", "")
    if not _ID.match(query_id):
        raise AwsError(
            "ValidationError",
            f'The value "{query_id}" for parameter Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.',
        )
    stat = one.get("MetricStat")
    if not stat:
        raise AwsError("ValidationError", "The sandbox computes no expressions: give a MetricStat.")
    period, wanted = stat.get("Period", 0), stat.get("Stat", "")
    if period <= 0 or period % 60:
        raise AwsError("ValidationError", f"Period must be a multiple of 60, not {period}.")
    if wanted not in _STATS:
        raise AwsError("ValidationError", f"The sandbox knows the statistics {', '.join(_STATS)}, not {wanted}.")
    metric = stat.get("Metric", {})
    dimensions = {d.get("Name"): d.get("Value") for d in metric.get("Dimensions", [])}
    owner = _owner(call, one.get("AccountId"))
    instance = None
    if (
        metric.get("Namespace") == NAMESPACE
        and set(dimensions) == {"InstanceId"}
        and stat.get("Unit", "Count") == "Count"
        and metric.get("MetricName") in METRICS
        and owner is not None
    ):
        instance = owner.instances.get(dimensions["InstanceId"])
    return Query(
        query_id, metric.get("MetricName", ""), str(dimensions.get("InstanceId", "")), instance,
        period, wanted, one.get("Label"), one.get("ReturnData", True) is not False,
        _readable_since(call, owner), owner is None,
    )  # fmt: skip


def _owner(call: Call, account_id: str | None) -> Region | None:
    """Whose metric a query asks for: the caller's, or with a link another account's; None without a link."""
    if account_id in {None, call.account.account_id}:
        return call.region
    monitoring, source = call.world.monitoring, call.world.accounts.get(str(account_id))
    if monitoring is None or source is None or not monitoring.links(call.account, source, call.request.region):
        return None
    return source.regions[call.request.region]


def _readable_since(call: Call, owner: Region | None) -> float:
    monitoring = call.world.monitoring
    foreign = monitoring is not None and owner is not None and owner.account_id != call.account.account_id
    return monitoring.linked_at if monitoring and foreign else -math.inf


def _labels(queries: list[Query]) -> list[str]:
    """A given label with its properties filled in; else what tells the metrics apart."""
    several_metrics = len({q.metric for q in queries}) > 1
    several_instances = len({q.instance_id for q in queries}) > 1
    labels = []
    for query in queries:
        if query.label is not None:
            properties = {
                "MetricName": query.metric, "Namespace": NAMESPACE, "Stat": query.stat,
                "Period": str(query.period), "Dim.InstanceId": query.instance_id,
            }  # fmt: skip
            labels.append(_PROP.sub(lambda found, known=properties: known.get(found[1], found[0]), query.label))  # type: ignore[misc]
        elif several_instances:
            labels.append(f"{query.instance_id} {query.metric}" if several_metrics else query.instance_id)
        else:
            labels.append(query.metric)
    return labels


@operation("cloudwatch", "ListMetrics")
def list_metrics(call: Call) -> dict[str, Any]:
    """Metrics that had a point within two weeks, or within about three hours with RecentlyActive; 500 a page."""
    if call.params.get("Namespace") not in {None, NAMESPACE}:
        raise NotOurs
    recently = call.params.get("RecentlyActive")
    if recently not in {None, "PT3H"}:
        raise AwsError("ValidationError", "RecentlyActive must be PT3H.")
    oldest = call.now - (3 * HOUR + 50 * 60 if recently else 14 * DAY)
    found, token = _listed(call, _owners(call), oldest)
    result: dict[str, Any] = {"Metrics": [metric for _, metric in found], "NextToken": token}
    if call.params.get("IncludeLinkedAccounts") and _monitors(call):
        result["OwningAccounts"] = [account_id for account_id, _ in found]
    return result


def _monitors(call: Call) -> bool:
    monitoring = call.world.monitoring
    return monitoring is not None and monitoring.has_sink(call.account, call.request.region)


def _owners(call: Call) -> list[Region]:
    """Whose metrics are asked for: the caller's, with IncludeLinkedAccounts also those of the linked accounts."""
    only = call.params.get("OwningAccount")
    if not call.params.get("IncludeLinkedAccounts"):
        if only:
            raise AwsError("InvalidParameterCombination", "OwningAccount needs IncludeLinkedAccounts.")
        return [call.region]
    sources = call.world.monitoring.sources if call.world.monitoring else ()
    owners = (_owner(call, account_id) for account_id in (call.account.account_id, *sources))
    return [owner for owner in owners if owner is not None and only in {None, owner.account_id}]


def _listed(call: Call, owners: list[Region], oldest: float) -> tuple[list[tuple[str, dict[str, Any]]], str | None]:
    """The page that NextToken asks for, each metric with its owner, and the next token, which remembers a place."""
    token = call.params.get("NextToken")
    first, begin = read_token("metrics", token, 2) if token else (0, 0)
    if first < 0:
        raise AwsError("InvalidNextToken", "The specified NextToken is not valid.")
    page: list[tuple[str, dict[str, Any]]] = []
    for number, owner in enumerate(owners[first:], first):
        since = max(oldest, _readable_since(call, owner))
        for place, instance in enumerate(owner.held()[begin:], begin):
            found = _metrics_of(call, instance, since)
            if len(page) + len(found) > _LIST_PAGE:
                return page, make_token("metrics", number, place)
            page.extend((owner.account_id, metric) for metric in found)
        begin = 0
    return page, None


def _metrics_of(call: Call, instance: Instance, since: float) -> list[dict[str, Any]]:
    if not _dimensions_match(call, instance):
        return []
    zeros = call.world.settings.zero_fill
    return [
        {
            "Namespace": NAMESPACE,
            "MetricName": name,
            "Dimensions": [{"Name": "InstanceId", "Value": instance.instance_id}],
        }
        for name in METRICS
        if call.params.get("MetricName") in {None, name}
        and (last_sample(instance, name, call.now, zero_fill=zeros) or 0) >= since
    ]


def _dimensions_match(call: Call, instance: Instance) -> bool:
    return all(
        one.get("Name") == "InstanceId" and one.get("Value") in {None, instance.instance_id}
        for one in call.params.get("Dimensions", [])
    )
