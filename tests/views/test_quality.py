"""The data quality page: what it names, in every state an installation can be in."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from migration.enums import GapKind, Outcome, Role, RoleState
from migration.models import Account, ApiDay, Grant, ScheduledRun
from migration.queries.health import DISPATCHER
from tests import factories
from tests.browser.seed import crowd
from tests.factories import NOW
from tests.views.test_pages import ESCAPED, HOSTILE, text

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def words(answer) -> str:
    """The page as it is read aloud: without tags, one space between two words."""
    inline = re.sub(r"</?(?:time|a|strong|code|small)\b[^>]*>", "", answer.content.decode())
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", inline)).split())


@pytest.fixture(autouse=True)
def _ticking(_clock, db):
    ScheduledRun.objects.create(job=DISPATCHER, window_start=NOW, started_at=NOW)


def page(as_, who: str = "viewer", **query: Any) -> str:
    return words(as_(who).get(reverse("data_quality"), query))


def shut(name: str = "legacy", **fields: Any) -> Account:
    fields.setdefault("role_message", "User: x is not authorized to perform: sts:AssumeRole")
    return factories.account(name=name, role_state=RoleState.DENIED, role_checked_at=NOW, **fields)


# --- the states of an installation ----------------------------------------------------------------------------


def test_nothing_connected_says_what_to_do(as_):
    assert "No account is connected. Add one with" in page(as_)


def test_a_first_collection_is_neither_a_success_nor_a_failure(as_):
    factories.scope(factories.account(), outcome=Outcome.NEVER, complete_at=None, inventory_at=None, usage_at=None)

    told = page(as_)

    assert "Nothing has been read yet, and nothing has failed." in told
    assert "0 of 1 account-Region" in told
    assert "Every account can be entered" not in told


def test_when_all_is_well_nothing_needs_anywords(as_):
    factories.scope(factories.account())

    told = page(as_)

    assert "Nothing. Every account can be entered, and no last pass left a gap." in told
    assert "100 % 1 of 1 account-Region" in told


def test_two_hundred_accounts_of_which_five_deny_and_two_hang_are_told_by_name(as_):
    ScheduledRun.objects.all().delete()
    bad = crowd(timezone.now())

    told = page(as_)
    needs = told[told.index("What needs you") : told.index("Complete, day by day")]

    assert "5 accounts cannot be entered" in needs
    assert "2 accounts cannot be entered" in needs
    assert re.findall(r"team-\d{3}\b(?= 6000)", needs) == [account.name for account in bad]
    assert "579 of 600 account-Regions" in told


def test_whole_but_old_is_not_called_well(as_):
    factories.scope(factories.account(), inventory_at=NOW - timedelta(days=2))

    told = page(as_)

    assert "Their last pass was whole, and it is too old" in told
    assert "Every account can be entered" not in told


# --- what needs somebody ----------------------------------------------------------------------------------------


def test_an_account_left_alone_tells_failures_next_try_and_awss_words(as_):
    retry = NOW + timedelta(minutes=42)
    factories.scope(
        shut(failures=5, retry_at=retry), outcome=Outcome.DENIED, inventory_at=NOW - timedelta(days=2), gap="denied"
    )

    told = page(as_)

    assert "AWS said: User: x is not authorized to perform: sts:AssumeRole" in told
    assert "5 failures in a row, tried just now" in told
    assert "left alone until 2026-11-20 09:42 UTC (in 42 min) · last read 2 d ago" in told


def test_a_gap_tells_its_reason_what_to_do_awss_words_and_the_next_try(as_):
    account = factories.account(name="payments")
    gap = {"outcome": Outcome.INCOMPLETE, "gap": GapKind.THROTTLED, "gap_message": "Rate exceeded", "throttled": 7}
    factories.scope(account, "eu-west-1", next_due_at=NOW + timedelta(minutes=14), **gap)

    told = page(as_)

    assert "Throttled 1 account-Region" in told
    assert "Others call this API much in the same account and Region." in told
    assert "AWS said: Rate exceeded payments eu-west-1 whole just now, next try in 14 min" in told
    assert "Throttled, last passes 7 answers" in told


def test_awss_words_are_text_and_nothing_else(as_):
    probe = {"at": NOW.isoformat(), "identity": HOSTILE, "checks": [{"operation": HOSTILE, "message": HOSTILE}]}
    account = shut(HOSTILE, role_message=HOSTILE, owner=HOSTILE, probe=probe)
    factories.scope(factories.account(name=HOSTILE), "eu-west-1", outcome=Outcome.DENIED, gap_message=HOSTILE)

    for query in ({}, {"account": account.account_id}):
        shown = as_("admin").get(reverse("data_quality"), query).content.decode()
        assert ("<script>alert" in shown, ESCAPED in shown) == (False, True)


# --- account by Region ------------------------------------------------------------------------------------------


def test_the_matrix_is_filtered_by_the_query_string_and_says_when_nothing_fits(as_):
    factories.scope(factories.account(name="fine"))
    factories.scope(factories.account(name="slow"), outcome=Outcome.INCOMPLETE, gap=GapKind.THROTTLED)

    def rows(**query: Any) -> str:
        return words(as_("viewer").get(reverse("data_quality"), query, headers=HTMX))

    assert [name in rows(show="throttled") for name in ("fine", "slow")] == [False, True]
    assert [name in rows(q="fin") for name in ("fine", "slow")] == [True, False]
    assert "Nothing fits all of these filters together." in rows(q="fine", show="throttled")
    assert [name in rows(show="nonsense") for name in ("fine", "slow")] == [True, True]


def test_the_matrix_comes_in_pages_of_accounts_that_keep_the_filter(as_, settings):
    settings.IMDSDASH_PAGE_SIZE = 2
    for _ in range(3):
        factories.scope(factories.account(), outcome=Outcome.INCOMPLETE, gap=GapKind.ERROR)

    shown = text(as_("viewer").get(reverse("data_quality"), {"show": "error"}))

    assert "Page 1 of 2" in shown
    assert 'href="?show=error&amp;page=2#matrix"' in shown


def test_htmx_gets_the_matrix_alone(as_):
    factories.scope(factories.account(name="fine"))

    shown = text(as_("viewer").get(reverse("data_quality"), headers=HTMX))

    assert shown.startswith('<section class="card-box flush" id="matrix"')
    assert "Cost and calls" not in shown


# --- one account ------------------------------------------------------------------------------------------------


def test_one_account_tells_every_region_with_awss_words(as_):
    account = factories.account(name="payments")
    gap = {"outcome": Outcome.INCOMPLETE, "gap": GapKind.PARTIAL, "gap_message": "3 series incomplete"}
    factories.scope(account, "eu-west-1", history_from=NOW.date() - timedelta(days=62), **gap)
    factories.scope(factories.account(name="other"), "ap-south-1")

    told = page(as_, account=account.account_id)

    assert "eu-west-1 Incomplete Partial data 3 series incomplete" in told
    assert "from 2026-09-19" in told
    assert ("other" in told, "ap-south-1" in told) == (False, False)


MONITORING = "999900000000"


@pytest.mark.parametrize(
    ("linked", "said"),
    [
        ({"linked_to": MONITORING, "linked_since": NOW - timedelta(days=3)}, True),
        ({"linked_to": MONITORING, "linked_since": NOW}, False),  # its own role has not read it since
        ({"linked_to": "999900000001", "linked_since": NOW - timedelta(days=3)}, False),
        ({}, False),
    ],
)
def test_usage_that_is_read_through_the_monitoring_account_says_so(as_, settings, linked, said):
    settings.IMDSDASH_MONITORING_ACCOUNT = MONITORING
    account = factories.account()
    factories.scope(account, **linked)

    assert ("read through the monitoring account" in page(as_, account=account.account_id)) is said


@pytest.mark.parametrize("wrong", ["123", "000000000000", "\x00", "'; drop table", "00000000000\u0661"])
def test_an_account_that_is_none_is_not_found(as_, wrong):
    factories.account()

    assert as_("viewer").get(reverse("data_quality"), {"account": wrong}).status_code == 404


@pytest.mark.parametrize("regions", [1, 3])
def test_one_account_costs_the_same_queries_for_one_region_and_for_three(client, django_assert_num_queries, regions):
    account = shut()
    for number in range(regions):
        factories.scope(account, f"eu-west-{number + 1}", outcome=Outcome.DENIED, gap="denied")
        factories.instance(account, f"eu-west-{number + 1}")
    client.force_login(factories.user("someone", Role.ENGINEER))

    with django_assert_num_queries(17):
        client.get(reverse("data_quality"), {"account": account.account_id})


# --- cost and calls -----------------------------------------------------------------------------------------------


def test_the_page_says_what_a_month_costs_how_many_calls_and_whose_price_it_is(as_, settings):
    settings.IMDSDASH_PRICE_PER_1000_METRICS = 0.02
    settings.IMDSDASH_PRICE_SOURCE = "our contract of 2026"
    account = factories.account()
    scope = factories.scope(account)
    for _ in range(20):
        factories.instance(account)
    ApiDay.objects.create(
        scope=scope, day=NOW.date(), operation="GetMetricData", calls=4, throttled=1, metrics=1_000_000
    )

    told = page(as_)

    assert "$0.01 for 30 days at the present fleet" in told
    assert "600 metrics requested \u00d7 $0.02 per 1,000: 600 to measure usage, 0 to watch what was enforced." in told
    assert "GetMetricData 1 throttled 30 4" in told
    assert "All calls 180 4 Metrics requested 600 1,000,000 Cost $0.01 $20.00" in told
    assert "Price: $0.02 per 1,000 metrics (our contract of 2026)." in told


def test_of_a_very_large_organisation_the_bill_comes_after_the_page_or_by_a_link(as_, monkeypatch):
    monkeypatch.setattr("migration.views.quality.LARGE", 0)
    factories.scope(factories.account())
    client, url = as_("viewer"), reverse("data_quality")

    first = text(client.get(url))
    later = text(client.get(url, headers=HTMX | {"HX-Target": "bill"}))
    linked = words(client.get(url, {"bill": "on"}))

    assert 'id="bill" aria-labelledby="bill-title" hx-get="/collection/" hx-trigger="load"' in first
    assert ("at the present fleet" in first, "at the present fleet" in linked) == (False, True)
    assert later.startswith('<section class="card-box" id="bill"')


# --- testing a role -------------------------------------------------------------------------------------------------


def test_a_test_of_a_role_comes_back_to_the_account_it_was_asked_for(as_):
    account = shut()
    client, query = as_("engineer"), {"show": "closed"}
    back = f"/collection/?show=closed#role-{account.account_id}"

    shown = client.get(reverse("data_quality"), query).content.decode()
    answer = client.post(reverse("test_role", args=[account.account_id]), {"next": back})

    assert (f'value="{back}"' in shown, f'id="role-{account.account_id}"' in shown, answer.url) == (True, True, back)


def test_a_role_over_one_account_has_no_button_for_another_that_is_visible(client):
    mine, other = shut("mine"), shut("other")
    person = factories.user("two", Role.ENGINEER, account=mine)
    Grant.objects.create(user=person, role=Role.VIEWER, account=other)
    client.force_login(person)

    shown = client.get(reverse("data_quality")).content.decode()

    assert [reverse("test_role", args=[one.account_id]) in shown for one in (mine, other)] == [True, False]


def test_who_may_not_test_is_told_once_and_has_no_button(as_):
    shut("one"), shut("two")

    told = page(as_, "viewer")

    assert (told.count("Testing a role needs the role Engineer."), "Test the role" in told) == (1, False)


def test_a_test_under_way_is_asked_after_and_the_asking_ends_itself(as_):
    account = shut(probe={"asked_at": NOW.isoformat()})
    client = as_("engineer")
    waiting, url = text(client.get(reverse("data_quality"))), reverse("role_probed", args=[account.account_id])

    quiet = client.get(url, headers=HTMX)
    checks = [
        {"action": "ec2:DescribeInstances", "ok": True, "message": ""},
        {"action": "cloudwatch:GetMetricData", "ok": False, "message": "not authorized"},
    ]
    Account.objects.update(probe={"at": NOW.isoformat(), "findings": checks})
    over = client.get(url, headers=HTMX)

    assert f'hx-get="{url}" hx-trigger="every 2s" hx-swap="innerHTML" data-poll' in waiting
    assert "; the answer appears here." in waiting
    assert 'type="button" disabled>Test the role</button>' in waiting
    assert (quiet.status_code, over.status_code) == (204, 286)
    assert "Tested just now: 1 of 2 calls refused." in words(over)
    assert "cloudwatch:GetMetricData refused not authorized" in words(over)


def test_a_test_that_nobody_takes_up_says_so_and_may_be_asked_again(as_):
    shut(probe={"asked_at": (NOW - timedelta(minutes=3)).isoformat()})

    told = page(as_, "engineer")

    assert "Asked 3 min ago and not answered: check that the workers run." in told
    assert 'type="submit">Test the role</button>' in text(as_("engineer").get(reverse("data_quality")))


def test_a_test_that_did_not_get_in_says_so(as_):
    shut(probe={"at": NOW.isoformat(), "findings": []})

    assert "Tested just now: it cannot be entered." in page(as_)


def test_a_test_that_found_nothing_wrong_says_what_follows(as_):
    findings = [{"action": "ec2:DescribeInstances", "ok": True, "message": ""}]
    probe = {"at": NOW.isoformat(), "identity": "arn:aws:sts::1:assumed-role/r/s", "regions": ["a"] * 3}
    account = factories.account(probe=probe | {"findings": findings})

    told = page(as_, account=account.account_id)

    assert "Tested just now: all 1 call allowed. The next pass reads the account." in told
    assert "As arn:aws:sts::1:assumed-role/r/s, 3 Regions" in told
