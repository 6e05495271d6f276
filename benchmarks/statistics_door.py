"""`python -m benchmarks.statistics_door ...`: `manage.py sandbox ...` that answers GetMetricStatistics too.

imdsdash asks by GetMetricData and needs nothing else of the sandbox; the tools it is compared with ask by the
older call.
"""

import os
import sys
from datetime import UTC, datetime
from typing import Any

from django.core.management import execute_from_command_line

from sandbox import cloudwatch
from sandbox.calls import OPERATIONS, Call
from sandbox.errors import AwsError, NotOurs
from sandbox.metrics import METRICS, hourly_sums

HOUR = 3600  # seconds
MOST_POINTS = 1440  # of one answer


def get_metric_statistics(call: Call) -> dict[str, Any]:
    """Sums of whole periods, counted from StartTime; a period without any datapoint has none."""
    if call.params.get("Namespace") != cloudwatch.NAMESPACE or call.params.get("MetricName") not in METRICS:
        raise NotOurs
    start, end, period = call.params["StartTime"], call.params["EndTime"], int(call.params["Period"])
    if period % HOUR or call.params.get("Statistics") != ["Sum"]:
        raise AwsError("InvalidParameterValue", "Here are sums of whole hours only.")
    if (end - start) / period > MOST_POINTS:
        raise AwsError("InvalidParameterCombination", f"You have requested more than {MOST_POINTS} datapoints.")
    asked = {one["Name"]: one["Value"] for one in call.params.get("Dimensions", ())}
    instance = call.region.instances.get(asked.get("InstanceId", ""))
    buckets: dict[int, int] = {}
    if instance is not None:
        first = int(start // 60 * 60)
        hour = int(start // HOUR * HOUR)
        for at, value in zip(*hourly_sums(instance, call.params["MetricName"], hour, end, call.now), strict=True):
            bucket = first + max(0, at - first) // period * period  # the hour the window begins in is taken whole
            buckets[bucket] = buckets.get(bucket, 0) + value
    points = [
        {"Timestamp": datetime.fromtimestamp(at, UTC), "Sum": float(total), "Unit": "Count"}
        for at, total in sorted(buckets.items(), key=lambda pair: -pair[1])  # AWS gives them in no order
    ]
    return {"Label": call.params["MetricName"], "Datapoints": points}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imdsdash.settings")
    OPERATIONS.setdefault(("cloudwatch", "GetMetricStatistics"), get_metric_statistics)
    execute_from_command_line(["manage.py", "sandbox", *sys.argv[1:]])


if __name__ == "__main__":
    main()
