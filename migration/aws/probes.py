"""One cheap read for each permission of the reader role, to see whether it is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore import xform_name

from migration.aws.cloudwatch import NAMESPACE, V1
from migration.aws.sessions import Edge, Target, call

NOBODY = "i-00000000000000000"  # an instance id that is well formed and belongs to nobody


@dataclass(frozen=True, slots=True)
class Probe:
    service: str
    operation: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def action(self) -> str:
        """As IAM spells it."""
        return f"{self.service}:{self.operation}"


def probes(now: datetime) -> tuple[Probe, ...]:
    """What a reader needs besides DescribeRegions, which the entering itself asks for. One metric is charged."""
    metric = {"Namespace": NAMESPACE, "MetricName": V1, "Dimensions": [{"Name": "InstanceId", "Value": NOBODY}]}
    query = {"Id": "probe", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Sum"}}
    hour = {"StartTime": now - timedelta(hours=1), "EndTime": now}
    return (
        Probe("ec2", "DescribeInstances", {"MaxResults": 5}),  # the fewest it takes
        Probe("ec2", "GetInstanceMetadataDefaults"),
        Probe("cloudwatch", "GetMetricData", {"MetricDataQueries": [query], **hour}),
        Probe("cloudwatch", "ListMetrics", {"Namespace": NAMESPACE, "MetricName": V1}),
        Probe("autoscaling", "DescribeScalingActivities", {"MaxRecords": 1}),
    )


def identity(edge: Edge, target: Target) -> str:
    """The ARN the credentials answer as, once it is sure that they are of the target account. Raises AwsError."""
    return str(_ask(edge, target, edge.home_region, Probe("sts", "GetCallerIdentity"))["Arn"])


def ask(edge: Edge, target: Target, region: str, probe: Probe) -> None:
    """Raises AwsError, Denied when the permission is missing."""
    _ask(edge, target, region, probe)


def _ask(edge: Edge, target: Target, region: str, probe: Probe) -> dict[str, Any]:
    client = edge.client(target, probe.service, region)
    place = f"{target.account_id}/{region}"
    answer: dict[str, Any] = call(
        lambda: getattr(client, xform_name(probe.operation))(**probe.params), place=place, operation=probe.operation
    )
    return answer
