"""One database with a fleet in it, measured from inside: `python -m benchmarks.tables INSTANCES DAYS REPEATS`.

The tables are filled a day at a time, as collection fills them. Then one day's pass is written, with `actions.bulk`
and with Django's `bulk_create`, and every read of `queries/` is timed as its page asks it. DATABASE_URL says where.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402 -- the models can be imported when Django is set up
from django.db import connection, models, transaction  # noqa: E402

from benchmarks import reads  # noqa: E402
from migration.actions import bulk  # noqa: E402
from migration.enums import Outcome, RoleState, Status  # noqa: E402
from migration.models import Account, ApiDay, Instance, InstanceDay, Scope, ScopeDay  # noqa: E402

REGIONS = 17  # enabled by default in every account
BUSY_REGIONS = 4  # those of an account that hold instances
PER_ACCOUNT = 200  # instances
LARGEST = 20  # the first account holds one instance in so many, all in one Region
HOURS_KEPT = 16  # days
METERED = 31  # days of which the calls to AWS are known, as the page of the cost asks
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
TODAY = NOW.date()
KINDS = (  # status, HttpTokens: how every ten instances are spread
    *[(Status.READY, "optional")] * 4,
    *[(Status.IN_USE, "optional")] * 2,
    (Status.UNKNOWN, "optional"),
    (Status.SETTLING, "optional"),
    *[(Status.ENFORCED, "required")] * 2,
)
COUNTED = (Account, Scope, Instance, InstanceDay, ScopeDay, ApiDay)
KEY = ["account_id", "region", "instance_id"]
FACTS = [
    "instance_state", "name", "instance_type", "platform_details", "lifecycle", "image_id", "instance_profile_arn",
    "asg_name", "public", "launched_at", "first_launched_at", "http_tokens", "http_put_response_hop_limit",
    "http_endpoint", "http_protocol_ipv6", "instance_metadata_tags", "options_state", "tags", "last_seen_at",
]  # fmt: skip
VERDICT = ["status", "status_reason", "blockers", "measured_days", "window_days", "v1_calls_window", "usage_until"]
INSTANCE = [*KEY, "first_seen_at", *FACTS, *VERDICT]
DAY = ["instance_id", "day", "v1_calls", "measured_hours", "v1_hours", "rejected_calls", "rejected_measured_hours"]
ROLLUP = [
    "scope_id", "day", "v1_calls", "rejected_calls", "instances_measured", "instances_calling_v1",
    "instances_rejecting", "instances_expected", "by_status", "complete",
]  # fmt: skip
FILL_A_DAY = """
INSERT INTO migration_instanceday
    (instance_id, day, v1_calls, measured_hours, v1_hours, rejected_calls, rejected_measured_hours)
SELECT id, %s,
    CASE WHEN http_tokens = 'required' THEN NULL WHEN status = 'in_use' THEN 3 * (id %% 90 + 1) ELSE 0 END,
    CASE WHEN http_tokens = 'required' THEN 0 ELSE 24 END,
    CASE WHEN status = 'in_use' AND %s THEN '0*9,' || (id %% 90 + 1) || '*3,0*12' END,
    CASE WHEN http_tokens = 'required' THEN 0 END,
    CASE WHEN http_tokens = 'required' THEN 24 ELSE 0 END
FROM migration_instance ORDER BY id
"""
METER_A_DAY = """
INSERT INTO migration_apiday (scope_id, day, operation, calls, throttled, metrics)
SELECT s.id, %s, o.operation, 4, 0, 0 FROM migration_scope s CROSS JOIN (
    SELECT 'DescribeInstances' AS operation UNION ALL SELECT 'GetInstanceMetadataDefaults'
    UNION ALL SELECT 'ListMetrics' UNION ALL SELECT 'GetMetricData') o
