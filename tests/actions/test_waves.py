"""Waves: made, filled with accounts that are in no other, started, closed, reopened; and who may."""

from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from migration.actions import waves
from migration.actions.errors import Refused, Stale
from migration.actions.waves import Told
from migration.enums import Role, RunState, WaveState
from migration.models import Account, AuditEvent, Grant, Notification, Wave, WaveAccount
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
TODAY = NOW.date()


@pytest.fixture
def edith():
    return factories.user("edith", Role.ENGINEER)


@pytest.fixture
def shop():
    return factories.account(name="shop", ou_path="Root/Prod")


@pytest.fixture
def wave(edith):
    return factories.wave(by=edith, name="First")


def verbs() -> list[str]:
    return list(AuditEvent.objects.order_by("seq").values_list("verb", flat=True))


def told(**fields: Any) -> Told:
    return Told(**{"name": "Second", "owner": "Ada"} | fields)


def add(wave: Wave, *said: str, by) -> int:
    wave.refresh_from_db()
    return waves.add_accounts(wave=wave, said=said, by=by, version=wave.version, now=NOW)


# --- making and editing ------------------------------------------------------------------------------------


def test_a_wave_begins_as_an_empty_draft(edith):
    wave = waves.create(told=told(due_on=TODAY, contact="#ada", position=3), by=edith, now=NOW)

    assert (wave.state, wave.due_on, wave.position, wave.members.count()) == (WaveState.DRAFT, TODAY, 3, 0)
    assert (wave.created_by, verbs()) == (edith, ["wave.created"])


BAD = {
    "no name": ({"name": "  "}, "Give the wave a name."),
    "no owner": ({"owner": ""}, "Say who answers for the wave."),
    "a day that is over": ({"due_on": TODAY - timedelta(days=1)}, "2026-11-19 is over"),
    "a position below the first": ({"position": -1}, "The position is -1; it must be 0 to 9,999."),
    "a position that the column does not hold": ({"position": 40_000}, "The position is 40,000"),
    "a name that is taken": ({"name": "First"}, "Another wave is called “First” already."),
}


