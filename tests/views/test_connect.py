"""Connecting accounts: what is filled in, who sees the ExternalId, and what the last tests said."""

from datetime import timedelta

import pytest
from django.urls import reverse

from migration.enums import AccountSource, Role, RoleState
from migration.models import Account, Grant
from migration.views import connect
from tests import factories
from tests.factories import NOW
from tests.views.test_pages import ESCAPED, HOSTILE, body, text

pytestmark = pytest.mark.django_db
SECRET = "kT9w-a-long-and-random-text"
CENTRAL = "arn:aws:sts::111122223333:assumed-role/imdsdash/worker"


@pytest.fixture(autouse=True)
def _external_id(settings):
    settings.IMDSDASH_EXTERNAL_ID = SECRET


def central(**probe) -> Account:
    """The account of the credentials, which is the organization's management account."""
    return factories.account(
        account_id="111122223333",
        name="central",
        management=True,
        source=AccountSource.AMBIENT,
        probe={"identity": CENTRAL, "discovery": {"organization": "o-kkkkkkkkkk", "at": NOW.isoformat()}} | probe,
    )


def page(client, **query) -> str:
    return text(client.get(reverse("connect"), query))


def test_the_texts_are_filled_with_what_the_accounts_tell(as_):
    central()

    said = page(as_("admin"), way="organization")

    assert "&quot;ParameterValue&quot;: &quot;arn:aws:iam::111122223333:role/imdsdash&quot;" in said
    assert "&quot;ParameterValue&quot;: &quot;o-kkkkkkkkkk&quot;" in said


@pytest.mark.parametrize(
    ("query", "there", "absent"),
    [
        (
            {"central": "arn:aws:iam::999988887777:role/x/other"},
            "arn:aws:iam::999988887777:role/x/other",
            "role/imdsdash&",
        ),
        ({"organization": "o-zzzzzzzzzz"}, "o-zzzzzzzzzz", "o-kkkkkkkkkk"),
        ({"partition": "aws-cn"}, "--regions cn-north-1", "111122223333:role/imdsdash&"),
    ],
)
def test_what_a_person_fills_in_takes_its_place(as_, query, there, absent):
    central()

    said = page(as_("admin"), way="organization", **query)

    assert there in said
    assert absent not in said


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"central": HOSTILE}, "That is not the ARN of a role"),
        ({"organization": HOSTILE}, "That is not the id of an organization"),
        ({"partition": HOSTILE}, "Connect accounts"),
        ({"way": HOSTILE}, "Connect accounts"),
    ],
)
def test_nonsense_is_refused_and_never_becomes_part_of_a_text(as_, query, why):
    said = page(as_("admin"), **({"way": "hand"} | query))

    assert why in said
    assert HOSTILE not in said
    assert said.count(ESCAPED) <= 1  # in the field it was typed into


def test_the_external_id_is_for_administrators_of_everything(as_, client):
    assert SECRET in page(as_("admin"), way="hand")
    said = page(as_("engineer"), way="hand")
    assert SECRET not in said
    assert "YOUR_EXTERNAL_ID" in said
    client.force_login(factories.user("narrow", Role.ADMIN, ou_path="Root/Prod"))
    assert SECRET not in page(client, way="hand")


def test_without_an_external_id_an_administrator_is_offered_a_fresh_one(as_, settings):
    settings.IMDSDASH_EXTERNAL_ID = ""

    first, second = page(as_("admin"), way="hand"), page(as_("admin"), way="hand")

    assert "IMDSDASH_EXTERNAL_ID=" in first
    assert first != second
    assert "IMDSDASH_EXTERNAL_ID=" not in page(as_("engineer"), way="hand")


def test_an_external_id_that_the_templates_refuse_is_told(as_, settings):
    settings.IMDSDASH_EXTERNAL_ID = "short"

    assert "fewer than 16 characters" in page(as_("engineer"), way="hand")


def test_the_usual_way_is_the_one_by_which_accounts_came(as_):
    assert "Allow the credentials to read" in page(as_("engineer"))
    by_hand = factories.account(reader_role_arn="arn:aws:iam::000000000001:role/imdsdash-reader")
    assert "Name the accounts to imdsdash" in page(as_("engineer"))
    Account.objects.filter(pk=by_hand.pk).update(source=AccountSource.ORGANIZATION)
    assert "Discover the accounts" in page(as_("engineer"))


def test_an_organization_that_cannot_be_read_is_told(as_):
    central(
        discovery={"organization": "o-kkkkkkkkkk", "at": NOW.isoformat(), "error": HOSTILE, "error_at": NOW.isoformat()}
    )

    said = page(as_("engineer"))

    assert "The organization could not be read" in said
    assert ESCAPED in said
    assert HOSTILE not in said


