"""Every read of `migration/queries/`, as its page asks it."""

import statistics
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from benchmarks import reads_of_launches, reads_of_steering
from migration.actions import retention
from migration.domain.readiness import Window
from migration.enums import ChangeState, RequestState, Role, RunState, WaiverKind, WaiverState
from migration.models import Account, AuditEvent, Change, EnforcementRequest, Grant, Instance, Run, Scope, Waiver
from migration.queries import (
    access,
    account,
    accounts,
    asking,
    audit,
    churn,
    collection,
    completeness,
    cost,
    evidence,
    fleet,
    health,
    notifications,
    onboarding,
    planning,
    plans,
    sweeps,
    usage,
    waivers,
)
from migration.queries import runs as runs_

PAGE = 50
TREND, SPARK, CALENDAR = 60, 30, 35  # days the charts ask for
ATTENTION = collection.QualityFilters(show="attention")
Read = Callable[[], Any]


def measure(repeats: int, *, now: datetime) -> dict[str, Any]:
    """Milliseconds, the median of `repeats` after one that is not counted, and the number of SQL statements."""
    told: dict[str, Any] = {}
    for name, read in all_reads(decided(now), now=now).items():
        with CaptureQueriesContext(connection) as captured:
            read()
        taken = []
        for _ in range(repeats):
            began = time.perf_counter()
            read()
            taken.append(1000 * (time.perf_counter() - began))
        told[name] = {"median_ms": round(statistics.median(taken), 1), "statements": len(captured)}
    return told


def decided(now: datetime) -> tuple[User, User]:
    """A few weeks of requests, runs and audit events, an administrator, and a person of one unit."""
    admin, narrow = User.objects.create_user("admin"), User.objects.create_user("narrow")
    Grant.objects.create(user=admin, role=Role.ADMIN)
    Grant.objects.create(user=narrow, role=Role.APPROVER, ou_path="Root/Unit 1")
    for number, one in enumerate(Account.objects.order_by("account_id")[:200]):
        state = (RequestState.APPROVED, RequestState.REQUESTED, RequestState.DRAFT)[number % 3]
        request(one, admin, narrow, state, now)
        waive(one, admin, narrow, now)
    reads_of_launches.seed(now)
    reads_of_steering.seed(admin, now)
    AuditEvent.objects.bulk_create(
        (
            AuditEvent(
                seq=seq, at=now, actor="admin", actor_kind="user", verb="request.approved", object_type="Run",
                object_id=str(seq % 500), account_id=f"{seq % 200:012d}", prev_hash="0" * 64, hash=f"{seq:064d}",
            )
            for seq in range(1_000_001, 1_020_001)
        ),
        batch_size=1000,
    )  # fmt: skip
    return admin, narrow


def waive(one: Account, admin: User, narrow: User, now: datetime) -> None:
    """A waiver that holds and one that waits, of an account."""
    said = {"account": one, "reason": "x", "expires_on": now.date() + timedelta(days=90), "requested_at": now}
    held = {"state": WaiverState.ACTIVE, "decided_by": narrow, "decided_at": now, "since": now}
    Waiver.objects.create(requested_by=admin, kind=WaiverKind.GROUP, target="web", **said, **held)
    Waiver.objects.create(requested_by=admin, kind=WaiverKind.TAG, target="Team=a", **said)


