from dataclasses import dataclass
from datetime import UTC, date
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from migration import charts
from migration.actions import waves as actions
from migration.actions.errors import Refused
from migration.domain.permissions import Action
from migration.domain.standing import Stand
from migration.domain.words import some
from migration.enums import WaveState
from migration.forms import first_error as wrong
from migration.forms.steering import EditWaveForm, WaveAccountForm, WaveAccountsForm, WaveForm, WaveReasonForm
from migration.models import Account, Wave
from migration.queries import accounts as account_rows
from migration.queries import plans, runs, standing, waves
from migration.queries.access import can, visible_accounts
from migration.tasks import notification
from migration.views import buttons
from migration.views.access import SignedIn, allowed, wave_for
from migration.views.buttons import ButtonContext
from migration.views.paging import page_of, query_without

CONFLICT = 409
GONE_DAYS = 14  # as far back as ListMetrics names the dead
LATEST = 20  # requests and runs of a wave


@require_GET
@allowed(Action.VIEW)
def wave_list(request: SignedIn) -> HttpResponse:
    today = timezone.now().astimezone(UTC).date()
    page = page_of(request, waves.visible(request.user), settings.IMDSDASH_PAGE_SIZE)
    context = {
        "page": page,
        "rows": waves.rows(list(page), user=request.user, today=today),
        "query": query_without(request, "page"),
        "may_make": can(request.user, Action.GROUP),
        "days": waves.LIST_DAYS,
    }
    return render(request, "migration/waves.html", context)


@require_http_methods(["GET", "POST"])
@allowed(Action.GROUP)
def new_wave(request: SignedIn) -> HttpResponse:
    if request.method == "GET":
        last = Wave.objects.order_by("-position").values_list("position", flat=True).first()
        return _form(request, WaveForm(initial={"position": 1 if last is None else last + 1}))
    form = WaveForm(request.POST)
    if not form.is_valid():
        return _form(request, form, refusal=wrong(form))
    try:
        made = actions.create(told=actions.Told(**form.cleaned_data), by=request.user, now=timezone.now())
    except Refused as refusal:
        return _form(request, form, refusal=str(refusal))
    messages.success(request, "Made. Now say which accounts are in it.")
    return redirect("wave", made.pk)


def _form(request: SignedIn, form: WaveForm, *, refusal: str = "") -> HttpResponse:
    """What was typed stays."""
    context = {"form": form, "refusal": refusal}
    return render(request, "migration/wave_new.html", context, status=CONFLICT if refusal else 200)


# --- One wave ------------------------------------------------------------------------------------------------


@require_GET
@allowed(Action.VIEW)
def wave(request: SignedIn, pk: int) -> HttpResponse:
    return _show(request, wave_for(request.user, pk))


@dataclass(frozen=True)
class WaveActions:
    """What can be done with a wave now. All of it is None for who may only look."""

    sentence: str
    group: bool = False  # edit it, add to it, take out of it
    start: ButtonContext | None = None
    close: ButtonContext | None = None
    reopen: ButtonContext | None = None
    resume: ButtonContext | None = None


def wave_actions(*, user: User, wave: Wave, accounts: int) -> WaveActions:
    """By state and role. The actions check all of it again."""
    may = waves.may(user, Action.GROUP, wave)
    resume = None
    if wave.paused_because and waves.may(user, Action.STEER, wave):
        resume = _button("Let it go on", "resume_wave", wave)
    if not may:
        return WaveActions(_sentence(wave, accounts), resume=resume)
    draft, closed = wave.state == WaveState.DRAFT, wave.state == WaveState.CLOSED
    empty = "" if accounts else "No account is in it yet."
    start = ButtonContext(
        "Start the wave", reverse("start_wave", args=[wave.pk]), icon="play-circle-fill", reason=empty
    )
    return WaveActions(
        _sentence(wave, accounts),
        group=True,
        start=start if draft else None,
        close=None if closed else _button("Close the wave", "close_wave", wave),
        reopen=_button("Reopen the wave", "reopen_wave", wave) if closed else None,
        resume=resume,
    )


