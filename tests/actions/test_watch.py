"""The canary before the rest; the day after: refused calls, silence, a paused wave, a drafted rollback."""

from datetime import timedelta

import pytest
from django.utils import timezone

from migration.actions import canary, runs, watch
from migration.domain.hours import pack
from migration.enums import CanaryState, ChangeState, Channel, RequestKind, Role, RunState, WatchState, WaveState
from migration.models import Change, EnforcementRequest, Instance, InstanceDay, Notification, Run, Wave
from migration.tasks import canary as looking
from migration.tasks import enforcement as tasks
from tests import factories
from tests.tasks.story import begin, drive

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def told(monkeypatch):
    monkeypatch.setattr("migration.queries.notifications.channels", lambda: [Channel.MAIL])


@pytest.fixture
def watched(aws, settings):
    """A run of three whose first instance is watched for half an hour."""
    settings.IMDSDASH_CANARY_MINUTES = 30
    sandbox, run = begin(aws)
    while not run.changes.filter(state=ChangeState.VERIFIED).exists():
        step(run)
    step(run)
    return sandbox, run


def step(run):
    runs.start(run=run, now=timezone.now())
    tasks.step(run.pk)
    run.refresh_from_db()


def look(run, monkeypatch, points, *, complete=True):
    monkeypatch.setattr(looking, "_points", lambda _watched: (points, complete))
    Run.objects.filter(pk=run.pk).update(watched_at=None)
    looking.look(run.pk)
    run.refresh_from_db()


def states(run):
    return sorted(run.changes.values_list("state", flat=True))


def test_the_rest_waits_while_the_first_is_watched(watched):
    _, run = watched

    assert (run.canary, states(run)) == (CanaryState.WATCHING, ["pending", "pending", "verified"])
    assert canary.canary_of(run).state == ChangeState.VERIFIED


def test_a_quiet_canary_lets_the_rest_follow(watched, monkeypatch):
    _, run = watched

    look(run, monkeypatch, [0, 0])

    assert run.canary == CanaryState.QUIET
    assert drive(run) == {"verified": 3}


def test_a_canary_with_refused_calls_pauses_the_run_and_tells(watched, monkeypatch):
    _, run = watched

    look(run, monkeypatch, [0, 7])

    assert (run.state, run.canary) == (RunState.PAUSED, CanaryState.CALLED)
    assert "7 IMDSv1 calls refused" in run.state_reason
    assert Notification.objects.get(kind="canary").severity == "critical"
    assert states(run) == ["pending", "pending", "verified"]


def test_a_silent_canary_is_a_matter_for_a_person_when_its_time_is_over(watched, monkeypatch):
    _, run = watched
    look(run, monkeypatch, [None, None])
    assert (run.state, run.canary) == (RunState.RUNNING, CanaryState.WATCHING)

    Run.objects.filter(pk=run.pk).update(canary_until=timezone.now())
    look(run, monkeypatch, [None, None])

    assert (run.state, run.canary) == (RunState.PAUSED, CanaryState.SILENT)
    assert "neither yes nor no" in run.state_reason


def test_resuming_accepts_what_the_canary_showed(watched, monkeypatch):
    _, run = watched
    look(run, monkeypatch, [7])

    runs.resume(run=run, by=factories.user("bea", Role.APPROVER), now=timezone.now())

    run.refresh_from_db()
    assert run.canary == CanaryState.ACCEPTED
    assert drive(run) == {"verified": 3}


def test_the_canary_is_read_from_the_first_whole_five_minutes_on(watched):
    sandbox, run = watched
    called = canary.canary_of(run).called_at
    Change.objects.filter(state=ChangeState.VERIFIED).update(called_at=called - timedelta(minutes=20))
    Run.objects.filter(pk=run.pk).update(watched_at=None)
    sandbox.clear_calls()

    looking.look(run.pk)

    (call,) = sandbox.calls(operation="GetMetricData")
    assert "MetadataNoTokenRejected" in str(call["params"])


# --- the day after -------------------------------------------------------------------------------------


