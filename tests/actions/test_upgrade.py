"""What is stored survives the way up to the newest tables, and the way back."""

from datetime import date, timedelta

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from migration.models import Instance, InstanceDay, ScopeDay, Waiver
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


def newest():
    (leaf,) = MigrationExecutor(connection).loader.graph.leaf_nodes("migration")
    return leaf[1]


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

    migrate(newest())
    assert (indexes("migration_instanceday"), indexes("migration_scopeday"), indexes("migration_instance")) == now
    assert indexes("migration_instanceday") == set()
    assert (InstanceDay.objects.get().instance, Instance.objects.count()) == (instance, 1)
    counted = ScopeDay.objects.order_by("day").values_list("instances_left", "instances_done", "scope")
    assert list(counted) == [(None, None, scope.pk), (3, 4, scope.pk)]


def test_hours_that_were_json_lists_become_packed_text_and_the_same_lists_again_on_the_way_back():
    instance = factories.instance(factories.scope(factories.account()).account)
    hours = [None, 0, 5, *[12] * 21]
    days = migrate("0002_audit_is_append_only").get_model("migration", "InstanceDay").objects
    days.create(instance_id=instance.pk, day=DAY, v1_calls=257, measured_hours=23, v1_hours=hours)
    days.create(instance_id=instance.pk, day=date(2026, 10, 1), v1_calls=0, measured_hours=24)

    migrate(newest())
    packed = InstanceDay.objects.order_by("day").values_list("v1_hours", "rejected_hours", "v1_calls")
    assert list(packed) == [(None, None, 0), (",0,5,12*21", None, 257)]

    back = migrate("0002_audit_is_append_only").get_model("migration", "InstanceDay").objects
    assert back.get(day=DAY).v1_hours == hours
    migrate(newest())


def test_a_waiver_of_old_goes_over_as_it_stands_and_back():
    """One that holds, one beside it that ends sooner, one that is over, and one whose people have left."""
    instance = factories.instance(factories.scope(factories.account()).account)
    other = factories.instance(instance.account, "eu-west-1")
    factories.user("edith"), factories.user("arjun")
    today = timezone.now().date()
    old = migrate("0009_linked_scopes").get_model("migration", "Waiver").objects
    people = {"requested_by": "edith", "approved_by": "arjun"}
    for days in (60, 90, -5):
        old.create(instance_id=instance.pk, reason=f"{days}", expires_on=today + timedelta(days=days), **people)
    old.create(
        instance_id=other.pk,
        reason="gone",
        requested_by="gwen",
        approved_by="hugo",
        expires_on=today + timedelta(days=1),
    )

    migrate(newest())

    rows = {row.reason: row for row in Waiver.objects.select_related("requested_by", "decided_by")}
    assert {reason: row.state for reason, row in rows.items()} == {
        "90": "active",
        "60": "ended",
        "-5": "expired",
        "gone": "active",
    }
    held = rows["90"]
    assert (held.kind, held.target, held.region) == ("instance", instance.instance_id, "us-east-1")
    assert (held.requested_by.username, held.decided_by.username) == ("edith", "arjun")
    assert not rows["gone"].decided_by.is_active
    assert not rows["gone"].decided_by.has_usable_password()

    back = migrate("0009_linked_scopes").get_model("migration", "Waiver").objects
    assert sorted(back.values_list("reason", "approved_by")) == [("-5", "arjun"), ("90", "arjun"), ("gone", "hugo")]
    migrate(newest())
