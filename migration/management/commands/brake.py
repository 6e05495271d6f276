"""Stop every write to AWS from the server itself: `brake pull --reason …`, `brake release …`, `brake status`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from migration.actions import brake
from migration.actions.errors import Refused
from migration.management.house import HouseCommand
from migration.queries.policies import brake_reason


class Command(HouseCommand):
    help = "Stop every write to AWS, everywhere, before the next call; or let writes go on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb, words in (("pull", "stop every write"), ("release", "let writes go on")):
            one = verbs.add_parser(verb, help=words)
            one.add_argument("--reason", required=True, help="stands on every page, and in the audit log")
        verbs.add_parser("status", help="say whether it is on, by whom and why")

    def handle(self, **options: Any) -> None:
        if options["verb"] != "status":
            act = brake.pull if options["verb"] == "pull" else brake.release
            try:
                act(by=None, reason=options["reason"], now=timezone.now())
            except Refused as refusal:
                raise CommandError(str(refusal)) from refusal
        self.stdout.write(brake_reason() or "The brake is off.")
