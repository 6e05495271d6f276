"""Where plans begin: of an account's instances, of a rung of its ladder, of an OU or a wave; and what AWS is asked."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from migration.actions import planning, rungs
from migration.actions.errors import Refused
from migration.domain.permissions import Action
from migration.enums import RequestKind, WaveState
from migration.forms import ManyForm, RungForm, ScopeForm, first_error
from migration.models import Account, EnforcementRequest, Wave
from migration.queries.access import can, visible_accounts
from migration.tasks.preflight import nudge_ask
from migration.views.access import SignedIn, account_for, allowed, planned_for

TOLD = 5  # accounts passed over that are named


def _opened(drafted: EnforcementRequest) -> HttpResponse:
    """To the draft's page; AWS is asked meanwhile what it would say."""
    nudge_ask(drafted.pk)
    return redirect("plan", drafted.pk)


@require_POST
@allowed(Action.PLAN)
def draft_plan(request: SignedIn, account_id: str) -> HttpResponse:
    """Plan for the whole account, or for what the form says of it."""
    found, form = account_for(request.user, Action.PLAN, account_id), ScopeForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("account", account_id)
    try:
        drafted = planning.draft_plan(
            account=found, by=request.user, now=timezone.now(), kind=form.request_kind(), scope=form.scope()
        )
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("account", account_id)
    return _opened(drafted)


@require_POST
@allowed(Action.PLAN)
def draft_rung(request: SignedIn, account_id: str) -> HttpResponse:
    """Plan a rung of the account's ladder."""
    found, form = account_for(request.user, Action.PLAN, account_id), RungForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("account", account_id)
    said = form.cleaned_data
    try:
        drafted = rungs.draft(
            account=found,
            by=request.user,
            now=timezone.now(),
            kind=RequestKind(said["kind"]),
            region=said["region"],
            hop_limit=said["hop_limit"],
        )
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("account", account_id)
    return _opened(drafted)


@require_POST
@allowed(Action.PLAN)
def draft_many(request: SignedIn) -> HttpResponse:
    """Plan every account of an OU or a wave that this person may plan for: one plan for each, bound together."""
    form = ManyForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("accounts")
    accounts, of, wave = _many(request, form)
    try:
        made = planning.draft_for(accounts=accounts, by=request.user, now=timezone.now(), of=of, wave=wave)
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("wave", wave.pk) if wave else redirect("accounts")
    for drafted in made.requests:
        nudge_ask(drafted.pk)
    messages.success(request, f"{len(made.requests)} plans were made for {of}, one for each account; they stand below.")
    for account, why in made.passed_over[:TOLD]:
        messages.info(request, f"No plan for {account.name or account.account_id}: {why}")
    if len(made.passed_over) > TOLD:
        messages.info(request, f"No plan for {len(made.passed_over) - TOLD} other accounts either.")
    return redirect("plan", made.requests[0].pk)


def _many(request: SignedIn, form: ManyForm) -> tuple[list[Account], str, Wave | None]:
    """The accounts, and what they are called together. Unseen is not found, as everywhere."""
    visible, said = visible_accounts(request.user), form.cleaned_data
    if said["wave"]:
        wave = Wave.objects.filter(pk=said["wave"], state=WaveState.ACTIVE).first()
        if wave is None:
            raise Http404("No such wave, or it has not been started.")
        rows, of = list(visible.filter(wave_member__wave=wave)), f"wave {wave.name}"
    else:
        ou, wave = said["ou"], None
        rows, of = [one for one in visible if one.ou_path == ou or one.ou_path.startswith(f"{ou}/")], f"OU {ou}"
    return [one for one in rows if can(request.user, Action.PLAN, one)], of, wave


@require_POST
@allowed(Action.STEER)
def ask_beforehand(request: SignedIn, pk: int) -> HttpResponse:
    """Ask AWS again whether the plan's changes may be made, and put back."""
    found = planned_for(request.user, pk)
    nudge_ask(found.pk)
    messages.success(request, "AWS is being asked by DryRun; nothing is changed by it. The answer stands here shortly.")
    return redirect("plan", pk)
