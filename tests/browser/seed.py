"""An organisation one would believe, small enough for a test: six accounts in four units, sixty days, every status."""

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from migration.actions import audit
from migration.domain.plan import digest
from migration.enums import (
    ChangeState,
    Decision,
    GapKind,
    Outcome,
    RequestState,
    Role,
    RoleState,
    RunState,
    Status,
)
from migration.models import (
    Account,
    ApiDay,
    Approval,
    Change,
    EnforcementRequest,
    Instance,
    RegionDefaults,
    Run,
    ScheduledRun,
    Scope,
    ScopeDay,
)
from migration.queries.health import DISPATCHER
from tests import factories
from tests.browser.launches import launch_sources

HOSTILE = '<a href="https://evil.example/">x</a><script>alert(1)</script>'
REGIONS = ("eu-central-1", "eu-west-1", "us-east-1")
DENIED = (
    "User: arn:aws:sts::111122223333:assumed-role/imdsdash/collector is not authorized to perform: sts:AssumeRole "
    "on resource: arn:aws:iam::222233334444:role/imdsdash-reader"
)
# name, unit, owner, {status: how many}, calls a day at the start and at the end
ACCOUNTS = (
    ("payments-prod", "Root/Commerce/Prod", "Ada Okafor", (40, 2, 0, 18, 3, 1, 12, 1, 2), 92_000, 21_000),
    ("storefront-prod", "Root/Commerce/Prod", "Noor Haddad", (61, 0, 1, 9, 4, 0, 4, 0, 3), 40_000, 6_500),
    ("data-platform", "Root/Data", "Mikko Laine", (22, 3, 0, 31, 8, 2, 21, 0, 9), 150_000, 118_000),
    ("ml-research", "Root/Data", "", (8, 0, 0, 0, 12, 0, 15, 2, 14), 30_000, 33_000),
    ("shared-services", "Root/Platform", "Ines Duarte", (55, 1, 0, 0, 0, 0, 0, 0, 0), 800, 0),
    ("legacy-erp", "Root/Corporate IT", "Tomasz Wilk", (0, 0, 0, 0, 0, 0, 0, 0, 0), None, None),
)
ORDER = (
    Status.ENFORCED,
    Status.IMDS_OFF,
    Status.PENDING,
    Status.READY,
    Status.SETTLING,
    Status.WAIVED,
    Status.IN_USE,
    Status.REGRESSED,
    Status.UNKNOWN,
)
REASONS = {
    Status.ENFORCED: "HttpTokens is required and applied.",
    Status.IMDS_OFF: "The metadata endpoint is disabled.",
    Status.PENDING: "HttpTokens is required, AWS is still applying it.",
    Status.READY: "14 of 14 days fully measured, no IMDSv1 call.",
    Status.SETTLING: "No IMDSv1 call so far, 6 of 14 days measured.",
    Status.WAIVED: "Waived until 2027-01-31: vendor agent, ticket PLAT-418.",
    Status.REGRESSED: "Was enforced on 2026-10-02, is optional again.",
    Status.UNKNOWN: "Only 5 of 14 days are measured: stopped for part of the window.",
}


@dataclass(frozen=True)
class Organisation:
    engineer: User
    approver: User
    viewer: User
    accounts: list[Account]
    waiting: EnforcementRequest
    draft: EnforcementRequest
    running: Run
    done: Run


def organisation(now: datetime) -> Organisation:
    """Everything a page can show. Deterministic but for the clock it is given."""
    dice = random.Random(7)
    engineer = factories.user("edith", Role.ENGINEER)
    approver = factories.user("arjun", Role.APPROVER)
    accounts = [_account(dice, number, row, now) for number, row in enumerate(ACCOUNTS)]
    tick(now)
    _gaps(accounts, now=now)
    _calls(dice, now=now)
    launch_sources(accounts, hostile=HOSTILE, now=now)
    _events(accounts[2], engineer, approver, now=now)
    return Organisation(
        engineer=engineer,
        approver=approver,
        viewer=factories.user("vera", Role.VIEWER),
        accounts=accounts,
        waiting=_request(accounts[0], engineer, now=now, state=RequestState.REQUESTED),
        draft=_request(accounts[1], engineer, now=now, state=RequestState.DRAFT),
        running=_run(accounts[2], engineer, approver, now=now, state=RunState.RUNNING),
        done=_run(accounts[4], engineer, approver, now=now - timedelta(days=9), state=RunState.DONE),
    )


