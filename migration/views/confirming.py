"""What a heavy button asks for beside the click: the account's name or id, and the password where it is long ago."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from migration.actions.refusals import About, denied
from migration.forms import ConfirmForm
from migration.models import Account
from migration.views.access import SignedIn

KEY = "authenticated_at"
log = structlog.get_logger(__name__)


@receiver(user_logged_in)
def remember(request: HttpRequest | None, **_: Any) -> None:
    """Whoever has just signed in need not give the password again at once."""
    if request is not None and hasattr(request, "session"):
        request.session[KEY] = timezone.now().timestamp()


def needs_password(request: HttpRequest) -> bool:
    """True when the last password is too long ago for a heavy button (`IMDSDASH_REAUTH_MINUTES`)."""
    at = request.session.get(KEY)
    limit = timedelta(minutes=settings.IMDSDASH_REAUTH_MINUTES)
    return at is None or timezone.now() - datetime.fromtimestamp(at, tz=timezone.now().tzinfo) >= limit


def objection(request: SignedIn, form: ConfirmForm, about: About) -> str:
    """Why the button is not heard, in a sentence, or "". A wrong password is told to the audit log."""
    account = about if isinstance(about, Account) else about.account
    if not _names(form.cleaned_data["typed"], account):
        wanted = f"{account.name} or {account.account_id}" if account.name else account.account_id
        return f"Type {wanted} to confirm which account this is about. Nothing was changed."
    return password_objection(request, form.cleaned_data["password"], partial(denied, about))


def password_objection(request: SignedIn, password: str, tell: Callable[..., None]) -> str:
    """Why the password does not do, where it is asked for again, or "". `tell` writes the denied attempt down."""
    if not needs_password(request):
        return ""
    if not password:
        return f"Give your password again: the last time is over {settings.IMDSDASH_REAUTH_MINUTES} minutes ago."
    if not request.user.check_password(password):
        tell(by=request.user, now=timezone.now(), why="the password was wrong when it was asked for again")
        return "The password is not right. Nothing was changed."
    request.session[KEY] = timezone.now().timestamp()
    return ""


def _names(typed: str, account: Account) -> bool:
    """The account's id, with or without its usual gaps, or its name as it is written."""
    said = typed.strip()
    return said.replace("-", "").replace(" ", "") == account.account_id or (
        bool(account.name) and said.casefold() == account.name.casefold()
    )
