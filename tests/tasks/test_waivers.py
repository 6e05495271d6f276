"""A waiver and the passes: what is granted shows at the next one, what is over shows again, and the clock does both."""

from datetime import timedelta

import pytest
from celery import current_app
from django.conf import settings as timetable
from django.utils import timezone

from migration.actions import waivers as actions
from migration.enums import Role, ScopeState, Status, WaiverKind, WaiverState
from migration.models import Account, Instance, Notification, Scope, ScopeDay, Waiver
from migration.tasks import collection
from migration.tasks import waivers as tasks
from tests import factories, fleets
from tests.tasks.story import collect_all

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def account(aws, settings, monkeypatch):
    settings.IMDSDASH_WINDOW_DAYS, settings.IMDSDASH_BACKFILL_DAYS, settings.IMDSDASH_HISTORY_DAYS = 3, 5, 5
    monkeypatch.setattr(tasks, "nudge", lambda task, *ids, **_: task(*ids))
    aws(fleets.alone({"count": 2, "launched_days_ago": 40, "usage": {"profile": "steady", "calls_per_hour": 5}}))
    collect_all()
    return Account.objects.get()


@pytest.fixture
def people():
    return factories.user("edith", Role.ENGINEER), factories.user("arjun", Role.APPROVER)


def granted(account, people, **fields) -> Waiver:
    edith, arjun = people
    now = timezone.now()
    said = {"kind": WaiverKind.ACCOUNT, "target": "", "region": "", "reason": "The account is sold in May."}
    asked = actions.Asked(account=account, expires_on=now.date() + timedelta(days=20), **said | fields)
    waiver = actions.ask(asked=asked, by=edith, now=now)
    return actions.approve(waiver=waiver, by=arjun, comment="", version=0, now=now)


def statuses() -> list[str]:
    return sorted(Instance.objects.values_list("status", flat=True))


def test_the_timetable_tends_them():
    entry = timetable.CELERY_BEAT_SCHEDULE["tend-waivers"]

    assert entry["task"] in current_app.tasks
    assert current_app.amqp.router.route({}, str(entry["task"]))["queue"].name == "enforce"


def test_what_is_granted_shows_on_each_instance_and_in_the_counts_of_the_day(account, people):
    waiver = granted(account, people)

    tasks.judge_soon(waiver)

    assert statuses() == [Status.WAIVED, Status.WAIVED]
    said = f"Waived until {waiver.expires_on} (by the whole account): The account is sold in May."
    assert set(Instance.objects.values_list("status_reason", flat=True)) == {said}
    counted: dict = ScopeDay.objects.filter(by_status__isnull=False).latest("day").by_status or {}
    assert counted["waived"] == 2


def test_what_is_ended_shows_again(account, people):
    waiver = granted(account, people)
    tasks.judge_soon(waiver)

    actions.end(waiver=waiver, by=people[1], reason="Sold.", version=waiver.version, now=timezone.now())
    tasks.judge_soon(waiver)

    assert statuses() == [Status.IN_USE, Status.IN_USE]


def test_what_is_over_waives_no_more_and_shows_again_without_anybody(account, people, time_machine):
    waiver = granted(account, people)
    tasks.judge_soon(waiver)
    time_machine.move_to(timezone.now() + timedelta(days=21))

    tasks.tend()
    for scope in Scope.objects.filter(next_due_at__lte=timezone.now()):
        collection.collect_one_scope(scope.pk)

    waiver.refresh_from_db()
    assert waiver.state == WaiverState.EXPIRED
    assert Status.WAIVED not in statuses()


def test_a_pass_that_looked_before_it_was_granted_is_followed_by_another(account, people):
    """It was under way at that moment, and its ending put off what was due at once."""
    waiver = granted(account, people)
    scopes = Scope.objects.filter(account=account, region="us-east-1")
    later = timezone.now() + timedelta(hours=5)
    scopes.update(inventory_due_at=later, next_due_at=later, last_started_at=waiver.decided_at - timedelta(seconds=9))

    tasks.tend()
    assert scopes.get().next_due_at <= timezone.now()

    scopes.update(inventory_due_at=later, next_due_at=later, last_started_at=timezone.now())
    tasks.tend()
    assert scopes.get().next_due_at == later, "the one after it has seen the waiver"


def test_a_pass_that_is_under_way_is_left_to_its_worker(account, people):
    waiver = granted(account, people)
    scopes, later = Scope.objects.filter(account=account), timezone.now() + timedelta(hours=5)
    scopes.update(
        state=ScopeState.LEASED,
        lease_expires_at=later,
        inventory_due_at=later,
        next_due_at=later,
        last_started_at=waiver.decided_at - timedelta(seconds=9),
    )

    tasks.tend()

    assert set(scopes.values_list("next_due_at", flat=True)) == {later}


def test_people_are_reminded_once_a_day_at_most_however_often_the_clock_ticks(account, people, settings, monkeypatch):
    settings.IMDSDASH_WEBHOOK_URL = "http://127.0.0.1:1/"
    asked = []
    monkeypatch.setattr(tasks.waivers, "remind", lambda **_: asked.append(1))
    monkeypatch.setattr(tasks.notification, "wake", lambda: None)

    tasks.tend()
    tasks.tend()

    assert asked == [1]
    assert not Notification.objects.exists()
