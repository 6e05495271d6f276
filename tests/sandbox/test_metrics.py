"""The two IMDS metrics and GetMetricData against domain.md 5.1 and 5.2."""

from __future__ import annotations

import time

import pytest

from sandbox.testing import start
from tests.sandbox.asking import DAY, HOUR, query, this_hour
from tests.sandbox.clients import Clients


@pytest.fixture
def held(sandbox):
    """Instances of the shared sandbox by name."""
    return {i.name: i for i in sandbox.world.instances.values() if i.name}


@pytest.fixture
def data(cloudwatch):
    """One series: `data(instance_id, days=1, ...)`, oldest first."""

    def data(instance_id, metric="MetadataNoToken", *, period=3600, stat="Sum", days=1.0, end=None):
        end = end or this_hour()
        answer = cloudwatch.get_metric_data(
            MetricDataQueries=[query(0, instance_id, metric, period, stat)],
            StartTime=end - days * DAY,
            EndTime=end,
            ScanBy="TimestampAscending",
        )
        return answer["MetricDataResults"][0]

    return data


def test_a_running_optional_instance_has_a_point_every_hour(data, held):
    """Running, optional, v1 calls: NoToken > 0, NoTokenRejected none [UG-cw; UG-trans]."""
    got = data(held["web-01"].instance_id)
    assert len(got["Values"]) == 24
    assert min(got["Values"]) > 0
    assert data(held["web-01"].instance_id, "MetadataNoTokenRejected")["Values"] == []


def test_a_required_instance_emits_only_rejections(data, held):
    """`required` -> only NoTokenRejected emits [UG-trans]."""
    v2 = held["v2-1"].instance_id
    assert data(v2)["Values"] == []
    assert min(data(v2, "MetadataNoTokenRejected")["Values"]) > 0


def test_the_history_of_an_enforced_instance_ends_where_rejections_begin(data, held):
    """Mutually exclusive per instance [UG-trans]."""
    v2 = held["v2-1"]
    enforced = v2.modes[1][0]
    calls, rejected = data(v2.instance_id, days=20), data(v2.instance_id, "MetadataNoTokenRejected", days=20)
    assert calls["Timestamps"][-1].timestamp() < enforced < rejected["Timestamps"][0].timestamp() + 3600
    assert len(calls["Values"]) + len(rejected["Values"]) in {20 * 24, 20 * 24 + 1}


def test_a_stopped_instance_has_no_points_after_its_stop(data, held):
    """Stopped / terminated: no activity, no points [(I)]."""
    assert data(held["stopped-1"].instance_id)["Values"] == []
    # One less when the hour has turned since the shared sandbox began.
    assert len(data(held["stopped-1"].instance_id, days=4)["Values"]) in {47, 48, 49}


def test_an_instance_without_imds_emits_nothing(data, held):
    """Endpoint disabled: nothing can be served [BC]."""
    off = held["off"].instance_id
    assert data(off)["Values"] == data(off, "MetadataNoTokenRejected")["Values"] == []


def test_enforcing_ends_one_series_and_begins_the_other(sandbox, ec2, data, held):
    """NoToken series ends after enforcement; the metric switches to NoTokenRejected [UG-trans]."""
    mine = held["switched-by-a-test"]
    ec2.modify_instance_metadata_options(InstanceId=mine.instance_id, HttpTokens="required")
    mine.modes[-1] = (mine.modes[-1][0] - 7200, "required")
    end = this_hour() + HOUR
    calls, rejected = data(mine.instance_id, end=end), data(mine.instance_id, "MetadataNoTokenRejected", end=end)
    assert calls["Timestamps"][-1] <= this_hour() - 2 * HOUR
    assert rejected["Timestamps"][0] >= this_hour() - 2 * HOUR