def request(one: Account, admin: User, narrow: User, state: RequestState, now: datetime) -> None:
    rows = list(Instance.objects.filter(account=one, status="ready").order_by("pk")[:200])
    before = {"HttpTokens": "optional", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled", "State": "applied"}
    planned = [
        {"instance_id": row.instance_id, "region": row.region, "name": row.name, "before": before,
         "send": {"HttpTokens": "required"}, "reason": row.status_reason, "warnings": [],
         "evidence": {"measured_days": 14, "window_days": 14, "v1_calls": 0, "last_v1_hour": None}}
        for row in rows
    ]  # fmt: skip
    plan = {"version": 1, "as_of": now.isoformat(), "window_days": 14, "changes": planned, "excluded": [], "notes": []}
    approved = state is RequestState.APPROVED
    made = EnforcementRequest.objects.create(
        account=one, state=state, plan=plan, plan_hash="0" * 64, created_by=admin, created_at=now,
        expires_at=now + timedelta(hours=72), requested_by=None if state is RequestState.DRAFT else admin,
        requested_at=None if state is RequestState.DRAFT else now, decided_by=narrow if approved else None,
        decided_at=now if approved else None,
    )  # fmt: skip
    if not approved:
        return
    run = Run.objects.create(
        request=made, account=one, state=RunState.DONE, created_at=now, started_at=now, finished_at=now
    )
    Change.objects.bulk_create(
        Change(
            run=run, instance=row, target_account_id=one.account_id, region=row.region,
            resource_id=row.instance_id, before=before, send={"HttpTokens": "required"}, after=before,
            state=ChangeState.VERIFIED, called_at=now, settled_at=now, writes=1,
        )
        for row in rows
    )  # fmt: skip


def all_reads(people: tuple[User, User], *, now: datetime) -> dict[str, Read]:
    admin, narrow = people
    largest = Account.objects.order_by("account_id").first()
    usual = Account.objects.order_by("account_id").last()
    if largest is None or usual is None:
        raise LookupError("no account")
    found: dict[str, Read] = {}
    for words, reads in (
        ("", of_the_fleet(access.visible_accounts(admin), now=now)),
        (", for a person of one unit", of_the_fleet(access.visible_accounts(narrow), now=now)),
        (", largest account", of_an_account(largest, now=now)),
        (", usual account", of_an_account(usual, now=now)),
        ("", of_decisions(admin, narrow)),
        ("", reads_of_steering.of_decisions(admin, now=now)),
        ("", of_the_machinery(now=now)),
        (", largest scope", of_a_pass(largest, now=now)),
        (", usual scope", of_a_pass(usual, now=now)),
    ):
        found |= {f"{name}{words}": read for name, read in reads.items()}
    return found


def of_the_fleet(every: QuerySet[Account], *, now: datetime) -> dict[str, Read]:
    """What Overview, Executive, Accounts and Data quality ask."""
    today, cadences = now.date(), health.cadences()
    return {
        "usage.days": lambda: usage.days(every, today=today, count=TREND),
        "usage.calls_by_account": lambda: usage.calls_by_account(every, today=today, count=SPARK),
        "usage.last_full_day_coverage": lambda: usage.last_full_day_coverage(every, today=today),
        "fleet.mix": lambda: fleet.mix(every),
        "fleet.mixes": lambda: fleet.mixes(every),
        "fleet.enforceable": lambda: fleet.enforceable(every),
        "fleet.units": lambda: fleet.units(every),
        "fleet.blockers": lambda: fleet.blockers(every, calls={}),
        "accounts.rows": lambda: accounts.rows(every, today=today),
        "accounts.organizational_units": lambda: accounts.organizational_units(every),
        "health.freshness": lambda: health.freshness(every, now=now, every=cadences),
        "collection.heaps": lambda: collection.heaps(every, now=now, every=cadences),
        "collection.closed": lambda: collection.closed(every),
        "collection.gaps": lambda: collection.gaps(every),
        "collection.matrix": lambda: collection.matrix(list(every[:PAGE]), now=now, every=cadences),
        "completeness.days": lambda: completeness.days(every, today=today, count=CALENDAR),
        "collection.matching what needs attention": lambda: list(
            collection.matching(every, ATTENTION, now=now, every=cadences)[:PAGE]
        ),
        "onboarding.in_order": lambda: [onboarding.tested(one, now=now) for one in onboarding.in_order(every)[:PAGE]],
        "cost.loads": lambda: cost.loads(every, now=now),
        "cost.asked": lambda: cost.asked(every, today=today, days=30),
        **reads_of_launches.of_the_fleet(every),
        **{
            f"accounts.matching {word}": partial(found, accounts.matching, every, filters)
            for word, filters in (
                ("text", accounts.AccountFilters(q="account-7")),
                ("unit", accounts.AccountFilters(ou="Root/Unit 3")),
                ("status", accounts.AccountFilters(status="in_use")),
                ("incomplete", accounts.AccountFilters(incomplete=True)),
            )
        },
    }


def found(query: Callable[..., QuerySet[Any]], *words: Any) -> list[Any]:
    return list(query(*words))


def of_an_account(here: Account, *, now: datetime) -> dict[str, Read]:
    """What the page of an account asks, and a plan made on it."""
    alone = Account.objects.filter(pk=here.pk)

    def page(filters: account.InstanceFilters) -> tuple[int, list[Instance]]:
        rows = account.instances(here, filters)
        return rows.count(), list(rows[:PAGE])

    return {
        "account.regions": lambda: account.regions(here),
        "account.instances": lambda: page(account.InstanceFilters()),
        "account.instances by status": lambda: page(account.InstanceFilters(status="in_use")),
        "account.instances by text": lambda: page(account.InstanceFilters(q="web-12")),
        "account.region_names": lambda: account.region_names(here),
        "account.markers": lambda: account.markers(here),
        "account.history": lambda: account.history(here),
        "account.open_request": lambda: account.open_request(here),
        "account.active_run": lambda: account.active_run(here),
        "collection.cells": lambda: collection.cells([here], now=now, every=health.cadences()),
        "churn.workloads": lambda: churn.workloads(here, today=now.date(), days=14),
        "fleet.mix": lambda: fleet.mix(alone),
        "fleet.enforceable": lambda: fleet.enforceable(alone),
        "usage.days": lambda: usage.days(alone, today=now.date(), count=TREND),
        "planning.candidates": lambda: list(planning.candidates(here, now=now)),
        **reads_of_launches.of_an_account(here),
        **reads_of_steering.of_an_account(here, now=now),
    }


def of_decisions(admin: User, narrow: User) -> dict[str, Read]:
    """What Approvals, Runs and Audit ask."""
    run = Run.objects.order_by("pk").first()
    if run is None:
        raise LookupError("no run")
    return {
        "plans.inbox": lambda: plans.inbox(narrow),
        "plans.waiting_for": lambda: plans.waiting_for(narrow),
        "plans.visible": lambda: list(plans.visible(admin)[:PAGE]),
        "plans.signatures": lambda: [plans.signatures(one) for one in plans.visible(admin)[:1]],
        "plans.read": lambda: [plans.read(one) for one in plans.visible(admin)[:1]],
        "runs.visible": lambda: runs_.progresses(list(runs_.visible(admin)[:PAGE])),
        "runs.paused": lambda: runs_.paused(admin),
        "runs.progress": lambda: runs_.progress(run),
        "runs.changes": lambda: list(runs_.changes(run)[:PAGE]),
        **of_waivers(admin, narrow),
        "audit.page": lambda: audit.page(admin, audit.AuditFilters(), before=None, size=PAGE),
        "audit.page of an object": lambda: audit.page(admin, audit.AuditFilters(object="77"), before=None, size=PAGE),
    }


def of_waivers(admin: User, narrow: User) -> dict[str, Read]:
    """What the pages of waivers ask, and Overview, Executive and an account's page of them."""
    one = waivers.visible(admin).earliest("pk")
    today, first = one.requested_at.date(), waivers.matching(admin, waivers.WaiverFilters())
    return {
        "waivers.waiting_for": lambda: waivers.waiting_for(narrow),
        "waivers.waiting": lambda: waivers.waiting(narrow),
        "waivers.matching": lambda: waivers.rows(first[:PAGE], today=today),
        "waivers.rows of one": lambda: waivers.rows([one], today=today),
        "waivers.chain": lambda: waivers.chain(one),
        "waivers.summary": lambda: waivers.summary(access.visible_accounts(admin), today=today),
        "waivers.of_account": lambda: waivers.of_account(one.account),
    }


def of_the_machinery(*, now: datetime) -> dict[str, Read]:
    """What the readiness probe and the night ask."""
    return {
        "health.last_tick": health.last_tick,
        "health.installed_at": health.installed_at,
        "onboarding.known": lambda: (onboarding.known(), onboarding.usual_way(), onboarding.discovery()),
        "sweeps.broken_off": lambda: sweeps.broken_off(asked={}, since=now),
        "health.sweeps": lambda: health.sweeps(now=now, every=health.cadences()),
        "health.lost_leases": lambda: health.lost_leases(now),
        "health.migrations_applied": health.migrations_applied,
        "notifications.outbox": lambda: notifications.outbox(Account.objects.all()),
        "notifications.due": lambda: list(notifications.due(now)[:100]),
        "retention.prune, a dry run": lambda: retention.prune(now=now, dry_run=True),
    }


def of_a_pass(here: Account, *, now: datetime) -> dict[str, Read]:
    """What a pass over one account-Region reads of the tables."""
    scope = Scope.objects.filter(account=here).order_by("pk").first()
    if scope is None:
        raise LookupError("no scope")
    mine = Instance.objects.filter(account=here, region=scope.region).order_by("pk")
    some = list(mine.values_list("pk", flat=True)[:1000])
    until, today = now.replace(minute=0), now.date()
    window = Window(days=14, until=until, today=today)
    recent = [today - timedelta(days=3), today]
    return {
        "asking.usage": lambda: list(asking.usage(scope, until=until)),
        "asking.owes_a_first_look": lambda: asking.owes_a_first_look(scope, until=until),
        "asking.history": lambda: list(asking.history(scope, until=until)),
        "asking.watch": lambda: list(asking.watch(scope, until=until)),
        "evidence.known_days of a chunk": lambda: evidence.known_days(some, recent, is_v1=True),
        "evidence.v1_days of a chunk": lambda: evidence.v1_days(some, window),
        "evidence.day_sums of 4 days": lambda: evidence.day_sums(here.pk, scope.region, recent[0]),
        "evidence.day_sums of 63 days": lambda: evidence.day_sums(here.pk, scope.region, today - timedelta(days=63)),
        "evidence.owing_by_day": lambda: evidence.owing_by_day(here.pk, scope.region),
        "waivers.waived": lambda: waivers.waived(here.pk, scope.region, today),
        "sweeps.counted": lambda: sweeps.counted(scope),
        **reads_of_launches.of_a_pass(scope, some, now=now),
    }
