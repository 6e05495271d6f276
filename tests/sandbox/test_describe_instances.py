"""DescribeInstances against the rules of EC2 (domain.md 3.2)."""

from __future__ import annotations

import pytest

from sandbox.testing import start
from tests.sandbox.clients import Clients


def instances(answer):
    return [instance for reservation in answer["Reservations"] for instance in reservation["Instances"]]


def named(ec2, name, **more):
    return instances(ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": [name]}], **more))


def test_an_instance_carries_all_six_metadata_options(any_aws):
    """`MetadataOptions`: State, HttpTokens, HttpPutResponseHopLimit, HttpEndpoint, HttpProtocolIpv6,
    InstanceMetadataTags [BC].
    """
    for instance in instances(any_aws("ec2").describe_instances(MaxResults=5)):
        assert set(instance["MetadataOptions"]) == {
            "State",
            "HttpTokens",
            "HttpPutResponseHopLimit",
            "HttpEndpoint",
            "HttpProtocolIpv6",
            "InstanceMetadataTags",
        }


def test_an_instance_carries_what_a_dashboard_shows(ec2):
    instance = named(ec2, "web-01")[0]
    assert instance["PlatformDetails"] == "Linux/UNIX"
    assert instance["UsageOperation"] == "RunInstances"
    assert instance["IamInstanceProfile"]["Arn"].endswith(":instance-profile/web")
    assert instance["PublicIpAddress"] in instance["PublicDnsName"].replace("-", ".")
    assert instance["Operator"] == {"Managed": False}
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert tags["aws:autoscaling:groupName"] == "web"
    assert tags["aws:ec2launchtemplate:id"].startswith("lt-")
    assert tags["aws:ec2launchtemplate:version"] == "1"


def test_launch_time_is_the_last_start_and_the_attach_time_the_first_launch(ec2):
    """`LaunchTime` is the last start; first launch is the attach time of the primary network interface [BC]."""
    instance = named(ec2, "spot")[0]
    first = instance["NetworkInterfaces"][0]["Attachment"]["AttachTime"]
    assert (instance["LaunchTime"] - first).days > 30


def test_spot_and_windows_are_named_and_on_demand_is_not(ec2):
    """`InstanceLifecycle` in {spot, scheduled, capacity-block, ...}; absent = on-demand [BC]."""
    spot = named(ec2, "spot")[0]
    assert (spot["InstanceLifecycle"], spot["Platform"]) == ("spot", "windows")
    assert "InstanceLifecycle" not in named(ec2, "web-01")[0]


def test_a_stopped_instance_says_when_it_was_stopped(ec2):
    assert named(ec2, "stopped-1")[0]["StateTransitionReason"].startswith("User initiated (20")


def test_a_page_counts_instances_and_splits_a_reservation(ec2):
    """Reservations hold several instances; pages count instances; page until the token is null [BC; API-qr]."""
    only = [{"Name": "tag:aws:autoscaling:groupName", "Values": ["web"]}]
    pages = list(ec2.get_paginator("describe_instances").paginate(Filters=only, PaginationConfig={"PageSize": 5}))
    assert [len(instances(page)) for page in pages] == [5, 5, 2]
    assert len({r["ReservationId"] for page in pages for r in page["Reservations"]}) == 1
    assert len({i["InstanceId"] for page in pages for i in instances(page)}) == 12


@pytest.mark.parametrize("size", [4, 1001])
def test_a_page_size_outside_5_to_1000_is_refused(ec2, refused, size):
    """Page size up to 1,000 (older published range 5-1000) [Paws::EC2; MB]."""
    refused("InvalidParameterValue", ec2.describe_instances, MaxResults=size)


def test_ids_and_a_page_size_cannot_be_combined(any_aws, refused):
    """`InstanceIds` and `MaxResults` cannot be combined (`InvalidParameterCombination`) [BC]."""
    refused("InvalidParameterCombination", any_aws("ec2").describe_instances, InstanceIds=["i-12345678"], MaxResults=5)


@pytest.mark.parametrize("token", ["zzzz", "W10=", "bnVsbA==", "WyJlYzIiLCAieCIsIDFd"])
def test_a_bad_token_is_refused(ec2, refused, token):
    refused("InvalidNextToken", ec2.describe_instances, NextToken=token)


def test_an_id_that_does_not_exist_makes_the_call_fail(any_aws, refused):
    """An invalid ID in `InstanceIds` makes the call fail [BC]."""
    refused("InvalidInstanceID.NotFound", any_aws("ec2").describe_instances, InstanceIds=["i-0123456789abcdef0"])
    refused("InvalidInstanceID.Malformed", any_aws("ec2").describe_instances, InstanceIds=["i-zzz"])


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("metadata-options.http-tokens", "required", 2),
        ("metadata-options.http-endpoint", "disabled", 1),
        ("metadata-options.http-put-response-hop-limit", "2", 2),
        ("metadata-options.instance-metadata-tags", "enabled", 0),
        ("metadata-options.http-protocol-ipv6", "enabled", 0),
        ("metadata-options.state", "pending", 0),
        ("instance-state-name", "stopped", 3),
        ("operator.managed", "true", 0),
        ("instance-lifecycle", "spot", 1),
        ("tag:team", "a", 12),
        ("tag:Name", "v2-?", 2),
        ("tag-key", "team", 12),
        ("platform-details", "Windows", 1),
    ],
)
def test_a_filter_selects(ec2, name, value, count):
    """Filters `metadata-options.*`, `instance-state-name`, `operator.managed`, `image-id` ... [BC; UG-mgd]."""
    ours = {"Name": "tag:Name", "Values": ["web-*", "stopped-*", "auto-*", "spot", "v2-*", "off"]}
    assert len(instances(ec2.describe_instances(Filters=[ours, {"Name": name, "Values": [value]}]))) == count