"""
TICK = """
WITH RECURSIVE minutes(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM minutes WHERE n < 43200)
INSERT INTO migration_scheduledrun (job, window_start, started_at) SELECT 'tick ' || n, %s, %s FROM minutes
"""


@dataclass(frozen=True, slots=True)
class Size:
    instances: int
    days: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """The primary keys of what was made."""

    accounts: list[int]
    places: list[tuple[int, int]]  # for each instance: its account and the number of its Region


def main() -> None:
    size, repeats = Size(int(sys.argv[1]), int(sys.argv[2])), int(sys.argv[3])
    call_command("migrate", verbosity=0)
    began = time.perf_counter()
    fleet = fill(size)
    settle()
    filled = time.perf_counter() - began
    say(f"filled in {filled:.0f} s")
    told = {
        "rows": {model.__name__: model.objects.count() for model in COUNTED},
        "filled_in_seconds": round(filled, 1),
        "bytes": weigh(size),
    }
    told["one_days_pass"] = write_a_day(fleet)
    told["reads"] = reads.measure(repeats, now=NOW)
    print(json.dumps(told))


def say(text: str) -> None:
    print(f"  {connection.vendor}: {text}", file=sys.stderr, flush=True)


# --- filling -----------------------------------------------------------------------------------------


def fill(size: Size) -> Fleet:
    fleet = organization(size)
    with transaction.atomic():
        bulk.upsert(Instance, instance_rows(fleet, NOW - timedelta(days=1)), columns=INSTANCE, unique=KEY, update=[])
    for back in range(size.days, 0, -1):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(FILL_A_DAY, [TODAY - timedelta(days=back), back <= HOURS_KEPT])
            bulk.upsert(ScopeDay, rollups(TODAY - timedelta(days=back)), columns=ROLLUP, unique=ROLLUP[:2], update=[])
            if back <= METERED:
                cursor.execute(METER_A_DAY, [TODAY - timedelta(days=back)])
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(TICK, [NOW, NOW])
    return fleet


def organization(size: Size) -> Fleet:
    count = max(2, size.instances // PER_ACCOUNT)
    Account.objects.bulk_create(
        Account(
            account_id=f"{number:012d}",
            name=f"account-{number}",
            ou_path=f"Root/Unit {number % 12}/{'Prod' if number % 2 else 'Test'}",
            owner=f"team-{number % 40}@example.com",
            role_state=RoleState.DENIED if number % 50 == 49 else RoleState.OK,  # noqa: PLR2004
        )
        for number in range(count)
    )
    accounts = list(Account.objects.order_by("account_id").values_list("pk", flat=True))
    Scope.objects.bulk_create(
        (
            Scope(
                account_id=account,
                region=region(number),
                outcome=Outcome.INCOMPLETE if (account + number) % 97 == 0 else Outcome.COMPLETE,
                complete_at=NOW - timedelta(hours=3),
                usage_until=NOW - timedelta(hours=3),
                next_due_at=NOW + timedelta(minutes=(account * REGIONS + number) % 360 - 5),
            )
            for account in accounts
            for number in range(REGIONS)
        ),
        batch_size=2000,
    )
    large = size.instances // LARGEST
    spread = size.instances - large
    places = [(accounts[1 + n % (count - 1)], n // (count - 1) % BUSY_REGIONS) for n in range(spread)]
    # Account by account and Region by Region, as passes bring them in.
    return Fleet(accounts, [(accounts[0], 0)] * large + sorted(places))


def region(number: int) -> str:
    return f"xx-region-{number + 1}"


def instance_rows(fleet: Fleet, seen_at: datetime) -> Iterator[Sequence[Any]]:
    """The fleet as one inventory reads it at `seen_at`. Every row differs from the one before: it was seen later."""
    for number, (account, place) in enumerate(fleet.places):
        status, tokens = KINDS[number % len(KINDS)]
        in_use = status is Status.IN_USE
        yield (
            account, region(place), f"i-{number:017x}", NOW - timedelta(days=90),
            "running", f"web-{number}", "m5.large", "Linux/UNIX", "normal", f"ami-{number % 50:017x}",
            f"arn:aws:iam::{account:012d}:instance-profile/web", f"web-{number // 10}", number % 10 == 0,
            NOW - timedelta(days=60, seconds=number), NOW - timedelta(days=200, seconds=number), tokens, 1, "enabled",
            "disabled", "disabled", "applied", {"Owner": f"team-{number % 40}", "Environment": "prod"}, seen_at,
            status, "14 of 14 days fully measured, no IMDSv1 call.",
            ["in an Auto Scaling group"] if number % 20 == 0 else [], 14, 14,
            number % 90 * 42 if in_use else None if status is Status.UNKNOWN else 0, NOW - timedelta(hours=3),
        )  # fmt: skip


def day_rows(day: date, pks: Sequence[int]) -> Iterator[Sequence[Any]]:
    """What CloudWatch says of one day: as FILL_A_DAY, near enough."""
    for number, pk in enumerate(pks):
        status, tokens = KINDS[number % len(KINDS)]
        if tokens == "required":
            yield pk, day, None, 0, None, 0, 24
        elif status is Status.IN_USE:
            calls = pk % 90 + 1
            yield pk, day, 3 * calls, 24, f"0*9,{calls}*3,0*12", None, 0
        else:
            yield pk, day, 0, 24, None, None, 0


def rollups(day: date) -> list[Sequence[Any]]:
    """One row a scope, with the counts its instances have; empty Regions have theirs too."""
    counted: dict[tuple[int, str], dict[str, int]] = {}
    rows = Instance.objects.order_by().values_list("account_id", "region", "status").annotate(models.Count("pk"))
    for account, place, status, count in rows:
        counted.setdefault((account, place), {})[status] = count
    found: list[Sequence[Any]] = []
    for pk, account, place in Scope.objects.order_by("pk").values_list("pk", "account_id", "region"):
        counts = counted.get((account, place), {})
        calling, rejecting = counts.get(Status.IN_USE, 0), counts.get(Status.ENFORCED, 0)
        measured = sum(counts.values()) - rejecting
        calls = 90 * calling + day.day if measured else None
        found.append((pk, day, calls, 0, measured, calling, rejecting, measured, counts, day < TODAY))
    return found


def settle() -> None:
    """What the database does by itself in time: statistics, visibility, and no log left to fold in."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM ANALYZE")
        else:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


