from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseStopPolling

from migration.actions import rollback
from migration.actions import runs as steering
from migration.actions.errors import Refused
from migration.domain.permissions import Action
from migration.models import Run
from migration.queries import runs as queries
from migration.tasks.enforcement import nudge_run
from migration.tasks.preflight import nudge_ask
from migration.views import buttons
from migration.views.access import SignedIn, allowed, run_for
from migration.views.paging import page_of, query_without


@require_GET
@allowed(Action.VIEW)
def runs(request: SignedIn) -> HttpResponse:
    page = page_of(request, queries.visible(request.user), settings.IMDSDASH_PAGE_SIZE)
    progress = queries.progresses(list(page))
    context = {
        "page": page,
        "runs": [(run, progress[run.pk]) for run in page],
        "query": query_without(request, "page"),
    }
    return render(request, "migration/runs.html", context)


def _context(request: SignedIn, found: Run) -> dict[str, Any]:
    progress = queries.progress(found)
    rollbacks, refused = queries.rollbacks(found), queries.refused_calls(found)
    page = page_of(request, queries.changes(found), settings.IMDSDASH_PAGE_SIZE)
    waiting = next((one for one in rollbacks if one.state in queries.UNDECIDED), None)
    in_doubt = progress.failed > 0 or progress.moving > 0
    changed = progress.verified > 0 or (in_doubt and queries.written(found).exists())
    put_back = buttons.put_back(user=request.user, run=found, changed=changed, waiting=waiting)
    return {
        "run": found,
        "progress": progress,
        "noun": queries.noun(page),
        "over": queries.is_over(found) and not progress.moving,
        "buttons": buttons.run_buttons(user=request.user, run=found),
        "put_back": put_back,
        "put_back_refused": buttons.put_back_refused(put_back, refused=refused),
        "rollbacks": rollbacks,
        "told": queries.told(found, refused=refused, now=timezone.now()),
        "page": page,
        "query": query_without(request, "page", "seen"),
        "seen": queries.fingerprint(found, progress),
    }


@require_GET
@allowed(Action.VIEW)
def run(request: SignedIn, pk: int) -> HttpResponse:
    return render(request, "migration/run.html", _context(request, run_for(request.user, Action.VIEW, pk)))


@require_GET
@allowed(Action.VIEW)
def run_progress(request: SignedIn, pk: int) -> HttpResponse:
    """What a page asks for every two seconds: 204 when nothing moved, 286 when the run is over and asking ends."""
    found = run_for(request.user, Action.VIEW, pk)
    context = _context(request, found)
    answer = render(request, "migration/run.html#progress", context | {"polled": True})
    if context["over"]:
        return HttpResponseStopPolling(answer.content)
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=204)
    return answer


@require_POST
@allowed(Action.STEER)
def stop_run(request: SignedIn, pk: int) -> HttpResponse:
    found = run_for(request.user, Action.STEER, pk)
    try:
        steering.stop(run=found, by=request.user, now=timezone.now())
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        nudge_run(found.pk)
        messages.success(request, "Stopped: no further call to AWS will begin. What was applied stays applied.")
    return redirect("run", pk)


@require_POST
@allowed(Action.STEER)
def resume_run(request: SignedIn, pk: int) -> HttpResponse:
    found = run_for(request.user, Action.STEER, pk)
    try:
        steering.resume(run=found, by=request.user, now=timezone.now())
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        nudge_run(found.pk)
        messages.success(request, "Resumed.")
    return redirect("run", pk)


@require_POST
@allowed(Action.STEER)
def hold_run(request: SignedIn, pk: int) -> HttpResponse:
    """Pause it, by a person."""
    found = run_for(request.user, Action.STEER, pk)
    try:
        steering.hold(run=found, by=request.user, reason="", now=timezone.now())
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "Paused: no further call to AWS will begin until somebody resumes it.")
    return redirect("run", pk)


@require_POST
@allowed(Action.STEER)
def roll_back(request: SignedIn, pk: int) -> HttpResponse:
    """Plan to put the run back, or only what had calls refused."""
    found = run_for(request.user, Action.STEER, pk)
    chosen = None
    if request.POST.get("only") == "refused":
        chosen = list(found.changes.filter(rejected_calls__gt=0))
    try:
        drafted = rollback.draft(run=found, by=request.user, changes=chosen, now=timezone.now())
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("run", pk)
    nudge_ask(drafted.pk)
    return redirect("plan", drafted.pk)
