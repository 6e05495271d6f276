"""The watch over runs that were written down by hand: what is heard, whose it is, and what it holds up."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from migration.actions import canary, runs, watch, waves
from migration.actions.errors import Stale
from migration.domain import policy as policies
from migration.domain.hours import pack
from migration.domain.policy import Terms
from migration.enums import (
    CanaryState,
    ChangeState,
    Channel,
    RequestKind,
    RequestState,
    Role,
    RunState,
    WatchState,
    WaveState,
)
from migration.models import Change, EnforcementRequest, Grant, InstanceDay, Notification, Run, Wave
from migration.queries import runs as queries
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


def test_a_wave_is_paused_by_what_its_runs_have_together(wave):
    """No run of it alone is beyond the policy's number."""
    one, other, third = (
        watched(wave=wave),
        watched(wave=wave),
        watched(wave=wave, state=RunState.RUNNING, finished_at=None),
    )
    EnforcementRequest.objects.update(plan={"policy": policies.as_plan(Terms(max_rejecting=1))})
    refused(one.changes.first(), {2: 4})
    look(one)
    wave.refresh_from_db()
    assert wave.paused_because == ""

    refused(other.changes.first(), {2: 4})
    look(other)

    wave.refresh_from_db()
    assert wave.paused_because == (
        f"1 instance of run {other.pk} has IMDSv1 calls refused, 2 with the other runs of the wave."
    )
    assert afresh(third).state == RunState.PAUSED


def test_who_lets_a_wave_go_on_has_read_of_every_run_that_holds_it_up(wave):
    one, other = watched(wave=wave), watched(wave=wave)
    for run in (one, other):
        refused(run.changes.first(), {2: 4})
    look(one)
    as_read = Wave.objects.get()

    look(other)

    wave.refresh_from_db()
    assert wave.paused_because == (
        f"1 instance of run {one.pk} has IMDSv1 calls refused. 1 instance of run {other.pk} has IMDSv1 calls refused, "
        "2 with the other runs of the wave."
    )
    boss = factories.user("boss", Role.ADMIN)
    with pytest.raises(Stale):
        waves.resume(wave=as_read, by=boss, reason="known", version=as_read.version, now=NOW)


# --- what is watched, and how long -------------------------------------------------------------------------


def going_on(*states: ChangeState, **fields) -> Run:
    """A run that goes on, with a change in each state."""
    run = watched(len(states), state=RunState.RUNNING, finished_at=None, watch="", watch_until=None, **fields)
    for change, state in zip(run.changes.all(), states, strict=True):
        after = {"after": {"HttpTokens": "required"}} if state == ChangeState.VERIFIED else {"after": None}
        Change.objects.filter(pk=change.pk).update(state=state, **after)
    return run


def owner(run) -> User:
    person: User = run.request.requested_by
    return person


def fail(change, error_class: str, *, after=None) -> None:
    Change.objects.filter(pk=change.pk).update(state=ChangeState.FAILED, error_class=error_class, after=after)


@pytest.mark.parametrize("state", [ChangeState.CALLING, ChangeState.APPLIED, ChangeState.UNKNOWN])
def test_a_run_that_is_stopped_while_its_first_call_is_on_its_way_is_watched(state):
    run = going_on(state, ChangeState.PENDING)

    runs.stop(run=afresh(run), by=owner(run), now=NOW)

    assert afresh(run).watch == WatchState.WATCHING


def test_a_run_that_called_nothing_is_not_watched():
    run = going_on(ChangeState.LEASED, ChangeState.PENDING)

    runs.stop(run=afresh(run), by=owner(run), now=NOW)

    assert afresh(run).watch == WatchState.NONE


MAY_BE_DONE = [("disturbed", {"HttpTokens": "required"}), ("unsettled", None), ("unknown_outcome", None)]


@pytest.mark.parametrize(("error_class", "after"), MAY_BE_DONE)
def test_what_failed_and_may_require_imdsv2_nevertheless_is_watched(error_class, after):
    run = going_on(ChangeState.FAILED)
    fail(run.changes.get(), error_class, after=after)
    refused(run.changes.get(), {2: 4})

    runs.finish(run_id=run.pk, now=NOW)

    assert afresh(run).watch == WatchState.WATCHING
    assert [change.rejected_calls for change in look(run)] == [4]


def test_what_aws_turned_down_is_not_watched():
    run = going_on(ChangeState.FAILED)
    fail(run.changes.get(), "UnauthorizedOperation")

    runs.finish(run_id=run.pk, now=NOW)

    assert afresh(run).watch == WatchState.NONE


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.PAUSED])
def test_refused_calls_are_heard_while_the_run_still_goes_on_and_hold_it_up(state):
    run = going_on(ChangeState.VERIFIED, ChangeState.PENDING)
    Run.objects.update(state=state)
    refused(run.changes.first(), {2: 4})

    watch.tend(now=NOW)

    assert afresh(run).state == RunState.PAUSED
    if state == RunState.RUNNING:
        assert afresh(run).state_reason.startswith(f"1 instance of run {run.pk} has IMDSv1 calls refused.")
    assert Notification.objects.filter(kind="refused_calls").exists()
    assert [item["undoes"] for item in run.undone_by.get().plan["changes"]] == [run.changes.first().pk]


