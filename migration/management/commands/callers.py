import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from migration.actions import callers
from migration.actions.errors import Refused
from migration.domain import athena, sightings
from migration.enums import FoundBy

KINDS = {"athena": FoundBy.ATHENA, "packet-analyzer": FoundBy.ANALYZER}


class Command(BaseCommand):
    help = "Take over what tells who calls IMDSv1, and write the question for Athena."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        one = commands.add_parser("import", help="all of a file or none of it; the same file twice changes nothing")
        one.add_argument("--kind", required=True, choices=sorted(KINDS))
        one.add_argument("--file", required=True, help="- reads standard input")
        one.add_argument("--account", default="", help="packet-analyzer: whose instance it was")
        one.add_argument("--region", default="", help="packet-analyzer: and where")
        one.add_argument("--instance", default="", help="packet-analyzer: the instance it ran on")
        ask = commands.add_parser("query", help="SQL for an organization's CloudTrail in Athena")
        ask.add_argument("--table", default=athena.DEFAULT_TABLE)
        ask.add_argument("--since", default="", help="a UTC day, such as 2026-11-01")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["command"] == "query":
            self.stdout.write(question(options["table"], options["since"]))
            return
        kind = KINDS[options["kind"]]
        try:
            done = callers.import_sightings(told=told(kind, options), kind=kind, by=None, now=timezone.now())
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"{done.callers} callers in {done.accounts} accounts taken over: {done.sightings} calls.")


def question(table: str, since: str) -> str:
    """Raises CommandError."""
    day = (timezone.now() - timedelta(days=14)).date()
    try:
        return athena.query(table=table, since=day if not since else day.fromisoformat(since))
    except (athena.BadName, ValueError) as error:
        raise CommandError(f"No question was written: {error}") from error


def told(kind: FoundBy, options: dict[str, Any]) -> Iterator[Any]:
    """The lines of the file, read. Raises CommandError."""
    if kind is FoundBy.ATHENA:
        return sightings.athena(lines(options["file"]))
    missing = [name for name in ("account", "region", "instance") if not options[name]]
    if missing:
        raise CommandError(f"A log of the analyzer is of one instance: give --{', --'.join(missing)} too.")
    return sightings.analyzer(
        lines(options["file"]),
        account_id=options["account"],
        region=options["region"],
        instance_id=options["instance"],
    )


def lines(name: str) -> Iterator[str]:
    """Line by line. Raises CommandError."""
    if name == "-":
        yield from sys.stdin
        return
    try:
        with Path(name).open(encoding="utf-8", errors="replace", newline="") as file:
            yield from file
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}. Nothing was taken over.") from error
