"""What is stored survives the way up to the newest tables, and the way back.

Each way takes seconds, so the stories below go it together: down to the oldest tables, up, down and up again.
"""

from datetime import date, timedelta

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from migration.models import Instance, InstanceDay, ScopeDay, Waiver
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
OLDEST, WAIVERS_OF_OLD, HOURS_PACKED = "0002_audit_is_append_only", "0009_linked_scopes", "0004_pack_the_hours"
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


class Indexes:
    """They come and go, and the rows stay."""

    def __init__(self):
        self.scope = factories.scope(factories.account())
        self.instance = factories.instance(self.scope.account)
        factories.instance_day(self.instance, DAY)
        factories.scope_day(self.scope, DAY, by_status={"ready": 2, "waived": 1, "enforced": 4, "gone": 9})
        factories.scope_day(self.scope, date(2026, 10, 1), by_status=None)
        self.now = self.all_of_them()

    def all_of_them(self):
        return indexes("migration_instanceday"), indexes("migration_scopeday"), indexes("migration_instance")

    def of_old(self, apps):
        assert indexes("migration_instanceday") == {("day",), ("instance_id",)}
        assert apps.get_model("migration", "ScopeDay").objects.get(day=DAY, scope=self.scope.pk).by_status["ready"] == 2

    def of_today(self):
        assert self.all_of_them() == self.now
        assert indexes("migration_instanceday") == set()
        assert InstanceDay.objects.get(instance=self.instance).day == DAY
        counted = ScopeDay.objects.filter(scope=self.scope).order_by("day")
        told = list(counted.values_list("instances_left", "instances_done"))
        assert told == [(None, None), (3, 4)]


class Hours:
    """JSON lists become packed text, and the same lists again on the way back."""

    OLD = [None, 0, 5, *[12] * 21]

    def __init__(self):
        self.instance = factories.instance(factories.scope(factories.account()).account)

    def make(self, apps):
        days = apps.get_model("migration", "InstanceDay").objects
        days.create(instance_id=self.instance.pk, day=DAY, v1_calls=257, measured_hours=23, v1_hours=self.OLD)
        days.create(instance_id=self.instance.pk, day=date(2026, 10, 1), v1_calls=0, measured_hours=24)

    def of_today(self):
        packed = InstanceDay.objects.filter(instance=self.instance).order_by("day")
        told = list(packed.values_list("v1_hours", "rejected_hours", "v1_calls"))
        assert told == [(None, None, 0), (",0,5,12*21", None, 257)]

    def of_old(self, apps):
        days = apps.get_model("migration", "InstanceDay").objects
        assert days.get(day=DAY, instance_id=self.instance.pk).v1_hours == self.OLD


class Waivers:
    """One that holds, one beside it that ends sooner, one that is over, and one whose people have left."""

    def __init__(self):
        self.instance = factories.instance(factories.scope(factories.account()).account)
        self.other = factories.instance(self.instance.account, "eu-west-1")
        factories.user("edith"), factories.user("arjun")

    def make(self, apps):
        today = timezone.now().date()
        old = apps.get_model("migration", "Waiver").objects
        people = {"requested_by": "edith", "approved_by": "arjun"}
        for days in (60, 90, -5):
            ends = today + timedelta(days=days)
            old.create(instance_id=self.instance.pk, reason=f"{days}", expires_on=ends, **people)
        gone = {"requested_by": "gwen", "approved_by": "hugo"}
        old.create(instance_id=self.other.pk, reason="gone", expires_on=today + timedelta(days=1), **gone)

    def of_today(self):
        rows = {row.reason: row for row in Waiver.objects.select_related("requested_by", "decided_by")}
        assert {reason: row.state for reason, row in rows.items()} == {
            "90": "active",
            "60": "ended",
            "-5": "expired",
            "gone": "active",
        }
        held = rows["90"]
        assert (held.kind, held.target, held.region) == ("instance", self.instance.instance_id, "us-east-1")
        assert (held.requested_by.username, held.decided_by.username) == ("edith", "arjun")
        assert not rows["gone"].decided_by.is_active
        assert not rows["gone"].decided_by.has_usable_password()

    def of_old(self, apps):
        back = apps.get_model("migration", "Waiver").objects
        assert sorted(back.values_list("reason", "approved_by")) == [("-5", "arjun"), ("90", "arjun"), ("gone", "hugo")]


def test_what_is_stored_survives_the_way_up_and_the_way_back():
    kept, hours, waivers = Indexes(), Hours(), Waivers()

    waivers.make(migrate(WAIVERS_OF_OLD))
    kept.of_old(migrate(HOURS_PACKED))
    hours.make(migrate(OLDEST))
    migrate(newest())

    assert (Instance.objects.count(), InstanceDay.objects.count()) == (4, 3)
    for story in (kept, hours, waivers):
        story.of_today()

    waivers.of_old(migrate(WAIVERS_OF_OLD))
    hours.of_old(migrate(OLDEST))
    migrate(newest())
    kept.of_today()
    hours.of_today()
