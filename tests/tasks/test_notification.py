"""From the outbox to a receiver on this machine, with what can go wrong on the way."""

import json
import threading
from datetime import timedelta

import pytest
from celery import current_app
from django.conf import settings as timetable
from django.db import connections
from django.utils import timezone

from migration.actions import notifications
from migration.models import Notification
from migration.notify import http
from migration.tasks import notification as tasks
from tests import factories
from tests.receiver import listening

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "only-for-tests-0123456789"


@pytest.fixture
def receiver(settings, monkeypatch):
    with listening() as one:
        settings.IMDSDASH_WEBHOOK_URL, settings.IMDSDASH_WEBHOOK_SECRET = f"{one.url}/hook/token-1234", SECRET
        monkeypatch.setattr(tasks, "nudge", lambda task, *ids, **_: task(*ids))
        yield one


def tell(key="one", **more):
    notifications.add(**{"key": key, "kind": "test", "subject": "s", "lines": ["l"], "now": timezone.now(), **more})


def due_again():
    Notification.objects.update(not_before=None)


def test_the_timetable_looks_into_the_outbox_and_a_worker_of_its_own_does():
    entry = timetable.CELERY_BEAT_SCHEDULE["send-notifications"]

    assert (entry["task"] in current_app.tasks, entry["schedule"]) == (True, 30.0)
    assert current_app.amqp.router.route({}, str(entry["task"]))["queue"].name == "notify"


def test_what_is_due_is_sent_once(receiver):
    tell("one", account=factories.account(account_id="111122223333"))
    tell("two")

    tasks.dispatch()
    tasks.dispatch()

    assert [one.headers["Idempotency-Key"] for one in receiver.got] == ["one", "two"]
    assert json.loads(receiver.got[0].body)["account_id"] == "111122223333"
    assert set(Notification.objects.values_list("state", "error")) == {("sent", "")}


def test_a_worker_that_dies_between_sending_and_writing_it_down_leaves_a_message_that_is_sent_again(
    receiver, monkeypatch
):
    tell()

    def die(**_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(notifications, "record_sent", die)
        with pytest.raises(SystemExit):
            tasks.dispatch()
    tasks.dispatch()
    assert len(receiver.got) == 1, "not while its lease lasts"
    Notification.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))

    tasks.dispatch()

    first, second = receiver.got
    assert (first.headers["Idempotency-Key"], first.body) == (second.headers["Idempotency-Key"], second.body)
    assert Notification.objects.get().state == "sent"


def test_many_workers_send_each_message_once(receiver):
    for number in range(10):
        tell(str(number))
    start = threading.Barrier(4)

    def work():
        try:
            connections["default"].ensure_connection()
            start.wait()
            tasks.dispatch()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(one.headers["Idempotency-Key"] for one in receiver.got) == [str(number) for number in range(10)]
    assert set(Notification.objects.values_list("state", "attempts")) == {("sent", 1)}


def test_a_receiver_that_is_broken_for_a_while_gets_it_afterwards(receiver):
    tell()
    receiver.says(500)
    tasks.dispatch()
    row = Notification.objects.get()
    assert (row.state, row.error) == ("pending", "The webhook answered 500.")

    receiver.says(200)
    due_again()
    tasks.dispatch()

    row.refresh_from_db()
    assert (row.state, row.error, row.attempts) == ("sent", "", 2)


def test_one_that_stays_broken_is_given_up(receiver):
    tell()
    receiver.says(500)
    for _ in range(10):
        due_again()
        tasks.dispatch()

    assert len(receiver.got) == notifications.MAX_ATTEMPTS
    assert Notification.objects.get().state == "parked"


def test_a_receiver_that_hangs_keeps_only_its_own_messages_waiting(receiver, settings, monkeypatch):
    monkeypatch.setattr(http, "SILENCE", 0.2)
    with listening() as hanging:
        hanging.hangs()
        settings.IMDSDASH_SLACK_WEBHOOK_URL = hanging.url
        for number in range(5):
            tell(str(number))

        tasks.dispatch()

        assert len(hanging.got) == 1, "the others are not tried while it is silent"
        assert len(receiver.got) == 5
        assert Notification.objects.filter(channel="slack", state="pending").count() == 5


def test_a_channel_taken_out_of_the_settings_leaves_nothing_waiting_for_ever(receiver, settings):
    tell()
    settings.IMDSDASH_WEBHOOK_URL = ""

    tasks.dispatch()

    row = Notification.objects.get()
    assert (row.state, row.error) == ("parked", "No webhook is configured any more.")


def test_no_address_and_no_secret_is_told_in_log_or_table(receiver, settings, caplog):
    caplog.set_level("DEBUG")
    settings.IMDSDASH_SLACK_WEBHOOK_URL = "http://127.0.0.1:1/services/T0/B0/sl4ck-token"
    receiver.says(500, Location=f"{receiver.url}/token-1234")
    tell()

    tasks.dispatch()

    told = caplog.text + "".join(Notification.objects.values_list("error", flat=True))
    assert "not_delivered" in caplog.text
    assert [word for word in ("token-1234", "sl4ck-token", SECRET) if word in told] == []


def test_a_message_wakes_a_worker_only_when_its_transaction_is_committed(receiver):
    from django.db import transaction

    from migration.tasks import publish

    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "nudge", publish.nudge)
        patch.setattr(tasks.dispatch, "apply_async", lambda **_: seen.append(Notification.objects.count()))
        with transaction.atomic():
            tell()
            tasks.wake()
            assert seen == []

    assert seen == [1]