def _button(label: str, name: str, wave: Wave) -> ButtonContext:
    return ButtonContext(label, reverse(name, args=[wave.pk]), tone="quiet")


def _sentence(wave: Wave, accounts: int) -> str:
    if wave.state == WaveState.CLOSED:
        return "Closed. What is left to do in its accounts stays left to do."
    if wave.state == WaveState.ACTIVE:
        return "Under way. Plans are made on the pages of its accounts."
    return f"A draft with {some(accounts, 'account')}: not started yet."


def _show(request: SignedIn, found: Wave, *, said: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
    """The wave's page; `said` is what the person had typed when it was refused."""
    now, said = timezone.now(), said or {}
    today, user = now.astimezone(UTC).date(), request.user
    (row,) = waves.rows([found], user=user, today=today)
    members = page_of(request, waves.accounts(found, user), settings.IMDSDASH_PAGE_SIZE)
    listed = list(runs.visible(user).filter(wave=found)[:LATEST])
    progress = runs.progresses(listed)
    edited = {name: getattr(found, name) for name in WaveForm.base_fields}
    context = {
        "wave": found,
        "row": row,
        "chart": _chart(row, user, today=today),
        "page": members,
        "members": _members(list(members), user, today=today),
        "query": query_without(request, "page"),
        "requests": plans.visible(user).filter(wave=found).defer("plan")[:LATEST],
        "runs": [(run, progress[run.pk]) for run in listed],
        "actions": wave_actions(user=user, wave=found, accounts=row.accounts + row.hidden),
        "edit_form": EditWaveForm(initial=edited | {"version": found.version} | said.get("edit", {})),
        "may_plan": can(user, Action.PLAN),
        "said": said,
    }
    return render(request, "migration/wave.html", context, status=status)


@dataclass(frozen=True)
class Member:
    """An account of the wave: how far it is, where it stands, and the next step."""

    row: account_rows.AccountRow
    stand: Stand
    step: buttons.NextStep


def _members(accounts: list[Account], user: User, *, today: date) -> list[Member]:
    keys = Account.objects.filter(pk__in=[account.pk for account in accounts])
    stands = standing.of_accounts(keys, today=today, days=GONE_DAYS)
    return [Member(row, stands[row.account.pk], _step(user, row)) for row in account_rows.rows(keys, today=today)]


def _step(user: User, row: account_rows.AccountRow) -> buttons.NextStep:
    return buttons.next_step(
        user=user,
        account=row.account,
        readable=row.readable,
        ready=row.enforceable,
        open_request=row.open_request,
        active_run=row.active_run,
    )


def _chart(row: waves.Row, user: User, *, today: date) -> charts.Chart:
    found, first = row.wave, waves.begins(row.wave, today=today)
    counted = waves.burn([found.pk], visible_accounts(user), first=first, today=today)[found.pk]
    days = waves.with_today(counted, row.mix)
    left = [one.left for one in days]
    began = found.started_at.astimezone(UTC).date() if found.started_at else None
    return charts.burn_down(
        key="burn",
        title="Instances left to enforce",
        days=[one.day for one in days],
        left=left,
        counted=[(one.counted, one.expected) for one in days],
        due_on=found.due_on,
        line=charts.ideal([one.day for one in days], left, begins=began, ends=found.due_on),
    )


def _refused(request: SignedIn, pk: int, sentence: str, **said: Any) -> HttpResponse:
    """Say why, on the same page as it is now, with the typed words kept."""
    messages.error(request, sentence)
    return _show(request, wave_for(request.user, pk), said=said, status=CONFLICT)


@require_POST
@allowed(Action.GROUP)
def edit_wave(request: SignedIn, pk: int) -> HttpResponse:
    found, form = wave_for(request.user, pk), EditWaveForm(request.POST)
    typed = {name: form.data.get(name, "") for name in WaveForm.base_fields}
    if not form.is_valid():
        return _refused(request, pk, wrong(form), edit=typed)
    told = form.cleaned_data.copy()
    version = told.pop("version")
    try:
        actions.edit(wave=found, told=actions.Told(**told), by=request.user, version=version, now=timezone.now())
    except Refused as refusal:
        return _refused(request, pk, str(refusal), edit=typed)
    messages.success(request, "Saved.")
    return redirect("wave", pk)


@require_POST
@allowed(Action.GROUP)
def add_to_wave(request: SignedIn, pk: int) -> HttpResponse:
    found, form = wave_for(request.user, pk), WaveAccountsForm(request.POST, request.FILES)
    typed = form.data.get("accounts", "")
    if not form.is_valid():
        return _refused(request, pk, wrong(form), accounts=typed)
    version, said = form.cleaned_data["version"], form.said()
    try:
        added = actions.add_accounts(wave=found, said=said, by=request.user, version=version, now=timezone.now())
    except Refused as refusal:
        return _refused(request, pk, str(refusal), accounts=typed)
    messages.success(request, f"{some(added, 'account')} added.")
    return redirect("wave", pk)


@require_POST
@allowed(Action.GROUP)
def remove_from_wave(request: SignedIn, pk: int) -> HttpResponse:
    found, form = wave_for(request.user, pk), WaveAccountForm(request.POST)
    if not form.is_valid():
        return _refused(request, pk, wrong(form))
    number, version = form.cleaned_data["account"], form.cleaned_data["version"]
    account = visible_accounts(request.user).filter(account_id=number).first()
    if account is None:
        return _refused(request, pk, f"{number} is not an account here, or none that you may see.")
    try:
        actions.remove_account(wave=found, account=account, by=request.user, version=version, now=timezone.now())
    except Refused as refusal:
        return _refused(request, pk, str(refusal))
    messages.success(request, f"{account} is no longer in this wave.")
    return redirect("wave", pk)


@require_POST
@allowed(Action.GROUP)
def start_wave(request: SignedIn, pk: int) -> HttpResponse:
    found, form = wave_for(request.user, pk), WaveReasonForm(request.POST)
    if not form.is_valid():
        return _refused(request, pk, wrong(form))
    try:
        actions.start(wave=found, by=request.user, version=form.cleaned_data["version"], now=timezone.now())
    except Refused as refusal:
        return _refused(request, pk, str(refusal))
    return _done(request, pk, "Started. The straight line begins with what is left today.")


@require_POST
@allowed(Action.GROUP)
def close_wave(request: SignedIn, pk: int) -> HttpResponse:
    return _with_reason(request, pk, actions.close, key="close", done="Closed.")


@require_POST
@allowed(Action.GROUP)
def reopen_wave(request: SignedIn, pk: int) -> HttpResponse:
    return _with_reason(request, pk, actions.reopen, key="reopen", done="Open again.")


@require_POST
@allowed(Action.STEER)
def resume_wave(request: SignedIn, pk: int) -> HttpResponse:
    return _with_reason(request, pk, actions.resume, key="resume", done="It goes on.")


def _with_reason(request: SignedIn, pk: int, act: Any, *, key: str, done: str) -> HttpResponse:
    found, form = wave_for(request.user, pk), WaveReasonForm(request.POST)
    typed = {key: form.data.get("reason", "")}
    if not form.is_valid():
        return _refused(request, pk, wrong(form), **typed)
    try:
        act(wave=found, by=request.user, now=timezone.now(), **form.cleaned_data)
    except Refused as refusal:
        return _refused(request, pk, str(refusal), **typed)
    return _done(request, pk, done)


def _done(request: SignedIn, pk: int, sentence: str) -> HttpResponse:
    notification.wake()
    messages.success(request, sentence)
    return redirect("wave", pk)
