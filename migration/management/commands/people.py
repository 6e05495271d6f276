"""Who may log in, and as what: `people add NAME --role engineer`, `people list`."""

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import transaction

from migration.enums import Role
from migration.management.house import HouseCommand
from migration.models import Account, Grant


class Command(HouseCommand):
    help = "Add a person with a role, or list the people."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add", help="add a person, or give one another role; a known person keeps the password")
        add.add_argument("username")
        add.add_argument("--role", required=True, choices=Role.values)
        add.add_argument("--account", default="", help="only for this account (12 digits)")
        add.add_argument("--ou", default="", help="only below this OU path, for example Payments/Prod")
        add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
        verbs.add_parser("list", help="show the people and their roles")

    def handle(self, **options: Any) -> None:
        if options["verb"] == "list":
            for grant in Grant.objects.select_related("user", "account").order_by("user__username", "role"):
                scope = grant.account or grant.ou_path or "everything"
                self.stdout.write(f"{grant.user.get_username():24} {grant.role:10} {scope}")
            return
        if not options["username"].strip():
            raise CommandError("A person needs a name. Nobody was added.")
        account = self._account(options["account"])
        person = User.objects.filter(username=options["username"]).first()
        password = None if person else self._password(from_stdin=options["password_stdin"])
        with transaction.atomic():
            person = person or User.objects.create_user(username=options["username"], password=password)
            Grant.objects.get_or_create(user=person, role=options["role"], account=account, ou_path=options["ou"])
        place = str(account or options["ou"] or "everything")
        self.stdout.write(f"{person.get_username()} is {options['role']} of {place}.")

    def _account(self, account_id: str) -> Account | None:
        if not account_id:
            return None
        found = Account.objects.filter(account_id=account_id).first()
        if found is None:
            raise CommandError(f"Account {account_id} is not configured. Nobody was added.")
        return found

    def _password(self, *, from_stdin: bool) -> str:
        password = sys.stdin.readline().rstrip("\n") if from_stdin else getpass.getpass("Password: ")
        try:
            validate_password(password)
        except ValidationError as error:
            raise CommandError(f"{' '.join(error.messages)} Nobody was added.") from error
        return password
