"""What there is to ask, and what was asked."""

from datetime import timedelta

import pytest

from migration.domain.cost import Asked, ScopeLoad
from migration.models import Account, ApiDay
from migration.queries import cost
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
TODAY = NOW.date()


def test_the_load_counts_what_is_listed_what_owes_and_what_is_watched():
    account = factories.account()
    factories.scope(account, "a-1"), factories.scope(account, "b-1")
    factories.instance(account, "a-1")
    factories.instance(account, "a-1", instance_state="stopped")
    factories.instance(account, "a-1", http_endpoint="disabled")
    factories.instance(account, "a-1", operator_managed=True)
    factories.instance(account, "a-1", http_tokens="required", watch_until=NOW + timedelta(hours=30))
    factories.instance(account, "a-1", http_tokens="required", watch_until=NOW + timedelta(hours=10))
    factories.instance(account, "a-1", http_tokens="required", watch_until=NOW - timedelta(hours=1))
    factories.instance(account, "a-1", status="gone", gone_at=NOW)

    found = cost.loads(Account.objects.all(), now=NOW)

    assert sorted(found, key=lambda load: load.instances) == [
        ScopeLoad(),
        ScopeLoad(instances=7, owing=1, watched=2, watch_hours=40, watch_longest=30),
    ]


def test_what_is_not_collected_is_no_load():
    factories.scope(factories.account(), enabled=False)
    factories.scope(factories.account(enabled=False))

    assert cost.loads(Account.objects.all(), now=NOW) == []


def metered(scope, back, operation="GetMetricData", **fields):
    ApiDay.objects.create(scope=scope, day=TODAY - timedelta(days=back), operation=operation, **fields)


def test_what_was_asked_is_summed_by_operation_over_the_last_days():
    account = factories.account()
    one, two = factories.scope(account, "a-1"), factories.scope(account, "b-1", enabled=False)
    metered(one, 0, calls=2, throttled=1, metrics=900)
    metered(two, 29, calls=1, metrics=5)
    metered(one, 30, calls=99, metrics=99)
    metered(one, 1, "DescribeInstances", calls=4)

    found = cost.asked(Account.objects.all(), today=TODAY, days=30)

    assert sorted(found, key=lambda one: one.operation) == [
        Asked("DescribeInstances", 4, 0, 0),
        Asked("GetMetricData", 3, 1, 905),
    ]


def test_calls_for_accounts_one_may_not_see_are_left_out():
    mine, other = factories.account(), factories.account()
    metered(factories.scope(mine), 0, calls=1), metered(factories.scope(other), 0, calls=70)

    assert cost.asked(Account.objects.filter(pk=mine.pk), today=TODAY, days=30) == [Asked("GetMetricData", 1, 0, 0)]
