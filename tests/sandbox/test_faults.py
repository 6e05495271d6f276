"""The journal, the faults and the barriers."""

from __future__ import annotations

import threading
import time

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError

from sandbox.checks import Mistake
from tests.sandbox import fleets


@pytest.fixture
def modify(clients, launch):
    """An own instance, and the call that enforces it."""
    mine = launch()["InstanceId"]
    ec2 = clients("ec2")

    class Modify:
        instance_id = mine

        def __call__(self, **more):
            return ec2.modify_instance_metadata_options(InstanceId=mine, HttpTokens="required", **more)

    return Modify()


def tokens(sandbox, instance_id):
    return sandbox.world.instances[instance_id].options.http_tokens


def test_the_journal_says_who_did_what_with_which_parameters(clients, sandbox):
    session = clients.assuming(fleets.ENFORCER, fleets.MEMBER, RoleSessionName="run-7", SourceIdentity="alice")
    ec2 = session("ec2")
    instance = ec2.describe_instances()["Reservations"][0]["Instances"][0]["InstanceId"]
    answer = ec2.modify_instance_metadata_options(InstanceId=instance, HttpTokens="required")
    [call] = sandbox.calls(operation="ModifyInstanceMetadataOptions")
    assert call["params"] == {"InstanceId": instance, "HttpTokens": "required"}
    assert (call["account_id"], call["role_name"], call["session_name"]) == (fleets.MEMBER, fleets.ENFORCER, "run-7")
    assert (call["source_identity"], call["external_id"]) == ("alice", fleets.EXTERNAL_ID)
    assert (call["service"], call["region"], call["status"], call["applied"]) == ("ec2", "us-east-1", 200, True)
    assert call["request_id"] == answer["ResponseMetadata"]["RequestId"]


def test_the_journal_counts_every_attempt(clients, sandbox):
    sandbox.set_faults([{"kind": "throttle", "operation": "DescribeRegions", "times": 1}])
    clients("ec2", retries={"mode": "standard", "total_max_attempts": 5}).describe_regions()
    codes = [call["error_code"] for call in sandbox.calls(operation="DescribeRegions")]
    assert codes == ["RequestLimitExceeded", None]


def test_the_journal_filters_and_counts_long_lists(cloudwatch, sandbox):
    queries = [
        {
            "Id": f"m{n}",
            "MetricStat": {
                "Metric": {"Namespace": "AWS/EC2", "MetricName": "MetadataNoToken"},
                "Period": 60,
                "Stat": "Sum",
            },
        }
        for n in range(25)
    ]
    cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=time.time() - 60, EndTime=time.time())
    [call] = sandbox.calls(operation="GetMetricData", account_id=fleets.CENTRAL)
    assert call["params"]["MetricDataQueries.#"] == "25"
    assert sandbox.calls(since=call["seq"]) == []


@pytest.mark.parametrize(
    ("service", "method", "code"),
    [
        ("ec2", "describe_regions", "RequestLimitExceeded"),
        ("cloudwatch", "list_metrics", "ThrottlingException"),
        ("sts", "get_caller_identity", "Throttling"),
        ("organizations", "list_roots", "TooManyRequestsException"),
    ],
)
def test_throttling_speaks_each_protocol(  # noqa: PLR0917 - a table of cases
    clients, sandbox, refused, service, method, code
):
    """Over it: `RequestLimitExceeded` [DG-thr]."""
    sandbox.set_faults([{"kind": "throttle"}])
    refused(code, getattr(clients(service), method))


def test_access_denied_by_operation_and_account(clients, sandbox, refused):
    sandbox.set_faults([{"kind": "access_denied", "operation": "DescribeInstances", "account_id": fleets.MEMBER}])
    clients("ec2").describe_instances(MaxResults=5)
    refused("UnauthorizedOperation", clients.assuming(account=fleets.MEMBER)("ec2").describe_instances)


def test_apply_then_drop_applies_and_tells_nobody(sandbox, modify):
    sandbox.set_faults([{"kind": "apply_then_drop", "times": 1}])
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        modify()
    assert tokens(sandbox, modify.instance_id) == "required"
    [call] = sandbox.calls(operation="ModifyInstanceMetadataOptions")
    assert (call["applied"], call["error_code"]) == (True, "ConnectionCut")


def test_drop_applies_nothing(sandbox, modify):
    sandbox.set_faults([{"kind": "drop", "operation": "Modify*"}])
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        modify()
    assert tokens(sandbox, modify.instance_id) == "optional"


def test_pending_lasts_as_long_as_asked(sandbox, ec2, modify):
    sandbox.set_faults([{"kind": "pending", "seconds": 60}])
    modify()
    time.sleep(0.1)
    found = ec2.describe_instances(InstanceIds=[modify.instance_id])["Reservations"][0]["Instances"][0]
    assert found["MetadataOptions"]["State"] == "pending"


def test_stale_reads_show_the_options_before(sandbox, ec2, modify):
    """Eventual consistency: a just-changed instance may not show it [DG-ec]."""
    modify()
    sandbox.set_faults([{"kind": "stale_reads", "times": 2}])

    def seen():
        found = ec2.describe_instances(InstanceIds=[modify.instance_id])["Reservations"][0]["Instances"][0]
        return found["MetadataOptions"]["HttpTokens"]

    assert [seen(), seen(), seen()] == ["optional", "optional", "required"]


