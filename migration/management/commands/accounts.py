"""The accounts imdsdash looks after: add one by hand, list them, discover the organization's, test the roles."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from migration.actions import collection as rows
from migration.aws import organizations
from migration.aws.errors import AwsError
from migration.aws.sessions import Edge, Target
from migration.management.house import HouseCommand
from migration.models import Account
from migration.tasks import collection, edges

PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f")
OPEN_STATES = {"ACTIVE", "PENDING_CLOSURE"}  # PENDING_CLOSURE accounts still run instances


class Command(HouseCommand):
    help = "Add, list, discover or test the accounts to look after."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add", help="add one account by its 12 digits")
        add.add_argument("account_id")
        add.add_argument("--name", default="")
        add.add_argument("--owner", default="")
        add.add_argument("--ou-path", default="")
        add.add_argument("--partition", default="aws", choices=PARTITIONS, help="where it lives (default: aws)")
        add.add_argument("--ambient", action="store_true", help="use the ambient credentials instead of a role")
        verbs.add_parser("list", help="show the accounts and what their roles last said")
        verbs.add_parser("discover", help="add every open account of the AWS Organization")
        test = verbs.add_parser("test", help="try to enter one account, or all")
        test.add_argument("account_id", nargs="?", default="")

    def handle(self, **options: Any) -> None:
        {"add": self._add, "list": self._list, "discover": self._discover, "test": self._test}[options["verb"]](options)

    def _add(self, options: dict[str, Any]) -> None:
        account_id = options["account_id"]
        if not (account_id.isdigit() and len(account_id) == 12):  # noqa: PLR2004
            raise CommandError(f"{account_id!r} is not an account id: it has 12 digits. Nothing was added.")
        fields = {name: options[name] for name in ("name", "owner", "ou_path") if options[name]}
        if not options["ambient"]:
            fields |= roles(account_id, partition=options["partition"])
        account = rows.remember_account(account_id=account_id, **fields)
        self.stdout.write(
            f"{account} is looked after from now on. `manage.py accounts test {account_id}` tries its role."
        )

    def _list(self, _: dict[str, Any]) -> None:
        found = list(Account.objects.all())
        if not found:
            self.stdout.write("No account is configured: the one of the ambient credentials is collected.")
        for account in found:
            state = account.get_role_state_display()
            self.stdout.write(f"{account.account_id}  {account.name:32}  {account.ou_path:32}  {state}")

    def _discover(self, _: dict[str, Any]) -> None:
        edge = Edge(limits=edges.limits())
        me = edge.ambient()
        names = organizations.ou_names(edge, me)
        added = 0
        for told in organizations.accounts(edge, me):
            if told.state not in OPEN_STATES:
                continue
            fields = {"name": told.name, "state": told.state, "ou_path": ou_path(told.ou_path, told.account_id, names)}
            fields |= self._people(edge, me, told.account_id)
            if told.account_id != me.account_id:
                fields |= roles(told.account_id, partition=told.arn.split(":")[1] if told.arn else "aws")
            rows.remember_account(account_id=told.account_id, **fields)
            added += 1
        self.stdout.write(f"{added} open accounts of the organization are looked after.")

    def _people(self, edge: Edge, me: Target, account_id: str) -> dict[str, str]:
        """Owner and contact from the account's tags of these names, where AWS lets us read them."""
        try:
            tags = {key.lower(): value for key, value in organizations.tags(edge, me, account_id).items()}
        except AwsError as error:
            self.stderr.write(f"{account_id}: its tags could not be read, so its owner is not known. {error}")
            return {}
        return {name: tags[name][:200] for name in ("owner", "contact") if tags.get(name)}

    def _test(self, options: dict[str, Any]) -> None:
        chosen = Account.objects.filter(enabled=True)
        if options["account_id"]:
            chosen = chosen.filter(account_id=options["account_id"])
            if not chosen:
                raise CommandError(
                    f"Account {options['account_id']} is not configured; `accounts list` shows those that are."
                )
        edge = Edge(limits=edges.limits())
        bad = 0
        for account in chosen:
            try:
                scopes = collection.open_account(edge, account, now=timezone.now())
            except AwsError as error:
                bad += 1
                self.stderr.write(f"{account}: {error}")
            else:
                self.stdout.write(f"{account}: readable, {len(scopes)} Regions")
        if bad:
            raise CommandError(f"{bad} of {len(chosen)} accounts could not be read.", returncode=3)


def roles(account_id: str, *, partition: str) -> dict[str, str]:
    """The reader and enforcer roles of an account by the configured names. ARNs are built with the partition."""
    arn = f"arn:{partition}:iam::{account_id}:role"
    return {
        "partition": partition,
        "reader_role_arn": f"{arn}/{settings.IMDSDASH_READER_ROLE}",
        "enforcer_role_arn": f"{arn}/{settings.IMDSDASH_ENFORCER_ROLE}",
        "external_id": settings.IMDSDASH_EXTERNAL_ID,
    }


def ou_path(path: str, account_id: str, names: dict[str, str]) -> str:
    """`o-x/r-y/ou-z/123456789012` as the names of its units, without organization, root and account."""
    parts = [part for part in path.split("/") if part and part != account_id and not part.startswith(("o-", "r-"))]
    return "/".join(names.get(part, part) for part in parts)
