"""GetMetricData's parameters, for short."""

from __future__ import annotations

import datetime as dt
import time

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def this_hour():
    return dt.datetime.fromtimestamp(time.time() // 3600 * 3600, dt.UTC)


def query(number, instance_id, metric="MetadataNoToken", period=3600, stat="Sum", **more):
    dimensions = [{"Name": "InstanceId", "Value": instance_id}]
    named = {"Namespace": "AWS/EC2", "MetricName": metric, "Dimensions": dimensions}
    return {"Id": f"m{number}", "MetricStat": {"Metric": named, "Period": period, "Stat": stat}, **more}


def last_hours(*instance_ids, hours=24, **more):
    """The whole call: MetadataNoToken of these instances over the last whole hours, m0, m1, ... in their order."""
    queries = [query(number, instance_id, **more) for number, instance_id in enumerate(instance_ids)]
    return {"MetricDataQueries": queries, "StartTime": this_hour() - hours * HOUR, "EndTime": this_hour()}
