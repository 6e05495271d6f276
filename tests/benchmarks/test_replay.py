"""boto3, as it comes, reads the replay server rightly."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from django.utils import timezone

from benchmarks import recorded, replay
from benchmarks.installation import Server
from benchmarks.recorded import Fleet
from tests.benchmarks.conftest import FIRST, SECOND, Clients

END = timezone.now().replace(minute=0, second=0, microsecond=0)


def listed(client, size: int = 1000) -> list[dict]:
    pages = client.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": size})
    return [member for page in pages for held in page["Reservations"] for member in held["Instances"]]


def asked(*instance_ids: str, metric: str = recorded.V1) -> list[dict]:
    return [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/EC2",
                    "MetricName": metric,
                    "Dimensions": [{"Name": "InstanceId", "Value": instance_id}],
                },
                "Period": 3600,
                "Stat": "Sum",
            },
        }
        for number, instance_id in enumerate(instance_ids)
    ]


def hours(count: int) -> dict[str, datetime]:
    return {"StartTime": END - timedelta(hours=count), "EndTime": END}


# --- DescribeInstances ---------------------------------------------------------------------------------


def test_every_instance_of_the_callers_share_is_listed_once(clients: Clients):
    ids = {
        (account, region): [one["InstanceId"] for one in listed(clients("ec2", region, account))]
        for account in (FIRST, SECOND)
        for region in ("us-east-1", "eu-west-1")
    }

    assert [len(found) for found in ids.values()] == [152] * 4
    assert len({one for found in ids.values() for one in found}) == 608


def test_pages_are_as_large_as_was_asked_and_the_last_one_has_no_token(clients: Clients):
    ec2 = clients("ec2")
    sizes = []
    token: dict[str, str] = {}
    while True:
        page = ec2.describe_instances(MaxResults=60, **token)
        sizes.append(sum(len(held["Instances"]) for held in page["Reservations"]))
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}

    assert sizes == [60, 60, 32]


def test_a_region_or_an_account_without_instances_has_an_empty_page(clients: Clients):
    page = clients("ec2", "us-west-2").describe_instances()

    assert (page["Reservations"], "NextToken" in page) == ([], False)


def test_a_member_is_as_rich_as_ec2s(clients: Clients):
    members = listed(clients("ec2"))

    by_name = {one["Tags"][0]["Value"].partition("-")[0]: one for one in members[:4]}
    assert by_name.keys() == {"web", "batch", "db", "node"}
    for one in by_name.values():
        assert one["State"]["Name"] == "running"
        assert one["NetworkInterfaces"][0]["Attachment"]["AttachTime"] == one["LaunchTime"] < END
        assert one["BlockDeviceMappings"][0]["Ebs"]["VolumeId"].startswith(f"vol-{one['InstanceId'][2:]}")
        assert one["SecurityGroups"] == one["NetworkInterfaces"][0]["Groups"]
        assert len(one["Tags"]) >= 8
        assert one["MetadataOptions"]["State"] == "applied"
    assert by_name["batch"]["InstanceLifecycle"] == "spot"
    assert len(by_name["node"]["NetworkInterfaces"]) == 2
    assert by_name["web"]["PublicIpAddress"].startswith("10.")


def test_members_name_nothing_that_the_model_of_ec2_does_not_know(clients: Clients):
    """What the model does not know, boto3 drops without a word, and it would be no cost to the client."""
    shape = clients("ec2").meta.service_model.shape_for("Instance")
    members = [recorded._member(FIRST, "us-east-1", "", kind, "optional") for kind in recorded.KINDS]

    assert [name for member in members for name in unknown(member, shape)] == []


def unknown(told: dict, shape) -> list[str]:
    """Names of the recorded member that are no member of the shape, at any depth."""
    known = {one.serialization.get("name", name): one for name, one in shape.members.items()}
    found = [name for name in told if name not in known]
    for name, value in told.items():
        inner = known.get(name)
        if isinstance(value, dict) and inner is not None:
            found += unknown(value, inner)
        elif isinstance(value, list) and inner is not None:
            found += [one for item in value for one in unknown(item, inner.member)]
    return found


def test_the_asked_share_of_the_fleet_is_enforced(clients: Clients):
    tokens = Counter(
        one["MetadataOptions"]["HttpTokens"]
        for account in (FIRST, SECOND)
        for region in ("us-east-1", "eu-west-1")
        for one in listed(clients("ec2", region, account))
    )

    assert tokens == {"required": 248, "optional": 360}


def test_filters_are_refused_rather_than_ignored(clients: Clients):
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        clients("ec2").describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])


@pytest.mark.parametrize("size", [4, 1001])
def test_a_page_size_that_aws_refuses_is_refused(clients: Clients, size: int):
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        clients("ec2").describe_instances(MaxResults=size)


# --- GetMetricData -------------------------------------------------------------------------------------


def numbered(*, required: bool, caller: bool) -> str:
    """An instance of the first account's first Region with this setting, which calls v1 or does not."""
    fleet = Fleet(608, accounts=2, regions=2, usage="mixed", required_share=0.4)
    share = fleet.share(FIRST, "us-east-1")
    return next(
        recorded.instance_id(number)
        for number in share
        if (fleet.required(number), fleet.calls_v1(number)) == (required, caller)
    )


