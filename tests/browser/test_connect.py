"""Connecting accounts in a real browser: the texts can be copied with script, and selected without."""

import pytest
from django.urls import reverse

from migration.enums import Role
from migration.models import Account
from tests import factories
from tests.browser.visitor import DESK, DESK_DARK, FINE, NARROWEST, PHONE_DARK, TABLET

OPEN_ALL = """document.querySelectorAll("main details").forEach((one) => {
  one.removeAttribute("name");
  one.open = true;
})"""
NO_CLIPBOARD = """Object.defineProperty(navigator, "clipboard", {value: undefined});
Document.prototype.execCommand = () => false;"""
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("look", [DESK, DESK_DARK, TABLET, PHONE_DARK, NARROWEST], ids=str)
def test_every_form_of_every_step_is_accessible_when_it_is_opened(visit, org, settings, look):
    settings.IMDSDASH_EXTERNAL_ID = "kT9w-a-long-and-random-text"
    visitor = visit(factories.user("anna", Role.ADMIN), look)

    for way in ("organization", "hand"):
        visitor.open(f"{reverse('connect')}?way={way}")
        visitor.page.evaluate(OPEN_ALL)

        assert visitor.findings(f"connect-{way}-opened") == FINE


def test_a_text_is_copied_with_one_click(visit, org):
    visitor = visit(org.engineer)
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.open(f"{reverse('connect')}?way=hand")

    visitor.page.get_by_role("button", name="Copy All of the list").click()
    visitor.page.locator("[data-copy=add-many]", has_text="Copied").wait_for()

    assert visitor.page.evaluate("navigator.clipboard.readText()") == "manage.py accounts add --file accounts.csv"
    assert visitor.complaints == []


def test_without_a_clipboard_the_text_is_selected_and_the_button_says_so(visit, org):
    visitor = visit(org.engineer)
    visitor.page.add_init_script(NO_CLIPBOARD)
    visitor.open(f"{reverse('connect')}?way=hand")

    visitor.page.locator("[data-copy=add-many]").click()
    visitor.page.locator("[data-copy=add-many]", has_text="Selected: press Ctrl+C").wait_for()

    assert visitor.page.evaluate("getSelection().toString()") == "manage.py accounts add --file accounts.csv"


def test_without_script_there_is_no_button_and_the_text_is_there(chromium, live_server, client, org):
    client.force_login(org.engineer)
    context = chromium.new_context(java_script_enabled=False)
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page = context.new_page()

    page.goto(f"{live_server.url}{reverse('connect')}?way=hand")

    assert page.get_by_role("button", name="Copy").count() == 0
    assert page.locator("#add-many").inner_text() == "manage.py accounts add --file accounts.csv"
    context.close()


def test_the_list_follows_a_test_that_was_asked_for(visit, org):
    visitor = visit(org.engineer)
    visitor.open(f"{reverse('connect')}?way=hand")
    account = org.accounts[2]

    visitor.page.get_by_role("button", name=f"Test the role of {account.name}").click()
    row = visitor.page.locator("#tests tr", has_text=account.name)
    row.locator("text=being tested").wait_for()
    probe = Account.objects.get(pk=account.pk).probe
    finding = {"action": "ec2:DescribeInstances", "ok": True, "message": ""}
    Account.objects.filter(pk=account.pk).update(
        probe=probe | {"at": probe["asked_at"], "findings": [finding], "identity": "arn:aws:sts::1:assumed-role/r/s"}
    )
    row.locator("text=1 of 1 granted").wait_for(timeout=8000)

    assert visitor.page.url.endswith("?way=hand#tests")
    visitor.asked.clear()
    visitor.page.wait_for_timeout(4500)
    assert visitor.asked == []
    assert visitor.complaints == []
