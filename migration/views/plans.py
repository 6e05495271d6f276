from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from migration.actions import planning, requests
from migration.actions.errors import Refused
from migration.domain.permissions import Action, right_to_plan
from migration.domain.plan import canonical
from migration.enums import RequestKind, RequestState
from migration.forms import (
    ApproveForm,
    ConfirmForm,
    EditForm,
    EmergencyForm,
    RejectForm,
    SubmitForm,
    VersionForm,
    first_error,
)
from migration.models import EnforcementRequest
from migration.queries import decisions, plans
from migration.queries.access import can
from migration.queries.policies import moved_on, terms_for
from migration.tasks.enforcement import nudge_run
from migration.views import buttons, confirming
from migration.views.access import SignedIn, allowed, planned_for, request_for
from migration.views.paging import page_of, query_without

CONFLICT = 409


@require_GET
@allowed(Action.VIEW)
def plan(request: SignedIn, pk: int) -> HttpResponse:
    return _show(request, request_for(request.user, Action.VIEW, pk))


def _show(
    request: SignedIn, found: EnforcementRequest, *, text: str = "", urgent: str | None = None, status: int = 200
) -> HttpResponse:
    """The plan's page; `text` is what the person had typed when the request was refused, `urgent` what was typed as
    the reason of an emergency.
    """
    now, read = timezone.now(), plans.read(found)
    expired = found.expires_at <= now
    signing = plans.signing(found, request.user)
    waiting = found.state == RequestState.REQUESTED
    undecided = found.state in {RequestState.DRAFT, RequestState.REQUESTED}
    one_click = decisions.one_click(found) if found.state == RequestState.DRAFT else None
    context = {
        "request_row": found,
        "plan": read,
        "page": page_of(request, read.changes, settings.IMDSDASH_PAGE_SIZE),
        "query": query_without(request, "page"),
        "expired": expired and undecided,
        "actions": buttons.plan_actions(
            user=request.user,
            request=found,
            plan=read,
            signing=signing,
            expired=expired,
            moved_on=undecided and moved_on(found),
            emergency=_emergency(request, found),
            one_click=one_click is not None,
        ),
        "signing": signing,
        "too_few": undecided and signing.too_few and one_click is None,
        "one_click": one_click,
        "submit_form": SubmitForm(auto_id="ask-%s", initial={"version": found.version, "reason": text or found.reason}),
        "approve_form": ApproveForm(auto_id="approve-%s", initial={"version": found.version, "comment": text}),
        "emergency_form": EmergencyForm(
            auto_id="emergency-%s", initial={"version": found.version, "reason": urgent or ""}
        ),
        "in_a_hurry": urgent is not None,
        "edit_form": EditForm(auto_id="edit-%s", initial={"version": found.version}),
        "asks_password": confirming.needs_password(request),
        "approvals": plans.signatures(found),
        "edits": plans.edits(found),
        "changed": planning.differences(found, now=now) if waiting and not expired else [],
        "opens": plans.window_opens(read, now),
        "may_ask_beforehand": undecided and can(request.user, right_to_plan(RequestKind(found.kind)), found.account),
        "batch": plans.batch_of(found, request.user),
    }
    return render(request, "migration/plan.html", context, status=status)


def _emergency(request: SignedIn, found: EnforcementRequest) -> bool:
    """May this person put it back without waiting for a second one?"""
    if found.undoes is None or found.state != RequestState.DRAFT:
        return False
    return decisions.may_use_emergency(request.user, found.undoes, terms_for(found.account).emergency)


def _refused(request: SignedIn, pk: int, sentence: str, *, text: str = "", urgent: str | None = None) -> HttpResponse:
    """Say why, on the same page as it is now, with the typed words kept."""
    messages.error(request, sentence)
    found = request_for(request.user, Action.VIEW, pk)
    return _show(request, found, text=text, urgent=urgent, status=CONFLICT)


