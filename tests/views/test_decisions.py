"""From the Enforce button to the run: what each person sees, presses and is told."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from migration.actions import requests, rollback
from migration.actions.errors import Refused, Stale
from migration.domain.plan import canonical
from migration.enums import ChangeState, RequestState, Role, RunState, Status
from migration.models import Change, EnforcementRequest, Instance, Policy, Run
from tests import factories
from tests.factories import NOW
from tests.views.conftest import change_of, plan_for, request_of, run_of
from tests.views.test_pages import body, text

pytestmark = pytest.mark.django_db


def refuse(monkeypatch, name, error):
    def refused(**_):
        raise error

    monkeypatch.setattr(requests, name, refused)


# --- the one button ----------------------------------------------------------------------------------


def test_the_button_counts_what_a_plan_would_change(as_):
    account = factories.account()
    factories.instance(account), factories.instance(account)
    factories.instance(account, blockers=["User data calls v1."])
    factories.instance(account, status=Status.IN_USE)

    page = text(as_("engineer").get(reverse("account", args=[account.account_id])))

    assert "Enforce IMDSv2 on 2 ready instances</button>" in page


@pytest.mark.parametrize(
    ("person", "status", "why"),
    [
        ("viewer", Status.READY, "Your role lets you look. Planning needs the role Engineer."),
        ("engineer", Status.SETTLING, "No instance is ready yet. The table says what each one waits for."),
    ],
)
def test_a_button_that_cannot_be_pressed_says_why(as_, person, status, why):
    account = factories.account()
    factories.instance(account, status=status)

    page = body(as_(person).get(reverse("account", args=[account.account_id])))

    assert why in page


def test_the_button_links_what_is_already_on_its_way(world, as_):
    client = as_("engineer")

    waiting = text(client.get(reverse("account", args=[world.account.account_id])))
    running = text(client.get(reverse("account", args=[world.run.account.account_id])))

    assert f'waits for approval. <a href="/plans/{world.waiting.pk}/">Open the plan</a>' in waiting
    assert f'A run is active in this account. <a href="/runs/{world.run.pk}/">Watch it</a>' in running


def test_pressing_enforce_opens_a_draft(as_):
    account = factories.account()
    factories.instance(account)

    answer = as_("engineer").post(reverse("draft_plan", args=[account.account_id]))

    drafted = EnforcementRequest.objects.get()
    assert (answer.url, drafted.state) == (reverse("plan", args=[drafted.pk]), RequestState.DRAFT)


def test_a_refused_draft_comes_back_to_the_account_with_the_sentence(as_):
    account = factories.account(name="calm")

    answer = as_("engineer").post(reverse("draft_plan", args=[account.account_id]), follow=True)

    assert answer.redirect_chain == [(reverse("account", args=[account.account_id]), 302)]
    assert "Nothing in calm is ready to enforce, so no plan was made." in body(answer)


# --- the plan ----------------------------------------------------------------------------------------


def test_the_plan_reads_like_a_plan(world, as_):
    excluded = [
        {"instance_id": "i-1", "region": "us-east-1", "name": "cron", "status": "in_use", "reason": "3 calls."},
        {"instance_id": "i-2", "region": "us-east-1", "name": "old", "status": "in_use", "reason": "9 calls."},
    ]
    request = request_of(
        world.account,
        factories.user("planner", Role.ENGINEER),
        RequestState.REQUESTED,
        plan=plan_for(world.account, excluded=excluded),
    )

    page = body(as_("viewer").get(reverse("plan", args=[request.pk])))

    assert "+ 1 to change, 2 excluded" in page
    assert "HttpTokens optional → required" in page
    assert request.plan_hash in page
    assert "In use2 instances" in page.replace("In use 2", "In use2")
    assert "2026-11-22 21:00 UTC (in 2 d)" in page


def test_the_requester_is_told_that_somebody_else_must_decide(as_, cast):
    account = factories.account()
    factories.instance(account)
    request = request_of(account, cast["admin"], RequestState.REQUESTED)

    page = text(as_("admin").get(reverse("plan", args=[request.pk])))

    assert "You requested this, so someone else must approve." in page
    assert reverse("approve_plan", args=[request.pk]) not in page


def test_an_approver_sees_verb_and_count_on_the_button(world, as_):
    page = text(as_("approver").get(reverse("plan", args=[world.waiting.pk])))

    assert "Approve and enforce on 1 instance</button>" in page
    assert reverse("reject_plan", args=[world.waiting.pk]) in page


@pytest.mark.parametrize("person", ["viewer", "engineer"])
def test_who_cannot_decide_is_told_who_can(world, as_, person):
    page = text(as_(person).get(reverse("plan", args=[world.waiting.pk])))

    assert "Waiting for somebody with the role Approver." in page
    assert reverse("approve_plan", args=[world.waiting.pk]) not in page


def test_a_plan_past_its_expiry_offers_a_new_one(world, as_):
    EnforcementRequest.objects.filter(pk=world.waiting.pk).update(expires_at=NOW - timedelta(minutes=1))

    page = body(as_("approver").get(reverse("plan", args=[world.waiting.pk])))

    assert "This plan is past its expiry and cannot go on." in page
    assert "Make a new plan" in page
    assert "Approve and enforce" not in page


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (RequestState.APPROVED, "Approved by decider"),
        (RequestState.REJECTED, "Rejected by decider. Nothing was changed."),
        (RequestState.WITHDRAWN, "Withdrawn. Nothing was changed."),
        (RequestState.EXPIRED, "Expired before it was decided. Nothing was changed."),
    ],
)
def test_a_closed_plan_says_how_it_ended(as_, state, said):
    account, author = factories.account(), factories.user("author", Role.ENGINEER)
    decided = {RequestState.APPROVED, RequestState.REJECTED}
    more = {"decided_by": factories.user("decider", Role.APPROVER), "decided_at": NOW} if state in decided else {}
    request = request_of(account, author, state, **more)

    assert said in body(as_("viewer").get(reverse("plan", args=[request.pk])))


def test_the_download_is_the_text_that_was_hashed(world, as_):
    answer = as_("viewer").get(reverse("plan_json", args=[world.waiting.pk]))

    assert answer.content.decode() == canonical(world.waiting.plan)
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="plan-')


def test_the_plan_as_text_says_what_the_page_says_one_line_each(world, as_):
    world.waiting.plan["changes"][0]["name"] = "web\n+ forged line"
    world.waiting.save(update_fields=["plan"])

    answer = as_("viewer").get(reverse("plan_text", args=[world.waiting.pk]))

    lines = answer.content.decode().splitlines()
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert f"SHA-256: {world.waiting.plan_hash}" in lines
    assert "      HttpTokens: optional -> required" in lines
    assert not [line for line in lines if line.startswith("+ forged")]


# --- deciding ----------------------------------------------------------------------------------------


def test_a_submitted_draft_waits_with_its_reason(world, as_):
    url = reverse("submit_plan", args=[world.draft.pk])

    answer = as_("engineer").post(url, {"reason": "two quiet weeks", "version": 0}, follow=True)

    world.draft.refresh_from_db()
    assert (world.draft.state, world.draft.reason) == (RequestState.REQUESTED, "two quiet weeks")
    assert "Approval requested." in body(answer)


def test_approving_starts_a_run_and_nudges_it(world, as_, monkeypatch):
    nudged: list[int] = []
    monkeypatch.setattr("migration.views.plans.nudge_run", nudged.append)

    answer = as_("approver").post(
        reverse("approve_plan", args=[world.waiting.pk]), {"comment": "", "version": 0, "typed": "payments"}
    )

    run = Run.objects.get(request=world.waiting)
    assert (answer.url, nudged) == (reverse("run", args=[run.pk]), [run.pk])


def test_a_rejection_needs_a_word_and_keeps_the_form(world, as_):
    answer = as_("approver").post(reverse("reject_plan", args=[world.waiting.pk]), {"comment": " ", "version": 0})

    world.waiting.refresh_from_db()
    assert (answer.status_code, world.waiting.state) == (409, RequestState.REQUESTED)
    assert "Say why you reject it" in body(answer)


@pytest.mark.parametrize("verb", ["submit", "withdraw", "approve", "reject"])
@pytest.mark.parametrize("error", [Refused("The moon is full."), Stale("It is now withdrawn.")])
def test_a_refusal_is_shown_as_its_sentence_and_the_typed_words_are_kept(world, as_, monkeypatch, verb, error):
    refuse(monkeypatch, verb, error)
    pk = world.draft.pk if verb == "submit" else world.waiting.pk
    sent = {"reason": "typed words", "comment": "typed words", "version": 0, "typed": "payments"}

    answer = as_("admin").post(reverse(f"{verb}_plan", args=[pk]), sent)

    assert answer.status_code == 409
    assert str(error) in body(answer)
    assert ("typed words" in body(answer)) == (verb != "withdraw")


def test_a_form_without_its_version_is_refused(world, as_):
    answer = as_("approver").post(reverse("approve_plan", args=[world.waiting.pk]), {"comment": "x"})

    assert answer.status_code == 409
    assert Run.objects.filter(request=world.waiting).count() == 0


def test_the_inbox_tells_mine_from_others(world, as_, cast):
    account = factories.account(name="own")
    own = request_of(account, cast["approver"], RequestState.REQUESTED)

    page = text(as_("approver").get(reverse("approvals")))
    mine, others = page.split('id="others-title"')

    assert (f"/plans/{world.waiting.pk}/" in mine, f"/plans/{own.pk}/" in mine) == (True, False)
    assert f"/plans/{own.pk}/" in others
    assert '<span class="count">1<span' in mine


# --- runs --------------------------------------------------------------------------------------------


def test_failures_come_first(world, as_):
    change_of(world.run, ChangeState.VERIFIED, instance=factories.instance(world.run.account, name="fine"))
    change_of(world.run, ChangeState.FAILED, instance=factories.instance(world.run.account, name="broken"))

    page = body(as_("viewer").get(reverse("run", args=[world.run.pk])))

    assert page.index("broken") < page.index("fine")
    assert "Running: 2 of 3 settled, 1 verified, 1 failed." in page


def test_a_poll_answers_204_until_something_moves(world, as_):
    client, url = as_("viewer"), reverse("run_progress", args=[world.run.pk])
    seen = client.get(url).context["seen"]

    still = client.get(url, {"seen": seen})
    change_of(world.run, ChangeState.VERIFIED)
    moved = client.get(url, {"seen": seen})

    assert (still.status_code, moved.status_code) == (204, 200)
    assert 'hx-swap-oob="innerHTML:#run-line"' in text(moved)


@pytest.mark.parametrize("state", [RunState.DONE, RunState.STOPPED, RunState.FAILED])
def test_286_ends_the_polling_when_the_run_is_over(world, as_, state):
    Run.objects.filter(pk=world.run.pk).update(state=state, finished_at=NOW)
    client, url = as_("viewer"), reverse("run_progress", args=[world.run.pk])

    assert client.get(url).status_code == 286
    assert "hx-trigger" not in text(client.get(reverse("run", args=[world.run.pk])))


def test_a_stopped_run_is_watched_until_nothing_is_in_flight(world, as_):
    change_of(world.run, ChangeState.APPLIED)
    Run.objects.filter(pk=world.run.pk).update(state=RunState.STOPPED, finished_at=NOW)

    assert as_("viewer").get(reverse("run_progress", args=[world.run.pk])).status_code == 200


@pytest.mark.parametrize(
    ("state", "there"),
    [
        (RunState.QUEUED, ["Stop the run"]),
        (RunState.RUNNING, ["Pause", "Stop the run"]),
        (RunState.PAUSED, ["Resume", "Stop the run"]),
        (RunState.DONE, []),
        (RunState.STOPPED, []),
        (RunState.FAILED, []),
    ],
)
def test_the_buttons_of_a_run_follow_its_state(as_, state, there):
    account, author = factories.account(), factories.user("author", Role.ENGINEER)
    decider = factories.user("decider", Role.APPROVER)
    run = run_of(request_of(account, author, RequestState.APPROVED, decided_by=decider, decided_at=NOW), state)

    answer = as_("engineer").get(reverse("run", args=[run.pk]))

    assert [button.label for button in answer.context["buttons"]] == there


def test_a_run_is_stopped_once_and_the_second_try_is_told(world, as_):
    client, url = as_("engineer"), reverse("stop_run", args=[world.run.pk])

    first, second = client.post(url, follow=True), client.post(url, follow=True)

    assert "Stopped: no further call to AWS will begin." in body(first)
    assert "so it cannot be stopped." in body(second)


def test_a_paused_run_is_resumed_and_nudged(world, as_, monkeypatch):
    nudged: list[int] = []
    monkeypatch.setattr("migration.views.runs.nudge_run", nudged.append)
    Run.objects.filter(pk=world.run.pk).update(state=RunState.PAUSED)

    as_("engineer").post(reverse("resume_run", args=[world.run.pk]))

    world.run.refresh_from_db()
    assert (world.run.state, nudged) == (RunState.RUNNING, [world.run.pk])


# --- one click, where the policy lets it do ------------------------------------------------------------


@pytest.fixture
def small(cast):
    """An account that is wholly ready, under a policy by which two instances need no second person."""
    account = factories.account(name="small")
    factories.instance(account), factories.instance(account)
    Policy.objects.create(
        account=account, state="active", one_click=2, canary_minutes=0, reason="small",
        proposed_by=cast["admin"], proposed_at=NOW, decided_by=factories.user("second", Role.ADMIN), decided_at=NOW,
    )  # fmt: skip
    return requests.draft_plan(account=account, by=cast["engineer"], now=NOW)


def test_one_click_says_what_it_does_and_asks_for_the_account(small, as_):
    page = text(as_("engineer").get(reverse("plan", args=[small.pk])))

    assert "Enforce IMDSv2 on 2 instances now</button>" in page
    assert "the run begins at once." in page


def test_one_click_without_the_account_typed_does_nothing(small, as_):
    answer = as_("engineer").post(reverse("submit_plan", args=[small.pk]), {"reason": "quiet", "version": 0})

    small.refresh_from_db()
    assert (answer.status_code, small.state) == (409, RequestState.DRAFT)


def test_one_click_starts_the_run_and_names_the_policy(small, as_, monkeypatch):
    nudged: list[int] = []
    monkeypatch.setattr("migration.views.plans.nudge_run", nudged.append)

    as_("engineer").post(reverse("submit_plan", args=[small.pk]), {"reason": "quiet", "version": 0, "typed": "small"})

    run = Run.objects.get(request=small)
    assert nudged == [run.pk]
    page = text(as_("viewer").get(reverse("run", args=[run.pk])))
    assert "on one click, by policy" in page


# --- putting back ---------------------------------------------------------------------------------------


@pytest.fixture
def back(cast):
    """A draft that puts a run back, in an account whose policy gives everybody who steers the emergency right."""
    account = factories.account(name="small")
    factories.policy(account=account, by=cast["admin"], decided_by=factories.user("second", Role.ADMIN),
                     emergency="steering")  # fmt: skip
    decider = factories.user("decider", Role.APPROVER)
    done = run_of(
        request_of(account, cast["engineer"], RequestState.APPROVED, decided_by=decider, decided_at=NOW), RunState.DONE
    )
    change = change_of(done, ChangeState.VERIFIED)
    Instance.objects.filter(changes=change).update(http_tokens="required")
    return rollback.draft(run=done, by=cast["engineer"], now=NOW)


def test_no_two_fields_of_a_draft_share_an_id(back, as_):
    page = text(as_("engineer").get(reverse("plan", args=[back.pk])))

    ids = re.findall(r'<(?:textarea|input|select)[^>]* id="([^"]+)"', page)
    assert {"ask-reason", "edit-reason", "emergency-reason"} <= set(ids)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'<label[^>]* for="([^"]+)"', page)) <= set(ids)


def test_a_refused_emergency_keeps_its_words_in_its_own_open_box(back, as_):
    answer = as_("engineer").post(
        reverse("roll_back_now", args=[back.pk]), {"version": 0, "reason": "typed words", "typed": "another"}
    )

    assert answer.status_code == 409
    assert answer.context["emergency_form"]["reason"].value() == "typed words"
    assert answer.context["submit_form"]["reason"].value() == ""
    assert '<details class="group emergency" open>' in text(answer)


@pytest.mark.parametrize(("state", "label"), [("draft", "Discard draft"), ("requested", "Withdraw request")])
def test_a_plan_under_a_policy_that_no_longer_holds_says_so_and_can_only_be_given_up(back, as_, cast, state, label):
    Policy.objects.update(emergency="nobody")
    asked = {"requested_by": cast["engineer"], "requested_at": NOW} if state == "requested" else {}
    EnforcementRequest.objects.filter(pk=back.pk).update(state=state, **asked)

    actions = as_("admin").get(reverse("plan", args=[back.pk])).context["actions"]

    assert "has changed since the plan was made" in actions.sentence
    assert actions.withdraw.label == label
    assert [actions.submit, actions.edit, actions.emergency, actions.approve, actions.reject] == [None] * 5


def test_a_run_above_the_instance_names_what_it_changes(cast, as_):
    account = factories.account(name="small")
    request = request_of(account, cast["engineer"], RequestState.APPROVED, by_policy=factories.policy(by=cast["admin"]))
    run = run_of(request, RunState.DONE)
    told = {"run": run, "region": "eu-west-1", "target_account_id": account.account_id, "before": {}, "send": {}}
    Change.objects.create(kind="region_defaults", resource_id="eu-west-1", **told)
    Change.objects.create(kind="launch_template_default", resource_id="lt-1", name="web", **told)

    page = text(as_("viewer").get(reverse("run", args=[run.pk])))

    assert '<th scope="col">Resource</th>' in page
    assert re.findall(r'<th scope="row" data-label="Resource">(.*?)</th>', page) == [
        'eu-west-1<span class="id">Region defaults</span>',
        'web<span class="id">Launch template default</span><span class="id mono">lt-1</span>',
    ]


def test_just_those_with_refused_calls_can_be_put_back(back, as_):
    run = back.undoes
    back.delete()
    change_of(run, ChangeState.VERIFIED, rejected_calls=4, rejected_hour=NOW)
    Instance.objects.update(http_tokens="required")

    page = as_("engineer").get(reverse("run", args=[run.pk]))
    as_("engineer").post(reverse("roll_back", args=[run.pk]), {"only": "refused"})

    assert "Plan to put back the 1 with refused calls</button>" in text(page)
    assert len(run.undone_by.get().plan["changes"]) == 1
