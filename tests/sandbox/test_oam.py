"""Cross-account observability against the service models of oam and cloudwatch, and domain.md 5.4."""

from __future__ import annotations

import re

import pytest

from sandbox.checks import Mistake
from sandbox.fleet.read import build
from sandbox.testing import start
from tests.sandbox import fleets
from tests.sandbox.asking import last_hours, query
from tests.sandbox.clients import Clients

MONITOR, LINKED, ELSEWHERE, UNLINKED = "111122223333", "444455556666", "555566667777", "666677778888"
BUSY = {"usage": {"profile": "steady", "calls_per_hour": 30}, "launched_days_ago": 50}
ACCOUNTS = [
    {"id": MONITOR, "regions": ["us-east-1", "eu-west-1"], "roles": fleets.ROLES, "instances": [{"count": 2, **BUSY}]},
    {"id": LINKED, "name": "payments", "instances": [{"count": 3, **BUSY}], "roles": fleets.ROLES},
    {"id": ELSEWHERE, "regions": ["eu-west-1"], "instances": [BUSY]},
    {"id": UNLINKED, "instances": [BUSY]},
]
FLEET = {"monitoring": {"account": MONITOR, "linked": [LINKED, ELSEWHERE]}, "accounts": ACCOUNTS}


@pytest.fixture(scope="module")
def clients():
    with start(FLEET) as running:
        yield Clients(running)


@pytest.fixture
def cloudwatch(clients):
    return clients("cloudwatch")


def instances(clients, account_id):
    return [i.instance_id for i in clients.running.world.instances.values() if i.account_id == account_id]


def sink(clients, region="us-east-1"):
    [one] = clients("oam", region).list_sinks()["Items"]
    return one["Arn"]


def links(clients, region="us-east-1", **more):
    pages = clients("oam", region).get_paginator("list_attached_links")
    return [link for page in pages.paginate(SinkIdentifier=sink(clients, region), **more) for link in page["Items"]]


def test_a_monitoring_account_has_one_sink_a_region(clients):
    """One sink per account per Region [CW-oam]."""
    [one] = clients("oam").list_sinks()["Items"]
    assert set(one) == {"Arn", "Id", "Name"}
    assert one["Arn"] == f"arn:aws:oam:us-east-1:{MONITOR}:sink/{one['Id']}"
    assert sink(clients, "eu-west-1") != one["Arn"]
    assert clients.assuming(account=LINKED)("oam").list_sinks()["Items"] == []


def test_a_link_names_its_source_account_in_its_arn(clients):
    """Label is what was given at creation; the link is the source account's resource [BC]."""
    [link] = links(clients)
    assert (link["Label"], link["ResourceTypes"]) == ("payments", ["AWS::CloudWatch::Metric"])
    assert re.fullmatch(
        rf"arn:aws:oam:us-east-1:{LINKED}:link/[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}", link["LinkArn"]
    )
    assert [one["LinkArn"].split(":")[4] for one in links(clients, "eu-west-1")] == [ELSEWHERE]


def test_a_sink_that_is_not_there_is_not_found(clients, refused):
    oam = clients("oam")
    refused("ResourceNotFoundException", oam.list_attached_links, SinkIdentifier=sink(clients, "eu-west-1"))
    member = clients.assuming(account=LINKED)("oam")
    refused("ResourceNotFoundException", member.list_attached_links, SinkIdentifier=sink(clients))


def test_links_come_in_pages_of_at_most_a_thousand(refused):
    """MaxResults 1 to 1000 [BC]."""
    many = [{"id": MONITOR}, *({"id": f"{700_000_000_000 + n}"} for n in range(1050))]
    with start({"monitoring": {"account": MONITOR, "linked": "all"}, "accounts": many}) as running:
        clients = Clients(running)
        assert len(links(clients)) == 1050
        oam = clients("oam")
        pages = oam.get_paginator("list_attached_links").paginate(
            SinkIdentifier=sink(clients), PaginationConfig={"PageSize": 600}
        )
        assert [len(page["Items"]) for page in pages] == [600, 450]
        refused("InvalidParameterException", oam.list_attached_links, SinkIdentifier=sink(clients), MaxResults=1001)


def test_one_call_reads_metrics_of_several_accounts(clients, cloudwatch):
    """In a monitoring account set MetricDataQuery.AccountId [BC]."""
    own, other = instances(clients, MONITOR)[0], instances(clients, LINKED)[0]
    ask = last_hours()
    ask["MetricDataQueries"] = [
        query(0, own),
        query(1, own, AccountId=MONITOR),
        query(2, other, AccountId=LINKED),
        query(3, other),
        query(4, own, AccountId=LINKED),
    ]
    results = cloudwatch.get_metric_data(**ask)["MetricDataResults"]
    assert [(r["StatusCode"], len(r["Values"])) for r in results] == [
        ("Complete", 24), ("Complete", 24), ("Complete", 24), ("Complete", 0), ("Complete", 0)
    ]  # fmt: skip
    direct = clients.assuming(account=LINKED)("cloudwatch").get_metric_data(**last_hours(other))
    assert direct["MetricDataResults"][0]["Values"] == results[2]["Values"]


