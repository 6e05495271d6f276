import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from migration.domain.userdata import decode, scan
from migration.models import Scope
from migration.tasks.userdata import look_into

CALLS = 3


class Command(BaseCommand):
    help = "Look into a user-data file for IMDSv1 calls, without AWS and without a database."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        one = commands.add_parser("scan", help="exit 3 when something calls IMDSv1 or may")
        one.add_argument("--file", required=True, help="the file as it is given to EC2; - reads standard input")
        one.add_argument("--json", action="store_true", help="findings as JSON")

        commands.add_parser("look", help="look now into all that is due, as the timetable does each ten minutes")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["command"] == "look":
            self._look()
            return
        found = scan(decode(read(options["file"])))
        if options["json"]:
            self.stdout.write(json.dumps([asdict(one) for one in found], indent=1))
        elif not found:
            self.stdout.write("No IMDSv1 call found. That proves nothing about software that is installed otherwise.")
        for one in () if options["json"] else found:
            where = f"part {one.part}, line {one.line}" if one.line else "in all"
            self.stdout.write(f"{where}: {one.kind} ({one.certainty}): {one.statement}\n    {one.advice}")
        if found:
            sys.exit(CALLS)

    def _look(self) -> None:
        if not settings.IMDSDASH_USER_DATA:
            raise CommandError("Looking into user data is switched off (IMDSDASH_USER_DATA). Nothing was looked into.")
        scopes = Scope.objects.filter(enabled=True, account__enabled=True).values_list("pk", flat=True)
        done = sum(look_into(pk) for pk in scopes)
        self.stdout.write(f"Looked into {done} instances.")


def read(name: str) -> bytes:
    """The bytes of a file or of standard input. Raises CommandError."""
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}. Nothing was looked into.") from error
