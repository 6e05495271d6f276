"""A waiver may name a group, a tag or an account, and has a life of its own. Those there are go over as they stand."""

from datetime import UTC, datetime, time, timedelta

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.utils import timezone


def person(apps, name):
    """Whoever the old row names. One whose login is gone since gets one that nobody can use, so that it stays said."""
    app, model = settings.AUTH_USER_MODEL.split(".")
    users = apps.get_model(app, model).objects
    found = users.filter(username=name).first()
    return found or users.create(username=name, password="!", is_active=False)


def carry_over(apps, schema_editor):
    now = timezone.now()
    today = now.astimezone(UTC).date()
    old, new = apps.get_model("migration", "OldWaiver").objects, apps.get_model("migration", "Waiver").objects
    held = set()
    for row in old.select_related("instance").order_by("-expires_on", "pk"):
        on, again = row.expires_on >= today, row.instance_id in held
        held |= {row.instance_id} if on else set()
        over = datetime.combine(row.expires_on + timedelta(days=1), time(), UTC)
        new.create(
            account_id=row.instance.account_id,
            kind="instance",
            target=row.instance.instance_id,
            region=row.instance.region,
            reason=row.reason,
            expires_on=row.expires_on,
            state="expired" if not on else "ended" if again else "active",
            requested_by_id=person(apps, row.requested_by).pk,
            requested_at=row.created_at,
            decided_by_id=person(apps, row.approved_by).pk,
            decided_at=row.created_at,
            since=row.created_at,
            closed_at=over if not on else now if again else None,
            closed_because="Another one for the same instance lasts longer." if on and again else "",
        )
    check(schema_editor)


def carry_back(apps, schema_editor):
    old, new = apps.get_model("migration", "OldWaiver").objects, apps.get_model("migration", "Waiver").objects
    instances = apps.get_model("migration", "Instance").objects
    for row in new.filter(kind="instance", state__in=["active", "expired"], decided_by__isnull=False):
        instance = instances.filter(account_id=row.account_id, instance_id=row.target).first()
        if instance is not None:
            old.create(
                instance_id=instance.pk,
                reason=row.reason,
                requested_by=row.requested_by.username,
                approved_by=row.decided_by.username,
                expires_on=row.expires_on,
            )
    check(schema_editor)


def check(schema_editor):
    """PostgreSQL alters no table while checks of its rows are put off to the end of the transaction."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


class Migration(migrations.Migration):
    dependencies = [
        ("migration", "0009_linked_scopes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.RenameModel("Waiver", "OldWaiver"),
        migrations.CreateModel(
            name='Waiver',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('instance', 'Instance'), ('asg', 'Auto Scaling group'), ('tag', 'Tag'), ('account', 'Whole account')], max_length=16)),
                ('target', models.CharField(blank=True, default='', max_length=400)),
                ('region', models.CharField(blank=True, default='', max_length=32)),
                ('reason', models.TextField()),
                ('expires_on', models.DateField()),
                ('state', models.CharField(choices=[('requested', 'Waiting for approval'), ('active', 'Active'), ('rejected', 'Rejected'), ('withdrawn', 'Withdrawn'), ('expired', 'Expired'), ('ended', 'Ended')], default='requested', max_length=16)),
                ('version', models.PositiveIntegerField(default=0)),
                ('requested_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('comment', models.TextField(blank=True, default='')),
                ('since', models.DateTimeField(blank=True, null=True)),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('closed_because', models.CharField(blank=True, default='', max_length=2000)),
                ('renewals', models.PositiveIntegerField(default=0)),
                ('account', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='waivers', to='migration.account')),
                ('decided_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('renews', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='renewed_by', to='migration.waiver')),
                ('requested_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('-requested_at', '-pk'),
            },
        ),
        migrations.AddIndex(
            model_name='waiver',
            index=models.Index(fields=['account', 'state'], name='waiver_account_state'),
        ),
        migrations.AddConstraint(
            model_name='waiver',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'active')), fields=('account', 'kind', 'target', 'region'), name='one_active_waiver_each'),
        ),
        migrations.AddConstraint(
            model_name='waiver',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'requested')), fields=('account', 'kind', 'target', 'region'), name='one_waiting_waiver_each'),
        ),
        migrations.AddConstraint(
            model_name='waiver',
            constraint=models.CheckConstraint(condition=models.Q(('decided_by__isnull', True), models.Q(('decided_by', models.F('requested_by')), _negated=True), _connector='OR'), name='waiver_takes_two_people'),
        ),
        migrations.AddConstraint(
            model_name='waiver',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('decided_by__isnull', True)), models.Q(('decided_at__isnull', False), ('decided_by__isnull', False)), _connector='OR'), name='waiver_decided_fields_go_together'),
        ),
        migrations.AddConstraint(
            model_name='waiver',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['active', 'rejected', 'ended']), ('decided_by__isnull', False)), models.Q(('state__in', ['requested', 'withdrawn']), ('decided_by__isnull', True)), ('state', 'expired'), _connector='OR'), name='waiver_decided_when_its_state_says_so'),
        ),
        migrations.AddConstraint(
            model_name='waiver',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', True), ('state__in', ['requested', 'active'])), models.Q(models.Q(('state__in', ['requested', 'active']), _negated=True), ('closed_at__isnull', False)), _connector='OR'), name='waiver_closed_when_over'),
        ),
        migrations.AddConstraint(
            model_name='waiver',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'account'), ('target', '')), models.Q(models.Q(('kind', 'account'), _negated=True), models.Q(('target', ''), _negated=True)), _connector='OR'), name='waiver_names_something'),
        ),
        migrations.AddConstraint(
            model_name='waiver',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('renewals', 0), ('renews__isnull', True)), models.Q(('renewals__gt', 0), ('renews__isnull', False)), _connector='OR'), name='waiver_renewals_are_counted'),
        ),
        migrations.RunPython(carry_over, carry_back),
        migrations.DeleteModel("OldWaiver"),
    ]
