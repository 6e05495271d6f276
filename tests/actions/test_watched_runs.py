"""The watch over runs that were written down by hand: what is heard, whose it is, and what it holds up."""

from datetime import timedelta

import pytest

from migration.actions import watch, waves
from migration.actions.errors import Stale
from migration.domain.hours import pack
from migration.enums import Channel, RequestKind, Role, RunState, WatchState, WaveState
from migration.models import EnforcementRequest, Grant, InstanceDay, Notification, Run, Wave
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
SINCE = NOW.replace(hour=1, minute=30)  # the change; the first whole hour after it is 02:00


@pytest.fixture(autouse=True)
def told(monkeypatch):
    monkeypatch.setattr("migration.queries.notifications.channels", lambda: [Channel.MAIL])


def watched(count: int = 2, **fields) -> Run:
    """A run that is over and being watched, with so many changes."""
    over = {"state": RunState.DONE, "finished_at": NOW, "watch": WatchState.WATCHING}
    account = factories.account()
    run = factories.run(account, **over | {"watch_until": NOW + timedelta(hours=16)} | fields)
    Grant.objects.get_or_create(user=run.request.requested_by, role=Role.ENGINEER)
    for _ in range(count):
        factories.change(run, factories.instance(account, http_tokens="required"), called_at=SINCE)
    return run


def refused(change, hours: dict[int, int | None]) -> None:
    """MetadataNoTokenRejected of its instance on the day, by UTC hour."""
    day = [hours.get(hour) for hour in range(24)]
    known = [one for one in day if one is not None]
    told = {"rejected_hours": pack(day), "rejected_calls": sum(known), "rejected_measured_hours": len(known)}
    InstanceDay.objects.update_or_create(instance=change.instance, day=NOW.date(), defaults=told)


def afresh(run: Run) -> Run:
    return Run.objects.select_related("account", "request", "wave").get(pk=run.pk)


def look(run: Run, *, now=NOW):
    return watch.look(afresh(run), now=now)


@pytest.mark.parametrize(
    ("calling", "said"), [(1, "1 of its instances has IMDSv1"), (2, "2 of its instances have IMDSv1")]
)
def test_one_is_told_as_one(calling, said):
    run = watched()
    for change in run.changes.all()[:calling]:
        refused(change, {2: 4})

    look(run)

    assert said in Notification.objects.get(kind="refused_calls").subject


# --- the wave ----------------------------------------------------------------------------------------------


@pytest.fixture
def wave():
    return factories.wave(by=factories.user("maker"), name="first", state=WaveState.ACTIVE)


def undoing(run: Run, **fields) -> Run:
    """A run that puts this one back."""
    back = factories.run(run.account, wave=run.wave, **fields)
    EnforcementRequest.objects.filter(pk=back.request_id).update(kind=RequestKind.ROLLBACK, undoes=run)
    return back


def test_a_run_that_puts_back_is_not_paused_with_its_wave(wave):
    run, hurt = watched(wave=wave), watched(wave=wave)
    back = undoing(hurt, state=RunState.RUNNING)
    refused(run.changes.first(), {2: 4})

    look(run)

    back.refresh_from_db()
    wave.refresh_from_db()
    assert (back.state, wave.paused_because != "") == (RunState.RUNNING, True)


def test_a_wave_that_a_person_lets_go_on_is_paused_again_only_by_another_instance(wave):
    run = watched(wave=wave)
    first, second = run.changes.all()
    refused(first, {2: 4})
    look(run)
    Wave.objects.update(paused_because="")

    refused(first, {2: 4, 3: 4})
    look(run, now=NOW + timedelta(hours=1))
    wave.refresh_from_db()
    assert wave.paused_because == ""

    refused(second, {4: 1})
    look(run, now=NOW + timedelta(hours=2))
    wave.refresh_from_db()
    assert wave.paused_because == f"2 instances of run {run.pk} have IMDSv1 calls refused."


def test_who_lets_a_wave_go_on_has_read_of_every_run_that_holds_it_up(wave):
    one, other = watched(wave=wave), watched(wave=wave)
    for run in (one, other):
        refused(run.changes.first(), {2: 4})
    look(one)
    as_read = Wave.objects.get()

    look(other)

    wave.refresh_from_db()
    assert wave.paused_because == (
        f"1 instance of run {one.pk} has IMDSv1 calls refused. 1 instance of run {other.pk} has IMDSv1 calls refused."
    )
    boss = factories.user("boss", Role.ADMIN)
    with pytest.raises(Stale):
        waves.resume(wave=as_read, by=boss, reason="known", version=as_read.version, now=NOW)
