"""What is stored survives the way up to the newest tables, and the way back."""

from datetime import date

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from migration.models import Instance, InstanceDay, ScopeDay
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
DAY = date(2026, 11, 1)


def migrate(name):
    executor = MigrationExecutor(connection)
    executor.migrate([("migration", name)])
    return executor.loader.project_state([("migration", name)]).apps


def indexes(table):
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table)
    return {tuple(one["columns"]) for one in found.values() if one["index"] and not one["unique"]}


def test_the_indexes_come_and_go_and_the_rows_stay():
    scope = factories.scope(factories.account())
    instance = factories.instance(scope.account)
    factories.instance_day(instance, DAY)
    factories.scope_day(scope, DAY, by_status={"ready": 2, "waived": 1, "enforced": 4, "gone": 9})
    factories.scope_day(scope, date(2026, 10, 1), by_status=None)
    now = indexes("migration_instanceday"), indexes("migration_scopeday"), indexes("migration_instance")

    old = migrate("0004_pack_the_hours")
    assert indexes("migration_instanceday") == {("day",), ("instance_id",)}
    assert old.get_model("migration", "ScopeDay").objects.get(day=DAY).by_status["ready"] == 2

    migrate("0005_indexes")
    assert (indexes("migration_instanceday"), indexes("migration_scopeday"), indexes("migration_instance")) == now
    assert indexes("migration_instanceday") == set()
    assert (InstanceDay.objects.get().instance, Instance.objects.count()) == (instance, 1)
    counted = ScopeDay.objects.order_by("day").values_list("instances_left", "instances_done", "scope")
    assert list(counted) == [(None, None, scope.pk), (3, 4, scope.pk)]
