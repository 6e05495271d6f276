"""What the commands share: a failure is one sentence and a non-zero exit, never a traceback."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from migration.aws.errors import AwsError


class HouseCommand(BaseCommand):
    """A command whose foreseeable failures end in a sentence."""

    requires_migrations_checks = False

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except AwsError as error:
            raise CommandError(f"{error} Nothing was changed in AWS.") from error
