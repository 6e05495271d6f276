"""Saying no: a sentence for the person, an audit event for everybody else, and nothing changed."""

from datetime import datetime

from django.contrib.auth.models import User

from migration.actions import audit
from migration.actions.errors import Refused
from migration.domain.permissions import Action
from migration.models import Account, EnforcementRequest, Run
from migration.queries import access

About = Account | EnforcementRequest | Run


def denied(about: About, *, by: User, now: datetime, why: str) -> None:
    """Denied attempts are told too, in a transaction of their own: the refusal that follows undoes nothing."""
    account = about if isinstance(about, Account) else about.account
    audit.append(
        verb="denied",
        object_type=type(about).__name__,
        object_id=about.pk,
        account_id=account.account_id,
        reason=why,
        by=by,
        now=now,
    )


def refuse(about: About, sentence: str, *, by: User, now: datetime, why: str = "") -> Refused:
    """The refusal, told to the audit log; the caller raises it."""
    denied(about, by=by, now=now, why=why or sentence)
    return Refused(sentence)


def may(by: User, action: Action, about: About, *, now: datetime, doing: str) -> None:
    """Raises Refused, with its event, for who may not do this to the account."""
    account = about if isinstance(about, Account) else about.account
    if access.can(by, action, account):
        return
    denied(about, by=by, now=now, why=f"no role to {doing}")
    raise Refused(f"Your role does not allow you to {doing} in {account.name or account.account_id}.")
