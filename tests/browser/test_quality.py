"""The data quality page in a real browser: a test of a role from click to answer, and every state of the data."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from migration.enums import Outcome, Role, ScopeState
from migration.models import Account, ScheduledRun, Scope
from tests import factories
from tests.browser.seed import REGIONS, Organisation, crowd
from tests.browser.visitor import DESK, DESK_DARK, FINE, PHONE_DARK, TABLET

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
OPEN_ALL = "document.querySelectorAll('main details').forEach((one) => { one.open = true; })"


def anna():
    return factories.user("anna", Role.ADMIN)


@pytest.mark.parametrize("look", [DESK, DESK_DARK, TABLET, PHONE_DARK], ids=str)
def test_two_hundred_accounts_of_which_seven_fail_fit_every_window(visit, transactional_db, look):
    bad = crowd(timezone.now())
    visitor = visit(anna(), look)

    visitor.open(reverse("data_quality"))
    visitor.page.evaluate(OPEN_ALL)

    assert visitor.page.locator(".closed-name a").all_inner_texts() == [account.name for account in bad]
    assert visitor.findings("quality-crowd") == FINE


@pytest.mark.parametrize("look", [DESK, PHONE_DARK], ids=str)
def test_when_all_is_well_the_page_is_calm(visit, transactional_db, look):
    crowd(timezone.now(), accounts=30, denied=0, hanging=0)
    visitor = visit(anna(), look)

    assert visitor.tour({"quality-fine": reverse("data_quality")}) == {}
    assert visitor.page.locator(".banners").count() == 0


@pytest.mark.parametrize("look", [DESK, PHONE_DARK], ids=str)
def test_a_first_collection_is_accessible(visit, transactional_db, look):
    account = factories.account(name="payments")
    unread = {"outcome": Outcome.NEVER, "complete_at": None, "inventory_at": None, "usage_until": None}
    lease = {"state": ScopeState.LEASED, "lease_expires_at": timezone.now() + timedelta(minutes=3)}
    for region in REGIONS:
        factories.scope(account, region, **unread, **lease)
    visitor = visit(anna(), look)

    assert visitor.tour({"quality-first": reverse("data_quality")}) == {}


@pytest.mark.parametrize("look", [DESK, DESK_DARK, PHONE_DARK], ids=str)
def test_every_banner_at_once_is_accessible(visit, transactional_db, look):
    now = timezone.now()
    crowd(now, accounts=30, denied=0, hanging=0)
    ScheduledRun.objects.update(started_at=now - timedelta(minutes=50))
    old = now - timedelta(days=2)
    Scope.objects.update(clock_skew=192.4, last_started_at=now, inventory_at=old, complete_at=old)
    visitor = visit(anna(), look)

    assert visitor.tour({"banner-quality": reverse("data_quality"), "banner-accounts": reverse("accounts")}) == {}
    assert visitor.page.locator(".banners .note").count() == 3


def test_a_role_is_tested_from_the_click_to_the_answer_without_leaving_the_page(visit, org):
    visitor = visit(org.engineer)
    visitor.open(reverse("data_quality"))
    row = visitor.page.locator(f"#role-{org.accounts[5].account_id}")

    row.get_by_role("button", name="Test the role").click()
    row.get_by_role("status").filter(has_text="the answer appears here").wait_for()
    assert row.get_by_role("button", name="Test the role").is_disabled()

    found = [{"action": "ec2:DescribeInstances", "ok": False, "message": "<b>not</b> authorized"}]
    Account.objects.filter(pk=org.accounts[5].pk).update(probe={"at": timezone.now().isoformat(), "findings": found})
    row.get_by_role("status").filter(has_text="1 of 1 call refused").wait_for(timeout=8000)
    visitor.asked.clear()
    visitor.page.wait_for_timeout(4500)
    row.locator("summary").click()

    assert visitor.asked == []
    assert "<b>not</b> authorized" in row.locator(".checks").inner_text()
    assert row.get_by_role("button", name="Test the role").is_enabled()
    assert visitor.findings("quality-tested") == FINE


def test_without_script_a_role_is_tested_and_a_reload_shows_the_answer(chromium, live_server, client, org):
    client.force_login(org.engineer)
    context = chromium.new_context(java_script_enabled=False)
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page = context.new_page()
    page.goto(f"{live_server.url}{reverse('data_quality')}")
    row = page.locator(f"#role-{org.accounts[5].account_id}")

    row.get_by_role("button", name="Test the role").click()
    waiting = row.locator(".test-line").inner_text()
    Account.objects.filter(pk=org.accounts[5].pk).update(probe={"at": timezone.now().isoformat(), "findings": []})
    page.reload()

    assert "the answer appears here" in waiting
    assert row.locator(".test-line").inner_text() == "Tested just now: it cannot be entered."
    context.close()


def test_filtering_swaps_the_matrix_and_keeps_the_address(visit, org: Organisation):
    visitor = visit(org.viewer)
    visitor.open(reverse("data_quality"))

    visitor.page.select_option("#m-show", "throttled")
    visitor.page.wait_for_url("**/*show=throttled*")
    visitor.page.locator("#matrix", has_text="1 account matches").wait_for()

    assert visitor.page.locator("#matrix tbody th a").all_inner_texts() == ["ml-research"]
    assert visitor.complaints == []


def test_the_bill_of_a_very_large_organisation_follows_by_itself(visit, org, monkeypatch):
    monkeypatch.setattr("migration.views.quality.LARGE", 0)
    visitor = visit(org.viewer)

    visitor.open(reverse("data_quality"))
    visitor.page.locator("#bill", has_text="at the present fleet").wait_for()

    assert visitor.complaints == []
