"""What the tests of both halves share: a pretend fleet collected, a run approved, a run driven."""

from datetime import datetime
from typing import Any

from django.utils import timezone

from migration.actions import collection as rows
from migration.actions import requests
from migration.enums import Role
from migration.models import Account, Instance, InstanceDay, RegionDefaults, Run, Scope, ScopeDay
from migration.tasks import collection, edges
from migration.tasks import enforcement as tasks
from migration.tasks import scope as scopes
from tests import factories, fleets

WRITE = "ModifyInstanceMetadataOptions"


def collect_all(until: datetime | None = None) -> dict[str, scopes.Passed]:
    """One pass over the ambient account, by Region. `until`: as if it were made when that hour was the last known."""
    edge = edges.reader()
    account = collection.ambient_account(edge)
    found = collection.open_account(edge, account, now=timezone.now())
    passed = [collection.collect_scope(edge, scope, until=until) for scope in found]
    return {one.region: one for one in passed if one is not None}


# Columns that tell when and how often something was looked at, and by whom; all others are what AWS said.
OBSERVED = {
    "id", "first_seen_at", "last_seen_at", "published_at", "status_since", "gone_at", "watch_until", "read_at",
    "first_enforced_at", "frozen_at", "last_started_at", "inventory_at", "usage_at", "complete_at", "next_due_at",
    "inventory_due_at", "usage_due_at", "watch_due_at", "clock_skew", "throttled", "fence", "attempts", "not_before",
}  # fmt: skip


def stored() -> dict[str, list[dict[str, Any]]]:
    """What is known, whenever and in whatever order it was learnt: every row of the collector, by table."""
    found = {}
    for model in (Scope, Instance, InstanceDay, ScopeDay, RegionDefaults):
        names = [field.attname for field in model._meta.concrete_fields if field.attname not in OBSERVED]
        whose = {"account_id": "account__account_id", "scope_id": "scope__region"}
        if model is InstanceDay:
            whose["instance_id"] = "instance__instance_id"
        rows_ = model.objects.values_list(*[whose.get(name, name) for name in names])
        found[model.__name__] = sorted((dict(zip(names, row, strict=True)) for row in rows_), key=repr)
    return found


def over_after(monkeypatch, batches: int) -> None:
    """A pass's time is over after so many batches."""
    left = iter([False] * batches)
    monkeypatch.setattr(scopes.Pass, "_over", lambda _: next(left, True))


def member() -> Account:
    role = f"arn:aws:iam::{fleets.MEMBER}:role/imdsdash"
    return rows.remember_account(
        account_id=fleets.MEMBER,
        reader_role_arn=f"{role}-reader",
        enforcer_role_arn=f"{role}-enforcer",
        external_id=fleets.EXTERNAL_ID,
    )


def enter(account: Account) -> None:
    """What the timetable does with an account."""
    collection.open_one_account(account.pk)
    for pk in Scope.objects.filter(account=account).values_list("pk", flat=True):
        collection.collect_one_scope(pk)


def status_of(name: str) -> str:
    return Instance.objects.get(name=name).status


def collected(fleet) -> None:
    edge = edges.reader()
    account = collection.ambient_account(edge)
    for scope in collection.open_account(edge, account, now=timezone.now()):
        collection.collect_scope(edge, scope)


def approved_run() -> Run:
    """Everything ready, planned, requested and approved."""
    now = timezone.now()
    account = Instance.objects.first().account
    engineer, approver = factories.user("ellen", Role.ENGINEER), factories.user("adam", Role.APPROVER)
    draft = requests.draft_plan(account=account, by=engineer, now=now)
    waiting = requests.submit(request=draft, by=engineer, reason="", version=draft.version, now=now)
    run = requests.approve(request=waiting, by=approver, comment="", version=waiting.version, now=now)
    assert run is not None, "one approval is enough by default"
    return run


def begin(aws, *groups, **options):
    sandbox = aws(fleets.alone(*(groups or ({"count": 3, "name_prefix": "web", **fleets.QUIET},)), **options))
    collected(sandbox)
    run = approved_run()
    sandbox.clear_calls()
    return sandbox, run


def drive(run: Run) -> dict[str, int]:
    tasks.drive_run(run.pk)
    run.refresh_from_db()
    states = run.changes.values_list("state", flat=True)
    return {state: list(states).count(state) for state in set(states)}


def set_options(sandbox, instance_id: str, **fields) -> None:
    instance = sandbox.world.instances[instance_id]
    old = instance.options
    instance.options = type(old)(**{name: getattr(old, name) for name in old.__slots__} | fields)
