"""A run that has begun, and what the guards say of it."""

import pytest
from django.contrib.auth.models import User

from migration.actions import guards, requests
from migration.enums import RequestState, Role, RunState
from migration.models import Account, EnforcementRequest, Run
from tests import factories
from tests.factories import NOW

PEOPLE = {"ellen": Role.ENGINEER, "adam": Role.APPROVER, "bea": Role.ADMIN, "carl": Role.ADMIN}


@pytest.fixture
def people() -> dict[str, User]:
    return {name: factories.user(name, role) for name, role in PEOPLE.items()}


@pytest.fixture
def account() -> Account:
    account = factories.account(name="shop")
    factories.scope(account)
    for _ in range(4):
        factories.instance(account, usage_until=NOW)
    return account


def running(account, people, *, bound=None, **terms) -> Run:
    """A run that has begun, of a plan that adam approved, under a policy with these terms."""
    if terms:
        factories.policy(by=people["bea"], decided_by=people["carl"], canary_minutes=0, **terms)
    ellen = people["ellen"]
    draft = requests.draft_plan(account=account, by=ellen, now=NOW, bound=bound)
    waiting = requests.submit(request=draft, by=ellen, reason="", version=draft.version, now=NOW)
    for name in ("adam", "bea", "carl"):
        if waiting.state == RequestState.REQUESTED:
            requests.approve(request=waiting, by=people[name], comment="", version=waiting.version, now=NOW)
            waiting.refresh_from_db()
    Run.objects.update(state=RunState.RUNNING, started_at=NOW)
    return afresh(Run.objects.get())


def afresh(run: Run) -> Run:
    return Run.objects.select_related("account", "wave", "request__account", "request__by_policy").get(pk=run.pk)


def paused_because(run: Run, *, now=NOW) -> str:
    """The sentence by which the guards stopped it, or "" when they let it go on."""
    went_on = guards.may_go_on(afresh(run), now=now)
    run.refresh_from_db()
    assert went_on == (run.state == RunState.RUNNING)
    return run.state_reason


def change_request(run: Run, **fields) -> None:
    EnforcementRequest.objects.filter(pk=run.request_id).update(**fields)


@pytest.fixture
def run(account, people) -> Run:
    return running(account, people)
