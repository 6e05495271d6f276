from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from migration import charts
from migration.actions import callers as callers_of
from migration.actions import workloads
from migration.actions.errors import Refused
from migration.domain import pattern, risk
from migration.domain.advice import next_step
from migration.domain.permissions import Action
from migration.enums import Status
from migration.forms import FleetFilterForm, HopLimitForm
from migration.models import Instance
from migration.queries import callers, findings, standing
from migration.queries import instance as one
from migration.queries.access import can, visible_accounts
from migration.tasks.callers import look_up
from migration.tasks.publish import nudge
from migration.views import buttons, fragments
from migration.views.access import SignedIn, allowed, instance_for
from migration.views.paging import page_of, query_without

GRID_DAYS = 14
PATTERN_DAYS = 14  # whole days, for as long hours are kept


@require_GET
@allowed(Action.VIEW)
def instances(request: SignedIn) -> HttpResponse:
    filters = FleetFilterForm(request.GET).filters()
    found = standing.instances(visible_accounts(request.user), filters)
    context = {
        "filters": filters,
        "page": page_of(request, found, settings.IMDSDASH_PAGE_SIZE),
        "statuses": [status for status in Status if status is not Status.GONE],
        "orders": standing.ORDERS,
        "formula": risk.FORMULA,
        "most": risk.MOST,
        "query": query_without(request, "page"),
    }
    return fragments.answer(request, "migration/instances.html", "results", context)


@require_GET
@allowed(Action.VIEW)
def instance(request: SignedIn, pk: int) -> HttpResponse:
    found, now = instance_for(request.user, Action.VIEW, pk), timezone.now()
    workload, image = one.workload(found), one.image(found)
    context = {
        "instance": found,
        "account": found.account,
        "waive": buttons.waive(user=request.user, account=found.account, instance_id=found.instance_id),
        "next_step": next_step(
            status=Status(found.status),
            reason=found.status_reason,
            blockers=found.blockers,
            stopped=found.instance_state == "stopped",
        ),
        "sheets": _sheets(found, now=now),
        "history": one.history(found),
        "workload": workload,
        "siblings": one.siblings(found),
        "regressions": one.regressions(found),
        "source": one.source(found),
        "image": image,
        "callers": callers.of_instance(found),
        "expected": callers.expected(found, image_name=image.name if image else ""),
        "pattern": _pattern(found, now=now),
        "findings": findings.of_instance(found),
        "user_data_on": settings.IMDSDASH_USER_DATA,
        "factors": one.factors(found),
        "formula": risk.FORMULA,
        "most": risk.MOST,
        "may_ask": can(request.user, Action.PLAN, found.account),
        "may_choose": workload is not None and can(request.user, Action.PLAN, found.account),
        "hop_form": HopLimitForm(initial={"hop_limit": workload.hop_limit if workload else None}),
    }
    return fragments.answer(request, "migration/instance.html", "page", context)


def _pattern(instance: Instance, *, now: datetime) -> pattern.Pattern:
    """When it calls, from whole UTC days since it was launched."""
    yesterday = now.astimezone(UTC).date() - timedelta(days=1)
    born = instance.first_launched_at
    days = one.days(instance, today=yesterday, count=PATTERN_DAYS)
    return pattern.name({day.day: day.v1 for day in days if born is None or day.day >= born.astimezone(UTC).date()})


def _sheets(instance: Instance, *, now: datetime) -> list[charts.Sheet]:
    """IMDSv1 calls by hour, and rejected ones where there are any: the first metric is silent once tokens are
    required, and the other takes its place.
    """
    days = one.days(instance, today=now.astimezone(UTC).date(), count=GRID_DAYS)
    until = min(now, instance.usage_until) if instance.usage_until else now
    span = charts.Span(born=instance.first_launched_at, until=until)
    found: list[dict[str, Any]] = [{"key": "v1", "noun": "IMDSv1 calls", "days": [(day.day, day.v1) for day in days]}]
    if any(any(value is not None for value in day.rejected) for day in days):
        rejected = [(day.day, day.rejected) for day in days]
        found.insert(0, {"key": "rejected", "noun": "rejected IMDSv1 calls", "days": rejected})
    return [charts.sheet(**told, span=span) for told in found]


@require_POST
@allowed(Action.PLAN)
def ask_cloudtrail(request: SignedIn, pk: int) -> HttpResponse:
    found = instance_for(request.user, Action.PLAN, pk)
    try:
        callers_of.ask(instance=found, by=request.user, now=timezone.now())
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("instance", pk)
    nudge(look_up, found.pk)
    messages.success(request, "CloudTrail is being asked; load this page again in a moment.")
    return redirect("instance", pk)


@require_POST
@allowed(Action.PLAN)
def choose_hop_limit(request: SignedIn, pk: int) -> HttpResponse:
    found = instance_for(request.user, Action.PLAN, pk)
    workload, form = one.workload(found), HopLimitForm(request.POST)
    if workload is None:
        messages.error(
            request, "It belongs to no group or template, so there is nothing to choose for. Nothing was saved."
        )
        return redirect("instance", pk)
    if not form.is_valid():
        messages.error(request, "The hop limit can be kept, or raised to 2 or 3. Nothing was saved.")
        return redirect("instance", pk)
    try:
        limit = form.cleaned_data["hop_limit"]
        workloads.choose_hop_limit(workload=workload, limit=limit, by=request.user, now=timezone.now())
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("instance", pk)
    said = f"set to {limit} by the next plan" if limit else "left as it is"
    messages.success(request, f"The hop limit of {workload.name} is {said}; verdicts follow with the next pass.")
    return redirect("instance", pk)