def test_a_caller_has_its_calls_at_their_hours_and_a_quiet_one_zeros(clients: Clients):
    queries = asked(numbered(required=False, caller=True), numbered(required=False, caller=False))
    answer = clients("cloudwatch").get_metric_data(MetricDataQueries=queries, ScanBy="TimestampAscending", **hours(30))

    caller, quiet = answer["MetricDataResults"]
    assert caller["Timestamps"] == quiet["Timestamps"] == [END - timedelta(hours=back) for back in range(30, 0, -1)]
    assert caller["Values"] == [10.0 + at.astimezone(UTC).hour for at in caller["Timestamps"]]
    assert quiet["Values"] == [0.0] * 30
    assert [one["StatusCode"] for one in answer["MetricDataResults"]] == ["Complete", "Complete"]
    assert "NextToken" not in answer


def test_the_newest_point_comes_first_unless_asked_otherwise(clients: Clients):
    queries = asked(numbered(required=False, caller=True))
    answer = clients("cloudwatch").get_metric_data(MetricDataQueries=queries, **hours(3))

    (one,) = answer["MetricDataResults"]
    assert one["Timestamps"] == [END - timedelta(hours=back) for back in (1, 2, 3)]
    assert one["Values"] == [10.0 + at.astimezone(UTC).hour for at in one["Timestamps"]]


def test_an_instance_has_only_the_metric_that_its_setting_counts(clients: Clients):
    required, optional = numbered(required=True, caller=True), numbered(required=False, caller=True)
    cloudwatch = clients("cloudwatch")
    points = {
        metric: [
            len(one["Values"])
            for one in cloudwatch.get_metric_data(
                MetricDataQueries=asked(required, optional, metric=metric), **hours(5)
            )["MetricDataResults"]
        ]
        for metric in (recorded.V1, recorded.REJECTED)
    }

    assert points == {recorded.V1: [0, 5], recorded.REJECTED: [5, 0]}


def test_what_is_elsewhere_or_nowhere_has_no_points(clients: Clients):
    here = numbered(required=False, caller=True)
    elsewhere = clients("cloudwatch", "eu-west-1").get_metric_data(MetricDataQueries=asked(here), **hours(5))
    nowhere = clients("cloudwatch").get_metric_data(MetricDataQueries=asked("i-0123456789abcdef0"), **hours(5))

    assert [answer["MetricDataResults"][0]["Values"] for answer in (elsewhere, nowhere)] == [[], []]


