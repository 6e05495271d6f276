"""Where plans begin: scopes, rungs, OUs and waves; what cannot be planned is said, and nothing is written."""

import pytest
from django.urls import reverse

from migration.enums import RequestKind, Role, RunState, Status, WaveState
from migration.models import AuditEvent, EnforcementRequest, Grant, RegionDefaults, Wave, WaveAccount
from migration.queries.account import markers
from migration.queries.plans import Option
from tests import factories
from tests.factories import NOW
from tests.views.test_pages import body

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """Plans whose questions to AWS were sent off."""
    sent: list[int] = []
    monkeypatch.setattr("migration.views.drafting.nudge_ask", sent.append)
    return sent


def post(client, account, **said):
    return client.post(reverse("draft_plan", args=[account.account_id]), said, follow=True)


def planned():
    return [
        sorted(item["instance_id"] for item in request.plan["changes"]) for request in EnforcementRequest.objects.all()
    ]


def test_a_plan_of_one_instance_holds_that_one_and_aws_is_asked(as_, asked):
    account = factories.account()
    one, _ = factories.instance(account), factories.instance(account)

    post(as_("engineer"), account, instances=one.instance_id)

    assert planned() == [[one.instance_id]]
    assert asked == [EnforcementRequest.objects.get().pk]


def test_a_plan_of_a_group_holds_its_members(as_):
    account = factories.account()
    one, _ = factories.instance(account, asg_name="web"), factories.instance(account, asg_name="api")

    post(as_("engineer"), account, group="web", region=one.region)

    assert planned() == [[one.instance_id]]
    assert EnforcementRequest.objects.get().plan["scope"] == {"kind": "group", "group": "web", "region": one.region}


def test_a_plan_of_a_filter_holds_what_it_shows(as_):
    account = factories.account()
    one, _ = factories.instance(account, name="pay-1"), factories.instance(account, name="other")

    post(as_("engineer"), account, q="pay", status="ready")

    assert planned() == [[one.instance_id]]


def test_an_instance_of_another_account_is_refused_and_audited(as_):
    account, other = factories.account(), factories.account()
    factories.instance(account)
    foreign = factories.instance(other)

    answer = post(as_("engineer"), account, instances=foreign.instance_id)

    assert f"{foreign.instance_id} is not an instance of account {account.account_id}. No plan was made." in body(
        answer
    )
    assert not EnforcementRequest.objects.exists()
    assert AuditEvent.objects.filter(verb="denied", account_id=account.account_id).count() == 1


def test_what_is_no_instance_id_is_refused(as_):
    account = factories.account()
    factories.instance(account)

    answer = post(as_("engineer"), account, instances="web-1; drop")

    assert "is not an instance id" in body(answer)
    assert not EnforcementRequest.objects.exists()


def test_imds_is_never_switched_off_for_more_than_is_named(as_):
    account = factories.account()
    factories.instance(account)

    answer = post(as_("engineer"), account, kind="imds_off")

    assert "only on instances that are named one by one" in body(answer)
    assert not EnforcementRequest.objects.exists()


def test_a_rung_that_cannot_be_planned_says_why(as_):
    account = factories.account()
    factories.scope(account)

    answer = as_("engineer").post(
        reverse("draft_rung", args=[account.account_id]), {"kind": "enforcement"}, follow=True
    )

    assert "Its launch defaults were not read lately" in body(answer)
    assert not EnforcementRequest.objects.exists()


def test_an_unknown_rung_is_refused(as_):
    account = factories.account()

    answer = as_("engineer").post(reverse("draft_rung", args=[account.account_id]), {"kind": "rollback"}, follow=True)

    assert answer.status_code == 200
    assert not EnforcementRequest.objects.exists()


