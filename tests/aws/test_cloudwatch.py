"""GetMetricData as AWS answers it: split Ids, several pages, words for incomplete."""

from datetime import UTC, datetime, timedelta

import pytest

from migration.aws import cloudwatch
from migration.aws.sessions import Edge, Limits, Target
from migration.domain.facts import Ask
from migration.domain.metrics import REJECTED, V1

START = datetime(2026, 11, 1, tzinfo=UTC)
END = START + timedelta(days=1)
HOURS = [(START + timedelta(hours=hour)).timestamp() for hour in range(24)]


class Canned:
    """CloudWatch's answers from a list; it remembers what it was asked."""

    def __init__(self, *answers: dict) -> None:
        self.answers = list(answers)
        self.asked: list[dict] = []

    def ask(self, _target, _service, _region, _operation, **asked) -> dict:
        self.asked.append(asked)
        return self.answers.pop(0)


@pytest.fixture
def ask(monkeypatch):
    """Run `hourly` against canned answers; gives the series and what was asked."""

    def run(asks: list[Ask], *answers: dict):
        canned = Canned(*answers)
        edge = Edge(limits=Limits())
        monkeypatch.setattr(edge, "ask", canned.ask)
        series = cloudwatch.hourly(edge, Target("111122223333"), "us-east-1", asks=asks, start=START, end=END)
        return series, canned.asked

    return run


def known(series) -> dict[int, int]:
    """The hours that have a datapoint, by their place."""
    return {place: value for place, value in enumerate(series.hours) if value is not None}


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

    assert len(known(series[0])) == 24
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
    assert [len(known(one)) for one in series] == [24, 24]
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


def test_an_internal_error_is_a_gap_and_not_asked_again(ask):
    series, asked = ask(ONE, {"MetricDataResults": [result("m0", range(2), "InternalError")]})

    assert (series[0].complete, series[0].message, len(asked)) == (False, "InternalError", 1)


def test_an_id_that_does_not_come_back_is_asked_for_again(ask):
    series, asked = ask(ONE, {"MetricDataResults": []}, {"MetricDataResults": [result("m0", range(24))]})

    assert (series[0].complete, len(asked)) == (True, 2)


def test_an_id_that_never_comes_back_is_incomplete(ask):
    series, asked = ask(ONE, *[{"MetricDataResults": []}] * 3)

    assert (series[0].complete, series[0].message, known(series[0])) == (False, "Missing", {})
    assert len(asked) == 1 + cloudwatch.RETRIES


def test_what_the_first_answer_had_stays_where_the_second_has_nothing(ask):
    series, _ = ask(
        ONE,
        {"MetricDataResults": [result("m0", range(3), "PartialData")]},
        {"MetricDataResults": [result("m0", range(2, 24), value=5.0)]},
    )

    assert series[0].hours == [1, 1, *[5] * 22]


def test_a_result_nobody_asked_for_is_left_aside(ask):
    series, _ = ask(ONE, {"MetricDataResults": [result("m7", range(24)), result("m0", range(24))]})

    assert [one.complete for one in series] == [True]


def test_a_point_outside_the_window_is_left_aside(ask):
    told = result("m0", range(24))
    told["Timestamps"] = [*told["Timestamps"][:-1], END.timestamp()]

    series, _ = ask(ONE, {"MetricDataResults": [told]})

    assert series[0].hours[-1] is None


def test_the_call_says_how_many_datapoints_its_answer_may_hold(ask):
    _, asked = ask(
        [Ask("i-1", V1), Ask("i-2", V1)], {"MetricDataResults": [result("m0", range(1)), result("m1", range(1))]}
    )

    assert asked[0]["points"] == 48


def test_a_monitoring_account_is_told_whose_metric_it_is(ask):
    _, asked = ask([Ask("i-1", V1, "444455556666")], {"MetricDataResults": [result("m0", range(24))]})

    assert asked[0]["MetricDataQueries"][0]["AccountId"] == "444455556666"


def named(instance_id: str, *more: str) -> dict:
    return {"Dimensions": [{"Name": name, "Value": instance_id} for name in ("InstanceId", *more)]}


@pytest.fixture
def listed(monkeypatch):
    """`published_by_account` against canned answers of ListMetrics; gives the pages and what was asked."""

    def run(*answers: dict, **options):
        canned = Canned(*answers)
        edge = Edge(limits=Limits())
        monkeypatch.setattr(edge, "ask", canned.ask)
        return list(cloudwatch.published_by_account(edge, Target("111122223333"), "us-east-1", **options)), canned.asked

    return run


def test_who_published_is_told_by_the_account_that_owns_the_metric(listed):
    """OwningAccounts aligns one to one with Metrics, those that are left aside included (domain.md 5.3)."""
    pages, asked = listed(
        {
            "Metrics": [named("i-1"), named("i-2", "ImageId"), named("i-3"), named("i-4")],
            "OwningAccounts": ["444455556666", "555566667777", "555566667777", "444455556666"],
            "NextToken": "t",
        },
        {"Metrics": [named("i-5")], "OwningAccounts": ["444455556666"]},
    )

    assert pages == [{"444455556666": ["i-1", "i-4"], "555566667777": ["i-3"]}, {"444455556666": ["i-5"]}]
    assert [call["IncludeLinkedAccounts"] for call in asked] == [True, True]
    assert not any("OwningAccount" in call for call in asked)


def test_who_published_can_be_asked_of_one_account(listed):
    _, asked = listed({"Metrics": [], "OwningAccounts": []}, owner="444455556666")

    assert asked[0]["OwningAccount"] == "444455556666"


def test_where_no_owner_is_told_the_metrics_are_the_asking_accounts_own(listed):
    pages, _ = listed({"Metrics": [named("i-1")]})

    assert pages == [{"111122223333": ["i-1"]}]


def test_a_zero_is_a_point_and_a_missing_hour_is_none(ask):
    series, _ = ask(ONE, {"MetricDataResults": [result("m0", range(2), value=0.0)]})

    assert series[0].hours == [0, 0, *[None] * 22]


def test_queries_have_valid_ids_and_no_unit(ask):
    asks = [Ask(f"i-{number:017x}", REJECTED) for number in range(500)]

    _, asked = ask(asks, {"MetricDataResults": [result(f"m{number}", range(1)) for number in range(500)]})

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
