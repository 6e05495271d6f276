"""ModifyInstanceMetadataOptions against the rules of EC2 (domain.md 3.1, 4.1, 9)."""

from __future__ import annotations

import time

import pytest


def options(ec2, instance_id, **more):
    found = ec2.describe_instances(InstanceIds=[instance_id], **more)
    return found["Reservations"][0]["Instances"][0]["MetadataOptions"]


def wait_applied(ec2, instance_id, seconds=5):
    until = time.monotonic() + seconds
    while options(ec2, instance_id)["State"] != "applied":
        assert time.monotonic() < until
        time.sleep(0.02)


def test_the_answer_is_pending_and_applied_comes_later(ec2, launch):
    """Output State: `pending` -> `applied`; observe `applied` through DescribeInstances [BC]."""
    mine = launch()["InstanceId"]
    answer = ec2.modify_instance_metadata_options(InstanceId=mine, HttpTokens="required")
    assert answer["InstanceMetadataOptions"]["State"] == "pending"
    assert answer["InstanceId"] == mine
    wait_applied(ec2, mine)
    assert options(ec2, mine)["HttpTokens"] == "required"


def test_what_is_not_sent_keeps_its_value(ec2, launch):
    """Any omitted hop limit / endpoint keeps its present value [BC]."""
    given = {
        "HttpEndpoint": "disabled",
        "HttpPutResponseHopLimit": 7,
        "InstanceMetadataTags": "enabled",
        "HttpProtocolIpv6": "enabled",
    }
    mine = launch(MetadataOptions=given)["InstanceId"]
    ec2.modify_instance_metadata_options(InstanceId=mine, HttpTokens="required")
    assert {**options(ec2, mine), "State": "x"} == {**given, "HttpTokens": "required", "State": "x"}


@pytest.mark.parametrize(("before", "sent"), [("enabled", "disabled"), ("disabled", "enabled")])
def test_the_endpoint_alone_leaves_the_rest_as_it_is(ec2, launch, before, sent):
    """Any omitted option keeps its present value [BC]."""
    given = {
        "HttpTokens": "optional",
        "HttpPutResponseHopLimit": 7,
        "InstanceMetadataTags": "enabled",
        "HttpProtocolIpv6": "enabled",
    }
    mine = launch(MetadataOptions={**given, "HttpEndpoint": before})["InstanceId"]
    ec2.modify_instance_metadata_options(InstanceId=mine, HttpEndpoint=sent)
    assert {**options(ec2, mine), "State": "x"} == {**given, "HttpEndpoint": sent, "State": "x"}


def test_a_stopped_instance_stays_pending_until_it_starts(ec2, launch):
    """Stopped instance: change is applied when it next starts [BC]."""
    mine = launch()["InstanceId"]
    ec2.stop_instances(InstanceIds=[mine])
    ec2.modify_instance_metadata_options(InstanceId=mine, HttpTokens="required")
    time.sleep(0.1)
    assert options(ec2, mine)["State"] == "pending"
    ec2.start_instances(InstanceIds=[mine])
    assert options(ec2, mine)["State"] == "applied"


@pytest.mark.parametrize(
    "bad",
    [
        {"HttpTokens": "banana"},
        {"HttpEndpoint": ""},
        {"HttpEndpoint": "on"},
        {"InstanceMetadataTags": "yes"},
        {"HttpProtocolIpv6": "1"},
        {"HttpPutResponseHopLimit": 0},
        {"HttpPutResponseHopLimit": 65},
    ],
)
def test_a_value_outside_the_enum_or_range_is_refused(ec2, launch, refused, bad):
    """`HttpTokens` {optional, required}, hop limit 1-64 ... [BC]; InvalidParameterValue (empty HttpEndpoint [TF])."""
    mine = launch()["InstanceId"]
    before = options(ec2, mine)
    refused("InvalidParameterValue", ec2.modify_instance_metadata_options, InstanceId=mine, **bad)
    assert options(ec2, mine) == before


def test_dry_run_changes_nothing(ec2, launch, refused, sandbox):
    """DryRun: success is an exception with code `DryRunOperation` [BC; API-err]."""
    mine = launch()["InstanceId"]
    before = options(ec2, mine)
    error = refused(
        "DryRunOperation", ec2.modify_instance_metadata_options, InstanceId=mine, HttpTokens="required", DryRun=True
    )
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert options(ec2, mine) == before
    assert [c["applied"] for c in sandbox.calls(operation="ModifyInstanceMetadataOptions")] == [False]


@pytest.mark.parametrize(
    ("instance_id", "code"),
    [("i-zzz", "InvalidInstanceID.Malformed"), ("i-0123456789abcdef0", "InvalidInstanceID.NotFound")],
)
def test_an_id_that_is_no_instance_is_refused(any_aws, refused, instance_id, code):
    """Error codes `InvalidInstanceID.NotFound`/`.Malformed` [API-err]."""
    refused(code, any_aws("ec2").modify_instance_metadata_options, InstanceId=instance_id, HttpTokens="required")


def test_a_terminated_instance_is_refused(ec2, launch, refused):
    """`IncorrectInstanceState` (shutting-down, terminated ...) [API-err]."""
    mine = launch()["InstanceId"]
    ec2.terminate_instances(InstanceIds=[mine])
    refused("IncorrectInstanceState", ec2.modify_instance_metadata_options, InstanceId=mine, HttpTokens="required")


def test_a_managed_instance_is_refused(ec2, refused):
    """Managed instances cannot be modified by you [UG-mgd]; `OperationNotPermitted` [API-err]."""
    managed = ec2.describe_instances(
        IncludeManagedResources=True, Filters=[{"Name": "operator.managed", "Values": ["true"]}]
    )
    instance_id = managed["Reservations"][0]["Instances"][0]["InstanceId"]
    refused(
        "OperationNotPermitted", ec2.modify_instance_metadata_options, InstanceId=instance_id, HttpTokens="optional"
    )


def test_enforcement_refuses_the_way_back(clients, refused):
    """`UnsupportedOperation` naming `httpTokensEnforced`: enforcement disables rollback [UG-tsl; UG-exist]."""
    ec2 = clients("ec2", "eu-west-1")
    mine = ec2.run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, MetadataOptions={"HttpTokens": "required"}
    )["Instances"][0]["InstanceId"]
    ec2.modify_instance_metadata_defaults(HttpTokensEnforced="enabled")
    error = refused(
        "UnsupportedOperation", ec2.modify_instance_metadata_options, InstanceId=mine, HttpTokens="optional"
    )
    assert "httpTokensEnforced" in str(error)
    ec2.modify_instance_metadata_options(InstanceId=mine, HttpPutResponseHopLimit=2)
    ec2.modify_instance_metadata_defaults(HttpTokensEnforced="disabled")
    ec2.modify_instance_metadata_options(InstanceId=mine, HttpTokens="optional")
    ec2.modify_instance_metadata_defaults(HttpTokensEnforced="no-preference")


def test_a_call_without_any_option_is_refused(ec2, launch, refused):
    """Do not use a modify without parameters for reading [domain 0.1]."""
    refused("MissingParameter", ec2.modify_instance_metadata_options, InstanceId=launch()["InstanceId"])
