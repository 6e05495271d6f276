"""What the tests of both halves share: a pretend fleet collected, a run approved, a run driven."""

from django.utils import timezone

from migration.actions import collection as rows
from migration.actions import requests
from migration.enums import Role
from migration.models import Account, Instance, Run, Scope
from migration.tasks import collection, edges
from migration.tasks import enforcement as tasks
from migration.tasks.scope import Passed
from tests import factories, fleets

WRITE = "ModifyInstanceMetadataOptions"


def collect_all() -> dict[str, Passed]:
    """One pass over the ambient account, by Region."""
    edge = edges.reader()
    account = collection.ambient_account(edge)
    scopes = collection.open_account(edge, account, now=timezone.now())
    passed = [collection.collect_scope(edge, scope) for scope in scopes]
    return {one.region: one for one in passed if one is not None}


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
    return requests.approve(request=waiting, by=approver, comment="", version=waiting.version, now=now)


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
