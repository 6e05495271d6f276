"""`audit verify` and `audit anchor`. Exit 0: it holds; 1: it does not, with the first bad sequence number; 2: it could
not be checked, or the anchor could not be written.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import DatabaseError
from django.utils import timezone

from migration.actions import anchors, audit
from migration.actions.errors import Refused
from migration.management.house import HouseCommand
from migration.models import AuditEvent
from migration.queries.anchors import Unreadable, contradictions, kept, malformed

BROKEN, UNCHECKED = 1, 2


class Command(HouseCommand):
    help = "Check the audit log's hash chain, or write its head down outside the database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        verify = commands.add_parser("verify", help="check the chain; exit 1 with the first bad sequence number")
        verify.add_argument(
            "--anchors",
            nargs="?",
            const="",
            metavar="FILE",
            help="check the anchors as well: those of FILE, or of the file imdsdash writes",
        )
        commands.add_parser("anchor", help="write the head down now, as is done once a day")

    def handle(self, **options: Any) -> None:
        try:
            if options["command"] == "anchor":
                self._anchor()
            else:
                self._verify(options["anchors"])
        except (Refused, Unreadable) as error:
            raise CommandError(str(error), returncode=UNCHECKED) from error
        except DatabaseError as error:
            first, *_ = str(error).splitlines() or ["no reason was given"]
            raise CommandError(f"The audit log could not be read: {first}", returncode=UNCHECKED) from error

    def _anchor(self) -> None:
        file = settings.AUDIT_ANCHOR_FILE
        made, added = anchors.anchor(file=file, now=timezone.now())
        if added:
            self.stdout.write(f"Event {made.seq} with hash {made.hash} is anchored in {file}.")
        else:
            self.stdout.write(f"Event {made.seq} was anchored in {file} before on this day; nothing was written.")

    def _verify(self, asked: str | None) -> None:
        broken = audit.verify()
        if broken is not None:
            raise _does_not_hold(broken.seq, broken.why)
        self.stdout.write(f"{AuditEvent.objects.count()} events, and the chain holds.")
        if asked is not None:
            self._agree(Path(asked) if asked else settings.AUDIT_ANCHOR_FILE)

    def _agree(self, file: Path) -> None:
        """Nothing that was asked for and not done counts as done: no file, no anchor in it, a line that is none."""
        found = kept(file)
        if found is None:
            raise Unreadable(f"There is no file {file}, so no anchor was checked.")
        for wrong in contradictions(found.told)[:1]:
            raise _does_not_hold(wrong.first_bad, wrong.why)
        if found.malformed:
            raise Unreadable(f"{malformed(file, found)} The log agrees with the others: {len(found.told)}.")
        if not found.told:
            raise Unreadable(f"There is no anchor in {file}, so none was checked.")
        self.stdout.write(f"Anchors in {file}: {len(found.told)}. The log agrees with all of them.")


def _does_not_hold(seq: int, why: str) -> CommandError:
    return CommandError(f"The audit log does not hold at event {seq}: {why}.", returncode=BROKEN)