@require_POST
@allowed(Action.STEER)
def submit_plan(request: SignedIn, pk: int) -> HttpResponse:
    found, form = planned_for(request.user, pk), SubmitForm(request.POST)
    if not form.is_valid():
        return _refused(request, pk, first_error(form), text=form.data.get("reason", ""))
    reason, version = form.cleaned_data["reason"], form.cleaned_data["version"]
    if decisions.one_click(found):  # this click is the whole decision
        heavy = ConfirmForm(request.POST)
        objection = confirming.objection(request, heavy, found) if heavy.is_valid() else first_error(heavy)
        if objection:
            return _refused(request, pk, objection, text=reason)
    try:
        requests.submit(request=found, by=request.user, reason=reason, version=version, now=timezone.now())
    except Refused as refusal:
        return _refused(request, pk, str(refusal), text=reason)
    run = getattr(found, "run", None)
    if found.state == RequestState.APPROVED and run is not None:
        nudge_run(run.pk)
        messages.success(
            request, "The policy of this account needs no second person for this. The run has been queued."
        )
        return redirect("run", run.pk)
    messages.success(request, "Approval requested. Somebody else with the role Approver has to decide now.")
    return redirect("plan", pk)


@require_POST
@allowed(Action.STEER)
def edit_plan(request: SignedIn, pk: int) -> HttpResponse:
    """Take changes out of a draft."""
    found, form = planned_for(request.user, pk), EditForm(request.POST)
    if not form.is_valid():
        return _refused(request, pk, first_error(form))
    said = form.cleaned_data
    try:
        planning.leave_out(
            request=found,
            by=request.user,
            keys=form.keys(),
            reason=said["reason"],
            version=said["version"],
            now=timezone.now(),
        )
    except Refused as refusal:
        return _refused(request, pk, str(refusal))
    messages.success(request, "Left out. Who edits a plan cannot approve it.")
    return redirect("plan", pk)


@require_POST
@allowed(Action.STEER)
def reopen_plan(request: SignedIn, pk: int) -> HttpResponse:
    """Back to a draft; its approvals are void."""
    found, form = planned_for(request.user, pk), VersionForm(request.POST)
    if not form.is_valid():
        return _refused(request, pk, first_error(form))
    try:
        requests.reopen(request=found, by=request.user, version=form.cleaned_data["version"], now=timezone.now())
    except Refused as refusal:
        return _refused(request, pk, str(refusal))
    messages.success(request, "A draft again. Every approval it had is void.")
    return redirect("plan", pk)


@require_POST
@allowed(Action.DECIDE)
def take_back_approval(request: SignedIn, pk: int) -> HttpResponse:
    found = request_for(request.user, Action.DECIDE, pk)
    try:
        requests.take_back(request=found, by=request.user, now=timezone.now())
    except Refused as refusal:
        return _refused(request, pk, str(refusal))
    messages.success(request, "Your approval is taken back.")
    return redirect("plan", pk)


@require_POST
@allowed(Action.STEER)
def roll_back_now(request: SignedIn, pk: int) -> HttpResponse:
    """The emergency right."""
    found, form = request_for(request.user, Action.STEER, pk), EmergencyForm(request.POST)
    if not form.is_valid():
        return _refused(request, pk, first_error(form), urgent=form.data.get("reason", ""))
    said = form.cleaned_data
    if objection := confirming.objection(request, form, found):
        return _refused(request, pk, objection, urgent=said["reason"])
    try:
        run = requests.roll_back_now(
            request=found, by=request.user, reason=said["reason"], version=said["version"], now=timezone.now()
        )
    except Refused as refusal:
        return _refused(request, pk, str(refusal), urgent=said["reason"])
    nudge_run(run.pk)
    messages.success(request, "Putting back has begun. Everybody has been told.")
    return redirect("run", run.pk)


@require_POST
@allowed(Action.STEER)
def withdraw_plan(request: SignedIn, pk: int) -> HttpResponse:
    found, form = planned_for(request.user, pk), VersionForm(request.POST)
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
    found, form = request_for(request.user, Action.DECIDE, pk), ApproveForm(request.POST)
    if not form.is_valid():
        return _refused(request, pk, first_error(form), text=form.data.get("comment", ""))
    comment, version = form.cleaned_data["comment"], form.cleaned_data["version"]
    if objection := confirming.objection(request, form, found):
        return _refused(request, pk, objection, text=comment)
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
def plan_text(request: SignedIn, pk: int) -> HttpResponse:
    """The plan for a terminal or a ticket."""
    found = request_for(request.user, Action.VIEW, pk)
    return HttpResponse(plans.as_text(found), content_type="text/plain; charset=utf-8")


@require_GET
@allowed(Action.VIEW)
def approvals(request: SignedIn) -> HttpResponse:
    context = {
        "inbox": plans.inbox(request.user),
        "asks_password": confirming.needs_password(request),
        "approve_form": ApproveForm(auto_id=False),
    }
    return render(request, "migration/approvals.html", context)
