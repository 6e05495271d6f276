"""What the pages say, and what they never do."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from migration.enums import ChangeState, Outcome, RequestState, Role, RoleState, RunState, Status
from migration.models import Account, Run
from tests import factories
from tests.factories import NOW
from tests.views.conftest import change_of, request_of, run_of
from tests.views.test_permissions import MATRIX, address

pytestmark = pytest.mark.django_db
HOSTILE = '<script>alert("x")</script>&<b>'
ESCAPED = "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&lt;b&gt;"


def text(answer) -> str:
    return " ".join(answer.content.decode().split())


def body(answer) -> str:
    """The page's words: without tags, one space between them."""
    from django.utils.html import strip_tags

    return " ".join(strip_tags(answer.content.decode()).split())


# --- what a GET never does -------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, row in MATRIX.items() if row["GET"][-1] == 200])
def test_a_get_never_writes(world, as_, name):
    client, url = as_("admin"), address(name, world)

    with CaptureQueriesContext(connection) as seen:
        client.get(url)

    assert [one["sql"] for one in seen if not one["sql"].strip("( \n").upper().startswith("SELECT")] == []


def test_every_answer_carries_the_strict_policy(world, as_):
    client = as_("admin")

    for name in MATRIX:
        policy = client.get(address(name, world)).headers["Content-Security-Policy"]
        assert ("script-src 'self'" in policy, "unsafe" in policy) == (True, False)


def test_no_page_has_inline_style_or_script(world, as_):
    import re

    client = as_("admin")
    for name, row in MATRIX.items():
        if row["GET"][-1] == 200:
            page = client.get(address(name, world)).content.decode()
            assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", page) == []
            assert re.findall(r"<script(?![^>]*(?:src=|application/json))", page) == []


# --- queries: as many for three rows as for one -----------------------------------------------------


def _one_more(author, decider):
    account = factories.account(ou_path="Root/Prod")
    scope = factories.scope(account, outcome=Outcome.INCOMPLETE, gap_message="Rate exceeded")
    factories.scope_day(scope, NOW.date() - timedelta(days=1), v1_calls=5, instances_measured=1, instances_expected=1)
    factories.instance(account), factories.instance(account, status=Status.IN_USE)
    factories.launch_source(account, resolution=[factories.way()])
    factories.launch_reading(scope, gaps=[{"kind": "AMIs", "gap": "denied", "message": "UnauthorizedOperation"}])
    request_of(account, author, RequestState.DRAFT)
    request_of(account, author, RequestState.REQUESTED)
    done = request_of(account, author, RequestState.APPROVED, decided_by=decider, decided_at=NOW)
    change_of(run_of(done, RunState.PAUSED))


@pytest.mark.parametrize(
    ("name", "queries"),
    [
        ("overview", 28),
        ("executive", 15),
        ("accounts", 18),
        ("launch_sources", 15),
        ("approvals", 12),
        ("runs", 11),
        ("data_quality", 25),
        ("audit", 11),
    ],
)
@pytest.mark.parametrize("rows", [1, 3])
def test_a_list_costs_the_same_queries_for_one_row_and_for_three(
    client, django_assert_num_queries, name, queries, rows
):
    author, decider = factories.user("author", Role.ENGINEER), factories.user("decider", Role.APPROVER)
    for _ in range(rows):
        _one_more(author, decider)
    client.force_login(factories.user("someone", Role.APPROVER))

    with django_assert_num_queries(queries):
        client.get(reverse(name))


@pytest.mark.parametrize("rows", [1, 3])
def test_an_account_costs_the_same_queries_for_one_instance_and_for_three(client, django_assert_num_queries, rows):
    account = factories.account()
    for number in range(rows):
        factories.scope(account, f"eu-west-{number + 1}")
        factories.instance(account)
    client.force_login(factories.user("someone", Role.VIEWER))

    with django_assert_num_queries(38):
        client.get(reverse("account", args=[account.account_id]))


@pytest.mark.parametrize("rows", [1, 3])
def test_a_run_costs_the_same_queries_for_one_change_and_for_three(client, django_assert_num_queries, world, rows):
    for _ in range(rows):
        change_of(world.run)
    client.force_login(factories.user("someone", Role.VIEWER))

    with django_assert_num_queries(12):
        client.get(reverse("run", args=[world.run.pk]))


# --- hostile text, unknown values, denominators ------------------------------------------------------


