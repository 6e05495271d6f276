"""A grant over one account, or one part of the tree, shows nothing of the rest: 404, not 403."""

import pytest
from django.urls import reverse

from migration.enums import RequestState, Role
from tests import factories
from tests.views.conftest import request_of, run_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def narrow(client):
    """A person with a grant over `mine` only, and an account that is not theirs with a plan and a run."""
    mine, other = (
        factories.account(name="mine", ou_path="Root/A"),
        factories.account(name="sealed-vault", ou_path="Root/B"),
    )
    factories.instance(mine), factories.instance(other)
    author, decider = factories.user("author", Role.ENGINEER), factories.user("decider", Role.APPROVER)
    request = request_of(other, author, RequestState.APPROVED, decided_by=decider, decided_at=factories.NOW)
    person = factories.user("narrow", Role.ADMIN, account=mine)
    client.force_login(person)
    return client, other, request, run_of(request)


def test_objects_of_an_unseen_account_do_not_exist(narrow):
    client, other, request, run = narrow

    asked = [
        client.get(reverse("account", args=[other.account_id])),
        client.post(reverse("draft_plan", args=[other.account_id])),
        client.get(reverse("plan", args=[request.pk])),
        client.get(reverse("plan_json", args=[request.pk])),
        client.post(reverse("approve_plan", args=[request.pk]), {"version": 0}),
        client.get(reverse("run", args=[run.pk])),
        client.get(reverse("run_progress", args=[run.pk])),
        client.post(reverse("stop_run", args=[run.pk])),
        client.get(reverse("data_quality"), {"account": other.account_id}),
        client.get(reverse("role_probed", args=[other.account_id])),
    ]

    assert [answer.status_code for answer in asked] == [404] * len(asked)


@pytest.mark.parametrize("name", ["overview", "executive", "accounts", "approvals", "runs", "data_quality", "audit"])
def test_lists_and_sums_leave_unseen_accounts_out(narrow, name):
    client = narrow[0]

    assert "sealed-vault" not in client.get(reverse(name)).content.decode()


def test_a_role_over_one_account_does_not_act_on_another_that_is_visible(client):
    mine, other = factories.account(), factories.account()
    factories.instance(other)
    person = factories.user("two", Role.ENGINEER, account=mine)
    from migration.models import Grant

    Grant.objects.create(user=person, role=Role.VIEWER, account=other)
    client.force_login(person)

    answer = client.post(reverse("draft_plan", args=[other.account_id]))

    assert answer.status_code == 403
    assert "Planning enforcement needs the role Engineer for this account." in answer.content.decode()
