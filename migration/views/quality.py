from datetime import UTC

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from migration.domain.permissions import Action
from migration.forms import AuditFilterForm
from migration.queries import audit as log
from migration.queries import collection, fleet
from migration.queries.access import visible_accounts
from migration.views.access import SignedIn, allowed
from migration.views.paging import page_of, query_without


@require_GET
@allowed(Action.VIEW)
def data_quality(request: SignedIn) -> HttpResponse:
    now, accounts = timezone.now(), visible_accounts(request.user)
    page = page_of(request, accounts, settings.IMDSDASH_PAGE_SIZE)
    cadence = settings.IMDSDASH_COLLECT_EVERY_HOURS
    context = {
        "page": page,
        "query": query_without(request, "page"),
        "collection": fleet.collection(accounts, now=now, cadence_hours=cadence),
        "matrix": collection.matrix(list(page), now=now, today=now.astimezone(UTC).date(), cadence_hours=cadence),
        "cadence_hours": cadence,
    }
    return render(request, "migration/data_quality.html", context)


@require_GET
@allowed(Action.DECIDE)
def audit(request: SignedIn) -> HttpResponse:
    form = AuditFilterForm(request.GET)
    filters = form.filters()
    context = {
        "filters": filters,
        "page": log.page(request.user, filters, before=form.before_seq(), size=settings.IMDSDASH_PAGE_SIZE),
        "first": form.before_seq() is None,
        "query": query_without(request, "before"),
    }
    return render(request, "migration/audit.html", context)
