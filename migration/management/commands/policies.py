"""What enforcement takes, from the server itself: `policies list`, `policies propose`, `policies approve`."""

from argparse import ArgumentParser
from dataclasses import replace
from datetime import time
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.utils import timezone

from migration.actions import policies as actions
from migration.actions.errors import Refused
from migration.domain.policy import LABELS, LIMITS, words
from migration.domain.windows import DAYS, Window
from migration.enums import Emergency, PolicyState
from migration.management.house import HouseCommand
from migration.models import Account, Policy
from migration.queries import policies

SHORT = {day[:3].lower(): number for number, day in enumerate(DAYS)}


class Command(HouseCommand):
    help = "Show what holds where, propose a policy, or approve one as an admin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="what holds, and what waits for an admin")
        one = verbs.add_parser("propose", help="what is not said stays as it holds there now; an admin has to approve")
        place = one.add_mutually_exclusive_group()
        place.add_argument("--account", default="", help="only this account (12 digits)")
        place.add_argument("--ou", default="", help="only below this OU path")
        one.add_argument("--reason", required=True)
        for name in LIMITS:
            one.add_argument(f"--{name.replace('_', '-')}", type=int, help=LABELS[name])
        one.add_argument("--emergency", choices=Emergency.values, help=LABELS["emergency"])
        one.add_argument(
            "--window", default=None, help='"Europe/Berlin mon,thu 22:00 240" (zone, days, start, minutes), or "always"'
        )
        yes = verbs.add_parser("approve", help="what `list` shows it would replace ends with it")
        yes.add_argument("policy", type=int)
        yes.add_argument("--by", required=True, help="the admin who agrees; never who proposed it")
        yes.add_argument("--comment", default="")

    def handle(self, **options: Any) -> None:
        try:
            getattr(self, f"_{options['verb']}")(options)
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal

    def _list(self, _: dict[str, Any]) -> None:
        rows = Policy.objects.filter(state__in=[PolicyState.ACTIVE, PolicyState.PROPOSED]).select_related("account")
        for row in rows.order_by("state", "ou_path", "account__account_id", "pk"):
            place = policies.place(account=row.account, ou_path=row.ou_path)
            self.stdout.write(f"policy {row.pk} ({row.get_state_display().lower()}) {place}")
            for label, text in words(policies.terms_of(row)).items():
                self.stdout.write(f"  {label:14} {text}")
        if not rows:
            self.stdout.write("No policy holds or waits; the settings say what enforcement takes.")

    def _propose(self, options: dict[str, Any]) -> None:
        account = Account.objects.filter(account_id=options["account"]).first()
        if options["account"] and account is None:
            raise CommandError(f"Account {options['account']} is not configured. Nothing was proposed.")
        # Not stored: what an account in that place would get now.
        there = account or Account(account_id="", ou_path=options["ou"])
        said = {name: options[name] for name in LIMITS if options[name] is not None}
        if options["emergency"]:
            said["emergency"] = Emergency(options["emergency"])
        if options["window"] is not None:
            said["window"] = window(options["window"])
        terms = replace(policies.terms_for(there), **said)
        proposal = actions.Proposal(terms, options["reason"], account=account, ou_path=options["ou"].rstrip("/"))
        made = actions.propose(proposal=proposal, by=None, now=timezone.now())
        self.stdout.write(f"Policy {made.pk} waits for an admin: it would hold {proposal.place}.")

    def _approve(self, options: dict[str, Any]) -> None:
        policy = Policy.objects.select_related("account").filter(pk=options["policy"]).first()
        by = User.objects.filter(username=options["by"]).first()
        if policy is None or by is None:
            missing = f"policy {options['policy']}" if policy is None else f"person {options['by']}"
            raise CommandError(f"There is no {missing}. Nothing was changed.")
        old = policies.active_at(account=policy.account, ou_path=policy.ou_path)
        actions.approve(
            policy=policy,
            by=by,
            comment=options["comment"],
            version=policy.version,
            replaces=old.pk if old else None,
            now=timezone.now(),
        )
        self.stdout.write(f"Policy {policy.pk} holds" + (f"; policy {old.pk} ended." if old else "."))


def window(text: str) -> Window | None:
    """A change window as it is written on the command line. Raises CommandError."""
    if text == "always":
        return None
    try:
        zone, days, start, minutes = text.split()
        numbers = tuple(sorted({SHORT[day.lower()[:3]] for day in days.split(",")}))
        return Window(zone=zone, days=numbers, start=time.fromisoformat(start), minutes=int(minutes))
    except (ValueError, KeyError) as error:
        raise CommandError(
            f'"{text}" is no change window; write zone, days, start and minutes: "Europe/Berlin mon,thu 22:00 240".'
        ) from error