def test_a_run_that_a_person_let_go_on_is_held_up_again_only_by_another_instance():
    run = going_on(ChangeState.VERIFIED, ChangeState.VERIFIED, ChangeState.PENDING)
    first, second = run.changes.all()[:2]
    refused(first, {2: 4})
    watch.tend(now=NOW)
    runs.resume(run=afresh(run), by=owner(run), now=NOW)

    refused(first, {2: 4, 3: 4})
    watch.tend(now=NOW)
    assert afresh(run).state == RunState.RUNNING

    refused(second, {3: 1})
    watch.tend(now=NOW)
    assert afresh(run).state == RunState.PAUSED


def test_what_is_refused_after_it_was_put_back_and_required_again_by_another_run_is_not_this_runs():
    run = watched(1)
    mine = run.changes.get()
    for hour, send in ((4, {"HttpTokens": "optional"}), (6, {"HttpTokens": "required"})):
        other = factories.run(run.account, state=RunState.DONE, finished_at=NOW)
        at = SINCE.replace(hour=hour)
        assert mine.instance is not None
        factories.change(other, mine.instance, called_at=at, send=send, undoes=mine if hour == 4 else None)
    refused(mine, {2: 4, 3: 1, 4: 8, 5: 16, 6: 32, 7: 64})

    (heard,) = look(run)

    assert heard.rejected_calls == 5


def test_refused_calls_stay_told_when_the_hours_of_their_day_are_forgotten():
    run = watched(1)
    refused(run.changes.get(), {2: 4})
    look(run)
    InstanceDay.objects.update(rejected_hours=None)

    look(run, now=afresh(run).watch_until + timedelta(days=2))

    assert (run.changes.get().rejected_calls, afresh(run).watch) == (4, WatchState.CALLED)


# --- the canary --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waiting", [True, False])
def test_only_what_waits_is_held_by_a_canary(waiting):
    """A run of one would be done, and its canary be watched for ever."""
    run = going_on(ChangeState.VERIFIED, ChangeState.PENDING if waiting else ChangeState.SKIPPED)
    EnforcementRequest.objects.update(plan={"policy": policies.as_plan(Terms(canary_minutes=30))})

    assert canary.holds(afresh(run), now=NOW) == waiting

    assert afresh(run).canary == (CanaryState.WATCHING if waiting else CanaryState.NONE)


@pytest.mark.parametrize("state", [CanaryState.CALLED, CanaryState.SILENT, CanaryState.QUIET])
def test_a_look_that_comes_back_after_a_person_paused_the_run_judges_nothing(state):
    """Else resuming would accept what nobody was shown. The next look, once the run goes on, judges."""
    run = going_on(ChangeState.VERIFIED, ChangeState.PENDING)
    Run.objects.update(canary=CanaryState.WATCHING, canary_until=NOW)
    seen = canary.due(run_id=run.pk, now=NOW)
    assert seen is not None
    boss = factories.user("boss", Role.ADMIN)
    runs.hold(run=afresh(run), by=boss, reason="Lunch", now=NOW)

    assert not canary.judged(watched=seen, state=state, calls=7, now=NOW)

    assert (afresh(run).canary, afresh(run).state_reason) == (CanaryState.WATCHING, "Paused by boss: Lunch")
    runs.resume(run=afresh(run), by=boss, now=NOW)
    assert canary.due(run_id=run.pk, now=NOW + canary.LOOK) is not None


@pytest.mark.parametrize(("state", "told"), [(RunState.RUNNING, True), (RunState.STOPPED, False)])
def test_nothing_is_said_to_wait_for_the_canary_of_a_run_that_is_over(state, told):
    run = watched(1, state=state, finished_at=None if told else NOW, canary=CanaryState.WATCHING, canary_until=NOW)

    said = " ".join(line.sentence for line in queries.told(afresh(run), refused=0, now=NOW))

    assert ("the rest waits for it" in said) == told


def test_a_run_that_cannot_be_looked_at_keeps_nobody_from_the_others(monkeypatch):
    broken, run = watched(1), watched(1)
    refused(run.changes.get(), {2: 4})
    good = watch.look

    def look_at(one, *, now):
        if one.pk == broken.pk:
            raise ZeroDivisionError
        return good(one, now=now)

    monkeypatch.setattr(watch, "look", look_at)

    with pytest.raises(ExceptionGroup):
        watch.tend(now=NOW)

    assert run.changes.get().rejected_calls == 4


def test_another_instance_that_calls_after_the_first_was_decided_on_is_proposed_too():
    run = watched()
    first, second = run.changes.all()
    refused(first, {2: 4})
    look(run)
    EnforcementRequest.objects.filter(undoes=run).update(state=RequestState.WITHDRAWN)

    refused(second, {3: 1})
    look(run, now=NOW + timedelta(hours=1))

    proposed = run.undone_by.get(state=RequestState.DRAFT)
    assert {item["undoes"] for item in proposed.plan["changes"]} == {first.pk, second.pk}


def test_two_looks_at_once_hold_the_wave_up_once(wave, monkeypatch):
    run = watched(wave=wave)
    refused(run.changes.first(), {2: 4})
    beside = afresh(run)
    heard = watch._heard

    def look_beside(changes, *, until):
        found = heard(changes, until=until)
        monkeypatch.setattr(watch, "_heard", heard)
        watch.look(beside, now=NOW)
        return found

    monkeypatch.setattr(watch, "_heard", look_beside)

    look(run)

    wave.refresh_from_db()
    assert wave.paused_because == f"1 instance of run {run.pk} has IMDSv1 calls refused."
