"""Every page in a real browser: readable by everybody, nothing blocked by the policy, nothing asked of other hosts."""

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone

from migration.enums import ChangeState, Role, RunState
from migration.models import Account, Run
from tests import factories
from tests.browser.seed import HOSTILE, Organisation
from tests.browser.visitor import DESK, DESK_DARK, FINE, LAPTOP, NARROWEST, PHONE, PHONE_DARK, TABLET

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
ALL = [DESK, DESK_DARK, LAPTOP, TABLET, PHONE_DARK, NARROWEST]


def everywhere(org: Organisation) -> dict[str, str]:
    return {
        "overview": reverse("overview"),
        "executive": reverse("executive"),
        "accounts": reverse("accounts"),
        "account": reverse("account", args=[org.accounts[0].account_id]),
        "account-denied": reverse("account", args=[org.accounts[5].account_id]),
        "account-enforced": reverse("account", args=[org.accounts[4].account_id]),
        "instances": reverse("instances"),
        "instance": reverse("instance", args=[org.accounts[0].instances.filter(status="in_use")[0].pk]),
        "callers": reverse("callers"),
        "launch-sources": reverse("launch_sources"),
        "launch-sources-none": reverse("launch_sources") + "?q=nothing-has-this-name",
        "plan-waiting": reverse("plan", args=[org.waiting.pk]),
        "plan-approved": reverse("plan", args=[org.done.request_id]),
        "approvals": reverse("approvals"),
        "runs": reverse("runs"),
        "run": reverse("run", args=[org.running.pk]),
        "run-done": reverse("run", args=[org.done.pk]),
        "guardrails": f"{reverse('guardrails')}?kind=deny-launch&hop=2&role=ops/break-glass&tag=imds-exempt=true",
        "guardrails-undo": f"{reverse('guardrails')}?kind=cli-defaults&enforced=1",
        "data-quality": reverse("data_quality"),
        "data-quality-partial": f"{reverse('data_quality')}?account={org.accounts[2].account_id}",
        "data-quality-denied": f"{reverse('data_quality')}?account={org.accounts[5].account_id}",
        "audit": reverse("audit"),
        "not-found": "/nothing-here/",
    }


@pytest.mark.parametrize("look", ALL, ids=str)
def test_every_page_is_accessible_quiet_and_fits_its_window(visit, org, look):
    visitor = visit(org.approver, look)

    assert visitor.tour(everywhere(org)) == {}


@pytest.mark.parametrize("look", [DESK, PHONE_DARK], ids=str)
def test_an_empty_database_shows_what_to_do_next(visit, transactional_db, look):
    visitor = visit(factories.user("anna", Role.ADMIN), look)
    names = (
        "overview",
        "executive",
        "accounts",
        "launch_sources",
        "instances",
        "callers",
        "connect",
        "guardrails",
        "approvals",
        "runs",
        "data_quality",
        "audit",
    )

    assert visitor.tour({f"empty-{name}": reverse(name) for name in names}) == {}


@pytest.mark.parametrize("look", [DESK, DESK_DARK, PHONE_DARK], ids=str)
def test_signing_in_is_accessible(visit, look):
    visitor = visit(None, look)

    visitor.open(reverse("login"))

    assert visitor.findings("login") == FINE


@pytest.mark.parametrize("look", [DESK, PHONE_DARK], ids=str)
def test_what_an_engineer_can_press_is_accessible(visit, org, look):
    visitor = visit(org.engineer, look)
    pages = {
        "engineer-account": reverse("account", args=[org.accounts[1].account_id]),
        "engineer-draft": reverse("plan", args=[org.draft.pk]),
        "engineer-waiting": reverse("plan", args=[org.waiting.pk]),
        "engineer-accounts": reverse("accounts"),
        "connect-organization": reverse("connect"),
        "connect-hand": reverse("connect") + "?way=hand&central=nonsense",
        "connect-here": reverse("connect") + "?way=here&partition=aws-cn",
    }

    assert visitor.tour(pages) == {}


def test_the_menu_of_a_phone_opens_without_script_and_is_accessible(visit, org):
    visitor = visit(org.viewer, PHONE)
    visitor.open(reverse("approvals"))

    visitor.page.locator("summary", has_text="Menu").click()

    assert visitor.page.get_by_role("link", name="Executive").is_visible()
    assert visitor.findings("menu") == FINE


