"""The audit log's head, and triggers that refuse to change or remove what was written, on both engines."""

from django.db import migrations

SQLITE = [
    """CREATE TRIGGER migration_audit_no_update BEFORE UPDATE ON migration_auditevent
       BEGIN SELECT RAISE(ABORT, 'the audit log cannot be changed'); END""",
    """CREATE TRIGGER migration_audit_no_delete BEFORE DELETE ON migration_auditevent
       BEGIN SELECT RAISE(ABORT, 'the audit log cannot be changed'); END""",
]
SQLITE_OFF = [
    "DROP TRIGGER IF EXISTS migration_audit_no_update",
    "DROP TRIGGER IF EXISTS migration_audit_no_delete",
]
POSTGRES = [
    """CREATE OR REPLACE FUNCTION migration_audit_refuse() RETURNS trigger AS $$
       BEGIN RAISE EXCEPTION 'the audit log cannot be changed'; END $$ LANGUAGE plpgsql""",
    """CREATE TRIGGER migration_audit_no_update BEFORE UPDATE OR DELETE ON migration_auditevent
       FOR EACH ROW EXECUTE FUNCTION migration_audit_refuse()""",
]
POSTGRES_OFF = [
    "DROP TRIGGER IF EXISTS migration_audit_no_update ON migration_auditevent",
    "DROP FUNCTION IF EXISTS migration_audit_refuse()",
]


def run(editor, statements):
    for statement in statements:
        editor.execute(statement)


def forwards(apps, editor):
    apps.get_model("migration", "AuditHead").objects.get_or_create(pk=1)
    run(editor, POSTGRES if editor.connection.vendor == "postgresql" else SQLITE)


def backwards(apps, editor):
    run(editor, POSTGRES_OFF if editor.connection.vendor == "postgresql" else SQLITE_OFF)


class Migration(migrations.Migration):
    dependencies = [("migration", "0001_initial")]
    operations = [migrations.RunPython(forwards, backwards)]
