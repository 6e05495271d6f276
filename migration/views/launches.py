from django.conf import settings
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from migration.domain.permissions import Action
from migration.enums import LaunchSourceKind
from migration.forms import LaunchFilterForm
from migration.queries import launches
from migration.queries.access import can, visible_accounts
from migration.views import fragments
from migration.views.access import SignedIn, allowed
from migration.views.paging import page_of, query_without


@require_GET
@allowed(Action.VIEW)
def launch_sources(request: SignedIn) -> HttpResponse:
    """Every source of the accounts a person may see; htmx asks for the results alone."""
    filters = LaunchFilterForm(request.GET).filters()
    visible = visible_accounts(request.user)
    page = page_of(request, launches.matching(visible, filters), settings.IMDSDASH_PAGE_SIZE)
    context = {
        "filters": filters,
        "page": page,
        "rows": launches.rows(page),
        "query": query_without(request, "page"),
    }
    if not fragments.wants_fragment(request):
        context |= {
            "counts": launches.counts(visible),
            "readings": launches.readings(visible),
            "regions": launches.regions(visible),
            "kinds": LaunchSourceKind,
            "answers": launches.ANSWERS,
            "collected": visible.exists(),
            "may_connect": can(request.user, Action.CONNECT),
        }
    return fragments.answer(request, "migration/launch_sources.html", "results", context)
