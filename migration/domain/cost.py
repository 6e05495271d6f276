"""What collecting costs, and how many calls it takes. Pure arithmetic over counts.

CloudWatch bills GetMetricData by **metric requested**, however many datapoints come back, so one question a day for
24 hourly values costs a 24th of asking every hour. DescribeInstances is free. ListMetrics is billed by the request,
with a million a month free, and is therefore counted here but not priced.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from migration.domain.metrics import QUERIES_PER_CALL

MONTH_DAYS = 30
INSTANCES_A_PAGE = 1000  # DescribeInstances: the most instances of one answer
DAY_HOURS = 24


@dataclass(frozen=True, slots=True)
class ScopeLoad:
    """What one account-Region gives to ask about now."""

    instances: int = 0  # not terminated: listed by every inventory
    owing: int = 0  # running and open to IMDSv1: one metric each, every usage reading
    watched: int = 0  # enforced lately: one metric each, every hour
    watch_hours: float = 0.0  # hours of watching that are left, summed over the watched instances
    watch_longest: float = 0.0  # of them the longest


@dataclass(frozen=True, slots=True)
class Month:
    """30 days at the present fleet. Retries, and pages that AWS leaves half full, come on top."""

    usage_metrics: int
    watch_metrics: int
    dollars: float
    get_metric_data: int
    describe_instances: int
    list_metrics: int

    @property
    def metrics(self) -> int:
        return self.usage_metrics + self.watch_metrics

    @property
    def calls(self) -> int:
        return self.get_metric_data + self.describe_instances + self.list_metrics


@dataclass(frozen=True, slots=True)
class Asked:
    """What was really asked of one operation, by the meter."""

    operation: str
    calls: int
    throttled: int
    metrics: int


@dataclass(frozen=True, slots=True)
class Line:
    """One operation: the calls it takes, beside those that were made. None: nothing was reckoned, or nothing asked."""

    operation: str
    expected: int | None
    calls: int | None
    throttled: int


def lines(month: "Month", asked: Iterable[Asked]) -> list[Line]:
    """Expected and asked side by side: what is reckoned first, then whatever else was asked, the most calls first."""
    reckoned = {
        "GetMetricData": month.get_metric_data,
        "DescribeInstances": month.describe_instances,
        "ListMetrics": month.list_metrics,
    }
    told = {one.operation: one for one in asked}
    others = sorted(told.keys() - reckoned.keys(), key=lambda name: (-told[name].calls, name))
    return [
        Line(
            operation=name,
            expected=reckoned.get(name),
            calls=told[name].calls if name in told else None,
            throttled=told[name].throttled if name in told else 0,
        )
        for name in [*reckoned, *others]
    ]


def dollars(metrics: int, *, price_per_1000: float) -> float:
    return metrics * price_per_1000 / 1000


def month(loads: Iterable[ScopeLoad], *, collect_hours: float, usage_hours: float, price_per_1000: float) -> Month:
    """What the next 30 days take if the fleet stays as it is. Hours are those between two readings.

    The watch ends by itself, so only the hours that are left of it count, at most a month of them.
    """
    usage_passes, inventories = passes(usage_hours), passes(collect_hours)
    usage = watch = data = describe = listed = 0
    for load in loads:
        longest = min(load.watch_longest, MONTH_DAYS * DAY_HOURS)
        usage += load.owing * usage_passes
        watch += round(min(load.watch_hours, load.watched * MONTH_DAYS * DAY_HOURS))
        data += ceil(load.owing / QUERIES_PER_CALL) * usage_passes + ceil(load.watched / QUERIES_PER_CALL) * ceil(
            longest
        )
        describe += max(1, ceil(load.instances / INSTANCES_A_PAGE)) * inventories
        listed += usage_passes
    return Month(
        usage_metrics=usage,
        watch_metrics=watch,
        dollars=dollars(usage + watch, price_per_1000=price_per_1000),
        get_metric_data=data,
        describe_instances=describe,
        list_metrics=listed,
    )


def passes(hours: float) -> int:
    """How many readings fit in a month; a last one that has begun counts."""
    return ceil(MONTH_DAYS * DAY_HOURS / hours)
