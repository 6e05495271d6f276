"""What the dead of the last days called, by the workload that launched them."""

from datetime import timedelta

import pytest

from migration.enums import Attribution, Status
from migration.queries import churn
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
TODAY = NOW.date()


def dead(account, *, calls: int = 0, days_ago: int = 2, **fields):
    fields.setdefault("gone_at", NOW - timedelta(days=days_ago))
    row = factories.instance(account, status=Status.GONE, **fields)
    factories.instance_day(row, TODAY - timedelta(days=days_ago), hours=[calls, *[0] * 23])
    return row


def found(account):
    return churn.workloads(account, today=TODAY, days=14)


def test_the_loudest_workload_comes_first_and_one_group_is_one_row():
    account = factories.account()
    dead(account, calls=3, asg_name="web", launch_template_id="lt-1", attributed_by=Attribution.TAGS)
    dead(account, calls=4, asg_name="web", launch_template_id="lt-2", attributed_by=Attribution.TAGS)
    dead(account, calls=90, asg_name="spot")
    factories.instance(account, asg_name="web")

    assert [(one.name, one.instances, one.calling, one.v1_calls, one.live) for one in found(account)] == [
        ("spot", 1, 1, 90, 0),
        ("web", 2, 2, 7, 1),
    ]


def test_quiet_ones_are_counted_and_not_called_callers():
    account = factories.account()
    dead(account, asg_name="web")

    (one,) = found(account)

    assert (one.instances, one.calling, one.v1_calls) == (1, 0, 0)


def test_without_a_group_the_template_names_them_then_the_image_then_nothing():
    account = factories.account()
    dead(account, launch_template_id="lt-1", image_id="ami-1", calls=3)
    dead(account, image_id="ami-2", calls=2)
    dead(account, calls=1)

    assert [(one.name, one.kind) for one in found(account)] == [
        ("lt-1", "Launch template"),
        ("ami-2", "AMI"),
        ("", ""),
    ]


def test_the_living_the_long_gone_and_other_accounts_are_left_out():
    account = factories.account()
    factories.instance_day(factories.instance(account, asg_name="web"), TODAY, hours=[5, *[0] * 23])
    dead(account, days_ago=20, calls=9, asg_name="old")
    dead(factories.account(), calls=9, asg_name="theirs")

    assert found(account) == []


def test_the_page_takes_two_queries_however_many_there_are(django_assert_num_queries):
    account = factories.account()
    for number in range(5):
        dead(account, calls=1, asg_name=f"web-{number}")

    with django_assert_num_queries(2):
        assert len(found(account)) == 5