def tick(at: datetime) -> None:
    """The timetable lives."""
    ScheduledRun.objects.create(job=DISPATCHER, window_start=at.replace(second=0, microsecond=0), started_at=at)


def _gaps(accounts: list[Account], *, now: datetime) -> None:
    """One account that is left alone after its failures, a partial answer, and a Region that nobody has read lately."""
    Account.objects.filter(pk=accounts[5].pk).update(
        failures=5,
        retry_at=now + timedelta(minutes=42),
        probe={
            "at": (now - timedelta(minutes=8)).isoformat(),
            "identity": "",
            "regions": 0,
            "checks": [{"operation": "AssumeRole", "ok": False, "message": DENIED}],
        },
    )
    data, store = Scope.objects.filter(account=accounts[2]), Scope.objects.filter(account=accounts[1])
    data.filter(region="eu-central-1").update(
        outcome=Outcome.INCOMPLETE,
        gap=GapKind.PARTIAL,
        gap_message=f"3 series incomplete, first: {HOSTILE}.",
        next_due_at=now + timedelta(minutes=14),
    )
    store.filter(region="us-east-1").update(
        inventory_at=now - timedelta(days=2), complete_at=now - timedelta(days=2), next_due_at=now - timedelta(hours=40)
    )


def _calls(dice: random.Random, *, now: datetime) -> None:
    """What the meter counted in three weeks."""
    operations = {"DescribeInstances": 4, "GetMetricData": 1, "ListMetrics": 1, "GetInstanceMetadataDefaults": 4}
    ApiDay.objects.bulk_create(
        ApiDay(
            scope=scope,
            day=now.date() - timedelta(days=back),
            operation=operation,
            calls=calls,
            throttled=dice.choice((0, 0, 0, 1)) if operation == "GetMetricData" else 0,
            metrics=41 if operation == "GetMetricData" else 0,
        )
        for scope in Scope.objects.all()
        for back in range(21)
        for operation, calls in operations.items()
    )


def crowd(now: datetime, *, accounts: int = 200, denied: int = 5, hanging: int = 2) -> list[Account]:
    """Many accounts with three Regions each, all of them read but for the last few; those are returned."""
    first, today = 600_000_000_000, now.date()
    Account.objects.bulk_create(
        Account(account_id=f"{first + number}", name=f"team-{number:03d}", role_state=RoleState.OK, role_checked_at=now)
        for number in range(accounts)
    )
    made = list(Account.objects.filter(account_id__gte=f"{first}").order_by("account_id"))
    for number, account in enumerate(made[accounts - denied - hanging :]):
        hangs = number >= denied
        account.role_state = RoleState.UNREACHABLE if hangs else RoleState.DENIED
        role = f"arn:aws:iam::{account.account_id}:role/imdsdash-reader"
        account.role_message = (
            f"AssumeRole in {account.account_id} got no answer: Read timeout on endpoint URL."
            if hangs
            else f"User: arn:aws:sts::111122223333:assumed-role/imdsdash/collector is not authorized to perform: "
            f"sts:AssumeRole on resource: {role}"
        )
        account.failures, account.retry_at = 3 + number, now + timedelta(minutes=20 + number)
        account.save()
    bad = made[accounts - denied - hanging :]
    gaps = {
        account.pk: GapKind.DENIED if number < denied else GapKind.UNREACHABLE for number, account in enumerate(bad)
    }
    Scope.objects.bulk_create(
        Scope(
            account=account,
            region=region,
            outcome={GapKind.DENIED: Outcome.DENIED, GapKind.UNREACHABLE: Outcome.INCOMPLETE}.get(
                gaps.get(account.pk, GapKind.NONE), Outcome.COMPLETE
            ),
            gap=gaps.get(account.pk, GapKind.NONE),
            gap_message=account.role_message,
            inventory_at=now - timedelta(hours=30 if account.pk in gaps else 2),
            usage_at=now - timedelta(hours=40 if account.pk in gaps else 9),
            complete_at=now - timedelta(hours=30 if account.pk in gaps else 2),
            usage_until=now,
            next_due_at=now + timedelta(hours=4),
            history_from=today - timedelta(days=29),
        )
        for account in made
        for region in REGIONS
    )
    ScopeDay.objects.bulk_create(
        (
            ScopeDay(
                scope=scope,
                day=today - timedelta(days=back),
                instances_measured=4,
                instances_expected=4,
                complete=not (scope.account_id in gaps and back < 3) and back > 0,
            )
            for scope in Scope.objects.filter(account__in=[account.pk for account in made])
            for back in range(30)
        ),
        batch_size=2000,
    )
    Instance.objects.bulk_create(
        (
            Instance(
                account=account,
                region=REGIONS[0],
                instance_id=f"i-{account.pk:012x}{place:05x}",
                instance_state="running",
                http_tokens="optional",
                http_endpoint="enabled",
                first_seen_at=now,
                last_seen_at=now,
                status=Status.READY,
            )
            for account in made
            for place in range(4)
        ),
        batch_size=2000,
    )
    tick(now)
    return bad


