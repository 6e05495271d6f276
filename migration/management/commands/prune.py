"""What the nightly task does, by hand. Exit 0: all of it; 3: told to stop before the end, good as far as it came."""

import json
import signal
import sys
import threading
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.utils import timezone

from migration.actions import retention
from migration.actions.retention import Pruned
from migration.management.house import HouseCommand

PARTIAL = 3


class Command(HouseCommand):
    help = "Delete instance days, hours and records that are past their time. Rollups and the audit log are kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count what would go, and change nothing")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")

    def handle(self, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        dry_run = options["dry_run"]
        told = retention.prune(now=timezone.now(), dry_run=dry_run, go_on=lambda: not stopping.is_set())
        self.stdout.write(json.dumps(asdict(told)) if options["json"] else sentences(told, dry_run=dry_run))
        if not told.finished:
            sys.exit(PARTIAL)


def sentences(told: Pruned, *, dry_run: bool) -> str:
    """For a person."""
    did = "Would delete" if dry_run else "Deleted"
    deleted = (
        f"{did} {told.instance_days:,} instance days older than {settings.IMDSDASH_KEEP_DAYS} days, "
        f"{told.instances:,} instances gone as long, {told.api_days:,} counts of calls, "
        f"{told.collection_runs:,} collection runs, {told.scheduled_runs:,} ticks and {told.notifications:,} messages."
    )
    lines = [
        deleted,
        f"{'Would empty' if dry_run else 'Emptied'} the hours of {told.hours_emptied:,} days; their sums are kept.",
    ]
    if told.kept_without_rollup:
        lines.append(f"{told.kept_without_rollup:,} older instance days are kept: no settled rollup holds them yet.")
    if not told.finished:
        lines.append("Stopped before the end; what was done is done. Run it again, or leave the rest to the night.")
    return "\n".join(lines)
