"""What waivers cover now, and what the totals say of them."""

from datetime import timedelta

import pytest

from migration.enums import Role, Status
from migration.models import Account
from migration.queries import waivers
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
TODAY = NOW.date()


@pytest.fixture
def people():
    return {"by": factories.user("edith", Role.ENGINEER), "decided_by": factories.user("arjun", Role.APPROVER)}


def fleet():
    """Four that are there and one that is gone."""
    account = factories.account(name="shop")
    first = factories.instance(account, name="first", asg_name="web", tags={"Team": "a=b"}, status=Status.WAIVED)
    factories.instance(account, asg_name="web", tags={"Team": "a"}, status=Status.ENFORCED)
    factories.instance(account, "eu-west-1", asg_name="web", tags={"Owner": "a=b"})
    factories.instance(account, "eu-west-1", tags={"Team": "a=b"})
    factories.instance(account, asg_name="web", tags={"Team": "a=b"}, status=Status.GONE, gone_at=NOW)
    factories.instance(factories.account(), asg_name="web", tags={"Team": "a=b"})
    return account, first


REACH = {
    "a group": ({"kind": "asg", "target": "web"}, (3, 1)),
    "a group in one Region": ({"kind": "asg", "target": "web", "region": "eu-west-1"}, (1, 0)),
    "a tag with a sign in its value": ({"kind": "tag", "target": "Team=a=b"}, (2, 1)),
    "a tag that is no longer kept": ({"kind": "tag", "target": "Cost=a"}, (0, 0)),
    "an account": ({"kind": "account", "target": ""}, (4, 1)),
    "an account in one Region": ({"kind": "account", "target": "", "region": "us-east-1"}, (2, 1)),
    "an instance that is gone": ({"kind": "instance", "target": "i-0"}, (0, 0)),
}


@pytest.mark.parametrize(("fields", "reach"), REACH.values(), ids=REACH.keys())
def test_what_one_covers_now_is_counted(people, fields, reach):
    account, _ = fleet()
    one = factories.waiver(account, **people, **fields)

    found = waivers.reaches([one])[one.pk]

    assert (found.instances, found.waived) == reach


@pytest.mark.parametrize(("left", "holds"), {1: True, 0: True, -1: False}.items())
def test_one_holds_on_its_last_day_and_not_on_the_next_though_nobody_has_closed_it(people, left, holds):
    account, first = fleet()
    factories.waiver(account, **people, kind="account", expires_on=TODAY + timedelta(days=left))

    assert (waivers.waived(account.pk, first.region, TODAY).until(first) is not None) == holds


def test_the_waivers_of_a_scope_cost_one_query(people, django_assert_num_queries):
    account, first = fleet()
    for kind, target in (("account", ""), ("asg", "web"), ("tag", "Team=a=b"), ("instance", first.instance_id)):
        factories.waiver(account, **people, kind=kind, target=target)

    with django_assert_num_queries(1):
        found = waivers.waived(account.pk, first.region, TODAY).until(first)

    assert found.words.startswith("(this instance)")


def test_a_page_of_waivers_costs_two_queries(people, django_assert_num_queries):
    account, first = fleet()
    made = [factories.waiver(account, **people, kind="asg", target=f"group-{number}") for number in range(20)]
    made.append(factories.waiver(account, **people, target=first.instance_id))
    listed = list(waivers.visible(people["by"]).order_by("pk"))

    with django_assert_num_queries(2):
        rows = waivers.rows(listed, today=TODAY)

    assert (rows[-1].name, rows[-1].reach.instances, rows[-1].days_left) == ("first", 1, 90)


def test_nothing_listed_asks_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert waivers.rows([], today=TODAY) == []


def test_the_totals_say_until_when_since_when_and_how_often_renewed(people):
    account, other = factories.account(), factories.account()
    old = NOW - timedelta(days=100)
    first = factories.waiver(
        account, **people, kind="asg", target="web", state="ended", closed_at=NOW, requested_at=old, since=old
    )
    factories.waiver(account, **people, kind="asg", target="web", renews=first, renewals=1, since=old)
    factories.waiver(account, **people, kind="account", expires_on=TODAY + timedelta(days=5))
    factories.waiver(account, by=people["by"], kind="tag", target="Team=x")
    factories.waiver(other, **people, kind="account", expires_on=TODAY + timedelta(days=300))

    found = waivers.summary(Account.objects.filter(pk=account.pk), today=TODAY)

    assert found == waivers.Summary(2, TODAY + timedelta(days=5), TODAY + timedelta(days=90), old, 1)


def test_nothing_waived_is_nothing_to_say():
    assert waivers.summary(Account.objects.all(), today=TODAY) == waivers.Summary(0, None, None, None, 0)