def _events(account: Account, asks: User, decides: User, *, now: datetime) -> None:
    """Some lines of the audit log, with one text that tries to be more than text."""
    about: dict[str, Any] = {"object_type": "EnforcementRequest", "object_id": 3, "account_id": account.account_id}
    after = {"plan_hash": "f22b45685abb38ec", "changes": 31}
    audit.append(verb="request.drafted", by=asks, now=now - timedelta(hours=2), after=after, **about)
    audit.append(verb="request.submitted", by=asks, now=now - timedelta(hours=1), reason=HOSTILE, **about)
    audit.append(verb="denied", by=asks, now=now - timedelta(minutes=50), reason="same person", **about)
    audit.append(verb="request.approved", by=decides, now=now - timedelta(minutes=30), reason="Go ahead.", **about)
    audit.append(verb="run.queued", now=now - timedelta(minutes=30), **about)


def _account(dice: random.Random, number: int, row: tuple[Any, ...], now: datetime) -> Account:
    name, unit, owner, counts, first, last = row
    denied = first is None
    account = factories.account(
        account_id=f"{4_210_000_000 + number * 7_919:012d}"[::-1],
        name=name,
        ou_path=unit,
        owner=owner,
        contact=f"{name}@example.com",
        role_state=RoleState.DENIED if denied else RoleState.OK,
        role_message=DENIED if denied else "",
        role_checked_at=now,
        reader_role_arn="arn:aws:iam::222233334444:role/imdsdash-reader",
        management=name == "shared-services",
        probe={} if name == "data-platform" else _probe(name, now=now, denied=denied),
    )
    for region in REGIONS:
        _scope(dice, account, region, counts=counts, ends=(first, last), now=now, denied=denied)
    for status, count in zip(ORDER, counts, strict=True):
        for place in range(count):
            _instance(dice, account, status, place=place, now=now)
    for _ in range(3 if number == 2 else 0):
        factories.instance(account, status=Status.MANAGED, operator_managed=True, status_reason="Run by AWS for EKS.")
    return account


def _probe(name: str, *, now: datetime, denied: bool) -> dict[str, Any]:
    """What the last test of the role said."""
    refused = {"cloudwatch:ListMetrics": f"{DENIED} (ListMetrics)"} if name == "ml-research" else {}
    actions = ("ec2:DescribeRegions", "ec2:DescribeInstances", "cloudwatch:GetMetricData", "cloudwatch:ListMetrics")
    findings = [{"action": one, "ok": one not in refused, "message": refused.get(one, "")} for one in actions]
    told: dict[str, Any] = {"at": (now - timedelta(minutes=40)).isoformat(), "findings": [] if denied else findings}
    if not denied:
        told["identity"] = f"arn:aws:sts::210987654321:assumed-role/imdsdash-reader/imdsdash-test-{now:%Y%m%dT%H%M%S}"
        told |= {"regions": list(REGIONS), "region": REGIONS[0]}
    if name == "shared-services":
        at = (now - timedelta(hours=5)).isoformat()
        told["discovery"] = {"at": at, "organization": "o-a1b2c3d4e5", "counts": {"added": 6}, "note": ""}
    return told


