"""One pass in the foreground. Exit 0: complete; 3: partial, the gaps are named; 1: nothing could be collected."""

import json
import sys
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connections
from django.utils import timezone
from tqdm import tqdm

from migration.actions import collection as rows
from migration.aws.errors import AwsError
from migration.aws.sessions import Edge
from migration.enums import Outcome
from migration.management.house import HouseCommand
from migration.models import Account, CollectionRun, Scope
from migration.queries import sweeps as runs
from migration.tasks import collection, edges
from migration.tasks.scope import Passed, asked_until, broke_off
from migration.tasks.timetable import run_name

PARTIAL = 3
RESUMED_FOR = timedelta(hours=12)  # a pass broken off longer ago is not gone on with: too much has changed since


class Command(HouseCommand):
    help = "Collect inventory, Region defaults and usage of all accounts, or of one, and judge every instance."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", default="", metavar="ID", help="one account, by its 12 digits")
        parser.add_argument("--region", default="", metavar="NAME", help="one Region, for example eu-west-1")
        parser.add_argument("--afresh", action="store_true", help="do not go on with a pass that was broken off")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object on the last line")

    def handle(self, **options: Any) -> None:
        started = time.monotonic()
        edges.spare_the_collector()
        edge = Edge(limits=edges.limits(), pace=edges.pace())
        chosen = accounts(edge, options["account"])
        run = self._begin(options)
        self.again = run.owner == edges.me()
        passed, failed = self._sweep(edge, chosen, options["region"], run)
        told = summary(passed, failed, edge, seconds=time.monotonic() - started)
        rows.end_run(run=run, result=told, now=timezone.now())
        self._say(passed, failed, told, as_json=options["json"])
        if not any(one.outcome is Outcome.COMPLETE for one in passed):
            if not any(one.instances for one in passed):
                raise CommandError(nothing(passed, failed, options["region"]), returncode=1)
            sys.exit(PARTIAL)
        if failed or any(one.outcome is not Outcome.COMPLETE for one in passed):
            sys.exit(PARTIAL)

    def _begin(self, options: dict[str, Any]) -> CollectionRun:
        """A new pass, or the same one that a process of this host left off when it was killed."""
        now, asked = timezone.now(), {"account": options["account"], "region": options["region"]}
        broken = None if options["afresh"] else runs.broken_off(asked=asked, since=now - RESUMED_FOR)
        if broken is not None and edges.dead(broken.owner):
            self.stderr.write(
                f"Going on with the pass that began at {broken.started_at:%Y-%m-%d %H:%M} UTC and was broken off; what "
                "it had read is not read again. `--afresh` begins anew."
            )
            rows.take_run(run=broken, owner=edges.me())
            return broken
        return rows.begin_run(trigger="command", owner=edges.me(), asked=asked, now=now)

    def _sweep(
        self, edge: Edge, chosen: list[Account], region: str, run: CollectionRun
    ) -> tuple[list[Passed], list[tuple[Account, AwsError]]]:
        """Enter every account, then collect every scope, each in a thread of the pool; a failure stays its own."""
        failed: list[tuple[Account, AwsError]] = []
        passed: list[Passed] = []
        with _pool() as pool:
            opening = {pool.submit(_open, edge, account, region, run): account for account in chosen}
            waiting: list[Future[Passed]] = []
            for future in self._bar(opening, "accounts"):
                try:
                    waiting += [pool.submit(_collect, edge, scope, run, again=self.again) for scope in future.result()]
                except AwsError as error:
                    failed.append((opening[future], error))
            passed += [done.result() for done in self._bar(waiting, "account-Regions")]
        return passed, failed

    def _bar(self, futures: Any, unit: str) -> Iterator[Future[Any]]:
        return iter(
            tqdm(
                as_completed(futures),
                total=len(futures),
                unit=f" {unit}",
                file=sys.stderr,
                disable=not futures,
                mininterval=0.1 if sys.stderr.isatty() else 5,
                ascii=not sys.stderr.isatty(),
            )
        )

    def _say(
        self, passed: list[Passed], failed: list[tuple[Account, AwsError]], told: dict[str, Any], *, as_json: bool
    ) -> None:
        for account, error in sorted(failed, key=lambda pair: pair[0].account_id):
            self.stderr.write(f"{account}: not read. {error}")
        for one in sorted(passed, key=lambda one: (one.account_id, one.region)):
            if one.outcome is not Outcome.COMPLETE:
                self.stderr.write(f"{one.account_id}/{one.region}: {one.outcome.label.lower()}. {one.message}")
        if as_json:
            self.stdout.write(json.dumps(told, sort_keys=True))
            return
        by_status = ", ".join(f"{count} {status}" for status, count in sorted(told["by_status"].items()))
        self.stdout.write(
            f"{told['scopes']['complete']} account-Regions complete, {told['scopes']['incomplete']} incomplete, "
            f"{told['scopes']['denied']} denied; {told['instances']} instances ({by_status or 'none'}) in "
            f"{told['seconds']} s."
        )