def test_an_ou_gets_one_plan_for_each_account_that_has_something_ready(as_):
    ready = [factories.account(name=name, ou_path=f"Root/Prod/{name}") for name in ("a", "b")]
    for account in ready:
        factories.instance(account)
    factories.instance(factories.account(name="c", ou_path="Root/Prod"), status=Status.IN_USE)
    factories.instance(factories.account(name="d", ou_path="Root/Product"))

    answer = as_("engineer").post(reverse("draft_many"), {"ou": "Root/Prod"}, follow=True)

    made = EnforcementRequest.objects.all()
    assert {request.account for request in made} == set(ready)
    assert len({request.batch for request in made}) == 1
    page = body(answer)
    assert "2 plans were made for OU Root/Prod" in page
    assert "No plan for c: Nothing in c is ready to enforce" in page
    assert "Planned together" in page


def test_only_accounts_the_person_may_plan_for_are_planned(client):
    mine, other = (factories.account(name=name, ou_path="Root/Prod") for name in ("mine", "other"))
    for account in (mine, other):
        factories.instance(account)
    person = factories.user("half")
    Grant.objects.create(user=person, role=Role.ENGINEER, account=mine)
    Grant.objects.create(user=person, role=Role.VIEWER, account=other)
    client.force_login(person)

    client.post(reverse("draft_many"), {"ou": "Root/Prod"})

    assert [request.account for request in EnforcementRequest.objects.all()] == [mine]


def wave_of(*accounts, state=WaveState.ACTIVE):
    wave = Wave.objects.create(
        name="first", owner="Ada", state=state, created_by=factories.user("maker", Role.ENGINEER), created_at=NOW
    )
    for account in accounts:
        WaveAccount.objects.create(wave=wave, account=account)
    return wave


def test_a_wave_is_planned_whole_and_its_plans_know_it(as_):
    account = factories.account()
    factories.instance(account)
    wave = wave_of(account)

    as_("engineer").post(reverse("draft_many"), {"wave": wave.pk})

    request = EnforcementRequest.objects.get()
    assert (request.wave, request.kind) == (wave, RequestKind.ENFORCE)
    assert request.plan["scope"]["of"] == "wave first"


def test_a_wave_that_was_not_started_is_not_planned(as_):
    account = factories.account()
    factories.instance(account)
    wave = wave_of(account, state=WaveState.DRAFT)

    assert as_("engineer").post(reverse("draft_many"), {"wave": wave.pk}).status_code == 404
    assert not EnforcementRequest.objects.exists()


@pytest.mark.parametrize("said", [{}, {"ou": "Root", "wave": 1}])
def test_neither_or_both_of_ou_and_wave_is_refused(as_, said):
    answer = as_("engineer").post(reverse("draft_many"), said, follow=True)

    assert "Say which organizational unit, or which wave." in body(answer)


def test_a_preference_that_is_taken_away_is_shown_in_words_and_sent_as_aws_has_it():
    hop, tokens = Option("HttpPutResponseHopLimit", 2, -1), Option("HttpTokens", "required", "no-preference")

    assert (hop.told, tokens.told) == ("no preference", "no preference")
    assert (hop.sent, tokens.sent) == ("HttpPutResponseHopLimit=-1", "HttpTokens=no-preference")


def test_lifting_is_offered_where_something_is_refused_and_proper_names_keep_their_letters(as_):
    account = factories.account()
    defaults = RegionDefaults.objects.create(scope=factories.scope(account), read_at=NOW)
    client, page = as_("engineer"), reverse("account", args=[account.account_id])

    without = [button.label for _, button in client.get(page).context["rung_buttons"]]
    RegionDefaults.objects.filter(pk=defaults.pk).update(http_tokens_enforced="enabled")
    with_it = [button.label for _, button in client.get(page).context["rung_buttons"]]

    assert "Plan: Refuse IMDSv1 launches" in without
    assert [label for label in with_it if label not in without] == ["Plan: Lift the refusal"]


def test_the_chart_has_one_mark_a_day_that_says_what_was_done_to_instances(as_, cast):
    account = factories.account()
    for kind in (RequestKind.ENFORCE, RequestKind.DEFAULTS, RequestKind.IMDS_OFF):
        run = factories.run(account, state=RunState.DONE, created_at=NOW, started_at=NOW, finished_at=NOW)
        EnforcementRequest.objects.filter(pk=run.request_id).update(kind=kind)

    assert [(mark.at, mark.told) for mark in markers(account)] == [(NOW, "Enforced on 0, switched off on 0")]