def _scope(dice, account, region, *, counts, ends, now, denied) -> Scope:
    partial = account.name == "ml-research" and region == "us-east-1"
    outcome = Outcome.DENIED if denied else Outcome.INCOMPLETE if partial else Outcome.COMPLETE
    scope = factories.scope(
        account,
        region,
        outcome=outcome,
        gap=GapKind.DENIED if denied else GapKind.THROTTLED if partial else GapKind.NONE,
        gap_message=DENIED if denied else "Rate exceeded (GetMetricData)" if partial else "",
        complete_at=None if denied else now - timedelta(hours=1, minutes=dice.randrange(50)),
        inventory_at=None if denied else now,
        usage_at=None if denied else now - timedelta(hours=9),
        usage_until=None if denied else now,
        history_from=None if denied else now.date() - timedelta(days=29),
        next_due_at=now + timedelta(hours=4, minutes=dice.randrange(50)),
        throttled=7 if partial else 0,
    )
    if not denied:
        RegionDefaults.objects.create(
            scope=scope,
            http_tokens="required" if region == "eu-west-1" else None,
            http_tokens_enforced="enabled" if account.name == "shared-services" else None,
            managed_by="declarative-policy" if region == "eu-west-1" else "account",
            read_at=now,
        )
        _days(dice, scope, counts=counts, ends=ends, today=now.date())
    return scope


