"""What the readiness probe asks."""

from datetime import datetime

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Max

from migration.models import ScheduledRun


def database_answers() -> bool:
    try:
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def migrations_applied() -> bool:
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def last_tick() -> datetime | None:
    """When the timetable last did anything."""
    newest: datetime | None = ScheduledRun.objects.aggregate(newest=Max("started_at"))["newest"]
    return newest
