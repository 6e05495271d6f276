"""Indexes that pay, and none that another one begins with: see docs/adr/0008-storage.md for what was measured.

The days of instances are by far the largest table, and this never rewrites it. That of the rollups is rewritten once,
for its two counts: two to three seconds for 765,000 rows.
"""

from functools import reduce
from operator import add

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce


class WithoutItsIndex(migrations.AlterField):
    """A foreign key loses its own index. Django's way rewrites the whole table on SQLite to do that."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        model = from_state.apps.get_model(app_label, self.model_name)
        column = model._meta.get_field(self.name).column
        with schema_editor.connection.cursor() as cursor:
            found = schema_editor.connection.introspection.get_constraints(cursor, model._meta.db_table)
        for name, one in found.items():
            if one["index"] and not one["unique"] and one["columns"] == [column]:
                schema_editor.execute(schema_editor._delete_index_sql(model, name))

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.execute(schema_editor._create_index_sql(model, fields=[model._meta.get_field(self.name)]))


def key(target, related_name, on_delete=django.db.models.deletion.CASCADE):
    return models.ForeignKey(db_index=False, on_delete=on_delete, related_name=related_name, to=target)


def counted(statuses):
    terms = [Coalesce(Cast(KT(f"by_status__{one}"), models.BigIntegerField()), models.Value(0)) for one in statuses]
    return models.GeneratedField(
        expression=models.Case(
            models.When(models.Q(by_status__isnull=False), then=reduce(add, terms)), default=None
        ),
        output_field=models.BigIntegerField(),
        db_persist=True,
    )


class Migration(migrations.Migration):
    dependencies = [("migration", "0004_pack_the_hours")]
    operations = [
        migrations.AddField(
            "scopeday",
            "instances_left",
            counted(("pending", "waived", "regressed", "in_use", "unknown", "settling", "ready")),
        ),
        migrations.AddField("scopeday", "instances_done", counted(("enforced", "imds_off"))),
        migrations.RemoveIndex("scopeday", "scope_day_day"),
        migrations.AddIndex(
            "scopeday",
            models.Index(
                fields=[
                    "day",
                    "scope",
                    "v1_calls",
                    "rejected_calls",
                    "instances_measured",
                    "instances_expected",
                    "instances_calling_v1",
                    "instances_left",
                    "instances_done",
                ],
                name="scope_day_sums",
            ),
        ),
        migrations.RemoveIndex("instance", "instance_status"),
        migrations.RemoveIndex("instance", "instance_scope_live"),
        migrations.AddIndex(
            "instance",
            models.Index(
                condition=models.Q(gone_at__isnull=True), fields=["account", "region", "id"], name="instance_live"
            ),
        ),
        migrations.AddIndex(
            "instance",
            models.Index(
                condition=models.Q(gone_at__isnull=False), fields=["account", "region", "gone_at"], name="instance_gone"
            ),
        ),
        migrations.RemoveIndex("instanceday", "instance_day_day"),
        WithoutItsIndex("instanceday", "instance", key("migration.instance", "days")),
        WithoutItsIndex("scopeday", "scope", key("migration.scope", "days")),
        WithoutItsIndex("apiday", "scope", key("migration.scope", "api_days")),
        WithoutItsIndex("instance", "account", key("migration.account", "instances")),
        WithoutItsIndex("scope", "account", key("migration.account", "scopes")),
        WithoutItsIndex(
            "change", "run", key("migration.run", "changes", on_delete=django.db.models.deletion.PROTECT)
        ),
    ]
