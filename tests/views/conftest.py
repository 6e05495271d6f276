"""A cast of six, and an organisation with one of everything."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from migration.domain.plan import digest
from migration.enums import ChangeState, RequestState, Role, RunState, Status, WaiverKind
from migration.models import Account, Change, EnforcementRequest, Policy, Run, Waiver, Wave
from tests import factories
from tests.factories import NOW


@pytest.fixture(autouse=True)
def _clock():
    with time_machine.travel(NOW, tick=False):
        yield


@dataclass(frozen=True)
class World:
    account: Account
    draft: EnforcementRequest
    waiting: EnforcementRequest
    approved: EnforcementRequest
    run: Run
    asked: Waiver  # waits for a decision
    waived: Waiver  # holds
    proposed: Policy  # waits for an admin
    wave: Wave  # a draft, paused, with the account in it


def plan_for(account: Account, **extra: Any) -> dict[str, Any]:
    """A plan over the ready instances of the account, as domain.plan writes it."""
    return {
        "version": 1,
        "account_id": account.account_id,
        "window_days": 14,
        "as_of": NOW.isoformat(),
        "changes": [
            {
                "instance_id": row.instance_id,
                "region": row.region,
                "name": row.name,
                "before": {"HttpTokens": "optional", "HttpPutResponseHopLimit": 1, "State": "applied"},
                "send": {"HttpTokens": "required"},
                "reason": row.status_reason,
                "evidence": {"measured_days": 14, "window_days": 14, "v1_calls": 0, "last_v1_hour": None},
                "warnings": [],
            }
            for row in account.instances.filter(status=Status.READY)
        ],
        "excluded": [],
        "notes": [],
        **extra,
    }


def request_of(account: Account, by: User, state: RequestState, **fields: Any) -> EnforcementRequest:
    fields.setdefault("plan", plan_for(account))
    if state != RequestState.DRAFT:
        fields.setdefault("requested_by", by)
        fields.setdefault("requested_at", NOW - timedelta(hours=2))
    return EnforcementRequest.objects.create(
        account=account,
        state=state,
        plan_hash=digest(fields["plan"]),
        created_by=by,
        created_at=NOW - timedelta(hours=3),
        expires_at=fields.pop("expires_at", NOW + timedelta(hours=60)),
        **fields,
    )


def run_of(request: EnforcementRequest, state: RunState = RunState.RUNNING, **fields: Any) -> Run:
    return Run.objects.create(
        request=request,
        account=request.account,
        state=state,
        created_at=NOW - timedelta(hours=1),
        started_at=NOW - timedelta(minutes=50),
        finished_at=NOW if state in {RunState.DONE, RunState.STOPPED, RunState.FAILED} else None,
        **fields,
    )


def change_of(run: Run, state: ChangeState = ChangeState.PENDING, **fields: Any) -> Change:
    instance = fields.pop("instance", None) or factories.instance(run.account)
    called = state in {ChangeState.CALLING, ChangeState.APPLIED, ChangeState.VERIFIED}
    return Change.objects.create(
        run=run,
        instance=instance,
        target_account_id=run.account.account_id,
        region=instance.region,
        resource_id=instance.instance_id,
        before={"HttpTokens": "optional"},
        send={"HttpTokens": "required"},
        after={"HttpTokens": "required"} if state == ChangeState.VERIFIED else None,
        called_at=NOW if called else None,
        state=state,
        **fields,
    )


@pytest.fixture
def cast(db) -> dict[str, User]:
    """Nobody has an account of ours but no role; the others one each, over everything."""
    return {
        "nobody": factories.user("nobody"),
        "viewer": factories.user("viewer", Role.VIEWER),
        "engineer": factories.user("engineer", Role.ENGINEER),
        "approver": factories.user("approver", Role.APPROVER),
        "admin": factories.user("admin", Role.ADMIN),
    }


@pytest.fixture
def world(cast) -> World:
    """Requests made by somebody outside the cast, so that everybody in it could decide if their role allows it."""
    author = factories.user("author", Role.ENGINEER)
    account = factories.account(name="payments", ou_path="Root/Prod", owner="Ada")
    scope = factories.scope(account)
    factories.scope_day(scope, NOW.date() - timedelta(days=1), v1_calls=12, instances_measured=1, instances_expected=2)
    factories.instance(account)
    other = factories.account(name="search")
    factories.instance(other)
    approved = request_of(
        other, author, RequestState.APPROVED, decided_by=factories.user("decider", Role.APPROVER), decided_at=NOW
    )
    run = run_of(approved)
    change_of(run, instance=other.instances.get())
    return World(
        account=account,
        draft=request_of(account, author, RequestState.DRAFT),
        waiting=request_of(account, author, RequestState.REQUESTED),
        approved=approved,
        run=run,
        asked=factories.waiver(account, by=author, kind=WaiverKind.GROUP, target="web"),
        waived=factories.waiver(
            other, by=author, decided_by=approved.decided_by, kind=WaiverKind.ACCOUNT, target="", region=""
        ),
        proposed=factories.policy(by=author, quorum=2),
        wave=factories.wave(account, by=author, name="First", paused_because="2 instances refuse calls."),
    )


@pytest.fixture
def as_(client: Client, cast):
    """Sign in as one of the cast: `as_("viewer").get(...)`."""

    def sign_in(name: str) -> Client:
        if name != "anonymous":
            client.force_login(cast[name])
        return client

    return sign_in
