"""`audit verify`: exit 0 when the chain holds, 1 with the first bad sequence number when it does not."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from migration.actions import audit
from migration.management.house import HouseCommand
from migration.models import AuditEvent


class Command(HouseCommand):
    help = "Check the audit log's hash chain."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("verb", choices=["verify"])

    def handle(self, **_: Any) -> None:
        broken = audit.verify()
        if broken is not None:
            raise CommandError(f"The audit log does not hold at event {broken.seq}: {broken.why}.", returncode=1)
        self.stdout.write(f"{AuditEvent.objects.count()} events, and the chain holds.")