def finding(action: str, message: str = "") -> dict:
    return {"action": action, "ok": not message, "message": message}


def test_what_the_last_test_said_is_told_with_what_is_missing(as_):
    factories.account(
        name="payments",
        probe={
            "at": (NOW - timedelta(minutes=5)).isoformat(),
            "identity": "arn:aws:sts::1:assumed-role/imdsdash-reader/x",
            "regions": ["eu-west-1", "us-east-1"],
            "region": "eu-west-1",
            "findings": [finding("ec2:DescribeInstances"), finding("cloudwatch:ListMetrics", HOSTILE)],
        },
    )

    answer = as_("engineer").get(reverse("connect"))

    assert "1 of 2 granted in eu-west-1" in body(answer)
    assert "5 min ago" in body(answer)
    assert ESCAPED in text(answer)
    assert HOSTILE not in text(answer)


def test_accounts_that_cannot_be_entered_come_first(as_):
    factories.account(name="a-fine")
    factories.account(name="b-never", role_state=RoleState.UNTESTED)
    factories.account(name="c-denied", role_state=RoleState.DENIED, role_message="AccessDenied: no", management=True,
                      reader_role_arn="arn:aws:iam::000000000003:role/imdsdash-reader")  # fmt: skip
    factories.account(name="d-left", role_state=RoleState.DENIED, enabled=False, state="LEFT")

    said = body(as_("engineer").get(reverse("connect")))

    places = [said.index(name) for name in ("c-denied", "b-never", "a-fine", "d-left")]
    assert places == sorted(places)
    assert "StackSets do not reach the management account: give it roles.yaml as a plain stack." in said
    assert "Not looked after: LEFT" in said


def test_a_test_is_asked_for_and_waited_for(as_, monkeypatch):
    account, sent = factories.account(name="payments"), []
    monkeypatch.setattr(connect, "nudge", lambda task, *ids: sent.append((task.name, ids)))
    client = as_("engineer")

    answer = client.post(reverse("test_role", args=[account.account_id]), {"next": "/accounts/connect/?way=hand#tests"})

    assert answer.url == "/accounts/connect/?way=hand#tests"
    assert sent == [("migration.tasks.probe.probe_account", (account.pk,))]
    said = page(client)
    assert 'hx-trigger="every 2s"' in said
    assert "being tested" in said


@pytest.mark.parametrize("answered", [False, True])
def test_nobody_waits_for_a_test_that_has_answered_or_will_not(as_, answered):
    asked = NOW - timedelta(seconds=30 if answered else 100)
    probe = {"asked_at": asked.isoformat()} | ({"at": NOW.isoformat(), "findings": []} if answered else {})
    factories.account(name="payments", probe=probe)

    said = page(as_("engineer"))

    assert "hx-trigger" not in said
    assert "being tested" not in said


def test_an_account_of_others_cannot_be_tested(client):
    mine, other = factories.account(name="mine"), factories.account(name="other")
    client.force_login(factories.user("narrow", Role.ENGINEER, account=mine))

    assert client.post(reverse("test_role", args=[other.account_id])).status_code == 404
    assert Account.objects.get(pk=other.pk).probe == {}
    assert other.account_id not in text(client.get(reverse("connect"), {"way": "here"}))


def test_an_account_that_may_only_be_seen_cannot_be_tested(client):
    mine, other = factories.account(name="mine"), factories.account(name="other")
    person = factories.user("narrow", Role.ENGINEER, account=mine)
    Grant.objects.create(user=person, role=Role.VIEWER, account=other)
    client.force_login(person)

    assert client.post(reverse("test_role", args=[other.account_id])).status_code == 403
    said = page(client)
    assert reverse("test_role", args=[mine.account_id]) in said
    assert reverse("test_role", args=[other.account_id]) not in said


def test_htmx_gets_the_list_alone(as_):
    answer = as_("engineer").get(reverse("connect"), headers={"HX-Request": "true"})

    assert text(answer).startswith('<section id="tests"')


def test_the_way_there_is_shown_to_those_who_may_go(as_, client):
    for name in ("accounts", "overview"):
        assert reverse("connect") in text(as_("engineer").get(reverse(name)))
        assert reverse("connect") not in text(as_("viewer").get(reverse(name)))
    factories.account()
    assert reverse("connect") in text(as_("engineer").get(reverse("accounts")))


@pytest.mark.parametrize("rows", [1, 3])
def test_the_page_costs_the_same_queries_for_one_account_and_for_three(as_, django_assert_num_queries, rows):
    client = as_("engineer")
    for _ in range(rows):
        factories.account()

    with django_assert_num_queries(13):
        client.get(reverse("connect"))
