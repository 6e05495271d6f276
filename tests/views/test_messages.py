"""The card of the Data quality page that says whether anybody is told of anything."""

from datetime import timedelta

import pytest
from django.urls import reverse

from migration.enums import NotificationState, Role
from migration.models import Notification
from migration.tasks import notification
from tests import factories
from tests.factories import NOW
from tests.views.test_pages import body, text
from tests.views.test_quality import words

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _account():
    factories.scope(factories.account())


def message(key, state, **fields):
    fields.setdefault("channel", "mail")
    fields.setdefault("sent_at", NOW - timedelta(minutes=12) if state == NotificationState.SENT else None)
    return Notification.objects.create(
        key=key, kind="test", subject=f"subject of {key}", state=state, created_at=NOW, **fields
    )


def card(client):
    return words(client.get(reverse("data_quality"))).partition("Messages mail, Slack, webhook")[2]


def test_without_a_channel_the_page_says_so(as_):
    assert "Nobody is told of anything: no channel is configured." in card(as_("viewer"))


def test_each_channel_says_what_was_sent_and_what_waits(as_, settings):
    settings.IMDSDASH_MAIL_TO, settings.IMDSDASH_SLACK_WEBHOOK_URL = ["a@example.com"], "https://hooks.example.com/x"
    message("one", NotificationState.SENT)
    message("two", NotificationState.PENDING)
    message("three", NotificationState.PENDING, error="The mail server answered 451.")

    told = card(as_("viewer"))

    assert "Mail failing 2 waiting, last sent 12 min ago" in told
    assert "Slack nothing sent yet" in told


def test_what_was_given_up_says_why_and_an_engineer_may_send_it_again(as_, settings, monkeypatch):
    woken = []
    monkeypatch.setattr("migration.views.quality.wake", lambda: woken.append(1))
    settings.IMDSDASH_MAIL_TO = ["a@example.com"]
    message("lost", NotificationState.PARKED, error="The mail server answered 550.", attempts=8)
    client = as_("engineer")
    assert "1 given up" in card(client)
    assert "subject of lost Mail, just now: The mail server answered 550." in card(client)

    answer = client.post(reverse("send_again"), follow=True)

    assert "1 message will be sent again." in body(answer)
    assert (Notification.objects.get().state, woken) == (NotificationState.PENDING, [1])


def test_who_may_not_send_again_reads_who_may(as_):
    message("lost", NotificationState.PARKED)

    assert "Sending again needs the role Engineer." in card(as_("viewer"))


def test_who_sees_one_account_reads_no_message_of_another_and_none_about_all(client):
    mine, other = factories.account(name="mine"), factories.account(name="other")
    for key, account in (("mine", mine), ("other", other), ("all", None)):
        message(key, NotificationState.PARKED, account=account)
    client.force_login(factories.user("someone", Role.ENGINEER, account=mine))

    told = card(client)

    assert [key for key in ("mine", "other", "all") if f"subject of {key}" in told] == ["mine"]


def test_of_many_that_were_given_up_the_latest_ten_are_named(as_):
    for number in range(13):
        message(f"n{number:02}", NotificationState.PARKED)

    told = card(as_("viewer"))

    assert (told.count("subject of"), "and 3 more" in told, "subject of n12" in told) == (10, True, True)


def test_what_a_subject_carries_is_escaped(as_):
    message("x", NotificationState.PARKED)
    Notification.objects.update(subject="<b>bold</b>", error="<i>")

    page = text(as_("viewer").get(reverse("data_quality")))

    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<b>bold" not in page


def test_the_way_a_message_is_sent_has_one_function_for_each_channel():
    from migration.enums import Channel

    assert set(notification.WAYS) == set(Channel)
