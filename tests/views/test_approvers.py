"""A plan's page counts who could approve it, and says when they are too few."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from migration.enums import RequestState, Role
from migration.models import Grant
from tests import factories
from tests.views.conftest import request_of
from tests.views.test_pages import text

pytestmark = pytest.mark.django_db

TOO_FEW = "Too few people may approve this."


@pytest.mark.parametrize(("approvers", "warned"), [(0, True), (1, True), (2, False)])
def test_a_plan_that_takes_more_approvers_than_there_are_says_so(approvers, warned):
    author = factories.user("author", Role.ADMIN)  # who has a hand in it
    for number in range(approvers):
        factories.user(f"approver-{number}", Role.APPROVER)
    elsewhere = factories.user("elsewhere")
    Grant.objects.create(user=elsewhere, role=Role.APPROVER, account=factories.account())
    account = factories.account()
    factories.instance(account)
    waiting = request_of(account, author, RequestState.REQUESTED, quorum=2)
    client = Client()
    client.force_login(author)

    page = text(client.get(reverse("plan", args=[waiting.pk])))

    assert (TOO_FEW in page) is warned
    words = {0: "0 approvers", 1: "1 approver"}
    told = f"It takes 2 approvals by others than its authors, and {words.get(approvers)} without a hand in it"
    assert (told in page) is warned


def test_who_looks_at_a_draft_does_not_count_as_its_approver(as_):
    account = factories.account()
    factories.instance(account)
    draft = request_of(account, factories.user("author", Role.ENGINEER), RequestState.DRAFT)

    seen = {name: TOO_FEW in text(as_(name).get(reverse("plan", args=[draft.pk]))) for name in ("engineer",)}
    User.objects.exclude(username__in=["author", "admin"]).update(is_active=False)
    seen["admin"] = TOO_FEW in text(as_("admin").get(reverse("plan", args=[draft.pk])))

    assert seen == {"engineer": False, "admin": True}


def test_a_plan_that_is_closed_no_longer_counts_approvers():
    author = factories.user("author", Role.ADMIN)
    account = factories.account()
    factories.instance(account)
    done = request_of(account, author, RequestState.WITHDRAWN, quorum=2)
    client = Client()
    client.force_login(author)

    assert TOO_FEW not in text(client.get(reverse("plan", args=[done.pk])))
