"""How the databases go about the hot reads, with enough rows to make them choose: none reads a large table whole.

What was measured with 100,000 instances and 90 days of each is in docs/adr/0008-storage.md.
"""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from migration.actions import bulk, retention
from migration.domain.readiness import Window
from migration.enums import Status
from migration.models import Account, Instance, Scope, ScopeDay
from migration.queries import account as one
from migration.queries import accounts, asking, churn, evidence, fleet, planning, sweeps, usage, waivers
from tests.factories import NOW

ACCOUNTS, REGIONS, INSTANCES, DAYS = 40, ("eu-west-1", "us-east-1"), 50, 40  # of each: 4,000 instances, 160,000 days
TODAY = NOW.date()
LARGE = {"migration_instance", "migration_instanceday", "migration_scopeday"}
FILL = """
INSERT INTO migration_instanceday
    (instance_id, day, v1_calls, measured_hours, rejected_measured_hours, v1_hours, rejected_hours, rejected_calls)
SELECT id, %s, 0, 24, 0, NULL, NULL, NULL FROM migration_instance ORDER BY id
"""


@pytest.fixture(scope="module")
def _fleet(django_db_setup, django_db_blocker):
    """Filled once for all the tests here, and rolled back after them."""
    with django_db_blocker.unblock(), transaction.atomic():
        fill()
        yield
        transaction.set_rollback(True)


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_fleet")]


def fill() -> None:
    found = Account.objects.bulk_create(Account(account_id=f"{n:012d}", name=f"a{n}") for n in range(ACCOUNTS))
    scopes = Scope.objects.bulk_create(
        Scope(account=account, region=region, usage_until=NOW, usage_at=NOW) for account in found for region in REGIONS
    )
    Instance.objects.bulk_create(
        Instance(
            account_id=scope.account_id,
            region=scope.region,
            instance_id=f"i-{scope.pk:08x}{number:09x}",
            instance_state="running",
            http_tokens="optional",
            first_seen_at=NOW,
            last_seen_at=NOW,
            usage_until=NOW - timedelta(days=1),
            **({"gone_at": NOW - timedelta(days=2), "status": Status.GONE} if number % 10 == 0 else {}),
        )
        for scope in scopes
        for number in range(INSTANCES)
    )
    with connection.cursor() as cursor:
        for back in range(DAYS, 0, -1):
            cursor.execute(FILL, [TODAY - timedelta(days=back)])
            day = TODAY - timedelta(days=back)
            bulk.upsert(
                ScopeDay,
                [(scope.pk, day, 0, {"ready": INSTANCES}) for scope in scopes],
                columns=("scope_id", "day", "v1_calls", "by_status"),
                unique=("scope_id", "day"),
                update=(),
            )
        cursor.execute("ANALYZE" if connection.vendor == "postgresql" else "SELECT 1")


