"""The page of launch sources, and the card of an account."""

from datetime import timedelta

import pytest
from django.urls import reverse

from migration.enums import LaunchAnswer, LaunchSourceKind, Role
from migration.models import Account
from migration.queries import launches
from migration.queries.launches import LaunchFilters
from tests import factories
from tests.factories import NOW
from tests.views.test_pages import body

pytestmark = pytest.mark.django_db
V1, FAILS, UNKNOWN, SAFE = LaunchAnswer.V1_ALLOWED, LaunchAnswer.FAILS, LaunchAnswer.UNKNOWN, LaunchAnswer.SAFE
URL = "/launch-sources/"


@pytest.fixture
def account():
    return factories.account(name="payments")


def names(**filters) -> list[str]:
    found = launches.matching(Account.objects.all(), LaunchFilters(**filters))
    return [row.name for row in found]


def test_the_worst_come_first_and_among_equals_those_that_launched_most(account):
    factories.launch_source(account, name="safe")
    factories.launch_source(account, name="kept", provider="Amazon EKS", answer_now=V1, severity=11)
    factories.launch_source(account, name="few", answer_now=V1, instances_30d=2)
    factories.launch_source(account, name="many", answer_now=V1, instances_30d=40)
    factories.launch_source(account, name="fails", answer_now=FAILS, severity=0)
    factories.launch_source(account, name="gone", answer_now=FAILS, severity=0, gone_at=NOW)

    assert names() == ["fails", "many", "few", "safe", "kept"]


def test_each_filter_finds_its_own(account):
    other = factories.account(name="search")
    factories.launch_source(account, name="web", answer_now=V1)
    factories.launch_source(other, name="tools", region="eu-west-1", kind=LaunchSourceKind.TEMPLATE, source_id="lt-77")
    factories.launch_source(other, name="maybe", answer_now=UNKNOWN, answer_enforced=UNKNOWN, severity=3)

    assert names(q="lt-77") == ["tools"]
    assert names(account="paym") == names(account=account.account_id) == ["web"]
    assert names(region="eu-west-1") == names(kind="launch_template") == names(answer="safe") == ["tools"]
    assert names(answer="v1_allowed") == names(answer="would_fail") == ["web"]
    assert names(answer="unknown") == ["maybe"]


def test_a_filter_that_is_none_filters_nothing(as_, account):
    factories.launch_source(account, name="web")

    page = as_("viewer").get(URL, {"kind": "nonsense", "answer": "x", "page": "99"})

    assert "web" in body(page)


def test_a_row_tells_what_it_is_now_and_under_enforcement_and_what_to_change(as_, account):
    factories.launch_source(
        account,
        name="web",
        version="$Latest = 7",
        answer_now=V1,
        decided="base",
        instances_30d=1234,
        instances_live=40,
        advice="Make a new version.",
        notes=["12 of 40 instances still run version 3 of web."],
        resolution=[factories.way("Version 7 ($Latest) of web", answer="v1_allowed")],
    )

    text = body(as_("viewer").get(URL))

    row = text[text.index("webAuto Scaling group") :]
    for words in (
        "Auto Scaling group, $Latest = 7",
        "payments us-east-1 Allows IMDSv1 decided by: EC2 base value",
        "Launch fails",
        "1,234",
        "40 living",
        "Make a new version.",
        "12 of 40 instances still run version 3 of web.",
        "Version 7 ($Latest) of web, ami-1: Allows IMDSv1; under enforcement: Launch fails.",
        "HttpTokensoptional template",
        "Hop limit2 account default",
        "Instance tagsnot known (account default not read)",
    ):
        assert words in row


def test_only_accounts_one_may_see_are_listed_and_counted(client):
    mine, theirs = factories.account(name="mine"), factories.account(name="theirs")
    factories.launch_source(mine, name="my-group")
    factories.launch_source(theirs, name="their-group", region="eu-west-1")
    scope = factories.scope(theirs)
    gap = {"kind": "AMIs", "gap": "denied", "message": "their words"}
    factories.launch_reading(scope, gaps=[gap])
    client.force_login(factories.user("someone", Role.VIEWER, account=mine))

    text = body(client.get(URL))

    assert ("my-group" in text, "1 source" in text) == (True, True)
    assert [word for word in ("their-group", "eu-west-1", "their words", "theirs") if word in text] == []


