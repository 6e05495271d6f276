"""The accounts imdsdash looks after: add some by hand or from a file, list them, discover the organization's, test
the roles.
"""

import sys
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from migration.actions import accounts
from migration.actions.accounts import Difference, Kind
from migration.actions.audit import clean
from migration.actions.errors import Refused
from migration.aws import partitions
from migration.domain.accounts import BadList, Listed, faults_of, partition_said, read_list
from migration.enums import AccountSource
from migration.management.house import HouseCommand
from migration.models import Account
from migration.tasks import discovery, edges, probe

SPARE = "StackSets do not reach the management account: give it deploy/roles.yaml as a plain stack."


class Command(HouseCommand):
    help = "Add, list, discover or test the accounts to look after."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add", help="add one account by its 12 digits, or many from a file")
        add.add_argument("account_id", nargs="?", default="")
        add.add_argument("--file", help="a CSV with the column account_id, or ids one a line; - reads standard input")
        add.add_argument("--name", default="")
        add.add_argument("--owner", default="")
        add.add_argument("--contact", default="")
        add.add_argument("--ou-path", default="")
        add.add_argument("--partition", default="", help="where it lives (default: that of the home Region)")
        add.add_argument("--reader-role-arn", default="", help="instead of the configured name")
        add.add_argument("--enforcer-role-arn", default="", help="instead of the configured name")
        add.add_argument("--ambient", action="store_true", help="use the ambient credentials instead of a role")
        verbs.add_parser("list", help="show the accounts and what their roles last said")
        discover = verbs.add_parser("discover", help="take over the accounts of the AWS Organization")
        discover.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
        test = verbs.add_parser("test", help="try the reader role of one account, or of all")
        test.add_argument("account_id", nargs="?", default="")

    def handle(self, **options: Any) -> None:
        {"add": self._add, "list": self._list, "discover": self._discover, "test": self._test}[options["verb"]](options)

    def _add(self, options: dict[str, Any]) -> None:
        if bool(options["account_id"]) == bool(options["file"]):
            raise CommandError("Say either one account id or --file FILE. Nothing was added.")
        lines, source = self._lines(options)
        strangers = {partition_said(line) for line in lines} - {"", *partitions.known()}
        if strangers:
            raise CommandError(
                f"AWS has no partition {', '.join(sorted(strangers))}; there are {', '.join(partitions.known())}. "
                "Nothing was added."
            )
        summary = accounts.add(
            lines=lines,
            source=source,
            partition=partitions.home(),
            ambient=options["ambient"],
            now=timezone.now(),
        )
        for one in summary.differences:
            self.stdout.write(_line(one))
        self.stdout.write(
            f"{summary}. All of them are looked after from now on; "
            f"`manage.py accounts test{f' {lines[0].account_id}' if len(lines) == 1 else ''}` tries the roles."
        )

    def _lines(self, options: dict[str, Any]) -> tuple[list[Listed], AccountSource]:
        if options["file"]:
            return self._from_file(options["file"]), AccountSource.FILE
        named = ("account_id", "name", "owner", "contact", "ou_path", "partition")
        line = Listed(**{name: options[name].strip() for name in (*named, "reader_role_arn", "enforcer_role_arn")})
        faults = faults_of(line)
        if faults:
            raise CommandError(f"{'; '.join(faults)}. Nothing was added.")
        return [line], AccountSource.AMBIENT if options["ambient"] else AccountSource.HAND

    def _from_file(self, name: str) -> list[Listed]:
        shown = "standard input" if name == "-" else name
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise CommandError(f"{shown} cannot be read: {why}. Nothing was added.") from error
        try:
            return read_list(text)
        except BadList as error:
            faults = "\n".join(f"  {fault}" for fault in error.faults)
            raise CommandError(f"{shown} was not taken over, and nothing was added:\n{faults}") from error

    def _list(self, _: dict[str, Any]) -> None:
        found = list(Account.objects.all())
        if not found:
            self.stdout.write("No account is configured: the one of the ambient credentials is collected.")
        for account in found:
            state = account.get_role_state_display() if account.enabled else f"not looked after, {account.state}"
            self.stdout.write(clean(f"{account.account_id}  {account.name:32}  {account.ou_path:32}  {state}"))

    def _discover(self, options: dict[str, Any]) -> None:
        dry = options["dry_run"]
        try:
            found = discovery.discover(edges.reader(), now=timezone.now(), dry_run=dry)
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        for one in found.summary.differences:
            if one.kind is not Kind.UNCHANGED:
                self.stdout.write(_line(one))
        if found.note:
            self.stderr.write(found.note)
        within = found.organization
        self.stdout.write(
            f"Organization {within.organization_id}, managed by account {within.management_account}: {found.summary}."
            f"{' This was a dry run: nothing was changed.' if dry else ''}"
        )
        added = {one.account_id for one in found.summary.of(Kind.ADDED)} - {found.asked_by}
        if within.management_account in added:
            self.stdout.write(SPARE)

    def _test(self, options: dict[str, Any]) -> None:
        chosen = Account.objects.filter(enabled=True)
        if options["account_id"]:
            chosen = chosen.filter(account_id=options["account_id"])
            if not chosen:
                raise CommandError(
                    f"Account {options['account_id']} is not configured; `accounts list` shows those that are."
                )
        edge, now, tried = edges.reader(), timezone.now(), list(chosen)
        shut, short = 0, 0
        with ThreadPoolExecutor(max_workers=settings.IMDSDASH_COLLECT_THREADS) as pool:
            for account, found in zip(tried, pool.map(lambda one: probe.probe(edge, one, now=now), tried), strict=True):
                probe.record(account, found, now=timezone.now())
                shut += not found.entered
                short += bool(found.missing)
                self._say(account, found)
        if shut or short:
            lack = "lacks" if short == 1 else "lack"
            raise CommandError(
                f"{shut} of {len(tried)} accounts could not be read, {short} {lack} a permission.", returncode=3
            )

    def _say(self, account: Account, found: probe.Probed) -> None:
        if not found.entered:
            self.stderr.write(f"{account}: {found.message}")
            if account.management and account.reader_role_arn:
                self.stderr.write(f"  {SPARE}")
            return
        regions = ", ".join(found.regions) or "none told"
        self.stdout.write(f"{account}: answers as {found.identity}; Regions: {regions}")
        for one in found.findings:
            self.stdout.write(f"  {'ok     ' if one.ok else 'refused'}  {one.action}  {one.message}".rstrip())


def _line(one: Difference) -> str:
    """One account of a summary; for what changed, what it was and is."""
    shown = {name: value for name, value in one.before.items() if name != "external_id"}
    changes = [f"{name}: {_word(value)} -> {_word(one.fields[name])}" for name, value in shown.items()]
    if "external_id" in one.before:
        changes.append("external_id: another one")
    detail = "; ".join(changes) if one.kind is not Kind.ADDED else str(one.fields.get("ou_path", ""))
    if one.kind is Kind.LEFT_OUT:
        detail = f"{one.state}, never looked after"
    return clean(f"{one.kind.value:9}  {one.account_id}  {one.name:32}  {detail}".rstrip())


def _word(value: Any) -> str:
    return str(getattr(value, "value", value)) or "(nothing)"
