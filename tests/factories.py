"""Rows for tests, each with the least it needs; say only what the test is about."""

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from migration.domain.hours import pack
from migration.enums import (
    ChangeState,
    LaunchAnswer,
    LaunchSourceKind,
    Outcome,
    PolicyState,
    RequestState,
    Role,
    RoleState,
    Status,
    WaiverKind,
    WaiverState,
    WaveState,
)
from migration.models import (
    Account,
    Change,
    EnforcementRequest,
    Grant,
    Instance,
    InstanceDay,
    LaunchReading,
    LaunchSource,
    Policy,
    Run,
    Scope,
    ScopeDay,
    Waiver,
    Wave,
    WaveAccount,
)

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
_numbers = count(1)


def user(name: str, *roles: Role, account: Account | None = None, ou_path: str = "") -> User:
    person = User.objects.create_user(username=name, password=None)
    for role in roles:
        Grant.objects.create(user=person, role=role, account=account, ou_path=ou_path)
    return person


def account(**fields: Any) -> Account:
    number = next(_numbers)
    fields.setdefault("account_id", f"{number:012d}")
    fields.setdefault("name", f"account-{number}")
    fields.setdefault("role_state", RoleState.OK)
    return Account.objects.create(**fields)


def scope(account: Account, region: str = "us-east-1", **fields: Any) -> Scope:
    fields.setdefault("outcome", Outcome.COMPLETE)
    fields.setdefault("usage_until", NOW.replace(hour=0))
    fields.setdefault("inventory_at", NOW)
    fields.setdefault("usage_at", fields["inventory_at"])
    fields.setdefault("complete_at", NOW)
    return Scope.objects.create(account=account, region=region, **fields)


def instance(account: Account, region: str = "us-east-1", **fields: Any) -> Instance:
    number = next(_numbers)
    fields.setdefault("instance_id", f"i-{number:017x}")
    fields.setdefault("name", f"web-{number}")
    fields.setdefault("instance_state", "running")
    fields.setdefault("http_tokens", "optional")
    fields.setdefault("http_put_response_hop_limit", 1)
    fields.setdefault("http_endpoint", "enabled")
    fields.setdefault("http_protocol_ipv6", "disabled")
    fields.setdefault("instance_metadata_tags", "disabled")
    fields.setdefault("options_state", "applied")
    fields.setdefault("first_seen_at", NOW - timedelta(days=60))
    fields.setdefault("last_seen_at", NOW)
    fields.setdefault("launched_at", NOW - timedelta(days=60))
    fields.setdefault("first_launched_at", NOW - timedelta(days=60))
    fields.setdefault("status", Status.READY)
    fields.setdefault("status_reason", "14 of 14 days fully measured, no IMDSv1 call.")
    fields.setdefault("measured_days", 14)
    fields.setdefault("window_days", 14)
    fields.setdefault("usage_until", timezone.now())
    if fields["status"] == Status.READY:
        fields.setdefault("v1_calls_window", 0)
    return Instance.objects.create(account=account, region=region, **fields)


def instance_day(instance: Instance, day: date, *, hours: list[int | None] | None = None) -> InstanceDay:
    hours = [0] * 24 if hours is None else hours
    known = [hour for hour in hours if hour is not None]
    return InstanceDay.objects.create(
        instance=instance,
        day=day,
        v1_hours=pack(hours),
        v1_calls=sum(known) if known else None,
        measured_hours=len(known),
    )


def scope_day(scope: Scope, day: date, **fields: Any) -> ScopeDay:
    fields.setdefault("complete", True)
    return ScopeDay.objects.create(scope=scope, day=day, **fields)


def run(account: Account, **fields: Any) -> Run:
    """A run of an approved plan; the plan itself is not told."""
    person, other = (User.objects.get_or_create(username=name)[0] for name in ("author", "decider"))
    request = EnforcementRequest.objects.create(
        account=account,
        state=RequestState.APPROVED,
        plan={},
        plan_hash="0" * 64,
        created_by=person,
        created_at=NOW,
        expires_at=NOW + timedelta(days=1),
        requested_by=person,
        requested_at=NOW,
        decided_by=other,
        decided_at=NOW,
    )
    fields.setdefault("created_at", NOW)
    return Run.objects.create(request=request, account=account, **fields)


