"""One cheap read for each permission of the reader role, to see whether it is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from migration.aws.cloudwatch import NAMESPACE
from migration.aws.sessions import Edge, Target
from migration.domain.metrics import V1

NOBODY = "i-00000000000000000"  # an instance id that is well formed and belongs to nobody
NO_IMAGE = "ami-00000000000000000"  # and an AMI's


@dataclass(frozen=True, slots=True)
class Probe:
    action: str  # as IAM spells it
    operation: str  # as boto3 spells it
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def service(self) -> str:
        return self.action.partition(":")[0]


def probes(now: datetime) -> tuple[Probe, ...]:
    """What a reader needs besides DescribeRegions, which the entering itself asks for. One metric is charged."""
    metric = {"Namespace": NAMESPACE, "MetricName": V1, "Dimensions": [{"Name": "InstanceId", "Value": NOBODY}]}
    query = {"Id": "probe", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Sum"}}
    nobodys = [{"Name": "image-id", "Values": [NO_IMAGE]}]
    hour = {"StartTime": now - timedelta(hours=1), "EndTime": now}
    return (
        Probe("ec2:DescribeInstances", "describe_instances", {"MaxResults": 5}),  # the fewest it takes
        Probe("ec2:GetInstanceMetadataDefaults", "get_instance_metadata_defaults"),
        Probe("cloudwatch:GetMetricData", "get_metric_data", {"MetricDataQueries": [query], **hour}),
        Probe("cloudwatch:ListMetrics", "list_metrics", {"Namespace": NAMESPACE, "MetricName": V1}),
        Probe("autoscaling:DescribeScalingActivities", "describe_scaling_activities", {"MaxRecords": 1}),
        Probe("ec2:DescribeLaunchTemplates", "describe_launch_templates", {"MaxResults": 1}),
        Probe(
            "ec2:DescribeLaunchTemplateVersions",
            "describe_launch_template_versions",
            {"Versions": ["$Default"], "MaxResults": 1},
        ),
        Probe("ec2:DescribeImages", "describe_images", {"Filters": nobodys}),
        Probe("ec2:DescribeSpotInstanceRequests", "describe_spot_instance_requests", {"MaxResults": 5}),
        Probe("autoscaling:DescribeAutoScalingGroups", "describe_auto_scaling_groups", {"MaxRecords": 1}),
        Probe("autoscaling:DescribeLaunchConfigurations", "describe_launch_configurations", {"MaxRecords": 1}),
        Probe("cloudtrail:LookupEvents", "lookup_events", {"MaxResults": 1}),
    )


def identity(edge: Edge, target: Target) -> str:
    """The ARN the credentials answer as, once it is sure that they are of the target account. Raises AwsError."""
    return str(edge.ask(target, "sts", edge.home_region, "get_caller_identity")["Arn"])


def ask(edge: Edge, target: Target, region: str, probe: Probe) -> None:
    """Raises AwsError, Denied when the permission is missing."""
    edge.ask(target, probe.service, region, probe.operation, **probe.params)