def accounts(edge: Edge, account_id: str) -> list[Account]:
    """The accounts to collect: one by its id, all that are configured, or else that of the ambient credentials.

    Raises CommandError for an id that is none of these, and AwsError when there are no usable credentials.
    """
    if account_id and not (account_id.isdigit() and len(account_id) == 12):  # noqa: PLR2004
        raise CommandError(f"{account_id!r} is not an account id: it has 12 digits. Nothing was collected.")
    configured = Account.objects.filter(enabled=True)
    if account_id:
        configured = configured.filter(account_id=account_id)
    found = list(configured)
    if found:
        return found
    if Account.objects.filter(enabled=True).exists():
        raise CommandError(
            f"Account {account_id} is not configured. `manage.py accounts list` shows those that are, "
            f"`manage.py accounts add {account_id}` adds it. Nothing was collected."
        )
    ambient = collection.ambient_account(edge)
    if account_id and ambient.account_id != account_id:
        raise CommandError(
            f"The credentials belong to account {ambient.account_id}, not to {account_id}, and no other account is "
            "configured. Nothing was collected."
        )
    return [ambient]


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that, at Ctrl-C, finish what they have in hand and begin nothing more."""
    pool = ThreadPoolExecutor(settings.IMDSDASH_COLLECT_THREADS)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _open(edge: Edge, account: Account, region: str, run: CollectionRun) -> list[Scope]:
    try:
        name = run_name(run)
        return collection.open_account(edge, account, now=timezone.now(), only=region, run=name)
    finally:
        connections.close_all()


def _collect(edge: Edge, scope: Scope, run: CollectionRun, *, again: bool) -> Passed:
    """One scope; one that the pass had done before it was broken off is told as it stands."""
    try:
        if scope.complete_at is not None and scope.complete_at >= run.started_at:
            by_status = runs.counted(scope)
            listed = sum(by_status.values())
            return Passed(
                scope.account.account_id, scope.region, Outcome.COMPLETE, instances=listed, by_status=by_status
            )
        until = asked_until(run.started_at)
        found = collection.collect_scope(edge, scope, run=run_name(run), until=until, again=again)
        if found is None:
            busy = f"Another process ({scope.lease_owner or 'a worker'}) is collecting it just now."
            return Passed(scope.account.account_id, scope.region, Outcome.INCOMPLETE, busy)
    except Exception as error:  # noqa: BLE001 -- in the log and on its row, and no reason to leave out the others
        return Passed(scope.account.account_id, scope.region, Outcome.INCOMPLETE, broke_off(error))
    else:
        return found
    finally:
        connections.close_all()


def summary(
    passed: list[Passed], failed: list[tuple[Account, AwsError]], edge: Edge, *, seconds: float
) -> dict[str, Any]:
    """The object `--json` prints. An account that could not be entered counts as one denied or incomplete scope."""
    outcomes = Counter(one.outcome for one in passed)
    outcomes.update(
        Outcome.DENIED if error.gap in {"denied", "wrong_account"} else Outcome.INCOMPLETE for _, error in failed
    )
    by_status: Counter[str] = sum((one.by_status for one in passed), Counter())
    return {
        "scopes": {
            "complete": outcomes[Outcome.COMPLETE],
            "incomplete": outcomes[Outcome.INCOMPLETE],
            "denied": outcomes[Outcome.DENIED],
        },
        "instances": sum(one.instances for one in passed),
        "by_status": dict(sorted(by_status.items())),
        "api_calls": dict(sorted(edge.meter.calls.items())),
        "metric_queries": sum(one.metric_queries for one in passed),
        "seconds": round(seconds, 2),
    }


def nothing(passed: list[Passed], failed: list[tuple[Account, AwsError]], region: str) -> str:
    """Why nothing at all was collected, and what to do."""
    if failed:
        return f"Nothing was collected. {failed[0][1]} Stored data was kept as it was."
    if passed:
        return f"Nothing was collected. {passed[0].message} Stored data was kept as it was."
    if region:
        return (
            f"Nothing was collected: Region {region} is not enabled in the chosen accounts, or IMDSDASH_REGIONS leaves "
            "it out. Enable it in AWS, or name another Region."
        )
    return (
        "Nothing was collected: no enabled Region is left after IMDSDASH_REGIONS, or a worker is collecting just now."
    )