def launch_source(account: Account, region: str = "us-east-1", **fields: Any) -> LaunchSource:
    number = next(_numbers)
    fields.setdefault("kind", LaunchSourceKind.GROUP)
    fields.setdefault("name", f"group-{number}")
    fields.setdefault("source_id", fields["name"])
    fields.setdefault("answer_now", LaunchAnswer.SAFE)
    safe = fields["answer_now"] == LaunchAnswer.SAFE
    fields.setdefault("answer_enforced", LaunchAnswer.SAFE if safe else LaunchAnswer.FAILS)
    fields.setdefault("severity", 6 if safe else 1)
    fields.setdefault("reason", "Version 1 ($Default) of web states HttpTokens=required.")
    fields.setdefault("advice", "Nothing to change.")
    fields.setdefault("seen_at", NOW)
    return LaunchSource.objects.create(account=account, region=region, **fields)


def waiver(account: Account, *, by: User, decided_by: User | None = None, **fields: Any) -> Waiver:
    """A waiver as asked for; with somebody who decided it, an active one."""
    fields.setdefault("kind", WaiverKind.INSTANCE)
    fields.setdefault("reason", "The vendor ships a fix in May.")
    fields.setdefault("expires_on", NOW.date() + timedelta(days=90))
    fields.setdefault("requested_at", NOW)
    if decided_by is not None:
        decided = {"state": WaiverState.ACTIVE, "decided_by": decided_by, "decided_at": NOW, "since": NOW}
        fields = decided | fields
    return Waiver.objects.create(account=account, requested_by=by, **fields)


def wave(*accounts: Account, by: User, **fields: Any) -> Wave:
    """A wave with these accounts; a draft, unless it is said otherwise."""
    fields.setdefault("name", f"wave-{next(_numbers)}")
    fields.setdefault("owner", "Ada")
    fields.setdefault("created_at", NOW - timedelta(days=20))
    if fields.get("state") == WaveState.ACTIVE:
        fields.setdefault("started_at", NOW - timedelta(days=14))
    made = Wave.objects.create(created_by=by, **fields)
    WaveAccount.objects.bulk_create(WaveAccount(wave=made, account=account) for account in accounts)
    return made


def policy(*, by: User | None, decided_by: User | None = None, **fields: Any) -> Policy:
    """A policy as proposed; with somebody who decided it, an active one."""
    fields.setdefault("reason", "The change board wants two.")
    fields.setdefault("proposed_at", NOW)
    if decided_by is not None:
        fields = {"state": PolicyState.ACTIVE, "decided_by": decided_by, "decided_at": NOW} | fields
    return Policy.objects.create(proposed_by=by, **fields)


def change(run: Run, instance: Instance, **fields: Any) -> Change:
    """A change of a run that AWS has taken and that was read back."""
    told = {"state": ChangeState.VERIFIED, "called_at": NOW, "send": {"HttpTokens": "required"}}
    return Change.objects.create(
        run=run,
        instance=instance,
        target_account_id=run.account.account_id,
        region=instance.region,
        resource_id=instance.instance_id,
        before={"HttpTokens": "optional"},
        after={"HttpTokens": "required"},
        **told | fields,
    )


def way(label: str = "Version 1 ($Default) of web", *, answer: str = "safe", **fields: Any) -> dict[str, Any]:
    """One launch of a source, as `LaunchSource.resolution` keeps it."""
    tokens = {"value": "required" if answer == "safe" else "optional", "level": "launch"}
    base = {"value": "disabled", "level": "base"}
    options = {"tokens": tokens, "hop_limit": {"value": 2, "level": "account"}, "endpoint": base, "ipv6": base}
    return {
        "label": label,
        "template_id": "lt-1",
        "version": 1,
        "image_id": "ami-1",
        "counts": True,
        "now": answer,
        "enforced": "safe" if answer == "safe" else "fails",
        "unread": "",
        "options": options | {"tags": {"value": None, "level": "account"}},
        **fields,
    }


def launch_reading(scope: Scope, **fields: Any) -> LaunchReading:
    fields.setdefault("tried_at", NOW)
    fields.setdefault("read_at", None if fields.get("gaps") else fields["tried_at"])
    return LaunchReading.objects.create(scope=scope, **fields)
