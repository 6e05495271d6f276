"""How accounts are connected: the texts to copy, and what the last tests of the roles said."""

import secrets
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from migration.actions import accounts as actions
from migration.domain import onboarding
from migration.domain.onboarding import Block, Way
from migration.domain.permissions import Action
from migration.forms import ConnectForm, safe_next
from migration.queries import onboarding as known
from migration.queries.access import can, can_everywhere, visible_accounts
from migration.tasks.probe import probe_account
from migration.tasks.publish import nudge
from migration.views import fragments
from migration.views.access import SignedIn, account_for, allowed
from migration.views.paging import page_of, query_without

WAYS = (
    (Way.ORGANIZATION, "An organization", "One StackSet. Accounts are found by themselves, new ones too."),
    (Way.HAND, "Accounts by hand", "Some accounts, one by one or from a list."),
    (Way.HERE, "This account alone", "The one imdsdash's own credentials belong to."),
)
SHORT = 16  # characters; the templates take no shorter ExternalId


@require_GET
@allowed(Action.CONNECT)
def connect(request: SignedIn) -> HttpResponse:
    tests = _tests(request)
    if fragments.wants_fragment(request):
        return fragments.answer(request, "migration/connect.html", "tests", tests)
    form = ConnectForm(request.GET)
    may_see = can_everywhere(request.user, Action.ADMINISTER)
    facts = known.known()
    filled = form.filled(facts)
    way = Way(form.cleaned_data.get("way") or known.usual_way())
    shown = filled if may_see else replace(filled, external_id="")
    context = {
        "form": form,
        "filled": shown,
        "way": way,
        "ways": WAYS,
        "here": way is Way.HERE,
        "keep": query_without(request, "way", "page"),
        "steps": onboarding.steps(way, known.files(), shown),
        "partitions": onboarding.PARTITIONS,
        "derived": bool(facts.central_role_arn) and filled.central_role_arn == facts.central_role_arn,
        "may_see": may_see,
        "set": bool(settings.IMDSDASH_EXTERNAL_ID),
        "short": 0 < len(settings.IMDSDASH_EXTERNAL_ID) < SHORT,
        "fresh": _fresh() if may_see and not settings.IMDSDASH_EXTERNAL_ID else None,
        "discovery": known.discovery(),
    }
    return fragments.answer(request, "migration/connect.html", "tests", context | tests)


def _fresh() -> Block:
    """An ExternalId to take over. It is kept nowhere: the next page shows another one."""
    return Block(
        "fresh", "A line for .env, made for this page only", f"IMDSDASH_EXTERNAL_ID={secrets.token_urlsafe(24)}"
    )


def _tests(request: SignedIn) -> dict[str, Any]:
    now = timezone.now()
    page = page_of(request, known.in_order(visible_accounts(request.user)), settings.IMDSDASH_PAGE_SIZE)
    rows = [(known.tested(account, now=now), can(request.user, Action.CONNECT, account)) for account in page]
    return {
        "page": page,
        "rows": rows,
        "waiting": any(row.waiting for row, _ in rows),
        "query": query_without(request, "page"),
        "back": f"{request.get_full_path()}#tests",
    }


@require_POST
@allowed(Action.CONNECT)
def test_role(request: SignedIn, account_id: str) -> HttpResponse:
    """Ask a worker to try the account's role; the page shows what it found."""
    account = account_for(request.user, Action.CONNECT, account_id)
    actions.ask_for_probe(account=account, now=timezone.now())
    nudge(probe_account, account.pk)
    messages.success(request, f"The role of {account} is being tested. What it said appears in the list below.")
    back = safe_next(
        request.POST, host=request.get_host(), secure=request.is_secure(), default=f"{reverse('connect')}#tests"
    )
    return redirect(back)