def test_what_aws_users_typed_is_escaped_everywhere(world, as_):
    Account.objects.update(name=HOSTILE, owner=HOSTILE, role_message=HOSTILE, role_state=RoleState.DENIED)
    world.account.instances.update(name=HOSTILE, status_reason=HOSTILE, blockers=[HOSTILE], status=Status.IN_USE)
    world.account.scopes.update(outcome=Outcome.DENIED, gap_message=HOSTILE)
    hostile: dict[str, Any] = dict.fromkeys(("name", "version", "reason", "advice", "provider"), HOSTILE)
    factories.launch_source(world.account, resolution=[factories.way(HOSTILE)], notes=[HOSTILE], **hostile)
    gap = {"kind": "AMIs", "gap": "denied", "message": HOSTILE}
    factories.launch_reading(world.account.scopes.get(), gaps=[gap])
    client, shown = as_("admin"), 0

    for name, row in MATRIX.items():
        if row["GET"][-1] == 200 and name not in {"plan_json", "plan_text"}:  # no HTML
            page = client.get(address(name, world)).content.decode()
            assert "<script>alert" not in page
            shown += ESCAPED in page

    assert shown >= 7


def test_an_unmeasured_instance_is_not_called_quiet(as_):
    account = factories.account()
    factories.instance(account, status=Status.UNKNOWN, status_reason="Stopped.", v1_calls_window=None)

    page = text(as_("viewer").get(reverse("account", args=[account.account_id])))

    assert '<td data-label="v1 calls in window" class="n">not measured</td>' in page


def test_an_account_nobody_could_measure_shows_no_zero(as_):
    factories.scope(factories.account(name="dark", role_state=RoleState.DENIED), outcome=Outcome.DENIED)

    page = text(as_("viewer").get(reverse("accounts")))

    assert "IMDSv1 calls, last 30 days: not measured" in page
    assert "Access denied" in page
    assert "0 calls" not in page


@pytest.mark.parametrize("name", ["overview", "executive"])
def test_a_percentage_prints_its_denominator_and_what_is_not_in_it(as_, name):
    account = factories.account()
    factories.account(role_state=RoleState.DENIED)
    factories.scope(account)
    for status in (Status.ENFORCED, Status.IMDS_OFF, Status.READY, Status.UNKNOWN, Status.MANAGED, Status.GONE):
        factories.instance(account, status=status)

    page = body(as_("viewer").get(reverse(name)))

    assert "50 %" in page
    assert "2 of 4 instances" in page
    assert "1 of 2" in page  # accounts unreadable
    assert ("1 Managed by AWS" in page) or ("1 managed by AWS services" in page)


def test_nothing_to_divide_is_a_dash_not_a_hundred_percent(as_):
    account = factories.account()
    factories.instance(account, status=Status.MANAGED)

    page = body(as_("viewer").get(reverse("account", args=[account.account_id])))

    assert "\u2013 enforced, 0 of 0" in page
    assert "100 %" not in page


# --- empty states ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("overview", "No account is connected"),
        ("executive", "No instance has been collected yet"),
        ("accounts", "No account is connected"),
        ("approvals", "Nothing waits for your decision."),
        ("runs", "No run yet"),
        ("data_quality", "Nothing to collect yet"),
        ("audit", "Nothing has happened yet"),
    ],
)
def test_an_empty_page_says_what_to_do_next(as_, name, words):
    assert words in body(as_("admin").get(reverse(name)))


@pytest.mark.parametrize("name", ["accounts", "account"])
def test_filters_that_match_nothing_offer_to_be_cleared(world, as_, name):
    page = body(as_("viewer").get(address(name, world), {"q": "no such thing"}))

    assert "Nothing fits all of these filters together." in page
    assert "Clear the filters" in page


def test_a_denied_account_quotes_aws(as_):
    account = factories.account(role_state=RoleState.DENIED, role_message="User: x is not authorized")

    page = body(as_("viewer").get(reverse("account", args=[account.account_id])))

    assert "AWS said: User: x is not authorized" in page


# --- filters --------------------------------------------------------------------------------------


def test_instances_are_filtered_by_the_query_string(as_):
    account = factories.account()
    factories.scope(account, "eu-west-1")
    factories.instance(account, "eu-west-1", name="alpha", status=Status.IN_USE)
    factories.instance(account, "us-east-1", name="beta", status=Status.IN_USE)
    factories.instance(account, "eu-west-1", name="gamma")
    url = reverse("account", args=[account.account_id])

    page = body(as_("viewer").get(url, {"status": "in_use", "region": "eu-west-1"}))

    assert [name in page for name in ("alpha", "beta", "gamma")] == [True, False, False]