def test_a_zero_is_stored_and_may_be_left_out():
    """That zeros are really stored each period: (?) [domain 14.1]; the fleet says which."""
    fleet = {"settings": {"zero_fill": False}, "accounts": [{"id": "123456789012", "instances": [{"count": 1}]}]}
    with start(fleet) as running:
        client, instance = Clients(running)("cloudwatch"), next(iter(running.world.instances))
        ask = {"MetricDataQueries": [query(0, instance)], "StartTime": this_hour() - DAY, "EndTime": this_hour()}
        assert client.get_metric_data(**ask)["MetricDataResults"][0]["Values"] == []


def test_start_is_inclusive_and_end_exclusive(data, held):
    """StartTime inclusive, EndTime exclusive [BC]."""
    got = data(held["web-01"].instance_id)
    assert got["Timestamps"][0] == this_hour() - DAY
    assert got["Timestamps"][-1] == this_hour() - HOUR


@pytest.mark.parametrize(
    ("days", "period", "found"), [(40, 60, False), (40, 300, True), (70, 300, False), (70, 3600, True)]
)
def test_a_period_too_fine_for_its_age_gives_nothing_and_no_error(cloudwatch, held, days, period, found):
    """15-63 d: multiple of 300; > 63 d: multiple of 3600, else no points come back at all, no error [BC]."""
    end = this_hour() - days * DAY + HOUR
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=[query(0, held["web-01"].instance_id, period=period)], StartTime=end - HOUR, EndTime=end
    )
    assert bool(answer["MetricDataResults"][0]["Values"]) is found
    assert answer["MetricDataResults"][0]["StatusCode"] == "Complete"


def test_five_minute_points_sum_to_the_hour_and_hours_to_the_day(data, held):
    """5-minute points of basic monitoring, aggregated into the asked period [UG-mon]."""
    web = held["web-02"].instance_id
    hours, fives, day = data(web), data(web, period=300), data(web, period=86400)
    assert len(fives["Values"]) == 288
    assert sum(fives["Values"]) == sum(hours["Values"]) == day["Values"][0]
    assert data(web, stat="SampleCount")["Values"][0] == 12
    assert data(web, stat="Average")["Values"][0] == hours["Values"][0] / 12


def test_the_running_hour_has_only_what_has_happened(data, held):
    """Aggregates are stamped with the period start and may still change during the period [CW-con]."""
    web = held["web-03"].instance_id
    fives = data(web, period=300, days=0.25, end=this_hour() + 2 * HOUR)
    assert fives["Timestamps"][-1].timestamp() <= time.time()
    hours = data(web, days=0.25, end=this_hour() + 2 * HOUR)
    assert hours["Timestamps"][-1] == this_hour()


def test_the_past_does_not_change_between_two_reads(data, held):
    assert data(held["web-04"].instance_id, days=30) == {**data(held["web-04"].instance_id, days=30)}


@pytest.mark.parametrize(
    "bad",
    [
        [query(n, "i-12345678") for n in range(501)],
        [query(0, "i-12345678"), query(0, "i-87654321")],
        [{**query(0, "i-12345678"), "Id": "M0"}],
        [{**query(0, "i-12345678"), "Id": "i-12345678"}],
        [query(0, "i-12345678", period=90)],
    ],
    ids=["501 queries", "the same id twice", "an upper-case id", "an instance id as id", "a period of 90 s"],
)
def test_bad_queries_are_refused(any_aws, refused, bad):
    """At most 500 MetricDataQuery per call; `Id` must match [a-z][A-Za-z0-9_]*; Period a multiple of 60 [BC]."""
    now = this_hour()
    with pytest.raises(Exception, match="ValidationError"):
        any_aws("cloudwatch").get_metric_data(MetricDataQueries=bad, StartTime=now - HOUR, EndTime=now)


def test_a_wrong_unit_matches_nothing(cloudwatch, held):
    """Omit `Unit`, or a mismatch returns nothing [BC]."""
    ask = query(0, held["web-01"].instance_id)
    ask["MetricStat"]["Unit"] = "Seconds"
    answer = cloudwatch.get_metric_data(MetricDataQueries=[ask], StartTime=this_hour() - DAY, EndTime=this_hour())
    assert answer["MetricDataResults"][0]["Values"] == []