def test_a_metric_of_an_account_without_a_link_is_forbidden(clients, cloudwatch):
    """StatusCode `Forbidden` came with cross-account reading; the rest of the call is answered [BC]."""
    own = instances(clients, MONITOR)[0]
    ask = last_hours()
    ask["MetricDataQueries"] = [
        query(0, own),
        query(1, instances(clients, UNLINKED)[0], AccountId=UNLINKED),
        query(2, instances(clients, ELSEWHERE)[0], AccountId=ELSEWHERE),
        query(3, own, AccountId="999999999999"),
    ]
    results = cloudwatch.get_metric_data(**ask)["MetricDataResults"]
    assert [(r["StatusCode"], len(r["Values"])) for r in results] == [
        ("Complete", 24), ("Forbidden", 0), ("Forbidden", 0), ("Forbidden", 0)
    ]  # fmt: skip
    assert results[1]["Messages"][0]["Code"] == "Forbidden"


def test_a_link_works_in_one_direction(clients):
    asking = clients.assuming(account=LINKED)("cloudwatch")
    ask = last_hours(instances(clients, MONITOR)[0], AccountId=MONITOR)
    assert asking.get_metric_data(**ask)["MetricDataResults"][0]["StatusCode"] == "Forbidden"


def test_points_before_the_link_may_be_out_of_reach():
    """Do not expect history from before the link [CW-oam; domain 14.12]."""
    monitoring = {"account": MONITOR, "linked": "all", "linked_days_ago": 2}
    with start({"monitoring": monitoring, "accounts": ACCOUNTS}) as running:
        clients = Clients(running)
        ask = last_hours(*instances(clients, LINKED)[:1], *instances(clients, MONITOR)[:1], hours=96)
        ask["MetricDataQueries"][0]["AccountId"] = LINKED
        results = clients("cloudwatch").get_metric_data(**ask)["MetricDataResults"]
        assert [len(r["Values"]) for r in results] == [48, 96]


def listed(client, **asked):
    pages = client.get_paginator("list_metrics").paginate(Namespace="AWS/EC2", **asked)
    return [
        (owner, metric["Dimensions"][0]["Value"])
        for page in pages
        for owner, metric in zip(page["OwningAccounts"], page["Metrics"], strict=True)
    ]


def test_metrics_are_listed_with_their_owners_one_to_one(clients, cloudwatch, refused):
    """OwningAccounts aligns 1:1 with Metrics; IncludeLinkedAccounts, OwningAccount [BC]."""
    own = [(MONITOR, i) for i in instances(clients, MONITOR)]
    linked = [(LINKED, i) for i in instances(clients, LINKED)]
    assert listed(cloudwatch, IncludeLinkedAccounts=True) == own + linked
    assert listed(cloudwatch, IncludeLinkedAccounts=True, OwningAccount=LINKED) == linked
    assert listed(cloudwatch, IncludeLinkedAccounts=True, OwningAccount=UNLINKED) == []
    refused("InvalidParameterCombination", cloudwatch.list_metrics, OwningAccount=LINKED)


def test_without_linked_accounts_only_own_metrics_are_listed(clients, cloudwatch):
    answer = cloudwatch.list_metrics(Namespace="AWS/EC2")
    assert [m["Dimensions"][0]["Value"] for m in answer["Metrics"]] == instances(clients, MONITOR)
    assert "OwningAccounts" not in answer
    member = clients.assuming(account=LINKED)("cloudwatch").list_metrics(IncludeLinkedAccounts=True)
    assert "OwningAccounts" not in member


def test_metrics_of_many_accounts_come_in_pages_of_five_hundred():
    many = [{"id": f"{700_000_000_000 + n}", "instances": [{"count": 130, **BUSY}]} for n in range(10)]
    with start({"monitoring": {"account": "700000000000", "linked": "all"}, "accounts": many}) as running:
        client = Clients(running)("cloudwatch")
        pages = list(client.get_paginator("list_metrics").paginate(Namespace="AWS/EC2", IncludeLinkedAccounts=True))
        assert [len(page["Metrics"]) for page in pages] == [500, 500, 300]
        assert {(o, m) for o, m in listed(client, IncludeLinkedAccounts=True)} == {
            (i.account_id, i.instance_id) for i in running.world.instances.values()
        }
        with pytest.raises(Exception, match="InvalidNextToken"):
            client.list_metrics(NextToken="nonsense")


@pytest.mark.parametrize(
    ("monitoring", "sentence"),
    [
        ({"linked": "all"}, r"monitoring\.account: is missing"),
        ({"account": "1", "linked": "all"}, r'monitoring\.account: "1" is not one of 111122223333'),
        (
            {"account": MONITOR, "linked": [MONITOR]},
            rf'monitoring\.linked: "{MONITOR}" is not another account of this fleet',
        ),
        ({"account": MONITOR, "linked": "some"}, r"monitoring\.linked: must be a list of texts"),
        (
            {"account": MONITOR, "linked": "all", "regions": ["eu-west-2"]},
            r'monitoring\.regions: "eu-west-2" is not a Region of the monitoring account: us-east-1, eu-west-1',
        ),
    ],
)
def test_a_mistake_is_one_sentence(monitoring, sentence):
    with pytest.raises(Mistake, match=sentence):
        build({"monitoring": monitoring, "accounts": ACCOUNTS})
