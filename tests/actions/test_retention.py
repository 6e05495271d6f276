"""What is forgotten and what is not, and that it makes no difference where it is broken off."""

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.db import connection, transaction

from migration.actions import retention
from migration.actions.retention import Pruned, prune
from migration.enums import RequestState, Status
from migration.models import (
    ApiDay,
    AuditEvent,
    CollectionRun,
    Instance,
    InstanceDay,
    Notification,
    ScheduledRun,
    ScopeDay,
)
from tests import factories
from tests.factories import NOW
from tests.views.conftest import change_of, request_of, run_of

pytestmark = pytest.mark.django_db
TODAY = NOW.date()


@pytest.fixture(autouse=True)
def _setting(settings):
    settings.IMDSDASH_KEEP_DAYS = settings.IMDSDASH_HISTORY_DAYS = 90
    settings.IMDSDASH_WINDOW_DAYS, settings.IMDSDASH_OVERLAP_DAYS = 14, 3


def forget(**changed: Any) -> Pruned:
    return prune(**{"now": NOW, "rest": lambda _: None, **changed})


def world(region="us-east-1"):
    """A scope and an instance in it."""
    account = factories.account()
    return factories.scope(account, region), factories.instance(account, region)


def days_left():
    return [(TODAY - day).days for day in InstanceDay.objects.order_by("-day").values_list("day", flat=True)]


def a_day(scope, instance, back, *, frozen=True, rolled_up=True):
    day = TODAY - timedelta(days=back)
    factories.instance_day(instance, day, hours=[*[0] * 23, 7])
    if rolled_up:
        factories.scope_day(scope, day, v1_calls=7, frozen_at=NOW if frozen else None)


# --- instance days -----------------------------------------------------------------------------------


def test_an_instance_day_is_kept_for_just_so_many_days():
    scope, instance = world()
    for back in (0, 89, 90, 91, 200):
        a_day(scope, instance, back)

    told = forget()

    assert days_left() == [0, 89, 90]
    assert (told.instance_days, told.finished) == (2, True)


def test_a_day_that_was_never_rolled_up_is_never_deleted():
    scope, instance = world()
    a_day(scope, instance, 300, rolled_up=False)
    a_day(scope, instance, 301)

    told = forget()

    assert days_left() == [300]
    assert (told.instance_days, told.kept_without_rollup) == (1, 1)


def test_the_rollup_of_another_region_or_account_does_not_count():
    scope, instance = world()
    day = TODAY - timedelta(days=300)
    factories.scope_day(factories.scope(scope.account, "eu-west-1"), day, frozen_at=NOW)
    factories.scope_day(factories.scope(factories.account()), day, frozen_at=NOW)
    factories.instance_day(instance, day)

    assert forget().instance_days == 0


def test_a_rollup_that_may_be_made_again_keeps_its_days_until_nobody_asks_so_far_back(settings):
    settings.IMDSDASH_HISTORY_DAYS = 200
    scope, instance = world()
    for back in (91, 202, 203):
        a_day(scope, instance, back, frozen=False)
    a_day(scope, instance, 92)

    told = forget()

    assert days_left() == [91, 202]
    assert told.kept_without_rollup == 2


# --- hours -------------------------------------------------------------------------------------------


def test_hours_older_than_the_window_and_a_week_are_emptied_and_their_sum_stays():
    scope, instance = world()
    for back in (21, 22, 90):
        a_day(scope, instance, back)
    InstanceDay.objects.update(rejected_hours="0*24", rejected_calls=0, rejected_measured_hours=24)

    told = forget()

    kept, *emptied = InstanceDay.objects.order_by("-day")
    assert (kept.v1_hours, kept.rejected_hours) == ("0*23,7", "0*24")
    assert [(day.v1_hours, day.rejected_hours, day.v1_calls, day.measured_hours) for day in emptied] == [
        (None, None, 7, 24)
    ] * 2
    assert told.hours_emptied == 2


def test_hours_are_kept_as_long_as_points_may_come_late(settings):
    settings.IMDSDASH_WINDOW_DAYS, settings.IMDSDASH_OVERLAP_DAYS = 1, 14
    scope, instance = world()
    a_day(scope, instance, 21)

    assert forget().hours_emptied == 0


# --- instances ---------------------------------------------------------------------------------------


def a_gone_one(account=None, days=91, **fields):
    at = NOW - timedelta(days=days)
    return factories.instance(account or factories.account(), status=Status.GONE, gone_at=at, **fields)


def test_an_instance_that_is_long_gone_is_forgotten_with_its_last_day():
    scope, _ = world()
    gone = a_gone_one(scope.account)
    a_day(scope, gone, 91)

    told = forget()

    assert (told.instance_days, told.instances) == (1, 1)
    assert not Instance.objects.filter(pk=gone.pk).exists()
    assert ScopeDay.objects.get().v1_calls == 7


def test_an_instance_is_kept_while_it_lives_or_is_gone_for_less_time():
    a_gone_one(days=89)
    factories.instance(factories.account(), last_seen_at=NOW - timedelta(days=400))

    assert forget().instances == 0
    assert Instance.objects.count() == 2


def test_an_instance_with_a_day_left_is_kept_and_so_is_the_day():
    scope, _ = world()
    gone = a_gone_one(scope.account)
    a_day(scope, gone, 300, rolled_up=False)

    assert forget().instances == 0
    assert InstanceDay.objects.get().instance == gone