def test_htmx_gets_the_table_alone(as_):
    account = factories.account()
    factories.instance(account, name="alpha")

    page = text(as_("viewer").get(reverse("account", args=[account.account_id]), headers={"HX-Request": "true"}))

    assert page.startswith('<section class="card-box flush" id="instances"')
    assert "alpha" in page


def test_the_back_button_of_htmx_gets_the_whole_page_and_caches_keep_the_two_apart(world, as_):
    again = {"HX-Request": "true", "HX-History-Restore-Request": "true"}

    answer = as_("viewer").get(reverse("accounts"), headers=again)

    assert answer.content.decode().startswith("<!doctype html>")
    assert "HX-Request" in answer.headers["Vary"]


@pytest.mark.parametrize("wrong", [{"status": "nonsense"}, {"page": "x"}, {"page": "99"}, {"order": "'; drop"}])
def test_a_wrong_filter_is_no_filter(world, as_, wrong):
    assert as_("viewer").get(reverse("accounts"), wrong).status_code == 200


def test_instances_come_in_pages_that_keep_the_filter(as_, settings):
    settings.IMDSDASH_PAGE_SIZE = 2
    account = factories.account()
    for _ in range(3):
        factories.instance(account, status=Status.IN_USE)

    page = text(as_("viewer").get(reverse("account", args=[account.account_id]), {"status": "in_use"}))

    assert "Page 1 of 2" in page
    assert 'href="?status=in_use&amp;page=2#instances"' in page


# --- error pages, theme ----------------------------------------------------------------------


def test_an_unknown_address_has_the_house_style(as_):
    answer = as_("viewer").get("/no/such/page/")

    assert (answer.status_code, "There is nothing here" in answer.content.decode()) == (404, True)


def test_a_missing_role_is_told_in_a_sentence(as_, db):
    answer = as_("nobody").get(reverse("overview"))

    assert answer.status_code == 403
    assert "You have no role here yet. Ask an administrator of imdsdash to grant you one." in body(answer)


def test_a_form_without_a_token_is_refused_in_a_sentence(world, cast):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(cast["engineer"])

    answer = strict.post(reverse("draft_plan", args=[world.account.account_id]))

    assert (answer.status_code, "This form is too old to be trusted" in body(answer)) == (403, True)


def test_a_crash_has_a_page_that_says_nothing_was_half_done(world, as_, monkeypatch):
    client = as_("viewer")
    client.raise_request_exception = False
    monkeypatch.setattr("migration.views.runs.queries.visible", lambda _: 1 / 0)

    answer = client.get(reverse("runs"))

    assert answer.status_code == 500
    assert "Something broke on our side" in body(answer)
    assert "ZeroDivisionError" not in body(answer)


@pytest.mark.parametrize(
    ("sent", "kept"), [("dark", "dark"), ("light", "light"), ("auto", "auto"), ('"><script>', "auto")]
)
def test_the_theme_is_kept_in_a_cookie(as_, db, sent, kept):
    answer = as_("viewer").post(reverse("theme"), {"theme": sent, "next": "/accounts/?q=a"})

    assert (answer.url, answer.cookies["theme"].value) == ("/accounts/?q=a", kept)


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_the_theme_form_never_leads_to_another_site(as_, db, elsewhere):
    assert as_("viewer").post(reverse("theme"), {"theme": "dark", "next": elsewhere}).url == "/"


def test_the_server_draws_the_dark_theme_at_once(as_, db):
    client = as_("viewer")
    client.cookies["theme"] = "dark"

    assert 'data-theme="dark" data-bs-theme="dark"' in client.get(reverse("overview")).content.decode()


@pytest.mark.parametrize(("error_class", "offered"), [("unsettled", True), ("UnauthorizedOperation", False)])
def test_a_run_whose_only_call_lost_its_answer_can_be_put_back(as_, world, error_class, offered):
    Run.objects.filter(pk=world.run.pk).update(state=RunState.FAILED, finished_at=NOW)
    world.run.changes.update(state=ChangeState.FAILED, error_class=error_class, called_at=NOW)

    page = body(as_("engineer").get(reverse("run", args=[world.run.pk])))

    assert ("Plan to put it back" in page) == offered
