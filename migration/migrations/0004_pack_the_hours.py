"""Hours that were JSON lists become the packed text of `domain.hours`, in batches, so that a large table is never held."""

import json

from django.db import migrations, transaction

BATCH = 2000


def convert(apps, read, write):
    """Rewrite both columns of every row that has one, from one notation to the other. Safe to run again."""
    days = apps.get_model("migration", "InstanceDay")
    last = 0
    while True:
        rows = list(
            days.objects.filter(pk__gt=last)
            .exclude(v1_hours__isnull=True, rejected_hours__isnull=True)
            .order_by("pk")[:BATCH]
        )
        if not rows:
            return
        last = rows[-1].pk
        for row in rows:
            row.v1_hours = write(read(row.v1_hours))
            row.rejected_hours = write(read(row.rejected_hours))
        with transaction.atomic():
            days.objects.bulk_update(rows, ["v1_hours", "rejected_hours"], batch_size=500)


def from_json(text):
    return json.loads(text) if text and text.startswith("[") else text


def pack(apps, schema_editor):
    from migration.domain.hours import pack as packed

    convert(apps, from_json, lambda hours: packed(hours) if isinstance(hours, list) else hours)


def unpack(apps, schema_editor):
    from migration.domain.hours import unpack as unpacked

    convert(
        apps,
        lambda text: list(unpacked(text)) if text and not text.startswith("[") else text,
        lambda hours: json.dumps(hours) if isinstance(hours, list) else hours,
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("migration", "0003_scopes_have_cadences")]
    operations = [migrations.RunPython(pack, unpack)]
