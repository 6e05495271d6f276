from collections.abc import Iterator
from datetime import UTC, timedelta
from io import TextIOWrapper
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from migration.actions import callers as actions
from migration.actions.errors import Refused
from migration.domain import athena, sightings
from migration.domain.onboarding import Block
from migration.domain.permissions import Action
from migration.enums import FoundBy
from migration.forms import CallerFilterForm, CallerImportForm
from migration.forms import first_error as wrong
from migration.queries import callers
from migration.queries.access import can, visible_accounts
from migration.views import fragments
from migration.views.access import SignedIn, allowed
from migration.views.paging import page_of, query_without

ASKED_DAYS = 14


@require_GET
@allowed(Action.VIEW)
def caller_list(request: SignedIn) -> HttpResponse:
    filters, accounts = CallerFilterForm(request.GET).filters(), visible_accounts(request.user)
    page = page_of(request, callers.matching(accounts, filters), settings.IMDSDASH_PAGE_SIZE)
    listed = {
        "filters": filters,
        "page": page,
        "rows": callers.rows(page),
        "found_by": callers.FOUND_BY,
        "query": query_without(request, "page"),
    }
    if fragments.wants_fragment(request):
        return fragments.answer(request, "migration/callers.html", "results", listed)
    since = (timezone.now() - timedelta(days=ASKED_DAYS)).astimezone(UTC).date()
    context = {
        "totals": callers.totals(accounts),
        "ask": Block("athena-query", "The query", athena.query(since=since)),
        "athena_source": athena.SOURCE,
        "may_import": can(request.user, Action.PLAN),
        "form": CallerImportForm(),
        "most_megabytes": CallerImportForm.MOST >> 20,
    }
    return fragments.answer(request, "migration/callers.html", "results", context | listed)


@require_POST
@allowed(Action.PLAN)
def import_callers(request: SignedIn) -> HttpResponse:
    form = CallerImportForm(request.POST, request.FILES)
    if not form.is_valid():
        messages.error(request, f"{wrong(form)} Nothing was taken over.")
        return redirect("callers")
    said = form.cleaned_data
    kind = FoundBy(said["kind"])
    lines = _lines(said["file"])
    told = sightings.athena(lines)
    if kind is FoundBy.ANALYZER:
        told = sightings.analyzer(
            lines, account_id=said["account"], region=said["region"], instance_id=said["instance"]
        )
    try:
        done = actions.import_sightings(told=told, kind=kind, by=request.user, now=timezone.now())
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("callers")
    messages.success(request, f"Taken over: {done.callers:,} callers, {done.sightings:,} calls.")
    return redirect("callers")


def _lines(file: Any) -> Iterator[str]:
    """An uploaded file's lines; what is not UTF-8 in it becomes a replacement character."""
    yield from TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