def test_the_share_button_of_plotly_is_absent(visit, org):
    visitor = visit(org.viewer)

    visitor.open(reverse("overview"))
    visitor.page.locator("[data-figure]").first.hover()

    assert visitor.page.locator(".modebar-btn, [data-title*='hare'], a[href*='plotly.com']").count() == 0
    assert visitor.page.locator("[data-figure] .bars path").count() > 50


def test_a_chart_speaks_for_those_who_do_not_see_it(visit, org):
    visitor = visit(org.viewer)

    visitor.open(reverse("overview"))
    figure = visitor.page.locator("#figure-calls")
    figure.locator("summary").click()

    assert figure.get_by_role("img").first.get_attribute("aria-label").startswith("IMDSv1 calls per day. ")
    assert figure.locator("tbody tr").count() == 60
    assert "not measured" in figure.locator("tbody").inner_text()


def test_the_executive_page_fits_one_screen_and_one_sheet(visit, org, pictures):
    visitor = visit(org.viewer, DESK_DARK)

    visitor.open(reverse("executive"))
    height = visitor.page.evaluate("document.documentElement.scrollHeight")
    sheet = visitor.page.pdf(
        path=pictures and pictures / "executive.pdf", prefer_css_page_size=True, print_background=True
    )

    assert height <= DESK.height
    assert sheet.count(b"/Type /Page\n") == 1


def test_what_aws_users_typed_never_becomes_markup(visit, org):
    Account.objects.filter(pk=org.accounts[0].pk).update(name=HOSTILE, owner=HOSTILE)
    visitor = visit(org.viewer)

    for name in ("overview", "executive", "accounts"):
        visitor.open(reverse(name))
        assert visitor.page.locator("a[href*='evil.example']").count() == 0
    visitor.open(reverse("account", args=[org.accounts[0].account_id]))

    assert visitor.page.locator("a[href*='evil.example']").count() == 0
    assert visitor.page.locator("h1").inner_text() == HOSTILE
    assert visitor.complaints == []


def test_filtering_instances_swaps_the_table_and_keeps_the_address(visit, org):
    visitor = visit(org.viewer)
    visitor.open(reverse("account", args=[org.accounts[0].account_id]))

    visitor.page.select_option("#i-status", "in_use")
    visitor.page.wait_for_url("**/*status=in_use*")
    visitor.page.locator("#instances", has_text="12 match").wait_for()

    assert set(visitor.page.locator("#instances tbody .status").all_inner_texts()) == {"In use"}
    visitor.page.go_back()
    visitor.page.locator("h1", has_text="payments-prod").wait_for()
    visitor.page.locator("#instances", has_text="79 shown").wait_for()
    assert visitor.complaints == []


def test_a_session_that_ends_while_a_run_is_watched_leads_to_the_sign_in_page(visit, org):
    visitor = visit(org.viewer)
    visitor.open(reverse("run", args=[org.running.pk]))

    Session.objects.all().delete()
    Run.objects.filter(pk=org.running.pk).update(state=RunState.PAUSED)
    visitor.page.get_by_role("heading", name="Sign in").wait_for(timeout=8000)

    assert visitor.page.url.endswith(f"/login/?next=/runs/{org.running.pk}/")


def test_polling_ends_itself_when_the_run_is_over(visit, org):
    visitor = visit(org.approver)
    visitor.open(reverse("run", args=[org.running.pk]))
    assert visitor.page.get_by_role("button", name="Stop the run").is_visible()

    in_flight = org.running.changes.filter(state__in=[ChangeState.CALLING, ChangeState.APPLIED])
    in_flight.update(state=ChangeState.VERIFIED, after={"HttpTokens": "required"})
    Run.objects.filter(pk=org.running.pk).update(state=RunState.DONE, finished_at=timezone.now())
    visitor.page.locator("#run-line", has_text="Done").wait_for(timeout=8000)
    visitor.asked.clear()
    visitor.page.wait_for_timeout(4500)

    assert visitor.asked == []
    assert visitor.page.get_by_role("button", name="Stop the run").count() == 0
    assert visitor.complaints == []


def test_the_theme_is_chosen_on_the_page_and_kept(visit, org):
    visitor = visit(org.viewer)
    visitor.open(reverse("accounts") + "?order=name")

    visitor.page.get_by_role("button", name="Dark").click()
    visitor.page.locator("html[data-bs-theme=dark]").wait_for(state="attached")

    assert visitor.page.url.endswith("/accounts/?order=name")
    assert visitor.page.get_by_role("button", name="Dark").get_attribute("aria-pressed") == "true"