def test_an_instance_that_a_person_decided_about_is_kept():
    author, decider = factories.user("edith"), factories.user("arjun")
    changed, waived = a_gone_one(), a_gone_one()
    request = request_of(changed.account, author, RequestState.APPROVED, plan={}, decided_by=decider, decided_at=NOW)
    change_of(run_of(request), instance=changed)
    factories.waiver(waived.account, by=author, target=waived.instance_id, region=waived.region)
    a_gone_one()

    assert forget().instances == 1
    assert set(Instance.objects.all()) == {changed, waived}


# --- the rest ----------------------------------------------------------------------------------------


def test_records_of_work_are_kept_for_their_time():
    scope, _ = world()
    for days in (400, 401):
        ApiDay.objects.create(scope=scope, day=TODAY - timedelta(days=days), operation="DescribeInstances")
        CollectionRun.objects.create(started_at=NOW - timedelta(days=days), trigger="command")
    CollectionRun.objects.create(started_at=NOW - timedelta(days=400, seconds=1), trigger="timetable")
    for days in (30, 31):
        ScheduledRun.objects.create(job="tick", window_start=NOW - timedelta(days=days), started_at=NOW)

    told = forget()

    assert (told.api_days, told.collection_runs, told.scheduled_runs) == (1, 2, 1)
    assert [ApiDay.objects.count(), CollectionRun.objects.count(), ScheduledRun.objects.count()] == [1, 1, 1]


def test_rollups_and_the_audit_log_are_never_touched():
    scope, instance = world()
    for back in (1, 500, 3000):
        a_day(scope, instance, back)
    AuditEvent.objects.create(
        seq=1, at=NOW - timedelta(days=3000), actor="", actor_kind="", verb="", object_type="", object_id="",
        prev_hash="", hash="",
    )  # fmt: skip
    before = list(ScopeDay.objects.order_by("pk").values()), list(AuditEvent.objects.values())

    assert forget().instance_days == 2
    assert (list(ScopeDay.objects.order_by("pk").values()), list(AuditEvent.objects.values())) == before


# --- how ---------------------------------------------------------------------------------------------


def old_world():
    """Something of everything, more than a batch of it."""
    for region in ("us-east-1", "eu-west-1"):
        scope, instance = world(region)
        for back in (5, 25, 80, 95, 150, 151, 152, 400):
            a_day(scope, instance, back)
        a_day(scope, instance, 160, rolled_up=False)
        a_day(scope, a_gone_one(scope.account, region=region, days=200), 201)
        ApiDay.objects.create(scope=scope, day=TODAY - timedelta(days=500), operation="x")
    ScheduledRun.objects.create(job="tick", window_start=NOW - timedelta(days=31), started_at=NOW)


def rows_left():
    return {
        "days": sorted(InstanceDay.objects.values_list("instance__instance_id", "day", "v1_hours", "v1_calls")),
        "instances": sorted(Instance.objects.values_list("instance_id", flat=True)),
        "others": [ApiDay.objects.count(), ScheduledRun.objects.count(), ScopeDay.objects.count()],
    }


def test_broken_off_anywhere_and_run_again_it_ends_the_same(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "STRIDE", 1)
    old_world()
    whole: dict[str, Any] = {}
    stops = 0
    for allowed in count():
        with transaction.atomic():
            asked = iter([True] * allowed)
            first = forget(go_on=lambda asked=asked: next(asked, False))
            second = forget()
            left = rows_left()
            transaction.set_rollback(True)
        whole = whole or left
        assert left == whole
        assert second.finished
        if first.finished:
            break
        stops += 1

    assert stops > 10
    assert len(whole["days"]) == 2 * 4, "three young days, and the one that was never rolled up"


def test_no_transaction_is_larger_than_a_batch_and_others_get_in_between(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 3)
    scope, instance = world()
    for back in range(100, 108):
        a_day(scope, instance, back)
    seen, rests = [], []

    def rest(seconds):
        seen.append(InstanceDay.objects.count())
        rests.append(seconds)

    forget(rest=rest)

    assert seen == [5, 2, 0]
    assert min(rests) >= retention.LEAST_REST


def test_a_dry_run_tells_what_a_real_one_does_and_changes_nothing():
    old_world()
    before = rows_left()

    told = forget(dry_run=True)

    assert rows_left() == before
    assert told == forget()
    assert told.instance_days == 12
    assert told.hours_emptied == 4
    assert told.instances == 2


def test_nothing_old_is_nothing_to_do():
    scope, instance = world()
    a_day(scope, instance, 3)

    assert forget() == Pruned(finished=True)


def test_told_to_stop_at_once_it_does_nothing():
    scope, instance = world()
    a_day(scope, instance, 300)

    told = forget(go_on=lambda: False)

    assert (told.finished, InstanceDay.objects.count()) == (False, 1)


def test_messages_are_kept_a_month():
    for back in (29, 31):
        Notification.objects.create(
            key=f"{back}", channel="mail", kind="test", subject="s", created_at=NOW - timedelta(days=back)
        )

    assert forget().notifications == 1
    assert Notification.objects.get().key == "29"


@pytest.mark.django_db(transaction=True)
def test_nothing_is_read_inside_the_transaction_that_deletes(monkeypatch):
    """On SQLite the transaction holds the one lock for writing from its first moment."""
    scope, instance = world()
    a_day(scope, instance, 300)
    inside = []

    def noted(execute, sql, params, many, context):
        if connection.in_atomic_block:
            inside.append(sql.split()[0])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(noted):
        forget()

    assert inside == ["DELETE"]
