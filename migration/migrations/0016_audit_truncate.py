"""PostgreSQL: TRUNCATE fires no trigger of rows, so a trigger of statements refuses it. SQLite has no TRUNCATE; there
REPLACE removes a row without firing the trigger on DELETE, so a trigger refuses an event that would take the place of
another.
"""

from django.db import migrations

SQLITE = [
    """CREATE TRIGGER migration_audit_no_replace BEFORE INSERT ON migration_auditevent
       WHEN EXISTS (SELECT 1 FROM migration_auditevent WHERE id = NEW.id OR seq = NEW.seq OR hash = NEW.hash)
       BEGIN SELECT RAISE(ABORT, 'the audit log cannot be changed'); END""",
]
SQLITE_OFF = ["DROP TRIGGER IF EXISTS migration_audit_no_replace"]
POSTGRES = [
    """CREATE TRIGGER migration_audit_no_truncate BEFORE TRUNCATE ON migration_auditevent
       FOR EACH STATEMENT EXECUTE FUNCTION migration_audit_refuse()""",
]
POSTGRES_OFF = ["DROP TRIGGER IF EXISTS migration_audit_no_truncate ON migration_auditevent"]


def run(editor, statements):
    for statement in statements:
        editor.execute(statement)


def forwards(apps, editor):
    run(editor, POSTGRES if editor.connection.vendor == "postgresql" else SQLITE)


def backwards(apps, editor):
    run(editor, POSTGRES_OFF if editor.connection.vendor == "postgresql" else SQLITE_OFF)


class Migration(migrations.Migration):
    dependencies = [("migration", "0015_enforcement")]
    operations = [migrations.RunPython(forwards, backwards)]