def test_what_is_cut_at_the_end_of_a_page_goes_on_where_it_was_cut(clients: Clients):
    ids = [one["InstanceId"] for one in listed(clients("ec2")) if one["MetadataOptions"]["HttpTokens"] == "optional"]
    pages = clients("cloudwatch").get_paginator("get_metric_data")
    sizes, statuses = [], []
    points: dict[str, list[datetime]] = {}
    for page in pages.paginate(
        MetricDataQueries=asked(*ids[:5]), MaxDatapoints=100, ScanBy="TimestampAscending", **hours(48)
    ):
        results = page["MetricDataResults"]
        sizes.append(sum(len(one["Values"]) for one in results))
        statuses.append([one["StatusCode"] for one in results])
        for one in results:
            points.setdefault(one["Id"], []).extend(one["Timestamps"])

    assert sizes == [100, 100, 40]
    assert statuses == [["Complete", "Complete", "PartialData"], ["Complete", "Complete", "PartialData"], ["Complete"]]
    assert list(points.values()) == [[END - timedelta(hours=back) for back in range(48, 0, -1)]] * 5


def test_a_page_has_100_800_points_at_the_most():
    server = replay.Replay(Fleet(500))
    token: dict[str, str] = {}
    sizes = []
    while True:
        answer = points_of(server, hours(1512), *map(recorded.instance_id, range(500)), **token)
        sizes.append(sum(len(one["Values"]) for one in answer["MetricDataResults"]))
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}

    assert sizes == [100_800] * 7 + [50_400]


def points_of(server: replay.Replay, window: dict[str, datetime], *instance_ids: str, **more: str) -> dict:
    given: dict = {"MetricDataQueries": asked(*instance_ids), "ScanBy": "TimestampAscending", **more}
    given |= {name: at.timestamp() for name, at in window.items()}
    return json.loads(server.answer(replay.Call("GetMetricData", FIRST, "us-east-1", given, json=True)))


def test_500_queries_are_the_most(clients: Clients):
    with pytest.raises(ClientError, match="501 queries"):
        clients("cloudwatch").get_metric_data(MetricDataQueries=asked(*["i-0123456789abcdef0"] * 501), **hours(1))


def test_only_what_was_recorded_has_points():
    first, end = (int(at.timestamp()) for at in hours(24).values())
    server = replay.Replay(Fleet(1), recorded.Span(first + 2 * 3600, end - 3600))

    answer = points_of(server, hours(24), recorded.instance_id(0))

    assert answer["MetricDataResults"][0]["Timestamps"] == list(range(first + 2 * 3600, end - 3600, 3600))
    assert server.told()["operations"]["GetMetricData"] == {
        "calls": 1,
        "first_pages": 1,
        "items": 21,
        "queries": 1,
        "windows": [{"start": first + 2 * 3600, "end": end - 3600, "queries": 1}],
    }


# --- the others ----------------------------------------------------------------------------------------


def test_list_metrics_names_each_instance_by_the_metric_it_has(clients: Clients):
    pages = clients("cloudwatch").get_paginator("list_metrics").paginate(Namespace="AWS/EC2")
    named = {one["Dimensions"][0]["Value"]: one["MetricName"] for page in pages for one in page["Metrics"]}
    tokens = {one["InstanceId"]: one["MetadataOptions"]["HttpTokens"] for one in listed(clients("ec2"))}

    assert named == {
        instance_id: recorded.REJECTED if told == "required" else recorded.V1 for instance_id, told in tokens.items()
    }


def test_list_metrics_has_500_a_page():
    server = replay.Replay(Fleet(1200))
    asked = [{"MetricName": recorded.V1} | more for more in ({}, {"NextToken": "500"}, {"NextToken": "1000"})]
    pages = [json.loads(server.answer(replay.Call("ListMetrics", FIRST, "us-east-1", one, json=True))) for one in asked]

    assert [(len(page["Metrics"]), page.get("NextToken")) for page in pages] == [
        (500, "500"),
        (500, "1000"),
        (200, None),
    ]


def test_an_account_is_entered_by_its_role_and_no_other(clients: Clients):
    assert clients("sts").get_caller_identity()["Account"] == FIRST
    assert clients("sts", account=SECOND).get_caller_identity()["Account"] == SECOND
    with pytest.raises(ClientError, match="AccessDenied"):
        clients("sts", account="999999999999")


