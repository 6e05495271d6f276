"""The outbox's rows: one message once, counted, retried, given up."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from migration.actions import notifications
from migration.actions.errors import Refused
from migration.enums import NotificationState, Role
from migration.models import AuditEvent, Notification
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _channels(settings):
    settings.IMDSDASH_SLACK_WEBHOOK_URL = "http://127.0.0.1:1/slack"
    settings.IMDSDASH_WEBHOOK_URL = "http://127.0.0.1:1/hook"


def tell(key="regressed:1:2026-11-20", **more):
    notifications.add(
        **{"key": key, "kind": "regressed", "subject": "2 regressed", "lines": ["i-1", "i-2"], "now": NOW, **more}
    )


def states():
    return list(Notification.objects.values_list("channel", "state", "attempts"))


def claim(row, *, after: timedelta = timedelta(0)) -> Any:
    return notifications.claim(pk=row.pk, owner="me", now=NOW + after)


def fail(taken, *, after):
    notifications.record_failed(claim=taken, error="It answered 500.", rest=False, now=NOW + after)


def test_there_is_a_row_for_every_channel_that_is_configured():
    tell(account=factories.account())

    assert states() == [("slack", "pending", 0), ("webhook", "pending", 0)]


def test_the_same_key_twice_is_one_message():
    tell()
    tell(subject="again")

    assert set(Notification.objects.values_list("subject", flat=True)) == {"2 regressed"}
    assert Notification.objects.count() == 2


def test_the_database_itself_refuses_the_second():
    tell()
    row = Notification.objects.first()
    row.pk = None

    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_what_is_undone_tells_nobody():
    with transaction.atomic():
        tell()
        transaction.set_rollback(True)

    assert states() == []


def test_without_a_channel_the_log_alone_is_told(settings, caplog):
    settings.IMDSDASH_SLACK_WEBHOOK_URL = settings.IMDSDASH_WEBHOOK_URL = ""
    caplog.set_level("INFO")

    tell()

    assert states() == []
    assert "notification_without_channel" in caplog.text


def test_of_many_lines_the_first_twenty_are_kept():
    tell(lines=[f"i-{number}" for number in range(54)])

    assert Notification.objects.first().lines[-1] == "and 34 more"


def test_an_attempt_is_counted_before_it_is_made():
    tell()
    row = Notification.objects.first()

    taken = claim(row)

    row.refresh_from_db()
    assert (taken.attempt, row.attempts, row.state, row.fence) == (1, 1, "leased", 1)


def test_what_one_has_another_does_not_get():
    tell()
    row = Notification.objects.first()

    assert claim(row) is not None
    assert claim(row) is None


def test_what_a_dead_worker_had_is_taken_when_its_lease_is_over_and_its_word_counts_no_more():
    tell()
    row = Notification.objects.first()
    first = claim(row)
    second = claim(row, after=timedelta(seconds=121))

    assert not notifications.record_sent(claim=first, now=NOW)
    assert notifications.record_sent(claim=second, now=NOW)
    row.refresh_from_db()
    assert (row.state, row.attempts, row.sent_at) == ("sent", 2, NOW)


def test_a_failure_waits_twice_as_long_each_time_and_the_eighth_is_the_last():
    tell()
    row = Notification.objects.first()
    waits, after = [], timedelta(0)
    for _ in range(7):
        fail(claim(row, after=after), after=after)
        row.refresh_from_db()
        waits.append((row.not_before - NOW - after).total_seconds())
        after = row.not_before - NOW
    assert claim(row, after=after - timedelta(seconds=1)) is None, "not before its time"

    fail(claim(row, after=after), after=after)

    row.refresh_from_db()
    assert waits == [30, 60, 120, 240, 480, 960, 1920]
    assert (row.state, row.error) == ("parked", "It answered 500.")


def test_a_message_that_kills_its_worker_is_given_up():
    tell()
    row = Notification.objects.first()
    Notification.objects.filter(pk=row.pk).update(
        state=NotificationState.LEASED, lease_expires_at=NOW - timedelta(seconds=1), attempts=8
    )

    assert claim(row) is None

    row.refresh_from_db()
    assert (row.state, row.error) == ("parked", "Its worker ended 8 times.")


def test_when_the_channel_fails_its_other_messages_wait_as_well_and_those_of_another_do_not():
    tell("one")
    tell("two")
    slack = Notification.objects.filter(channel="slack").order_by("pk")

    notifications.record_failed(claim=claim(slack[0]), error="It answered 503.", rest=True, now=NOW)

    assert claim(slack[1]) is None
    assert claim(slack[1], after=timedelta(seconds=30)) is not None
    assert claim(Notification.objects.filter(channel="webhook")[0]) is not None


def test_when_only_the_message_fails_the_others_go_on():
    tell("one")
    tell("two")
    slack = Notification.objects.filter(channel="slack").order_by("pk")

    notifications.record_failed(claim=claim(slack[0]), error="It answered 400.", rest=False, now=NOW)

    assert claim(slack[1]) is not None


# --- sending again -----------------------------------------------------------------------------------


@pytest.fixture
def given_up():
    """One of each of two accounts, and one of none."""
    for number in (1, 2):
        tell(f"of-{number}", account=factories.account(name=f"account-{number}"))
    tell("of-none")
    Notification.objects.filter(channel="slack").delete()
    Notification.objects.update(state=NotificationState.PARKED, attempts=8, error="It answered 500.")


def test_an_engineer_has_all_of_it_sent_again_and_it_is_audited(given_up):
    ellen = factories.user("ellen", Role.ENGINEER)

    assert notifications.try_again(by=ellen, now=NOW) == 3

    assert set(Notification.objects.values_list("state", "attempts")) == {("pending", 0)}
    told = AuditEvent.objects.values_list("verb", "actor")
    assert list(told) == [("notification.retried", "ellen")] * 3


def test_who_sees_one_account_sends_only_its_messages_again(given_up):
    account = Notification.objects.get(key="of-1").account
    ellen = factories.user("ellen", Role.ENGINEER, account=account)

    assert notifications.try_again(by=ellen, now=NOW) == 1

    assert Notification.objects.get(state="pending").key == "of-1"


def test_a_viewer_does_not(given_up):
    with pytest.raises(Refused, match="needs the role Engineer"):
        notifications.try_again(by=factories.user("vic", Role.VIEWER), now=NOW)

    assert set(Notification.objects.values_list("state", flat=True)) == {"parked"}
