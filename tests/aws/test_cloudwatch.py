"""GetMetricData as AWS answers it: split Ids, several pages, words for incomplete."""

from datetime import UTC, datetime, timedelta

import pytest

from migration.aws import cloudwatch
from migration.aws.cloudwatch import REJECTED, V1, Ask
from migration.aws.sessions import Edge, Limits, Target

START = datetime(2026, 11, 1, tzinfo=UTC)
END = START + timedelta(days=1)
HOURS = [START + timedelta(hours=hour) for hour in range(24)]


class Canned:
    """A CloudWatch client that answers from a list and remembers what it was asked."""

    def __init__(self, *answers: dict) -> None:
        self.answers = list(answers)
        self.asked: list[dict] = []

    def get_metric_data(self, **asked) -> dict:
        self.asked.append(asked)
        return self.answers.pop(0)


@pytest.fixture
def ask(monkeypatch):
    """Run `hourly` against canned answers; gives the series and what was asked."""

    def run(asks: list[Ask], *answers: dict):
        client = Canned(*answers)
        monkeypatch.setattr(Edge, "client", lambda *_, **__: client)
        edge = Edge(limits=Limits())
        target = Target("111122223333")
        batches = list(cloudwatch.hourly(edge, target, "us-east-1", asks=asks, start=START, end=END))
        return [series for batch in batches for series in batch], client.asked

    return run


def result(name: str, hours: range, status: str = "Complete", value: float = 1.0) -> dict:
    return {
        "Id": name,
        "Timestamps": [HOURS[hour] for hour in hours],
        "Values": [value for _ in hours],
        "StatusCode": status,
    }


ONE = [Ask("i-1", V1)]


def test_parts_of_an_id_that_is_split_over_pages_are_merged(ask):
    series, asked = ask(
        ONE,
        {"MetricDataResults": [result("m0", range(10), "PartialData")], "NextToken": "t"},
        {"MetricDataResults": [result("m0", range(10, 24))]},
    )

    assert len(series[0].points) == 24
    assert series[0].complete
    assert [call.get("NextToken") for call in asked] == [None, "t"]


def test_an_empty_page_with_a_token_is_not_the_end(ask):
    series, _ = ask(ONE, {"MetricDataResults": [], "NextToken": "t"}, {"MetricDataResults": [result("m0", range(24))]})

    assert series[0].complete


def test_partial_data_after_the_last_page_is_asked_again_alone(ask):
    series, asked = ask(
        [Ask("i-1", V1), Ask("i-2", V1)],
        {"MetricDataResults": [result("m0", range(24)), result("m1", range(3), "PartialData")]},
        {"MetricDataResults": [result("m0", range(24))]},
    )

    assert [one.complete for one in series] == [True, True]
    assert [len(one.points) for one in series] == [24, 24]
    assert [len(call["MetricDataQueries"]) for call in asked] == [2, 1]


def test_partial_data_that_does_not_heal_stays_incomplete(ask):
    partial = {"MetricDataResults": [result("m0", range(3), "PartialData")]}

    series, asked = ask(ONE, *[partial] * 3)

    assert not series[0].complete
    assert len(asked) == 1 + cloudwatch.RETRIES


def test_forbidden_is_incomplete_and_not_asked_again(ask):
    series, asked = ask(ONE, {"MetricDataResults": [result("m0", range(0), "Forbidden")]})

    assert (series[0].complete, series[0].message) == (False, "Forbidden")
    assert len(asked) == 1


def test_an_id_that_never_comes_back_is_incomplete(ask):
    series, _ = ask(ONE, {"MetricDataResults": []})

    assert (series[0].complete, dict(series[0].points)) == (False, {})


def test_a_zero_is_a_point_and_a_missing_hour_is_none(ask):
    series, _ = ask(ONE, {"MetricDataResults": [result("m0", range(2), value=0.0)]})

    assert dict(series[0].points) == {HOURS[0]: 0.0, HOURS[1]: 0.0}


def test_a_call_takes_500_queries_with_valid_ids_and_no_unit(ask):
    asks = [Ask(f"i-{number:017x}", REJECTED) for number in range(501)]
    answers = [
        {"MetricDataResults": [result(f"m{number}", range(1)) for number in range(500)]},
        {"MetricDataResults": [result("m0", range(1))]},
    ]

    series, asked = ask(asks, *answers)

    assert [len(call["MetricDataQueries"]) for call in asked] == [500, 1]
    assert len(series) == 501
    query = asked[0]["MetricDataQueries"][7]
    assert query["Id"] == "m7"
    assert query["MetricStat"] == {
        "Metric": {
            "Namespace": "AWS/EC2",
            "MetricName": "MetadataNoTokenRejected",
            "Dimensions": [{"Name": "InstanceId", "Value": "i-00000000000000007"}],
        },
        "Period": 3600,
        "Stat": "Sum",
    }


def test_the_window_is_handed_over_half_open(ask):
    _, asked = ask(ONE, {"MetricDataResults": [result("m0", range(24))]})

    assert (asked[0]["StartTime"], asked[0]["EndTime"]) == (START, END)