def finished(aws):
    _, run = begin(aws)
    drive(run)
    since = timezone.now().replace(minute=30, second=0, microsecond=0) - timedelta(hours=6)
    run.changes.update(called_at=since)
    return run, since


def refused(instance, at, hours):
    """MetadataNoTokenRejected by the hour, from an hour on, on the days they fall on."""
    for step_, value in enumerate(hours):
        moment = at + timedelta(hours=step_)
        row, _ = InstanceDay.objects.get_or_create(instance=instance, day=moment.date())
        day: list[int | None] = [None] * 24 if row.rejected_hours is None else list(watch.rejected_hours(row))
        day[moment.hour] = value
        known = [one for one in day if one is not None]
        row.rejected_hours, row.rejected_calls, row.rejected_measured_hours = pack(day), sum(known), len(known)
        row.save()


def test_a_run_is_watched_for_a_day_once_it_is_over(aws):
    _, run = begin(aws)

    drive(run)

    run.refresh_from_db()
    assert run.watch == WatchState.WATCHING
    assert run.watch_until - run.finished_at == timedelta(hours=24)


def test_refused_calls_are_counted_from_the_hour_after_the_change(aws):
    run, since = finished(aws)
    row = Instance.objects.first()
    refused(row, since.replace(minute=0), [9, 4, 0])

    (change,) = watch.look(run, now=timezone.now())

    assert (change.instance, change.rejected_calls) == (row, 4)
    assert change.rejected_hour == since.replace(minute=0) + timedelta(hours=1)


def test_beyond_the_threshold_just_those_are_proposed_to_be_put_back_once(aws):
    run, since = finished(aws)
    row = Instance.objects.first()
    refused(row, since, [0, 4])

    watch.tend(now=timezone.now())
    watch.tend(now=timezone.now())

    proposed = EnforcementRequest.objects.get(kind=RequestKind.ROLLBACK)
    assert [item["instance_id"] for item in proposed.plan["changes"]] == [row.instance_id]
    assert (proposed.state, proposed.created_by) == ("draft", run.request.requested_by)
    told = Notification.objects.get(kind="refused_calls")
    assert row.instance_id in told.lines[0] or row.name in told.lines[0]
    assert "4 refused" in told.lines[0]


def test_the_rest_of_the_wave_is_paused(aws):
    run, since = finished(aws)
    maker = run.request.requested_by
    wave = Wave.objects.create(
        name="first", owner="Ada", state=WaveState.ACTIVE, created_by=maker, created_at=timezone.now()
    )
    other = factories.run(factories.account(), state=RunState.RUNNING, wave=wave, created_at=timezone.now())
    Run.objects.filter(pk=run.pk).update(wave=wave)
    refused(Instance.objects.first(), since, [0, 4])

    watch.tend(now=timezone.now())

    wave.refresh_from_db()
    other.refresh_from_db()
    assert wave.paused_because == f"1 instance of run {run.pk} has IMDSv1 calls refused."
    assert (other.state, wave.name in other.state_reason) == (RunState.PAUSED, True)


@pytest.mark.parametrize(
    ("hours", "at_once", "a_day_later"),
    [
        ([0] * 30, WatchState.QUIET, WatchState.QUIET),
        ([0, 0], WatchState.WATCHING, WatchState.BLIND),
        ([0, 2], WatchState.WATCHING, WatchState.CALLED),
    ],
)
def test_a_watch_ends_quiet_only_when_every_hour_is_known_and_waits_a_day_for_the_others(
    aws, hours, at_once, a_day_later
):
    """What is not watched every hour any more is read once a day."""
    run, since = finished(aws)
    for row in Instance.objects.all():
        refused(row, since, hours)
    Run.objects.filter(pk=run.pk).update(watch_until=timezone.now() - timedelta(hours=3, minutes=1))

    watch.tend(now=timezone.now())
    run.refresh_from_db()
    assert run.watch == at_once

    watch.tend(now=timezone.now() + timedelta(hours=24))
    run.refresh_from_db()
    assert run.watch == a_day_later