@pytest.mark.parametrize(("fields", "words"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("editing", [False, True])
def test_what_makes_no_sense_is_refused_in_a_sentence_and_audited(wave, edith, fields, words, editing):
    other = factories.wave(by=edith, name="Second")
    attempt = (
        partial(waves.edit, wave=other, told=told(**fields), version=0)
        if editing
        else partial(waves.create, told=told(**{"name": "Third"} | fields))
    )

    with pytest.raises(Refused) as refusal:
        attempt(by=edith, now=NOW)

    assert words in str(refusal.value)
    other.refresh_from_db()
    assert (other.name, other.version, Wave.objects.count(), verbs()) == ("Second", 0, 2, ["denied"])


def test_an_edit_tells_what_it_changed_and_nothing_else(wave, edith):
    waves.edit(wave=wave, told=told(name="First", owner="Bo"), by=edith, version=0, now=NOW)

    event = AuditEvent.objects.get()
    assert (event.verb, event.before, event.after) == ("wave.edited", {"owner": "Ada"}, {"owner": "Bo"})
    assert (wave.owner, wave.version) == ("Bo", 1)


def test_an_edit_that_changes_nothing_writes_nothing(wave, edith):
    waves.edit(wave=wave, told=told(name="First"), by=edith, version=0, now=NOW)

    assert (wave.version, verbs()) == (0, [])


def test_an_overdue_wave_can_be_edited_without_moving_its_day(edith):
    wave = factories.wave(by=edith, name="Late", due_on=date(2026, 10, 1))

    waves.edit(wave=wave, told=told(name="Late", owner="Bo", due_on=date(2026, 10, 1)), by=edith, version=0, now=NOW)

    assert wave.owner == "Bo"


# --- the accounts ------------------------------------------------------------------------------------------


def test_accounts_are_added_all_at_once_with_one_event(wave, edith, shop):
    other = factories.account()

    assert add(wave, shop.account_id, other.account_id, by=edith) == 2

    assert set(WaveAccount.objects.values_list("wave", "account")) == {(wave.pk, shop.pk), (wave.pk, other.pk)}
    event = AuditEvent.objects.get()
    assert (event.verb, event.after) == ("wave.accounts_added", {"accounts": [shop.account_id, other.account_id]})


@pytest.fixture
def refused(wave, edith, shop):
    """Say something beside an account that is fine: what is the sentence? And nothing may be written."""

    def ask(*said: str, by=edith) -> str:
        before = list(WaveAccount.objects.values_list("wave", "account"))
        with pytest.raises(Refused) as refusal:
            add(wave, shop.account_id, *said, by=by)
        wave.refresh_from_db()
        assert list(WaveAccount.objects.values_list("wave", "account")) == before
        assert (wave.version, verbs(), Notification.objects.count()) == (0, ["denied"], 0)
        return str(refusal.value)

    return ask


def test_an_account_that_is_named_twice_is_refused(refused, shop):
    assert refused(shop.account_id) == f"{shop.account_id} is named twice. None was added."


def test_an_account_of_this_wave_is_refused(refused, wave):
    member = factories.account()
    WaveAccount.objects.create(wave=wave, account=member)

    assert refused(member.account_id) == f"{member.account_id} is in this wave already. None was added."


def test_an_account_of_another_wave_is_refused_with_the_name_of_that(refused, edith):
    taken = factories.account()
    factories.wave(taken, by=edith, name="Early")

    assert refused(taken.account_id) == f"{taken.account_id} is in the wave “Early” already. None was added."


def test_an_account_that_is_not_there_is_refused(refused):
    assert "999999999999 is not an account here, or none that you may see." in refused("999999999999")


@pytest.mark.parametrize(
    ("said", "words"),
    [("payments", "“payments” is not the 12 digits"), ("12345", "A spreadsheet may have cut its leading zeros.")],
)
def test_what_is_no_account_is_refused_by_its_name(refused, said, words):
    assert words in refused(said)


def test_an_account_that_the_person_may_not_see_is_refused_as_one_that_is_not_there(refused, shop):
    hidden = factories.account(name="sealed-vault")
    narrow = factories.user("narrow", Role.ENGINEER, account=shop)

    assert refused(hidden.account_id, by=narrow) == (
        f"{hidden.account_id} is not an account here, or none that you may see. None was added."
    )


def test_an_account_that_the_person_may_only_look_at_is_refused(refused, shop):
    other = factories.account()
    person = factories.user("two", Role.ENGINEER, account=shop)
    Grant.objects.create(user=person, role=Role.VIEWER, account=other)

    assert refused(other.account_id, by=person).startswith("Your role does not allow you to put")


def test_of_a_long_list_the_first_five_are_named_and_the_rest_counted(refused):
    sentence = refused(*(f"x{number}" for number in range(9)))

    assert ("“x4”" in sentence, "“x5”" in sentence, "And 4 more. None was added." in sentence) == (True, False, True)


def test_an_empty_list_and_one_that_is_too_long_are_refused(wave, edith):
    for said, words in (([], "No account was named."), (["1"] * 5001, "5,000 are taken at once")):
        with pytest.raises(Refused, match=words):
            waves.add_accounts(wave=wave, said=said, by=edith, version=0, now=NOW)


def test_two_that_add_the_same_account_at_once_leave_it_in_one_wave(wave, edith, shop, monkeypatch):
    """The other wave takes it between the look and the write: the database decides, and the sentence names it."""
    other = factories.wave(by=edith, name="Other")
    look = waves._named

    def and_then(*args, **kwargs):
        found = look(*args, **kwargs)
        WaveAccount.objects.get_or_create(account=shop, defaults={"wave": other})
        return found

    monkeypatch.setattr(waves, "_named", and_then)

    with pytest.raises(Refused, match="is in the wave “Other” already"):
        add(wave, shop.account_id, by=edith)

    wave.refresh_from_db()
    assert (WaveAccount.objects.get().wave, wave.version, verbs()) == (other, 0, ["denied"])


@pytest.mark.parametrize("count", [1, 30])
def test_adding_costs_the_same_queries_for_one_account_and_for_thirty(wave, edith, count):
    ids = [factories.account().account_id for _ in range(count)]
    add(wave, factories.account().account_id, by=edith)

    with CaptureQueriesContext(connection) as seen:
        add(wave, *ids, by=edith)

    assert len(seen) == 11


def test_one_is_taken_out_and_can_then_be_added_elsewhere(edith, shop):
    first, second = factories.wave(shop, by=edith), factories.wave(by=edith)

    waves.remove_account(wave=first, account=shop, by=edith, version=0, now=NOW)
    add(second, shop.account_id, by=edith)

    assert (WaveAccount.objects.get().wave, first.version) == (second, 1)
    assert verbs() == ["wave.account_removed", "wave.accounts_added"]


def test_one_that_is_not_in_it_is_not_taken_out(wave, edith, shop):
    with pytest.raises(Refused, match="is not in this wave"):
        waves.remove_account(wave=wave, account=shop, by=edith, version=0, now=NOW)

    assert verbs() == ["denied"]


def test_one_with_an_active_run_of_the_wave_is_not_taken_out(edith, shop):
    wave = factories.wave(shop, by=edith)
    factories.run(shop, wave=wave, state=RunState.RUNNING)

    with pytest.raises(Refused, match="A run of this wave is active"):
        waves.remove_account(wave=wave, account=shop, by=edith, version=0, now=NOW)

    assert (wave.members.count(), verbs()) == (1, ["denied"])


def test_a_closed_wave_takes_none_and_gives_none_away(edith, shop):
    wave = factories.wave(shop, by=edith, state=WaveState.CLOSED, closed_at=NOW)

    with pytest.raises(Refused, match="The wave is closed"):
        add(wave, factories.account().account_id, by=edith)
    with pytest.raises(Refused, match="The wave is closed"):
        waves.remove_account(wave=wave, account=shop, by=edith, version=0, now=NOW)


# --- its way -------------------------------------------------------------------------------------------------


def test_a_wave_goes_its_way_and_each_step_is_told(edith, shop, settings):
    settings.IMDSDASH_WEBHOOK_URL = "https://example.com/hook"
    wave = factories.wave(shop, by=edith)

    waves.start(wave=wave, by=edith, version=0, now=NOW)
    waves.close(wave=wave, by=edith, reason="done", version=1, now=NOW + timedelta(days=1))
    assert (wave.state, wave.closed_at) == (WaveState.CLOSED, NOW + timedelta(days=1))
    waves.reopen(wave=wave, by=edith, reason="one came back", version=2, now=NOW + timedelta(days=2))

    assert (wave.state, wave.started_at, wave.closed_at) == (WaveState.ACTIVE, NOW, None)
    assert verbs() == ["wave.started", "wave.closed", "wave.reopened"]
    kinds = Notification.objects.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["wave.started", "wave.closed", "wave.reopened"]


def test_a_draft_that_was_closed_begins_when_it_is_reopened(edith, shop):
    wave = factories.wave(shop, by=edith)
    waves.close(wave=wave, by=edith, reason="", version=0, now=NOW)

    waves.reopen(wave=wave, by=edith, reason="after all", version=1, now=NOW)

    assert wave.started_at == NOW


REFUSED = {
    "starting an empty one": ("start", {}, {}, False, "No account is in this wave yet"),
    "starting one that is active": ("start", {"state": "active"}, {}, True, "The wave is active."),
    "starting one that is closed": ("start", {"state": "closed", "closed_at": NOW}, {}, True, "The wave is closed."),
    "closing one that is closed": ("close", {"state": "closed", "closed_at": NOW}, {"reason": ""}, True, "is closed."),
    "reopening one that is active": ("reopen", {"state": "active"}, {"reason": "x"}, True, "The wave is active."),
    "reopening a draft": ("reopen", {}, {"reason": "x"}, True, "The wave is draft."),
    "reopening without a word": (
        "reopen",
        {"state": "closed", "closed_at": NOW},
        {"reason": " "},
        True,
        "Say why the wave is opened again",
    ),
    "resuming one that is not paused": ("resume", {"state": "active"}, {"reason": "x"}, True, "is not paused"),
    "resuming without a word": ("resume", {"paused_because": "3 refuse"}, {"reason": ""}, True, "Say why it may go on"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_is_not_possible_now_is_refused_and_audited(edith, shop, case):
    name, fields, more, filled, words = case
    wave = factories.wave(*([shop] if filled else []), by=edith, **fields)
    before = Wave.objects.values().get()

    with pytest.raises(Refused, match=words):
        getattr(waves, name)(wave=wave, by=edith, version=0, now=NOW, **more)

    assert (Wave.objects.values().get(), verbs()) == (before, ["denied"])


def test_a_wave_with_an_active_run_is_not_closed(edith, shop):
    wave = factories.wave(shop, by=edith, state=WaveState.ACTIVE)
    run = factories.run(shop, wave=wave, state=RunState.PAUSED)

    with pytest.raises(Refused, match=f"Run {run.pk} of this wave is active"):
        waves.close(wave=wave, by=edith, reason="", version=0, now=NOW)


def test_a_paused_wave_goes_on_when_a_person_says_why(shop, edith):
    wave = factories.wave(shop, by=edith, state=WaveState.ACTIVE, paused_because="3 instances refuse calls.")

    waves.resume(wave=wave, by=factories.user("arjun", Role.APPROVER), reason="They were mended.", version=0, now=NOW)

    event = AuditEvent.objects.get()
    assert (wave.paused_because, wave.state, wave.version) == ("", WaveState.ACTIVE, 1)
    assert (event.verb, event.before, event.reason) == (
        "wave.resumed",
        {"paused_because": "3 instances refuse calls."},
        "They were mended.",
    )


# --- who may, and pages that are old -------------------------------------------------------------------------

ACTS: dict[str, Any] = {
    "edit": {"told": told()},
    "add_accounts": {"said": ["999999999999"]},
    "remove_account": {},
    "start": {},
    "close": {"reason": ""},
    "reopen": {"reason": "x"},
    "resume": {"reason": "x"},
}


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize(("role", "over"), [(Role.VIEWER, {}), (Role.ENGINEER, {"ou_path": "Root/Prod"})])
def test_it_takes_the_role_over_each_account_of_the_wave(edith, shop, name, role, over):
    beyond = factories.account(ou_path="Root/Test")
    wave = factories.wave(shop, beyond, by=edith, paused_because="x")
    person, more = factories.user("other", role, **over), {**ACTS[name]}
    if name == "remove_account":
        more["account"] = shop
    before = Wave.objects.values().get()

    with pytest.raises(Refused, match="needs a role over each account of the wave"):
        getattr(waves, name)(wave=wave, by=person, version=0, now=NOW, **more)

    assert (Wave.objects.values().get(), wave.members.count(), verbs()) == (before, 2, ["denied"])


@pytest.mark.parametrize("role", [Role.VIEWER, Role.APPROVER])
def test_making_one_takes_the_role_engineer(role):
    with pytest.raises(Refused, match="needs the role Engineer"):
        waves.create(told=told(), by=factories.user("other", role), now=NOW)

    assert (Wave.objects.count(), verbs()) == (0, ["denied"])


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_page_that_is_old_changes_nothing(edith, shop, name, meanwhile):
    """Old when it was sent, or overtaken between the look and the write."""
    state = {"state": "closed", "closed_at": NOW} if name == "reopen" else {}
    wave, more = factories.wave(shop, by=edith, paused_because="x", **state), {**ACTS[name]}
    if name == "remove_account":
        more["account"] = shop
    if name == "add_accounts":
        more["said"] = [factories.account().account_id]
    Wave.objects.filter(pk=wave.pk).update(version=1)
    if not meanwhile:
        wave.refresh_from_db()
    before = Wave.objects.values().get()

    with pytest.raises(Stale, match="changed by somebody else"):
        getattr(waves, name)(wave=wave, by=edith, version=0, now=NOW, **more)

    assert (Wave.objects.values().get(), Account.objects.filter(wave_member__isnull=False).count()) == (before, 1)
    assert verbs() == []
