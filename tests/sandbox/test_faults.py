"""The journal, the faults and the barriers."""

from __future__ import annotations

import http.client
import threading
import time
from email.utils import parsedate_to_datetime

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError
from botocore.parsers import ResponseParserError

from sandbox.checks import Mistake
from tests.sandbox import fleets
from tests.sandbox.asking import last_hours


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


def date_of(answer):
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()


def raw_answer(sandbox, client, method):
    """Status, headers and as much of the body as came, of a call that botocore signs and http.client sends."""

    class Signed(Exception):
        pass

    def take(request, **_):
        raise Signed(request.body, {k: v if isinstance(v, str) else v.decode() for k, v in request.headers.items()})

    client.meta.events.register("before-send", take)
    with pytest.raises(Signed) as signed:
        getattr(client, method)()
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"))
    connection.request("POST", "/", *signed.value.args)
    answer = connection.getresponse()
    try:
        body = answer.read()
    except http.client.IncompleteRead as error:
        body = error.partial
    connection.close()
    return answer.status, answer.headers, body


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
    ask = last_hours(a, b, hours=2)
    answer = cloudwatch.get_metric_data(**ask)
    assert [r["StatusCode"] for r in answer["MetricDataResults"]] == ["Forbidden", "Complete"]
    assert answer["MetricDataResults"][0]["Values"] == []


def test_an_answer_may_end_in_the_middle(clients, sandbox):
    """botocore does not compare the length: half an XML body is a ResponseParserError, which it does not retry."""
    sandbox.set_faults([{"kind": "truncate", "operation": "DescribeInstances", "times": 1}])
    ec2 = clients("ec2", retries={"mode": "standard", "total_max_attempts": 5})
    with pytest.raises(ResponseParserError):
        ec2.describe_instances()
    assert ec2.describe_instances()["Reservations"]
    assert [c["error_code"] for c in sandbox.calls(operation="DescribeInstances")] == ["Truncated", None]


def test_half_a_json_answer_looks_like_an_empty_one(cloudwatch, sandbox):
    """botocore makes no error of JSON it cannot read, so that a success may come without its results."""
    [web] = [i.instance_id for i in sandbox.world.instances.values() if i.name == "web-01"]
    sandbox.set_faults([{"kind": "truncate", "operation": "GetMetricData"}])
    ask = last_hours(web, hours=2)
    answer = cloudwatch.get_metric_data(**ask)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "MetricDataResults" not in answer


def test_a_truncated_answer_announces_its_whole_length(clients, sandbox):
    sandbox.set_faults([{"kind": "truncate"}])
    status, head, body = raw_answer(sandbox, clients("sts"), "get_caller_identity")
    assert status == 200
    assert len(body) == int(head["Content-Length"]) // 2


def test_metric_data_may_leave_out_ids(sandbox, cloudwatch):
    """ "as much of the operation as possible is still executed" [BC]: an Id asked for need not come back."""
    a, b, c = [i.instance_id for i in sandbox.world.instances.values() if i.name.startswith("web-")][:3]
    ask = last_hours(a, b, c, hours=2)

    def ids():
        return [result["Id"] for result in cloudwatch.get_metric_data(**ask)["MetricDataResults"]]

    sandbox.set_faults([{"kind": "missing_ids", "instances": [b], "times": 1}])
    assert [ids(), ids()] == [["m0", "m2"], ["m0", "m1", "m2"]]
    sandbox.set_faults([{"kind": "missing_ids"}])
    assert ids() == []


def test_every_answer_says_what_time_it_is(clients, sandbox, refused):
    """boto gives the Date header as ResponseMetadata.HTTPHeaders['date']; errors carry it too."""
    ec2 = clients("ec2")
    sandbox.set_faults([{"kind": "throttle", "operation": "DescribeVpcs"}])
    answers = [
        ec2.describe_regions(),
        clients("cloudwatch").list_metrics(),
        clients("iam").list_roles(),
        refused("RequestLimitExceeded", ec2.describe_vpcs).response,
        refused("AuthFailure", clients("ec2", fleets.DISABLED_REGION).describe_instances).response,
    ]
    for answer in answers:
        assert abs(date_of(answer) - time.time()) < 5


@pytest.mark.parametrize("seconds", [900, -900])
def test_the_clock_of_the_answers_may_be_wrong(clients, sandbox, refused, seconds):
    sandbox.set_faults([{"kind": "throttle", "operation": "DescribeVpcs"}, {"kind": "clock", "seconds": seconds}])
    ec2 = clients("ec2")
    for answer in (ec2.describe_regions(), refused("RequestLimitExceeded", ec2.describe_vpcs).response):
        assert abs(date_of(answer) - time.time() - seconds) < 5


def test_credentials_may_expire_before_their_time(clients, sandbox, refused):
    """`RequestExpired` (clock or expired session) [API-err], ExpiredToken, ExpiredTokenException by protocol."""
    session = clients.assuming(account=fleets.MEMBER)
    sandbox.set_faults([{"kind": "expire_credentials", "times": 3}])
    clients("ec2").describe_regions()
    refused("RequestExpired", session("ec2").describe_regions)
    refused("ExpiredToken", session("sts").get_caller_identity)
    refused("ExpiredTokenException", session("cloudwatch").list_metrics)
    session("ec2").describe_regions()


def test_latency_delays_every_call(clients, sandbox):
    sandbox.set_faults([{"kind": "latency"}])
    ec2 = clients("ec2")
    began = time.monotonic()
    for _ in range(3):
        ec2.describe_regions()
    assert time.monotonic() - began >= 3 * 0.05


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
        ({"kind": "clock", "seconds": "late"}, r'rules\[0\]\.seconds: "late" is not a number$'),
        ({"kind": "latency", "seconds": -1}, r"rules\[0\]\.seconds: -1 is not a number of at least 0"),
        ({"kind": "throttle", "probability": 2}, r"rules\[0\]\.probability: 2 is not a number from 0 to 1"),
    ],
)
def test_a_rule_with_a_mistake_is_refused_in_a_sentence(sandbox, rule, sentence):
    with pytest.raises(Mistake, match=sentence):
        sandbox.set_faults([rule])
