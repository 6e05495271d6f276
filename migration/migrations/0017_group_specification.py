from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("migration", "0016_audit_truncate")]

    operations = [
        migrations.AddField(
            model_name="autoscalinggroup",
            name="specification",
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
