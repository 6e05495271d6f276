"""A stored `ready` is planned only while it is fresh."""

from datetime import timedelta

import pytest
from django.utils import timezone

from migration.actions import planning
from migration.domain.policy import Terms
from migration.enums import Status
from migration.queries.planning import candidates
from tests import factories

pytestmark = pytest.mark.django_db


def status_in_plan(**fields) -> Status:
    account = factories.account()
    factories.scope(account, enabled=fields.pop("enabled", True))
    factories.instance(account, **fields)
    return next(iter(candidates(account, now=timezone.now()))).status


def test_a_fresh_ready_is_ready():
    assert status_in_plan() is Status.READY


def test_a_ready_in_a_region_that_is_no_longer_collected_is_unknown():
    assert status_in_plan(enabled=False) is Status.UNKNOWN


def test_a_ready_that_was_not_renewed_for_two_days_is_unknown():
    assert status_in_plan(usage_until=timezone.now() - timedelta(days=2, hours=1)) is Status.UNKNOWN


def test_a_ready_without_any_answer_is_unknown():
    assert status_in_plan(usage_until=None) is Status.UNKNOWN


def test_a_grant_below_an_ou_is_exact_about_its_letters():
    from migration.enums import Role
    from migration.queries.access import visible_accounts

    factories.account(ou_path="Prod/Payments")
    mine = factories.account(ou_path="prod/payments")
    factories.account(ou_path="prod-2")
    person = factories.user("otto", Role.VIEWER, ou_path="prod")

    assert list(visible_accounts(person)) == [mine]


@pytest.mark.parametrize(("kind", "seconds"), [("enforce", 600), ("imds_off", 600), ("hop_limit", 0), ("rollback", 0)])
def test_only_what_may_break_software_waits_for_its_first_instance(kind, seconds):
    plan = {"kind": kind, "changes": [{"region": "us-east-1"}, {"region": "eu-west-1"}]}

    estimate = planning.with_estimate(plan, Terms(canary_minutes=10))["estimate"]

    assert estimate["seconds"] == seconds