def here() -> Account:
    return Account.objects.order_by("pk")[ACCOUNTS // 2]


def scope() -> Scope:
    return Scope.objects.filter(account=here()).order_by("pk")[0]


def pks() -> list[int]:
    found = Instance.objects.filter(account=here(), region=REGIONS[0]).order_by("pk")
    return list(found.values_list("pk", flat=True))


def alone():
    return Account.objects.filter(pk=here().pk)


# What a pass reads of its scope, what the page of an account reads, and what the night reads.
READS = {
    "usage to ask for": lambda: list(asking.usage(scope(), until=NOW)),
    "rejected calls to ask for": lambda: list(asking.watch(scope(), until=NOW)),
    "first looks owed": lambda: asking.owes_a_first_look(scope(), until=NOW),
    "days to judge by": lambda: evidence.v1_days(pks(), Window(days=14, until=NOW, today=TODAY)),
    "days already known": lambda: evidence.known_days(pks(), [TODAY - timedelta(days=3), TODAY], is_v1=True),
    "sums of a scope": lambda: evidence.day_sums(scope().account_id, REGIONS[0], TODAY - timedelta(days=4)),
    "those that owe": lambda: evidence.owing_by_day(scope().account_id, REGIONS[0]),
    "waivers": lambda: waivers.waived(scope().account_id, REGIONS[0], TODAY),
    "counts of a scope": lambda: sweeps.counted(scope()),
    "what came and went": lambda: churn.workloads(here(), today=TODAY, days=14),
    "counts of an account": lambda: fleet.mix(alone()),
    "counts by Region": lambda: one.regions(here()),
    "instances of an account": lambda: list(one.instances(here(), one.InstanceFilters())[:50]),
    "instances of a status": lambda: list(one.instances(here(), one.InstanceFilters(status="unknown"))[:50]),
    "enforceable ones of an account": lambda: fleet.enforceable(alone()),
    "candidates of a plan": lambda: list(planning.candidates(here(), now=NOW)),
    "usage of an account": lambda: usage.days(alone(), today=TODAY, count=30),
    "yesterday of everybody": lambda: usage.last_full_day_coverage(Account.objects.all(), today=TODAY),
    "accounts with a status": lambda: list(accounts.matching(alone(), accounts.AccountFilters(status="ready"))),
}


@pytest.mark.parametrize("read", READS)
def test_a_hot_read_reads_no_large_table_whole(read):
    for statement, plan in plans_of(READS[read]):
        assert not read_whole(statement, plan) & LARGE, f"{statement}\n{json.dumps(plan, indent=1)}"


# The index that pays for itself by that read. PostgreSQL may find the unique one as good for a small scope.
CHOSEN = {
    "usage to ask for": {"instance_live", "instance_gone"},
    "first looks owed": {"instance_live"},
    "counts of an account": {"instance_account_status"},
    "accounts with a status": {"instance_account_status"},
    "what came and went": {"instance_group", "instance_gone"},
    "yesterday of everybody": {"scope_day_sums"},
}


@pytest.mark.parametrize("read", CHOSEN)
def test_each_index_is_chosen_by_the_read_it_was_made_for(read):
    plans = json.dumps([plan for _, plan in plans_of(READS[read])])

    used = {name for name in CHOSEN[read] if name in plans}

    assert connection.vendor == "postgresql" or used == CHOSEN[read]


def test_the_night_reads_days_by_their_instance(monkeypatch):
    monkeypatch.setattr(retention, "STRIDE", 40)

    for statement, plan in plans_of(lambda: retention.prune(now=NOW, dry_run=True)):
        assert "migration_instanceday" not in read_whole(statement, plan), f"{statement}\n{json.dumps(plan, indent=1)}"


@pytest.mark.parametrize("read", [usage.days, usage.calls_by_account])
def test_the_charts_of_everybody_are_summed_without_asking_whose_each_row_is(read):
    """SQLite from one index. PostgreSQL may read the table: most of it is asked for, and the planner knows."""
    [(statement, plan)] = plans_of(lambda: read(Account.objects.all(), today=TODAY, count=30))

    assert "migration_account" not in statement
    assert connection.vendor == "postgresql" or "INDEX scope_day_sums" in plan[0]


def plans_of(read) -> list[tuple[str, Any]]:
    """Every SELECT of a read beside the database's plan for it."""
    asked: list[tuple[str, Any]] = []

    def noted(execute, sql, params, many, context):
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(noted):
        read()
    return [(sql, plan_of(sql, params)) for sql, params in asked if sql.startswith("SELECT")]


def plan_of(sql: str, params: Any) -> Any:
    postgres = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {'(FORMAT JSON)' if postgres else 'QUERY PLAN'} {sql}", params)
        return cursor.fetchall()[0][0][0]["Plan"] if postgres else [row[-1] for row in cursor.fetchall()]


def read_whole(sql: str, plan: Any) -> set[str]:
    """The tables that the plan reads from one end to the other, themselves or (SQLite) by an index."""
    if connection.vendor == "postgresql":
        whole = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" else set()
        return whole.union(*(read_whole(sql, part) for part in plan.get("Plans", [])))
    aliases = {alias: table for table, alias in re.findall(r'"(migration_\w+)" ([A-Z]\d+)', sql)}
    names = {line.split()[1] for line in plan if line.startswith("SCAN ")}
    return {aliases.get(name, name) for name in names}
