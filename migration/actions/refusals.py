"""Saying no: a sentence for the person, an audit event for everybody else, and nothing changed."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.contrib.auth.models import User

from migration.actions import audit
from migration.actions.errors import Refused
from migration.domain.permissions import Action
from migration.models import Account, EnforcementRequest, Run
from migration.queries import access

About = Account | EnforcementRequest | Run
Said = ParamSpec("Said")
Done = TypeVar("Done")


def told(act: Callable[Said, Done]) -> Callable[Said, Done]:
    """Whatever the action refuses, an answer that came too late included, is told to the audit log: after the
    transaction that the refusal undoes. The action takes `request` or `run`, `by` and `now` by name.
    """

    @wraps(act)
    def telling(*args: Said.args, **kwargs: Said.kwargs) -> Done:
        try:
            return act(*args, **kwargs)
        except Refused as refusal:
            if not refusal.told:
                said: dict[str, Any] = dict(kwargs)
                denied(said.get("request") or said["run"], by=said["by"], now=said["now"], why=str(refusal))
                refusal.told = True
            raise

    return telling


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
    refusal = Refused(sentence)
    refusal.told = True
    return refusal


def may(by: User, action: Action, about: About, *, now: datetime, doing: str) -> None:
    """Raises Refused, with its event, for who may not do this to the account."""
    account = about if isinstance(about, Account) else about.account
    if access.can(by, action, account):
        return
    sentence = f"Your role does not allow you to {doing} in {account.name or account.account_id}."
    raise refuse(about, sentence, by=by, now=now, why=f"no role to {doing}")
