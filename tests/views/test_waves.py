"""Waves as people meet them: the list, the page with its burn-down, and the forms that keep what was typed."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from migration.enums import RequestState, Role, RunState, Status, WaveState
from migration.models import AuditEvent, Wave, WaveAccount
from tests import factories
from tests.factories import NOW
from tests.views.conftest import change_of, request_of, run_of
from tests.views.test_pages import HOSTILE, body, text
from tests.views.test_quality import words

pytestmark = pytest.mark.django_db
TODAY = NOW.date()


@pytest.fixture
def author():
    return factories.user("author", Role.ENGINEER)


@pytest.fixture
def shop():
    account = factories.account(name="shop", ou_path="Root/Prod")
    scope = factories.scope(account)
    for back, left in ((3, 4), (2, 3), (0, 2)):
        factories.scope_day(scope, TODAY - timedelta(days=back), by_status={Status.READY: left, Status.ENFORCED: 1})
    factories.instance(account), factories.instance(account, status=Status.ENFORCED)
    return account


@pytest.fixture
def wave(author, shop):
    return factories.wave(
        shop, by=author, name="First", contact="#first", due_on=date(2026, 11, 30), state=WaveState.ACTIVE
    )


def page_of(client, wave) -> Any:
    return client.get(reverse("wave", args=[wave.pk]))


# --- the list ------------------------------------------------------------------------------------------------


def test_the_list_says_whose_each_is_how_far_and_how_long_there_is(as_, wave, author):
    factories.wave(by=author, name="Late", position=2, due_on=date(2026, 11, 10))

    answer = as_("viewer").get(reverse("waves"))

    told = words(answer)
    assert "First position 0 Ada #first 2026-11-30 in 10 days Active 1 " in told
    assert "1 enforced · 1 ready · 0 in use 50 % 1 of 2" in told
    assert "2026-11-10 10 days overdue Draft 0" in told
    assert "Instances left, last 30 days: 4 to 1" in text(answer)  # today as it is now


def test_an_empty_list_says_what_a_wave_is_and_who_makes_them(as_):
    assert reverse("new_wave") in text(as_("engineer").get(reverse("waves")))
    assert "Somebody with the role Engineer makes them." in body(as_("viewer").get(reverse("waves")))


def test_a_paused_wave_says_why(as_, author, shop):
    paused = factories.wave(shop, by=author, state=WaveState.ACTIVE, paused_because="3 instances refuse calls.")

    assert "paused: 3 instances refuse calls." in body(as_("viewer").get(reverse("waves")))
    assert "This wave is paused: nothing of it goes on. 3 instances refuse calls." in body(
        page_of(as_("viewer"), paused)
    )


@pytest.mark.parametrize("rows", [1, 4])
def test_the_list_costs_the_same_queries_for_one_wave_and_for_four(client, django_assert_num_queries, author, rows):
    for _ in range(rows):
        account = factories.account()
        factories.instance(account)
        factories.scope_day(factories.scope(account), TODAY, by_status={Status.READY: 1})
        factories.wave(account, by=author)
    client.force_login(factories.user("someone", Role.ENGINEER))

    with django_assert_num_queries(LIST):
        client.get(reverse("waves"))


@pytest.mark.parametrize("rows", [1, 4])
def test_a_wave_costs_the_same_queries_for_one_account_and_for_four(client, django_assert_num_queries, author, rows):
    accounts, decider = [factories.account() for _ in range(rows)], factories.user("decider", Role.APPROVER)
    wave = factories.wave(*accounts, by=author, state=WaveState.ACTIVE, due_on=date(2026, 12, 1))
    for account in accounts:
        factories.instance(account, blockers=["x"]), factories.launch_source(account)
        scope = factories.scope(account)
        factories.launch_reading(scope), factories.scope_day(scope, TODAY, by_status={Status.READY: 1})
        made = request_of(account, author, RequestState.APPROVED, decided_by=decider, decided_at=NOW, wave=wave)
        change_of(run_of(made, RunState.DONE, wave=wave))
        request_of(account, author, RequestState.DRAFT, wave=wave)
    client.force_login(factories.user("someone", Role.ENGINEER))

    with django_assert_num_queries(ONE):
        page_of(client, wave)


LIST, ONE = 13, 36


# --- one wave ------------------------------------------------------------------------------------------------


def test_the_page_draws_measured_days_gaps_and_the_straight_line(as_, wave):
    chart = page_of(as_("viewer"), wave).context["chart"]

    left, line = chart.figure["data"]
    assert left["y"][-4:] == [4, 3, None, 1]
    assert (line["y"][0], line["y"][-1], line["x"][-1]) == (4, 0, "2026-11-30")
    assert "1 left on 20 November, 3 fewer than on 17 November." in chart.sentence
    assert chart.table.rows[1][:2] == ("2026-11-19", "not counted")


def test_a_draft_has_no_straight_line(as_, author, shop):
    wave = factories.wave(shop, by=author, due_on=date(2026, 11, 30))

    assert len(page_of(as_("viewer"), wave).context["chart"].figure["data"]) == 1


def test_the_page_says_where_each_account_stands_and_what_is_next(as_, wave, shop):
    told = words(page_of(as_("engineer"), wave))

    assert "Ready 1 instance can be enforced now. Plan the enforcement of 1 ready instance." in told
    assert "Enforce 1" in told


def test_the_plans_and_runs_of_the_wave_are_there_and_no_others(as_, wave, shop, author):
    decider = factories.user("decider", Role.APPROVER)
    mine = request_of(shop, author, RequestState.APPROVED, decided_by=decider, decided_at=NOW, wave=wave)
    run = run_of(mine, RunState.DONE, wave=wave)
    other = request_of(shop, author, RequestState.DRAFT)

    page = text(page_of(as_("viewer"), wave))

    assert f'href="{reverse("plan", args=[mine.pk])}"' in page
    assert f'href="{reverse("run", args=[run.pk])}"' in page
    assert f'href="{reverse("plan", args=[other.pk])}"' not in page


@pytest.mark.parametrize("name", ["viewer", "approver"])
def test_who_may_only_look_is_offered_nothing_to_press(as_, wave, name):
    page = text(page_of(as_(name), wave))

    assert [one for one in ("edit", "add", "remove", "close") if f"/waves/{wave.pk}/{one}/" in page] == []


def test_a_wave_of_which_nothing_is_seen_does_not_exist(client, wave):
    client.force_login(factories.user("narrow", Role.ADMIN, account=factories.account()))

    names = ("edit_wave", "add_to_wave", "remove_from_wave", "start_wave", "close_wave", "reopen_wave", "resume_wave")
    answers = [client.post(reverse(name, args=[wave.pk]), {"version": 0}) for name in names]

    assert [answer.status_code for answer in (*answers, page_of(client, wave))] == [404] * 8
    assert "First" not in client.get(reverse("waves")).content.decode()


def test_a_part_of_a_wave_shows_that_part_and_how_much_more_there_is(client, author, shop):
    hidden = factories.account(name="sealed-vault")
    factories.instance(hidden)
    wave = factories.wave(shop, hidden, by=author, name="First")
    client.force_login(factories.user("narrow", Role.ENGINEER, account=shop))

    page = page_of(client, wave)
    answer = client.post(reverse("start_wave", args=[wave.pk]), {"version": 0})

    assert ("sealed-vault" in text(page), hidden.account_id in text(page)) == (False, False)
    assert "1, and 1 you may not see" in body(page)
    assert f"/waves/{wave.pk}/start/" not in text(page)
    assert (answer.status_code, Wave.objects.get().state) == (409, WaveState.DRAFT)
    assert "needs a role over each account of the wave" in body(answer)


# --- making and editing ------------------------------------------------------------------------------------


def test_a_wave_is_made_and_filled_on_its_page(as_, shop):
    told = {"name": "Second", "owner": "Ada", "contact": "", "due_on": "2026-12-31", "position": "2"}
    client = as_("engineer")

    made = client.post(reverse("new_wave"), told, follow=True)
    wave = Wave.objects.get()
    added = client.post(
        reverse("add_to_wave", args=[wave.pk]), {"accounts": shop.account_id, "version": 0}, follow=True
    )

    assert "Made. Now say which accounts are in it." in body(made)
    assert "1 account added." in body(added)
    assert WaveAccount.objects.get().account == shop


WRONG = {
    "no name": ({"name": ""}, "“Name” is empty"),
    "a day that is none": ({"due_on": "soon"}, "Write the day as 2027-02-20."),
    "a day that is over": ({"due_on": "2026-11-01"}, "2026-11-01 is over"),
    "no number": ({"position": "first"}, "“Position” is not a whole number."),
    "a name that is taken": ({"name": "First"}, "Another wave is called “First” already."),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("editing", [False, True])
def test_what_is_wrong_is_said_and_what_was_typed_stays(as_, wave, case, editing):
    other, (fields, sentence) = factories.wave(by=wave.created_by, name="Second"), case
    url = reverse("edit_wave", args=[other.pk]) if editing else reverse("new_wave")
    typed = {"name": "Third", "owner": "typed words", "contact": "", "due_on": "", "position": "2", "version": "0"}

    answer = as_("engineer").post(url, typed | fields)

    assert (answer.status_code, Wave.objects.count()) == (409, 2)
    assert sentence in body(answer)
    assert 'value="typed words"' in text(answer)


def test_a_page_that_is_old_saves_nothing_and_keeps_what_was_typed(as_, wave):
    typed = {"name": "First", "owner": "typed words", "contact": "", "due_on": "", "position": "2", "version": "7"}

    answer = as_("engineer").post(reverse("edit_wave", args=[wave.pk]), typed)

    wave.refresh_from_db()
    assert (answer.status_code, wave.owner) == (409, "Ada")
    assert "changed by somebody else" in body(answer)
    assert 'value="typed words"' in text(answer)


# --- the accounts ------------------------------------------------------------------------------------------


def test_accounts_come_pasted_and_from_a_file_together(as_, wave):
    pasted, filed = factories.account(), factories.account()
    file = SimpleUploadedFile("a.csv", f"\ufeffname,account_id\nx,{filed.account_id}\n".encode())

    answer = as_("engineer").post(
        reverse("add_to_wave", args=[wave.pk]), {"accounts": pasted.account_id, "file": file, "version": 0}, follow=True
    )

    assert "2 accounts added." in body(answer)
    assert wave.members.count() == 3


def test_a_list_that_is_refused_stays_where_it_was_typed_and_adds_nothing(as_, wave, shop):
    other = factories.account()
    typed = f"{other.account_id}\n{shop.account_id}"

    answer = as_("engineer").post(reverse("add_to_wave", args=[wave.pk]), {"accounts": typed, "version": 0})

    assert (answer.status_code, wave.members.count()) == (409, 1)
    assert f"{shop.account_id} is in this wave already. None was added." in body(answer)
    assert f">{typed}</textarea>" in answer.content.decode()
    assert AuditEvent.objects.filter(verb="denied").count() == 1


FILES = {
    "no text": (b"\xff\xfe\x00", "The file is not text"),
    "too large": (b"1" * ((1 << 20) + 1), "The file is larger than 1 MB."),
    "empty": (b"", "Paste account ids, or choose a file with them."),
}


@pytest.mark.parametrize(("content", "sentence"), FILES.values(), ids=FILES)
def test_a_file_that_names_nothing_is_refused(as_, wave, content, sentence):
    sent = {"accounts": "", "file": SimpleUploadedFile("a.csv", content), "version": 0}

    answer = as_("engineer").post(reverse("add_to_wave", args=[wave.pk]), sent)

    assert (answer.status_code, wave.members.count()) == (409, 1)
    assert sentence in body(answer)


def test_an_account_is_taken_out(as_, wave, shop):
    sent = {"account": shop.account_id, "version": 0}

    answer = as_("engineer").post(reverse("remove_from_wave", args=[wave.pk]), sent, follow=True)

    assert wave.members.count() == 0
    assert "is no longer in this wave." in body(answer)


@pytest.mark.parametrize("account", ["999999999999", "shop"])
def test_what_is_not_there_is_not_taken_out(as_, wave, account):
    answer = as_("engineer").post(reverse("remove_from_wave", args=[wave.pk]), {"account": account, "version": 0})

    assert (answer.status_code, wave.members.count()) == (409, 1)


# --- its way -------------------------------------------------------------------------------------------------


def test_a_draft_is_started_and_an_empty_one_says_why_it_cannot_be(as_, author, shop):
    full, empty = factories.wave(shop, by=author), factories.wave(by=author)
    client = as_("engineer")
    assert "No account is in it yet." in body(page_of(client, empty))

    client.post(reverse("start_wave", args=[full.pk]), {"version": 0})
    answer = client.post(reverse("start_wave", args=[empty.pk]), {"version": 0})

    for row in (full, empty):
        row.refresh_from_db()
    assert (full.state, empty.state, answer.status_code) == (WaveState.ACTIVE, WaveState.DRAFT, 409)


def test_it_is_closed_and_reopened_with_a_word(as_, wave):
    client = as_("engineer")

    client.post(reverse("close_wave", args=[wave.pk]), {"reason": "", "version": 0})
    without = client.post(reverse("reopen_wave", args=[wave.pk]), {"reason": " ", "version": 1})
    wave.refresh_from_db()
    assert (wave.state, without.status_code) == (WaveState.CLOSED, 409)

    client.post(reverse("reopen_wave", args=[wave.pk]), {"reason": "One came back.", "version": 1})
    wave.refresh_from_db()
    assert wave.state == WaveState.ACTIVE


OLD: dict[str, dict[str, Any]] = {
    "close_wave": {},
    "reopen_wave": {"state": "closed", "closed_at": NOW},
    "resume_wave": {"paused_because": "x"},
}


@pytest.mark.parametrize("name", OLD)
def test_a_page_that_is_old_steers_nothing_and_keeps_the_reason(as_, shop, author, name):
    wave = factories.wave(shop, by=author, version=1, **OLD[name])
    before = Wave.objects.values().get()

    answer = as_("engineer").post(reverse(name, args=[wave.pk]), {"reason": "typed words", "version": 0})

    assert (answer.status_code, Wave.objects.values().get()) == (409, before)
    assert 'value="typed words"' in text(answer)


def test_an_approver_lets_a_paused_wave_go_on(as_, shop, author):
    wave = factories.wave(shop, by=author, state=WaveState.ACTIVE, paused_because="3 instances refuse calls.")
    client, url = as_("approver"), reverse("resume_wave", args=[wave.pk])
    assert url in text(page_of(client, wave))

    client.post(url, {"reason": "They were mended.", "version": 0})

    wave.refresh_from_db()
    assert wave.paused_because == ""


def test_what_was_typed_never_becomes_markup(as_, author, shop):
    wave = factories.wave(shop, by=author, name=HOSTILE, owner=HOSTILE, contact=HOSTILE, paused_because=HOSTILE)

    for url in (reverse("waves"), reverse("wave", args=[wave.pk])):
        assert "<script>alert" not in as_("admin").get(url).content.decode()
