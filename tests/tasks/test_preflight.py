"""Asking AWS beforehand, against the pretend AWS: answers beside the plan, and nothing changed."""

import pytest
from django.utils import timezone

from migration.actions import requests
from migration.enums import Role
from migration.models import Account, EnforcementRequest
from migration.tasks import preflight
from tests import factories, fleets
from tests.tasks.story import WRITE, collected, enter, member

pytestmark = pytest.mark.django_db


def draft():
    ellen = factories.user("ellen", Role.ENGINEER)
    return requests.draft_plan(account=Account.objects.get(), by=ellen, now=timezone.now())


def answers(request):
    request.refresh_from_db()
    return [(one["what"], one["code"]) for one in request.checks["answers"]]


def test_the_change_and_its_way_back_are_asked_and_nothing_is_changed(aws):
    sandbox = aws(fleets.alone({"count": 2, "name_prefix": "web", **fleets.QUIET}))
    collected(sandbox)
    request = draft()
    sealed = request.plan_hash
    sandbox.clear_calls()

    preflight.ask(request.pk)

    assert answers(request) == [("change", ""), ("put back", "")]
    assert all(call["params"]["DryRun"] for call in sandbox.calls(operation=WRITE))
    assert {one.options.http_tokens for one in sandbox.world.instances.values()} == {"optional"}
    assert (request.plan_hash, request.checked_at is not None) == (sealed, True)


def test_a_role_that_may_not_is_said_beforehand(aws):
    sandbox = aws(fleets.pair({"name": "web", **fleets.QUIET}, deny=["ec2:ModifyInstanceMetadataOptions"]))
    enter(member())
    request = draft()

    preflight.ask(request.pk)

    assert answers(request) == [("change", "UnauthorizedOperation"), ("put back", "UnauthorizedOperation")]
    names = {call["session_name"] for call in sandbox.calls(operation=WRITE)}
    assert names == {f"imdsdash-plan-{request.pk}-ellen"}


def test_no_answer_is_stored_as_none(aws):
    sandbox = aws(fleets.alone({"name": "web", **fleets.QUIET}))
    collected(sandbox)
    request = draft()
    sandbox.set_faults([{"kind": "throttle", "operation": WRITE, "times": 50}])

    preflight.ask(request.pk)

    assert [code for _, code in answers(request)] == [None, None]


def test_a_request_that_is_not_there_is_no_error(aws):
    aws(fleets.alone({"name": "web", **fleets.QUIET}))

    preflight.ask(4711)

    assert not EnforcementRequest.objects.exists()