def test_what_could_not_be_read_is_told_in_awss_words(as_, account):
    gaps = [{"kind": "launch templates", "gap": "denied", "message": "UnauthorizedOperation: not allowed"}]
    factories.launch_reading(factories.scope(account, "eu-west-1"), gaps=gaps)
    factories.launch_reading(factories.scope(account, "us-east-1"))
    factories.scope(account, "us-west-2")

    text = body(as_("viewer").get(URL))

    assert "Not everything was read." in text
    assert "In 1 of 3 account-Regions launch sources have not been read yet." in text
    assert "In 1 of 3 account-Regions a kind could not be read." in text
    assert "launch templates: access denied in 1 account-Region, such as payments eu-west-1." in text
    assert "UnauthorizedOperation: not allowed" in text


def test_a_reading_that_failed_after_a_whole_one_is_told_too(account):
    factories.launch_reading(factories.scope(account), read_at=NOW - timedelta(hours=6), gaps=[])

    found = launches.readings(Account.objects.all())

    assert (found.scopes, found.whole, found.partly, found.never) == (1, 0, 1, 0)


def test_where_all_was_read_nothing_is_warned_of(as_, account):
    factories.launch_reading(factories.scope(account))

    text = body(as_("viewer").get(URL))

    assert "Not everything was read" not in text
    assert "No launch source yet" in text


def test_without_an_account_the_page_says_so_and_leads_on_who_may_connect_one(as_):
    told = [as_(name).get(URL).content.decode() for name in ("viewer", "engineer")]

    assert all("No account is connected" in page for page in told)
    assert ["Connect accounts" in page for page in told] == [False, True]


def test_htmx_gets_the_results_alone(as_, account):
    factories.launch_source(account, name="web")

    page = as_("viewer").get(URL, headers={"HX-Request": "true"})

    assert page.content.decode().strip().startswith('<section id="results"')
    assert "HX-Request" in page["Vary"]


def test_sources_that_a_service_keeps_are_counted_by_themselves(as_, account):
    factories.launch_source(account, name="web", answer_now=V1)
    factories.launch_source(account, name="eks", answer_now=V1, provider="Amazon EKS", severity=11)

    found = launches.counts(Account.objects.all())

    assert (found.ours, found.v1_allowed, found.would_fail, found.kept_by_services) == (1, 1, 1, 1)
    assert "kept by Amazon EKS" in body(as_("viewer").get(URL))


def test_answers_by_account_leave_out_what_services_keep_and_what_is_gone(account):
    other = factories.account()
    factories.launch_source(account, answer_now=V1)
    factories.launch_source(account, answer_now=V1, gone_at=NOW)
    factories.launch_source(account, answer_now=V1, provider="Amazon EKS")
    factories.launch_source(other)

    assert launches.answers_by_account(Account.objects.all()) == {account.pk: {V1: 1}, other.pk: {SAFE: 1}}


# --- the card of an account ---------------------------------------------------------------------------------


def test_an_account_tells_its_launches_and_leads_to_them(as_, account):
    for _ in range(3):
        factories.launch_source(account, answer_now=V1)
    factories.launch_source(account, answer_now=UNKNOWN, answer_enforced=UNKNOWN, severity=3)
    factories.launch_source(account)
    factories.launch_reading(factories.scope(account))

    page = as_("viewer").get(reverse("account", args=[account.account_id]))

    assert "5 sources: 3 allow IMDSv1, 3 would fail under enforcement, 1 not known." in body(page)
    assert f"/launch-sources/?account={account.account_id}&amp;answer=v1_allowed" in page.content.decode()


def test_an_account_whose_sources_are_not_read_does_not_say_that_there_are_none(as_, account):
    scope = factories.scope(account)
    url = reverse("account", args=[account.account_id])
    client = as_("viewer")
    assert "Not read yet in 1 of 1 Region." in body(client.get(url))

    factories.launch_reading(scope, gaps=[{"kind": "AMIs", "gap": "denied", "message": "UnauthorizedOperation"}])
    text = body(client.get(url))

    assert "Not everything was read in 1 of 1 Region." in text
    assert "AMIs: UnauthorizedOperation" in text
    assert "of its own was found" not in text


def test_an_account_that_was_read_whole_says_that_it_has_none(as_, account):
    factories.launch_reading(factories.scope(account))

    text = body(as_("viewer").get(reverse("account", args=[account.account_id])))

    assert "No launch template, group, launch configuration or Spot request of its own was found" in text
