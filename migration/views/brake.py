from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from migration.actions import brake as actions
from migration.actions.errors import Refused
from migration.domain.permissions import Action
from migration.forms import first_error as wrong
from migration.forms.steering import BrakeForm, ReleaseForm
from migration.tasks import notification
from migration.views import confirming
from migration.views.access import SignedIn, allowed

CONFLICT = 409


@require_POST
@allowed(Action.BRAKE)
def pull_brake(request: SignedIn) -> HttpResponse:
    form = BrakeForm(request.POST)
    done = "The brake is on: no further call to AWS begins, anywhere."
    return _steer(request, form, actions.pull, said="pull_said", done=done)


@require_POST
@allowed(Action.RELEASE)
def release_brake(request: SignedIn) -> HttpResponse:
    form = ReleaseForm(request.POST)
    done = "The brake is released: what waits goes on by itself."
    return _steer(request, form, actions.release, said="release_said", done=done)


def _steer(request: SignedIn, form: BrakeForm, act: Callable[..., Any], *, said: str, done: str) -> HttpResponse:
    """Do it and go to the runs; refused, say why beside the form with what was typed."""
    sentence = "" if form.is_valid() else wrong(form)
    if not sentence and isinstance(form, ReleaseForm):
        sentence = confirming.password_objection(request, form.cleaned_data["password"], actions.denied)
    if not sentence:
        try:
            act(by=request.user, reason=form.cleaned_data["reason"], now=timezone.now())
        except Refused as refusal:
            sentence = str(refusal)
    if sentence:
        messages.error(request, sentence)
        typed = {said: {"reason": form.data.get("reason", "")}}
        return render(request, "migration/brake.html", typed, status=CONFLICT)
    notification.wake()
    messages.success(request, done)
    return redirect("runs")