# --- sizes -------------------------------------------------------------------------------------------


def weigh(size: Size) -> dict[str, Any]:
    tables = {
        "instance": size.instances,
        "instanceday": size.instances * size.days,
        "scopeday": ScopeDay.objects.count(),
        "apiday": ApiDay.objects.count(),
    }
    told: dict[str, Any] = {}
    for name, count in tables.items():
        table, indexes = sizes(f"migration_{name}")
        told[name] = {
            "per_row": round((table + sum(indexes.values())) / count, 1),
            "table": table,
            "indexes": dict(sorted(indexes.items(), key=lambda item: -item[1])),
        }
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
        else:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        told["database"] = cursor.fetchone()[0]
    return told


def sizes(table: str) -> tuple[int, dict[str, int]]:
    """Bytes of a table, and of each of its indexes."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_table_size(%s::regclass)", [table])
            own = cursor.fetchone()[0]
            cursor.execute(
                "SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index "
                "WHERE indrelid = %s::regclass",
                [table],
            )
            return own, dict(cursor.fetchall())
        cursor.execute(
            "SELECT s.name, s.pgsize FROM dbstat('main', 1) s JOIN sqlite_schema m ON m.name = s.name "
            "WHERE m.tbl_name = %s",
            [table],
        )
        found = dict(cursor.fetchall())
        return found.pop(table), found


# --- writing -----------------------------------------------------------------------------------------


def write_a_day(fleet: Fleet) -> dict[str, Any]:
    """A pass over the whole fleet: every instance seen again, its day, every rollup. Seconds, one transaction each."""
    pks = list(Instance.objects.order_by("pk").values_list("pk", flat=True))
    told: dict[str, Any] = {}
    for name, writer, day in (("bulk_create", by_bulk_create, TODAY + timedelta(days=1)), ("upsert", by_upsert, TODAY)):
        told[name] = one_pass(writer, fleet, pks, day)
        # The same answers once more: what a second pass within the hour, or one that broke off, costs.
        told[f"{name}_again"] = one_pass(writer, fleet, pks, day)
        say(f"{name}: {told[name]}, again {told[f'{name}_again']}")
    return told


Writer = Callable[[type[models.Model], Iterator[Sequence[Any]], list[str], list[str]], None]


def one_pass(writer: Writer, fleet: Fleet, pks: Sequence[int], day: date) -> dict[str, float]:
    seen_at = NOW + (day - TODAY)
    steps: tuple[tuple[str, type[models.Model], Iterator[Sequence[Any]], list[str], list[str]], ...] = (
        ("instances", Instance, instance_rows(fleet, seen_at), INSTANCE, KEY),
        ("instance_days", InstanceDay, day_rows(day, pks), DAY, DAY[:2]),
        ("rollups", ScopeDay, iter(rollups(day)), ROLLUP, ROLLUP[:2]),
    )
    seconds, cpu = {}, time.process_time()
    for name, model, rows, columns, unique in steps:
        began = time.perf_counter()
        with transaction.atomic():
            writer(model, rows, columns, unique)
        seconds[name] = round(time.perf_counter() - began, 2)
    cpu = time.process_time() - cpu  # on SQLite that is all of it, whoever else the machine works for
    return seconds | {"together": round(sum(seconds.values()), 2), "own_cpu": round(cpu, 2)}


def changeable(columns: list[str], unique: list[str]) -> list[str]:
    return [name for name in columns if name not in {*unique, "first_seen_at"}]


def by_upsert(model: type[models.Model], rows: Iterator[Sequence[Any]], columns: list[str], unique: list[str]) -> None:
    bulk.upsert(model, rows, columns=columns, unique=unique, update=changeable(columns, unique))


def by_bulk_create(
    model: type[models.Model], rows: Iterator[Sequence[Any]], columns: list[str], unique: list[str]
) -> None:
    names = {field.attname: field.name for field in model._meta.concrete_fields}  # noqa: SLF001 -- the documented door
    model._default_manager.bulk_create(  # noqa: SLF001
        (model(**dict(zip(columns, row, strict=True))) for row in rows),
        batch_size=500,
        update_conflicts=True,
        unique_fields=[names[name] for name in unique],
        update_fields=[names[name] for name in changeable(columns, unique)],
    )


if __name__ == "__main__":
    main()
