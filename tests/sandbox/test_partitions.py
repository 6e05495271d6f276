"""Other partitions against domain.md section 11: ARNs are built from the partition, each has Regions of its own."""

from __future__ import annotations

import pytest

from sandbox.checks import Mistake
from sandbox.fleet.read import build
from sandbox.testing import start
from tests.sandbox import fleets
from tests.sandbox.clients import Clients

PLACES = [
    ("aws", "us-east-1", "amazonaws.com"),
    ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
    ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
    ("aws-eusc", "eusc-de-east-1", "amazonaws.eu"),
]


@pytest.fixture(params=PLACES, ids=[place[0] for place in PLACES])
def place(request):
    """A running organisation of two accounts in a partition: its clients, the partition, its Region, its DNS suffix."""
    partition, region, suffix = request.param
    groups = [{"profile": "web", "asg": "web", "launch_template": "web", "public": True}]
    member = {"id": fleets.MEMBER, "roles": fleets.ROLES, "launch_templates": [{"name": "web", "versions": [{}]}]}
    fleet = {"partition": partition, "accounts": [{"id": fleets.CENTRAL}, {**member, "instances": groups}]}
    with start(fleet) as running:
        yield Clients(running), partition, region, suffix


def entered(clients, partition, region):
    arn = f"arn:{partition}:iam::{fleets.MEMBER}:role/admin"
    ask = {"RoleArn": arn, "RoleSessionName": "test", "ExternalId": fleets.EXTERNAL_ID}
    answer = clients("sts", region).assume_role(**ask)
    given = answer["Credentials"]
    return Clients(clients.running, given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]), answer


def test_every_arn_is_of_the_partition(place):
    clients, partition, region, _ = place
    session, answer = entered(clients, partition, region)
    org = clients("organizations", region)
    ec2 = session("ec2", region)
    [instance] = ec2.describe_instances()["Reservations"][0]["Instances"]
    arns = [
        clients("sts", region).get_caller_identity()["Arn"],
        answer["AssumedRoleUser"]["Arn"],
        org.describe_organization()["Organization"]["Arn"],
        org.list_accounts()["Accounts"][0]["Arn"],
        instance["IamInstanceProfile"]["Arn"],
        ec2.describe_launch_templates()["LaunchTemplates"][0]["CreatedBy"],
        session("autoscaling", region).describe_auto_scaling_groups()["AutoScalingGroups"][0]["AutoScalingGroupARN"],
    ]
    assert [arn.split(":")[1] for arn in arns] == [partition] * len(arns)


def test_regions_and_hosts_are_of_the_partition(place):
    clients, partition, region, suffix = place
    session, _ = entered(clients, partition, region)
    ec2 = session("ec2", region)
    assert ec2.describe_regions()["Regions"][0]["Endpoint"] == f"ec2.{region}.{suffix}"
    [instance] = ec2.describe_instances()["Reservations"][0]["Instances"]
    assert instance["PublicDnsName"].endswith(f".{region}.compute.{suffix}")
    regions = session("account", region).list_regions()["Regions"]
    assert {"RegionName": region, "RegionOptStatus": "ENABLED_BY_DEFAULT"} in regions
    assert ("us-east-1" in {r["RegionName"] for r in regions}) is (partition == "aws")


def test_a_role_arn_of_another_partition_is_refused(place, refused):
    """`arn:aws:` hard-coded [domain 13.44]."""
    clients, partition, region, _ = place
    other = "aws" if partition != "aws" else "aws-cn"
    ask = {"RoleSessionName": "test", "ExternalId": fleets.EXTERNAL_ID}
    arn = f"arn:{other}:iam::{fleets.MEMBER}:role/admin"
    refused("AccessDenied", clients("sts", region).assume_role, RoleArn=arn, **ask)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"partition": "aws-moon"}, r'partition: "aws-moon" is not one of aws, aws-us-gov, aws-cn, aws-eusc'),
        ({"partition": "aws-cn"}, r'regions: "us-east-1" is not an AWS Region of the partition aws-cn'),
    ],
)
def test_a_region_of_another_partition_is_a_mistake(more, sentence):
    with pytest.raises(Mistake, match=sentence):
        build({"accounts": [{"id": fleets.CENTRAL, "regions": ["us-east-1"]}], **more})
