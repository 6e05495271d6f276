from django.apps import AppConfig


class MigrationConfig(AppConfig):
    name = "migration"
    label = "migration"
    verbose_name = "IMDSv2 migration"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from migration import checks  # noqa: F401, PLC0415 -- registers the system checks