def test_the_organization_lists_twenty_accounts_a_page():
    server = replay.Replay(Fleet(45, accounts=45))
    first = replay.Call("ListAccounts", FIRST, "us-east-1", {}, json=True)
    last = replay.Call("ListAccounts", FIRST, "us-east-1", {"NextToken": "40"}, json=True)

    assert (server.answer(first).count(b'"State":"ACTIVE"'), b"NextToken" in server.answer(first)) == (20, True)
    assert (server.answer(last).count(b'"State":"ACTIVE"'), b"NextToken" in server.answer(last)) == (5, False)


def test_the_remaining_reads_of_a_collector_are_answered(clients: Clients):
    organizations = clients("organizations")
    root = organizations.list_roots()["Roots"][0]["Id"]
    units = organizations.list_organizational_units_for_parent(ParentId=root)["OrganizationalUnits"]

    assert organizations.describe_organization()["Organization"]["MasterAccountId"] == FIRST
    assert [one["Name"] for one in units] == ["Workloads", "Platform"]
    assert organizations.list_organizational_units_for_parent(ParentId=units[0]["Id"])["OrganizationalUnits"] == []
    assert organizations.list_accounts()["Accounts"][1]["Paths"] == [f"o-replay/{root}/{units[0]['Id']}/{SECOND}/"]
    assert organizations.list_tags_for_resource(ResourceId=SECOND)["Tags"] == [{"Key": "Owner", "Value": "team-3334"}]
    assert [one["RegionName"] for one in clients("ec2").describe_regions()["Regions"]] == ["us-east-1", "eu-west-1"]
    assert clients("ec2").get_instance_metadata_defaults()["AccountLevel"]["HttpTokens"] == "optional"
    assert clients("autoscaling").describe_scaling_activities()["Activities"] == []


@pytest.mark.parametrize(
    ("service", "operation"), [("ec2", "describe_volumes"), ("organizations", "list_handshakes_for_organization")]
)
def test_what_is_not_recorded_is_refused_in_the_callers_protocol(clients: Clients, service: str, operation: str):
    with pytest.raises(ClientError) as refused:
        getattr(clients(service), operation)()

    assert refused.value.response["Error"]["Code"] == "InvalidAction"


def test_the_server_counts_what_was_asked_and_forgets_it_when_told(clients: Clients, mixed: Server):
    elsewhere = clients("ec2", "eu-west-1", SECOND)
    mixed.calls(forget=True)
    clients("sts").assume_role(RoleArn=f"arn:aws:iam::{SECOND}:role/any", RoleSessionName="test")
    listed(clients("ec2"), size=60)
    listed(elsewhere)
    counted = mixed.calls(forget=True)

    assert counted["operations"] == {
        "AssumeRole": {"calls": 1, "first_pages": 1, "items": 1},
        "DescribeInstances": {"calls": 4, "first_pages": 2, "items": 304},
    }
    assert counted["places"][f"{SECOND}/eu-west-1"] == {
        "DescribeInstances": {"calls": 1, "first_pages": 1, "items": 152}
    }
    assert mixed.calls()["operations"] == {}


def test_a_refused_call_is_not_counted_as_answered(clients: Clients, mixed: Server):
    with pytest.raises(ClientError):
        clients("ec2").describe_instances(MaxResults=1001)

    assert mixed.calls()["operations"] == {}


# --- the fleet -----------------------------------------------------------------------------------------


def test_the_shares_of_all_places_are_the_fleet():
    fleet = Fleet(100, accounts=3, regions=2)
    shares = [fleet.share(account, region) for account in fleet.account_ids for region in fleet.region_names]

    assert [len(one) for one in shares] == [17, 17, 17, 17, 16, 16]
    assert [number for one in shares for number in one] == list(range(100))


def test_an_instance_id_leads_back_to_its_number():
    assert [recorded.number_of(recorded.instance_id(number)) for number in (0, 1, 99_999)] == [0, 1, 99_999]
    assert [recorded.number_of(text) for text in ("", "i-zzz", "i-1234567890abcdef0")] == [None, None, None]