def test_a_page_holds_so_many_points_and_may_cut_a_series(cloudwatch, held):
    """<= 100,800 points per page (MaxDatapoints lowers it); PartialData + NextToken -> ask again [BC]."""
    instances = [held[f"web-0{n}"].instance_id for n in (1, 2, 3)]
    ask = {
        "MetricDataQueries": [query(n, i) for n, i in enumerate(instances)],
        "StartTime": this_hour() - DAY,
        "EndTime": this_hour(),
    }
    whole = {r["Id"]: r["Values"] for r in cloudwatch.get_metric_data(**ask)["MetricDataResults"]}
    pages: list[object] = []
    token: dict[str, str] = {}
    while not pages or token:
        page = cloudwatch.get_metric_data(**ask, MaxDatapoints=30, **token)
        pages.append([(r["Id"], len(r["Values"]), r["StatusCode"]) for r in page["MetricDataResults"]])
        for result in page["MetricDataResults"]:
            assert whole[result["Id"]][: len(result["Values"])] == result["Values"]
            whole[result["Id"]] = whole[result["Id"]][len(result["Values"]) :]
        token = {"NextToken": page["NextToken"]} if "NextToken" in page else {}
    assert pages == [
        [("m0", 24, "Complete"), ("m1", 6, "PartialData")],
        [("m1", 18, "Complete"), ("m2", 12, "PartialData")],
        [("m2", 12, "Complete")],
    ]
    assert not any(whole.values())


def test_newest_comes_first_unless_asked_otherwise(cloudwatch, held):
    ask = {
        "MetricDataQueries": [query(0, held["web-01"].instance_id)],
        "StartTime": this_hour() - DAY,
        "EndTime": this_hour(),
    }
    newest = cloudwatch.get_metric_data(**ask)["MetricDataResults"][0]
    oldest = cloudwatch.get_metric_data(**ask, ScanBy="TimestampAscending")["MetricDataResults"][0]
    assert newest["Values"] == oldest["Values"][::-1]
    assert newest["Timestamps"][0] > newest["Timestamps"][-1]


def test_labels_tell_the_metrics_apart(cloudwatch, held):
    a, b = held["web-01"].instance_id, held["web-02"].instance_id
    window = {"StartTime": this_hour() - HOUR, "EndTime": this_hour()}

    def labels(*queries):
        answer = cloudwatch.get_metric_data(MetricDataQueries=list(queries), **window)
        return [result["Label"] for result in answer["MetricDataResults"]]

    assert labels(query(0, a)) == ["MetadataNoToken"]
    assert labels(query(0, a), query(1, b)) == [a, b]
    assert labels(query(0, a, Label="${PROP('Dim.InstanceId')} calls")) == [f"{a} calls"]


def test_a_metric_exists_only_in_its_region(clients, held):
    """Metrics exist only in their Region [BC; CW-con]."""
    answer = clients("cloudwatch", "eu-west-1").get_metric_data(
        MetricDataQueries=[query(0, held["web-01"].instance_id)], StartTime=this_hour() - DAY, EndTime=this_hour()
    )
    assert answer["MetricDataResults"][0]["Values"] == []


def test_listed_are_metrics_with_a_point_in_two_weeks(cloudwatch, held):
    """ListMetrics omits metrics silent for two weeks; `RecentlyActive='PT3H'` [BC]."""

    def listed(**more):
        pages = cloudwatch.get_paginator("list_metrics").paginate(Namespace="AWS/EC2", **more)
        return {(m["MetricName"], m["Dimensions"][0]["Value"]) for page in pages for m in page["Metrics"]}

    stopped = ("MetadataNoToken", held["stopped-1"].instance_id)
    web = ("MetadataNoToken", held["web-01"].instance_id)
    assert {stopped, web} <= listed()
    assert web in listed(RecentlyActive="PT3H")
    assert stopped not in listed(RecentlyActive="PT3H")
    assert ("MetadataNoToken", held["off"].instance_id) not in listed()
