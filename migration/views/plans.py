from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from migration.actions import requests
from migration.actions.errors import Refused
from migration.domain.permissions import Action
from migration.domain.plan import canonical
from migration.enums import RequestState
from migration.forms import DecideForm, RejectForm, SubmitForm, VersionForm, first_error
from migration.models import EnforcementRequest
from migration.queries import plans
from migration.tasks.enforcement import nudge_run
from migration.views import buttons
from migration.views.access import SignedIn, allowed, request_for
from migration.views.paging import page_of, query_without

CONFLICT = 409


@require_GET
@allowed(Action.VIEW)
def plan(request: SignedIn, pk: int) -> HttpResponse:
    return _show(request, request_for(request.user, Action.VIEW, pk))


def _show(request: SignedIn, found: EnforcementRequest, *, text: str = "", status: int = 200) -> HttpResponse:
    """The plan's page; `text` is what the person had typed when the request was refused."""
    now, read = timezone.now(), plans.read(found)
    expired = found.expires_at <= now
    context = {
        "request_row": found,
        "plan": read,
        "page": page_of(request, read.changes, settings.IMDSDASH_PAGE_SIZE),
        "query": query_without(request, "page"),
        "expired": expired and found.state in {RequestState.DRAFT, RequestState.REQUESTED},
        "actions": buttons.plan_actions(user=request.user, request=found, changes=len(read.changes), expired=expired),
        "submit_form": SubmitForm(initial={"version": found.version, "reason": text or found.reason}),
        "decide_form": DecideForm(initial={"version": found.version, "comment": text}),
        "approvals": plans.signatures(found),
    }
    return render(request, "migration/plan.html", context, status=status)


def _refused(request: SignedIn, pk: int, sentence: str, *, text: str = "") -> HttpResponse:
    """Say why, on the same page as it is now, with the typed words kept."""
    messages.error(request, sentence)
    return _show(request, request_for(request.user, Action.VIEW, pk), text=text, status=CONFLICT)


@require_POST
@allowed(Action.PLAN)
def submit_plan(request: SignedIn, pk: int) -> HttpResponse:
    found, form = request_for(request.user, Action.PLAN, pk), SubmitForm(request.POST)
    if not form.is_valid():
        return _refused(request, pk, first_error(form), text=form.data.get("reason", ""))
    reason, version = form.cleaned_data["reason"], form.cleaned_data["version"]
    try:
        requests.submit(request=found, by=request.user, reason=reason, version=version, now=timezone.now())
    except Refused as refusal:
        return _refused(request, pk, str(refusal), text=reason)
    messages.success(request, "Approval requested. Somebody else with the role Approver has to decide now.")
    return redirect("plan", pk)


@require_POST
@allowed(Action.PLAN)
def withdraw_plan(request: SignedIn, pk: int) -> HttpResponse:
    found, form = request_for(request.user, Action.PLAN, pk), VersionForm(request.POST)
    if not form.is_valid():
        return _refused(request, pk, first_error(form))
    try:
        requests.withdraw(request=found, by=request.user, version=form.cleaned_data["version"], now=timezone.now())
    except Refused as refusal:
        return _refused(request, pk, str(refusal))
    messages.success(request, "Withdrawn. Nothing was changed.")
    return redirect("plan", pk)


@require_POST
@allowed(Action.DECIDE)
def approve_plan(request: SignedIn, pk: int) -> HttpResponse:
    found, form = request_for(request.user, Action.DECIDE, pk), DecideForm(request.POST)
    if not form.is_valid():
        return _refused(request, pk, first_error(form), text=form.data.get("comment", ""))
    comment, version = form.cleaned_data["comment"], form.cleaned_data["version"]
    try:
        run = requests.approve(request=found, by=request.user, comment=comment, version=version, now=timezone.now())
    except Refused as refusal:
        return _refused(request, pk, str(refusal), text=comment)
    if run is None:
        messages.success(request, "Approved. The plan still waits for others, whose approval it needs as well.")
        return redirect("plan", pk)
    nudge_run(run.pk)
    messages.success(request, "Approved. The run has been queued.")
    return redirect("run", run.pk)


@require_POST
@allowed(Action.DECIDE)
def reject_plan(request: SignedIn, pk: int) -> HttpResponse:
    found, form = request_for(request.user, Action.DECIDE, pk), RejectForm(request.POST)
    if not form.is_valid():
        return _refused(request, pk, first_error(form), text=form.data.get("comment", ""))
    comment, version = form.cleaned_data["comment"], form.cleaned_data["version"]
    try:
        requests.reject(request=found, by=request.user, comment=comment, version=version, now=timezone.now())
    except Refused as refusal:
        return _refused(request, pk, str(refusal), text=comment)
    messages.success(request, "Rejected. Nothing was changed.")
    return redirect("plan", pk)


@require_GET
@allowed(Action.VIEW)
def plan_json(request: SignedIn, pk: int) -> HttpResponse:
    """The exact text whose SHA-256 the approver signs."""
    found = request_for(request.user, Action.VIEW, pk)
    response = HttpResponse(canonical(found.plan), content_type="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="plan-{pk}-{found.account.account_id}.json"'
    return response


@require_GET
@allowed(Action.VIEW)
def approvals(request: SignedIn) -> HttpResponse:
    return render(request, "migration/approvals.html", {"inbox": plans.inbox(request.user)})