def test_an_unknown_filter_is_refused(any_aws, refused):
    refused(
        "InvalidParameterValue",
        any_aws("ec2").describe_instances,
        Filters=[{"Name": "no-such-filter", "Values": ["x"]}],
    )


def test_more_than_200_filter_values_are_refused(any_aws, refused):
    values = [f"i-{n:08x}" for n in range(201)]
    refused(
        "FilterLimitExceeded", any_aws("ec2").describe_instances, Filters=[{"Name": "instance-id", "Values": values}]
    )


def test_managed_instances_are_hidden_unless_asked_for(ec2):
    """`IncludeManagedResources`: needed to list instances run by AWS services when the account hides them [BC]."""
    assert named(ec2, "auto-*") == []
    shown = named(ec2, "auto-*", IncludeManagedResources=True)
    assert [i["Operator"] for i in shown] == [
        {"Managed": True, "Principal": "eks.amazonaws.com", "HiddenByDefault": True}
    ] * 2


def test_an_account_may_show_its_managed_instances():
    fleet = {
        "accounts": [
            {"id": "123456789012", "managed_visibility": "visible", "instances": [{"managed": "ecs.amazonaws.com"}]}
        ]
    }
    with start(fleet) as sandbox:
        ec2 = Clients(sandbox)("ec2")
        assert len(instances(ec2.describe_instances())) == 1
        assert ec2.get_managed_resource_visibility()["Visibility"]["DefaultVisibility"] == "visible"


def test_a_page_may_be_empty_and_still_carry_a_token():
    """Page until the token is null even if a page is empty [BC; API-qr]."""
    fleet = {"settings": {"empty_pages": True}, "accounts": [{"id": "123456789012", "instances": [{"count": 12}]}]}
    with start(fleet) as sandbox:
        ec2 = Clients(sandbox)("ec2")
        first = ec2.describe_instances(MaxResults=5)
        assert instances(first) == []
        assert first["NextToken"]
        pages = ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5})
        assert [len(instances(page)) for page in pages] == [0, 5, 0, 5, 0, 2]


def test_instance_status_is_paged_too(ec2):
    pages = list(ec2.get_paginator("describe_instance_status").paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["InstanceStatuses"]) for page in pages[:-1]] == [5] * (len(pages) - 1)
    assert len(pages) > 2


def test_a_terminated_instance_is_shown_for_an_hour(sandbox, ec2):
    """Terminated ones linger under about an hour [BC]."""
    gone = named(ec2, "gone")[0]
    assert gone["State"]["Name"] == "terminated"
    held = sandbox.world.instances[gone["InstanceId"]]
    held.runs[-1].end -= 3600
    assert named(ec2, "gone") == []
    held.runs[-1].end += 3600


def test_dry_run_of_a_read_is_an_error_too(any_aws, refused):
    """DryRun: success is an exception with code `DryRunOperation` [BC; API-err]."""
    refused("DryRunOperation", any_aws("ec2").describe_instances, DryRun=True)
