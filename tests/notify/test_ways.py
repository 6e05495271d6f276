"""How a notice looks in a mail, in Slack and to a webhook."""

import hashlib
import hmac
import json
import smtplib
from dataclasses import replace

import pytest
from django.core import mail as outgoing

from migration.domain.notices import Notice
from migration.notify import mail, slack, webhook
from migration.notify.errors import NotDelivered
from tests.factories import NOW

SECRET = "only-for-tests-0123456789"
NOTICE = Notice(
    key="waiver:7:3-days",
    kind="waiver.reminder",
    severity="warning",
    subject="3 days left",
    lines=("i-1 (web)", "i-2 (db)"),
    url="https://dash.example.com/waivers/7/",
    account_id="111122223333",
    at=NOW,
)


# --- webhook ---


def test_the_body_tells_all_of_it_and_is_the_same_for_every_copy():
    assert webhook.body(NOTICE) == webhook.body(NOTICE)
    assert json.loads(webhook.body(NOTICE)) == {
        "id": "waiver:7:3-days",
        "kind": "waiver.reminder",
        "severity": "warning",
        "subject": "3 days left",
        "lines": ["i-1 (web)", "i-2 (db)"],
        "url": "https://dash.example.com/waivers/7/",
        "account_id": "111122223333",
        "at": "2026-11-20T09:00:00+00:00",
    }


def test_what_arrives_can_be_told_from_a_forged_one(receiver, settings):
    settings.IMDSDASH_WEBHOOK_URL, settings.IMDSDASH_WEBHOOK_SECRET = f"{receiver.url}/in", SECRET

    webhook.deliver(NOTICE, now=NOW)

    (got,) = receiver.got
    signed = got.headers["X-Imdsdash-Timestamp"].encode() + b"." + got.body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert got.headers["X-Imdsdash-Signature"] == f"v1={expected}"
    assert got.headers["X-Imdsdash-Timestamp"] == str(int(NOW.timestamp()))
    assert got.headers["Idempotency-Key"] == "waiver:7:3-days"


def test_the_signature_is_the_one_that_is_documented():
    """A vector, so that receivers may rely on it."""
    assert (
        webhook.sign("secret", "1700000000", b'{"id":"x"}')
        == hmac.new(b"secret", b'1700000000.{"id":"x"}', hashlib.sha256).hexdigest()
    )


@pytest.mark.parametrize(("url", "key"), [("", NOTICE.key), ("x", "schlüssel\r\nX-Evil: yes")])
def test_a_key_cannot_break_out_of_its_header(url, key):
    told = webhook.headers(replace(NOTICE, key=key.replace("\r\n", "  ")), b"", secret=SECRET, now=NOW)

    assert told["Idempotency-Key"].isascii()
    assert "\n" not in told["Idempotency-Key"]


# --- slack ---


def test_slack_gets_the_subject_the_lines_and_a_link(receiver, settings):
    settings.IMDSDASH_SLACK_WEBHOOK_URL = f"{receiver.url}/services/T0/B0/x"

    slack.deliver(NOTICE, now=NOW)

    (got,) = receiver.got
    assert json.loads(got.body)["text"] == (
        "*3 days left*\ni-1 (web)\ni-2 (db)\n<https://dash.example.com/waivers/7/|Open in imdsdash>"
    )


def test_no_name_becomes_a_link_or_calls_the_channel():
    hostile = replace(NOTICE, subject="<!channel> & co", lines=("<https://evil.example.com|click>",), url="")

    assert slack.text(hostile) == ("*&lt;!channel&gt; &amp; co*\n&lt;https://evil.example.com|click&gt;")


# --- mail ---


def test_a_mail_goes_to_all_at_once_with_the_link_at_its_end(settings):
    settings.IMDSDASH_MAIL_TO = ["one@example.com", "two@example.com"]
    settings.IMDSDASH_MAIL_FROM = "imdsdash@example.com"

    mail.deliver(NOTICE, now=NOW)

    (sent,) = outgoing.outbox
    assert (sent.subject, sent.to) == ("[imdsdash] 3 days left", ["one@example.com", "two@example.com"])
    assert sent.body == "i-1 (web)\ni-2 (db)\n\nhttps://dash.example.com/waivers/7/\n"
    assert sent.message()["Auto-Submitted"] == "auto-generated"


def test_a_copy_of_a_mail_has_the_same_message_id_and_another_mail_has_not():
    ids = [
        mail.message(replace(NOTICE, key=key), sender="a@example.com", to=["b@example.com"]).message()["Message-ID"]
        for key in ("one", "one", "two")
    ]

    assert ids[0] == ids[1] != ids[2]


def test_a_subject_cannot_become_a_second_header():
    sent = mail.message(replace(NOTICE, subject="web\r\nBcc: evil@example.com"), sender="a@b.c", to=["d@e.f"]).message()

    assert sent["Bcc"] is None
    assert sent["Subject"] == "[imdsdash] web  Bcc: evil@example.com"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (smtplib.SMTPAuthenticationError(535, b"pa55word"), "The mail server refused user or password of EMAIL_URL."),
        (smtplib.SMTPRecipientsRefused({}), "The mail server refused every address of IMDSDASH_MAIL_TO."),
        (smtplib.SMTPDataError(451, b"pa55word"), "The mail server answered 451."),
        (TimeoutError(), "The mail server did not answer in time."),
        (
            ConnectionRefusedError(111, "Connection refused"),
            "The mail server could not be reached: Connection refused.",
        ),
        (smtplib.SMTPServerDisconnected("pa55word"), "The mail server could not be reached: SMTPServerDisconnected."),
    ],
)
def test_what_the_mail_server_says_no_to_is_told_without_its_words(settings, monkeypatch, error, sentence):
    settings.IMDSDASH_MAIL_TO = ["one@example.com"]

    def fail(_):
        raise error

    monkeypatch.setattr("django.core.mail.EmailMessage.send", fail)

    with pytest.raises(NotDelivered) as caught:
        mail.deliver(NOTICE, now=NOW)

    assert str(caught.value) == sentence


# --- all three ---


def test_a_link_without_a_public_address_is_told_as_a_page():
    near = replace(NOTICE, url="/waivers/7/", lines=())

    assert slack.text(near).endswith("\nIn imdsdash: /waivers/7/")
    assert mail.message(near, sender="a@b.c", to=[]).body == "\nIn imdsdash: /waivers/7/\n"


@pytest.mark.parametrize("way", [mail, slack, webhook])
def test_a_way_that_is_no_longer_configured_is_not_tried_again(way):
    with pytest.raises(NotDelivered, match="configured any more") as caught:
        way.deliver(NOTICE, now=NOW)

    assert caught.value.permanent
