"""The two IMDS metrics, and what one GetMetricData may hold. Pure."""

from datetime import datetime

V1 = "MetadataNoToken"
REJECTED = "MetadataNoTokenRejected"
PERIOD = 3600  # seconds; also the only period CloudWatch answers for data older than 63 days
POINT = 300  # seconds between two points of an instance under basic monitoring (CloudWatch user guide)
QUERIES_PER_CALL = 500  # MetricDataQuery of one call (CloudWatch API, GetMetricData)
POINTS_PER_CALL = 100_800  # datapoints of one page of an answer (same source)


def queries_per_call(start: datetime, end: datetime) -> int:
    """How many metrics one call asks for, so that the answer for [start, end) fits one page; at least one.

    Asking for more would cost no fewer calls, since AWS would page the answer, but would hold all of it at once.
    """
    hours = max(1, int((end - start).total_seconds()) // PERIOD)
    return max(1, min(QUERIES_PER_CALL, POINTS_PER_CALL // hours))