def test_an_error_of_ones_own_choice(clients, sandbox, refused):
    sandbox.set_faults([{"kind": "error", "code": "InternalError", "status": 500, "region": "us-east-1", "after": 1}])
    clients("ec2").describe_regions()
    refused("InternalError", clients("ec2").describe_regions)
    clients("ec2", "eu-west-1").describe_regions()


def test_a_fault_may_be_for_one_instance(sandbox, ec2, modify, refused):
    sandbox.set_faults([{"kind": "error", "code": "Unavailable", "status": 503, "instance_id": modify.instance_id}])
    ec2.describe_instances(MaxResults=5)
    refused("Unavailable", modify)


def test_metric_data_may_be_partial(sandbox, cloudwatch):
    """`StatusCode` in {Complete, InternalError, PartialData, Forbidden}: HTTP 200 does not mean complete [BC]."""
    a, b = [i.instance_id for i in sandbox.world.instances.values() if i.name.startswith("web-")][:2]
    sandbox.set_faults([{"kind": "partial_data", "status_code": "Forbidden", "instances": [a]}])
    metric = {"Namespace": "AWS/EC2", "MetricName": "MetadataNoToken"}
    queries = [
        {
            "Id": f"m{n}",
            "MetricStat": {
                "Metric": {**metric, "Dimensions": [{"Name": "InstanceId", "Value": i}]},
                "Period": 3600,
                "Stat": "Sum",
            },
        }
        for n, i in enumerate((a, b))
    ]
    answer = cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=time.time() - 7200, EndTime=time.time())
    assert [r["StatusCode"] for r in answer["MetricDataResults"]] == ["Forbidden", "Complete"]
    assert answer["MetricDataResults"][0]["Values"] == []


def test_the_caller_may_find_itself_in_a_wrong_account(clients, sandbox):
    sandbox.set_faults([{"kind": "wrong_account", "other_account": "999999999999"}])
    assert clients("sts").get_caller_identity()["Account"] == "999999999999"


def test_a_hang_lasts_its_seconds(clients, sandbox):
    sandbox.set_faults([{"kind": "hang", "seconds": 0.3, "operation": "DescribeRegions"}])
    began = time.monotonic()
    clients("ec2").describe_regions()
    assert time.monotonic() - began >= 0.3


def test_request_limits_are_token_buckets(clients, sandbox, refused):
    """Token bucket per account+Region: burst and refill [DG-thr]."""
    sandbox.set_faults([{"kind": "request_limits", "operation": "DescribeRegions", "burst": 3, "refill": 0.01}])
    ec2 = clients("ec2")
    for _ in range(3):
        ec2.describe_regions()
    refused("RequestLimitExceeded", ec2.describe_regions)
    clients("ec2", "eu-west-1").describe_regions()


def test_probability_is_the_same_each_time(clients, sandbox):
    def outcome():
        sandbox.set_faults([{"kind": "throttle", "probability": 0.5}])
        sandbox.clear_calls()
        ec2 = clients("ec2")
        for _ in range(12):
            try:
                ec2.describe_regions()
            except ClientError:
                continue
        return [call["status"] for call in sandbox.calls(operation="DescribeRegions")]

    first = outcome()
    assert set(first) == {200, 503}
    assert outcome() == first


@pytest.mark.parametrize(("point", "applied_while_waiting"), [("before", "optional"), ("after", "required")])
def test_a_barrier_holds_a_call_until_it_is_let_go(sandbox, modify, point, applied_while_waiting):
    sandbox.set_faults([{"kind": "barrier", "name": "here", "point": point, "operation": "Modify*", "times": 1}])
    thread = threading.Thread(target=modify)
    thread.start()
    [waiting] = sandbox.wait_for("here")
    assert (waiting["point"], waiting["instance_id"]) == (point, modify.instance_id)
    assert tokens(sandbox, modify.instance_id) == applied_while_waiting
    assert sandbox.release("here") == 1
    thread.join()
    assert tokens(sandbox, modify.instance_id) == "required"
    assert sandbox.waiting() == []


@pytest.mark.parametrize(("point", "left"), [("before", "optional"), ("after", "required")])
def test_a_call_dropped_at_a_barrier_is_cut_off(sandbox, modify, point, left):
    sandbox.set_faults([{"kind": "barrier", "name": "here", "point": point, "operation": "Modify*", "times": 1}])
    outcomes = []

    def attempt():
        with pytest.raises((ConnectionClosedError, HTTPClientError)):
            modify()
        outcomes.append("cut")

    thread = threading.Thread(target=attempt)
    thread.start()
    sandbox.wait_for("here")
    sandbox.release("here", "drop")
    thread.join()
    assert outcomes == ["cut"]
    assert tokens(sandbox, modify.instance_id) == left


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"kind": "explode"}, r'rules\[0\]\.kind: "explode" is not one of throttle, access_denied'),
        ({"kind": "barrier"}, r"rules\[0\]\.name: a barrier needs a name"),
        ({"kind": "throttle", "time": 3}, r"rules\[0\]\.time: is not a known field; did you mean times\?"),
        ({"kind": "throttle", "probability": 2}, r"rules\[0\]\.probability: 2 is not a number from 0 to 1"),
    ],
)
def test_a_rule_with_a_mistake_is_refused_in_a_sentence(sandbox, rule, sentence):
    with pytest.raises(Mistake, match=sentence):
        sandbox.set_faults([rule])
