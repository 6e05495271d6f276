"""One instance on its page, and all of them, the most exposed first."""

from datetime import timedelta

import pytest
from django.urls import reverse

from migration.actions import workloads
from migration.enums import RegressionKind, Role, Standing, Status
from migration.models import OptionChange, Regression, Workload
from tests import factories
from tests.factories import NOW

TODAY = NOW.date()


@pytest.fixture
def shop(cast):
    account = factories.account(name="shop")
    factories.scope(account)
    return account


def page(client, row) -> str:
    answer = client.get(reverse("instance", args=[row.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def a_workload(account, **fields) -> Workload:
    told = {"kind": "asg", "name": "web", "standing": Standing.READY, "reason": "Quiet.", "judged_at": NOW}
    return Workload.objects.create(account=account, region="us-east-1", **told | fields)


def test_the_verdict_and_the_next_step_stand_first(shop, as_):
    row = factories.instance(shop, status=Status.IN_USE, status_reason="40 IMDSv1 calls in the window.")
    text = page(as_("viewer"), row)

    assert "40 IMDSv1 calls in the window." in text
    assert "Find what calls IMDSv1 and upgrade it" in text


def test_an_hour_without_a_datapoint_is_hatched_and_never_drawn_as_none(shop, as_):
    row = factories.instance(shop)
    factories.instance_day(row, TODAY - timedelta(days=1), hours=[None, 0, 7, *[0] * 21])
    text = page(as_("viewer"), row)

    assert 'class="hour hour-gap" title="19 November, 00:00 UTC: no datapoint, so not known"' in text
    assert 'class="hour hour-v0" title="19 November, 01:00 UTC: 0 IMDSv1 calls"' in text
    assert 'class="hour hour-v5" title="19 November, 02:00 UTC: 7 IMDSv1 calls"' in text
    assert "23 h" in text


def test_hours_before_the_launch_and_after_the_last_reading_are_not_missing(shop, as_):
    born = NOW - timedelta(days=1, hours=3)
    row = factories.instance(shop, first_launched_at=born, usage_until=NOW - timedelta(hours=2))
    factories.instance_day(row, TODAY, hours=[0] * 6 + [None] * 18)
    text = page(as_("viewer"), row)

    assert 'title="19 November, 05:00 UTC: not launched yet"' in text
    assert 'title="19 November, 06:00 UTC: no datapoint, so not known"' in text
    assert 'title="20 November, 06:00 UTC: no datapoint, so not known"' in text
    assert 'title="20 November, 07:00 UTC: not read yet"' in text


def test_the_history_says_whether_a_run_or_somebody_else_did_it(shop, as_):
    row, run = factories.instance(shop), factories.run(shop)
    ours = factories.change(run, row)
    told = {"instance": row, "since": NOW - timedelta(hours=6), "at": NOW}
    OptionChange.objects.create(option="HttpTokens", before="optional", after="required", change=ours, **told)
    OptionChange.objects.create(option="HttpEndpoint", before="enabled", after="disabled", **told)
    text = page(as_("viewer"), row)

    assert f"Run {run.pk}" in text
    assert "asked by author, approved by decider" in text
    assert "not imdsdash" in text


def test_siblings_are_those_of_the_same_group_and_region(shop, as_):
    row = factories.instance(shop, asg_name="web")
    a_workload(shop)
    factories.instance(shop, asg_name="web", name="sibling-one")
    factories.instance(shop, asg_name="web", name="far-away", region="eu-west-1")
    factories.instance(shop, asg_name="other", name="a-stranger")
    text = page(as_("viewer"), row)

    assert "sibling-one" in text
    assert "far-away" not in text
    assert "a-stranger" not in text


def test_hostile_names_and_tags_are_text(shop, as_):
    row = factories.instance(shop, name="<script>alert(1)</script>", tags={"<b>": "<img src=x>"}, asg_name="<i>")
    a_workload(shop, name="<i>")
    text = page(as_("viewer"), row)

    assert "<script>alert" not in text
    assert "<img src=x>" not in text
    assert "<i>" not in text


def test_an_instance_of_an_account_one_may_not_see_is_not_there(client, shop):
    other = factories.account()
    row = factories.instance(other)
    client.force_login(factories.user("local", Role.VIEWER, account=shop))

    assert client.get(reverse("instance", args=[row.pk])).status_code == 404


@pytest.mark.parametrize("rows", [1, 3])
def test_an_instance_costs_the_same_queries_whatever_its_siblings(shop, as_, django_assert_num_queries, rows):
    row = factories.instance(shop, asg_name="web")
    a_workload(shop)
    for _ in range(rows):
        factories.instance(shop, asg_name="web")
    client = as_("viewer")
    with django_assert_num_queries(INSTANCE):
        page(client, row)


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_costs_the_same_queries_for_one_row_and_for_three(shop, as_, django_assert_num_queries, rows):
    for _ in range(rows):
        factories.instance(shop)
    client = as_("viewer")
    with django_assert_num_queries(LIST):
        client.get(reverse("instances"))


INSTANCE, LIST = 17, 8


def test_the_most_exposed_stand_first_with_the_formula(shop, as_):
    factories.instance(shop, name="calm", risk=1)
    factories.instance(shop, name="exposed", risk=36, public=True)
    text = as_("viewer").get(reverse("instances")).content.decode()

    assert text.index("exposed") < text.index("calm")
    assert "x public address (4, without 1)" in text


def test_filters_narrow_the_list_and_a_wrong_one_is_none(shop, as_):
    factories.instance(shop, name="ready-one")
    factories.instance(shop, name="loud-one", status=Status.IN_USE)
    client = as_("viewer")

    assert "ready-one" not in client.get(reverse("instances"), {"status": "in_use"}).content.decode()
    assert "ready-one" in client.get(reverse("instances"), {"status": "nonsense", "order": "x"}).content.decode()
    assert "No instance matches" in client.get(reverse("instances"), {"q": "nothing"}).content.decode()


# --- the hop limit -------------------------------------------------------------------------------------


def test_an_engineer_chooses_the_hop_limit_of_the_workload(shop, as_):
    row, workload = factories.instance(shop, asg_name="web"), a_workload(shop)
    answer = as_("engineer").post(reverse("choose_hop_limit", args=[row.pk]), {"hop_limit": "2"}, follow=True)

    workload.refresh_from_db()
    assert workload.hop_limit == 2
    assert "set to 2 by the next plan" in answer.content.decode()


@pytest.mark.parametrize("limit", ["1", "64", "two"])
def test_a_hop_limit_that_makes_no_sense_is_refused(shop, as_, limit):
    row, workload = factories.instance(shop, asg_name="web"), a_workload(shop)
    answer = as_("engineer").post(reverse("choose_hop_limit", args=[row.pk]), {"hop_limit": limit}, follow=True)

    workload.refresh_from_db()
    assert workload.hop_limit is None
    assert "Nothing was saved" in answer.content.decode()


def test_one_that_stands_alone_has_nothing_to_choose_for(shop, as_):
    row = factories.instance(shop)
    answer = as_("engineer").post(reverse("choose_hop_limit", args=[row.pk]), {"hop_limit": "2"}, follow=True)

    assert "there is nothing to choose for" in answer.content.decode()


# --- accounts and overview -----------------------------------------------------------------------------


def test_the_account_says_where_it_stands_and_what_is_next(shop, as_):
    factories.instance(shop)
    workloads_there = a_workload(shop, reason="12 instances can be enforced now.")
    text = as_("viewer").get(reverse("account", args=[shop.account_id])).content.decode()

    assert "1 instance can be enforced now." in text
    assert "Plan the enforcement of 1 ready instance." in text
    assert workloads_there.reason in text
    assert "1 of 1 instance that allows IMDSv1 measured for 14 days" in text


def test_what_is_lost_again_stands_first_on_the_overview_and_goes_when_it_is_well(shop, as_):
    row = factories.instance(shop, status=Status.REGRESSED)
    lost = Regression.objects.create(
        account=shop,
        region="us-east-1",
        kind=RegressionKind.OPTIONAL_AGAIN,
        subject=row.instance_id,
        instance=row,
        sentence="web-1: Was required on 2026-09-01 and allows IMDSv1 again.",
        found_at=NOW,
        seen_at=NOW,
    )
    client = as_("viewer")
    text = client.get(reverse("overview")).content.decode()
    assert text.index("Lost again") < text.index("Share enforced")

    lost.resolved_at = NOW
    lost.save()
    assert "Lost again" not in client.get(reverse("overview")).content.decode()


def test_choices_are_kept_when_the_verdict_is_written_again(shop, cast):
    workload = a_workload(shop)
    workloads.choose_hop_limit(workload=workload, limit=3, by=cast["engineer"], now=NOW)
    workload.refresh_from_db()

    assert workload.hop_limit == 3