def _days(dice: random.Random, scope: Scope, *, counts: tuple[int, ...], ends: tuple[int, int], today: date) -> None:
    total, (first, last) = sum(counts), ends
    for back in range(60):
        day, way = today - timedelta(days=back), 1 - back / 60
        quiet = 0.45 if day.weekday() >= 5 else 1
        calls = int((first + (last - first) * way) / 3 * quiet * dice.uniform(0.85, 1.15))
        missing = 19 <= back <= 21 or (back == 0 and dice.random() < 0.1)
        enforced = int(counts[0] * (0.35 + 0.65 * way))
        factories.scope_day(
            scope,
            day,
            v1_calls=None if missing else int(calls * (0.4 if back == 0 else 1)),
            instances_measured=0 if missing else int(total / 3 * (0.97 if back > 30 else 0.93)),
            instances_expected=int(total / 3) + 1,
            instances_calling_v1=counts[6] // 3,
            by_status=None
            if back > 44
            else {Status.ENFORCED: enforced // 3, Status.IN_USE: (total - enforced) // 3, Status.MANAGED: 1},
            complete=not missing,
        )


def _instance(dice: random.Random, account: Account, status: Status, *, place: int, now: datetime) -> Instance:
    calls = {Status.IN_USE: dice.randrange(12, 90_000), Status.REGRESSED: 31, Status.UNKNOWN: None}.get(status, 0)
    hostile = account.name == "payments-prod" and status == Status.IN_USE and place == 0
    kind = dice.choice(("web", "worker", "queue", "cache", "batch", "bastion"))
    return factories.instance(
        account,
        dice.choice(REGIONS),
        name=HOSTILE if hostile else f"{account.name.split('-')[0]}-{kind}-{place + 1:02d}",
        status=status,
        status_reason=REASONS.get(status, f"{calls or 0:,} IMDSv1 calls in the last 14 days."),
        http_tokens="required" if status in {Status.ENFORCED, Status.PENDING} else "optional",
        http_put_response_hop_limit=dice.choice((1, 1, 2)),
        v1_calls_window=calls,
        measured_days={Status.SETTLING: 6, Status.UNKNOWN: 5}.get(status, 14),
        last_v1_hour=now - timedelta(hours=dice.randrange(2, 200)) if calls else None,
        blockers=["User data calls IMDSv1 (curl without a token)."] if status == Status.READY and place == 1 else [],
        warnings=["No boot inside the window."] if status == Status.READY and place % 5 == 2 else [],
        status_since=now - timedelta(days=3),
    )


def plan_of(account: Account, now: datetime) -> dict[str, Any]:
    rows = Instance.objects.filter(account=account)
    return {
        "version": 1,
        "account_id": account.account_id,
        "window_days": 14,
        "as_of": now.isoformat(),
        "changes": [_planned(row) for row in rows.filter(status__in=[Status.READY, Status.ENFORCED])[:31]],
        "excluded": [
            {
                "instance_id": row.instance_id,
                "region": row.region,
                "name": row.name,
                "status": row.status,
                "reason": row.status_reason,
            }
            for row in rows.exclude(status__in=[Status.READY, Status.ENFORCED])
        ],
        "notes": [],
    }


def _planned(row: Instance) -> dict[str, Any]:
    before = {
        "HttpTokens": "optional",
        "HttpPutResponseHopLimit": row.http_put_response_hop_limit,
        "HttpEndpoint": "enabled",
        "HttpProtocolIpv6": "disabled",
        "InstanceMetadataTags": "disabled",
        "State": "applied",
    }
    return {
        "instance_id": row.instance_id,
        "region": row.region,
        "name": row.name,
        "before": before,
        "send": {"HttpTokens": "required"},
        "reason": "14 of 14 days fully measured, no IMDSv1 call.",
        "evidence": {"measured_days": 14, "window_days": 14, "v1_calls": 0, "last_v1_hour": None},
        "warnings": list(row.warnings),
    }


def _request(account: Account, by: User, *, now: datetime, state: RequestState, **fields) -> EnforcementRequest:
    plan = plan_of(account, now)
    asked = {} if state == RequestState.DRAFT else {"requested_by": by, "requested_at": now - timedelta(minutes=50)}
    return EnforcementRequest.objects.create(
        account=account,
        state=state,
        plan=plan,
        plan_hash=digest(plan),
        reason="" if state == RequestState.DRAFT else "Two quiet weeks since the SDK update, release train is open.",
        created_by=by,
        created_at=now - timedelta(hours=1),
        expires_at=now + timedelta(hours=71),
        **asked,
        **fields,
    )


def _run(account: Account, asks: User, decides: User, *, now: datetime, state: RunState) -> Run:
    request = _request(account, asks, now=now, state=RequestState.APPROVED, decided_by=decides, decided_at=now)
    Approval.objects.create(
        request=request,
        approver=decides,
        requester=asks,
        decision=Decision.APPROVE,
        plan_hash=request.plan_hash,
        comment="Go ahead, on call is informed.",
        at=now,
    )
    over = state == RunState.DONE
    run = Run.objects.create(
        request=request,
        account=account,
        state=state,
        created_at=now - timedelta(minutes=12),
        started_at=now - timedelta(minutes=11),
        finished_at=now if over else None,
    )
    for place, planned in enumerate(request.plan["changes"]):
        _change(run, planned, ChangeState.VERIFIED if over else _state(place), now=now)
    return run


def _state(place: int) -> ChangeState:
    if place == 4:
        return ChangeState.FAILED
    states = (ChangeState.VERIFIED,) * 12 + (ChangeState.SKIPPED, ChangeState.APPLIED, ChangeState.CALLING)
    return states[place] if place < len(states) else ChangeState.PENDING


def _change(run: Run, planned: dict[str, Any], state: ChangeState, *, now: datetime) -> Change:
    touched = state not in {ChangeState.PENDING, ChangeState.SKIPPED}
    over = state in {ChangeState.VERIFIED, ChangeState.FAILED, ChangeState.SKIPPED}
    return Change.objects.create(
        run=run,
        instance=Instance.objects.get(account=run.account, instance_id=planned["instance_id"]),
        target_account_id=run.account.account_id,
        region=planned["region"],
        resource_id=planned["instance_id"],
        before=planned["before"],
        send=planned["send"],
        after={**planned["before"], "HttpTokens": "required"} if state == ChangeState.VERIFIED else None,
        state=state,
        reason={
            ChangeState.FAILED: "AWS refused: You are not authorized to perform this operation.",
            ChangeState.SKIPPED: "Already required when read again before the call.",
        }.get(state, ""),
        error_class="UnauthorizedOperation" if state == ChangeState.FAILED else "",
        aws_request_id="59dbff89-35bd-4eac-99ed-be587EXAMPLE" if touched else "",
        writes=1 if touched else 0,
        called_at=now - timedelta(minutes=5) if touched else None,
        settled_at=now - timedelta(minutes=4) if over else None,
    )
