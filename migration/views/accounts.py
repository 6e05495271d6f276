from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from migration import charts
from migration.domain.permissions import Action
from migration.enums import Status
from migration.forms import AccountFilterForm, InstanceFilterForm, RungForm
from migration.models import Account
from migration.queries import account as one
from migration.queries import accounts as many
from migration.queries import churn, fleet, launches, rungs, standing, usage, waivers
from migration.queries.access import can, visible_accounts
from migration.views import buttons, fragments
from migration.views.access import SignedIn, account_for, allowed
from migration.views.paging import page_of, query_without

CHART_DAYS = 60
CHURN_DAYS = 14  # as far back as ListMetrics names the dead


@require_GET
@allowed(Action.VIEW)
def accounts(request: SignedIn) -> HttpResponse:
    filters = AccountFilterForm(request.GET).filters()
    visible = visible_accounts(request.user)
    today = timezone.now().astimezone(UTC).date()
    found = many.ordered(many.rows(many.matching(visible, filters), today=today), filters.order)
    page = page_of(request, found, settings.IMDSDASH_PAGE_SIZE)
    context = {
        "filters": filters,
        "page": page,
        "rows": [(row, _next_step(request.user, row)) for row in page],
        "units": many.organizational_units(visible),
        "statuses": Status,
        "orders": many.ORDERS,
        "query": query_without(request, "page"),
        "of": visible.count(),
        "may_connect": can(request.user, Action.CONNECT),
        "may_plan": can(request.user, Action.PLAN),
    }
    return fragments.answer(request, "migration/accounts.html", "results", context)


def _next_step(user: User, row: many.AccountRow) -> buttons.NextStep:
    return buttons.next_step(
        user=user,
        account=row.account,
        readable=row.readable,
        ready=row.enforceable,
        open_request=row.open_request,
        active_run=row.active_run,
    )


@require_GET
@allowed(Action.VIEW)
def account(request: SignedIn, account_id: str) -> HttpResponse:
    found = account_for(request.user, Action.VIEW, account_id)
    listed = _instances(request, found)
    if fragments.wants_fragment(request):
        return fragments.answer(request, "migration/account.html", "instances", listed)
    here = Account.objects.filter(pk=found.pk)
    regions, waiting, run = one.regions(found), one.open_request(found), one.active_run(found)
    mix = fleet.mix(here)
    ladder = rungs.ladder(found, now=timezone.now())
    gone = churn.workloads(found, today=timezone.now().astimezone(UTC).date(), days=CHURN_DAYS)
    context = {
        "mix": mix,
        "stand": standing.of_account(found, mix=mix, dead=gone),
        "lost": standing.lost(here),
        "workloads": standing.workloads(found),
        "regions": regions,
        "usage_chart": _calls_chart(found, now=timezone.now()),
        "enforce": buttons.enforce(
            user=request.user, account=found, ready=fleet.enforceable(here).get(found.pk, 0), waiting=waiting, run=run
        ),
        "ladder": ladder,
        "next_rung": rungs.next_rung(ladder),
        "rung_buttons": buttons.rungs(user=request.user, account=found, refusing=one.refuses(regions)),
        "rung_form": RungForm(auto_id="rung-%s"),
        "history": one.history(found),
        "waivers": waivers.of_account(found),
        "waive": buttons.waive(user=request.user, account=found),
        "launches": launches.counts(here),
        "launch_readings": launches.readings(here),
        "gone": gone,
        "gone_days": CHURN_DAYS,
    }
    return fragments.answer(request, "migration/account.html", "instances", context | listed)


def _instances(request: SignedIn, account: Account) -> dict[str, Any]:
    filters = InstanceFilterForm(request.GET).filters()
    return {
        "account": account,
        "filters": filters,
        "page": page_of(request, one.instances(account, filters), settings.IMDSDASH_PAGE_SIZE),
        "statuses": Status,
        "region_names": one.region_names(account),
        "query": query_without(request, "page"),
    }


def _calls_chart(account: Account, *, now: datetime) -> charts.Chart:
    today = now.astimezone(UTC).date()
    days = usage.days(Account.objects.filter(pk=account.pk), today=today, count=CHART_DAYS)
    first = days[0].day
    return charts.calls_per_day(
        key="calls",
        title="IMDSv1 calls per day",
        days=[day.day for day in days],
        calls=[day.v1_calls for day in days],
        measured=[day.measured for day in days],
        expected=[day.expected for day in days],
        today=today,
        marks=[
            charts.Mark(mark.at, mark.told) for mark in one.markers(account) if mark.at.astimezone(UTC).date() >= first
        ],
    )
