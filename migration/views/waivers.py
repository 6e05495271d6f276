from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from migration.actions import waivers as actions
from migration.actions.errors import Refused
from migration.domain.permissions import Action
from migration.domain.waivers import LONGEST, covers
from migration.enums import WaiverKind
from migration.forms import DecideForm, EndForm, RejectForm, RenewForm, VersionForm, WaiverFilterForm, WaiverForm
from migration.forms import first_error as wrong
from migration.models import Waiver
from migration.queries import waivers
from migration.queries.access import can, visible_accounts
from migration.tasks import notification
from migration.tasks.waivers import judge_soon
from migration.views import buttons, fragments
from migration.views.access import SignedIn, allowed, waiver_for
from migration.views.paging import page_of, query_without

CONFLICT = 409
LISTED = 500  # accounts that are offered while one types


@require_GET
@allowed(Action.VIEW)
def waiver_list(request: SignedIn) -> HttpResponse:
    today = timezone.now().astimezone(UTC).date()
    filters = WaiverFilterForm(request.GET).filters()
    page = page_of(request, waivers.matching(request.user, filters), settings.IMDSDASH_PAGE_SIZE)
    listed = {
        "filters": filters,
        "kinds": WaiverKind,
        "shown": waivers.SHOWN,
        "page": page,
        "rows": waivers.rows(page, today=today),
        "query": query_without(request, "page"),
    }
    if fragments.wants_fragment(request):
        return fragments.answer(request, "migration/waivers.html", "results", listed)
    waiting = waivers.waiting(request.user)
    context = {
        "mine": waivers.rows(waiting.mine, today=today),
        "others": waivers.rows(waiting.others, today=today),
        "may_ask": can(request.user, Action.WAIVE),
    }
    return fragments.answer(request, "migration/waivers.html", "results", context | listed)


@require_http_methods(["GET", "POST"])
@allowed(Action.WAIVE)
def new_waiver(request: SignedIn) -> HttpResponse:
    """The form, filled with what the address says; posted, the question itself."""
    now = timezone.now()
    if request.method == "GET":
        known = {name: request.GET[name] for name in ("account", "kind", "target", "region") if name in request.GET}
        form = WaiverForm(initial={"expires_on": _usual(now), "kind": WaiverKind.GROUP} | known)
        return _form(request, form, now=now)
    form = WaiverForm(request.POST)
    if not form.is_valid():
        return _form(request, form, refusal=wrong(form), now=now)
    said: dict[str, Any] = form.cleaned_data.copy()
    account = visible_accounts(request.user).filter(account_id=said.pop("account")).first()
    if account is None:
        sentence = "There is no such account here, or none that you may see. Check its 12 digits."
        return _form(request, form, refusal=sentence, now=now)
    asked = actions.Asked(account=account, **said | {"kind": WaiverKind(said["kind"])})
    try:
        waiver = actions.ask(asked=asked, by=request.user, now=now)
    except Refused as refusal:
        return _form(request, form, refusal=str(refusal), now=now)
    notification.wake()
    messages.success(request, "Asked for. Somebody else with the role Approver has to decide now.")
    return redirect("waiver", waiver.pk)


def _usual(now: datetime) -> str:
    return (now.astimezone(UTC).date() + timedelta(days=settings.IMDSDASH_WAIVER_DAYS)).isoformat()


def _form(request: SignedIn, form: WaiverForm, *, refusal: str = "", now: datetime) -> HttpResponse:
    """What was typed stays."""
    today = now.astimezone(UTC).date()
    context = {
        "form": form,
        "refusal": refusal,
        "accounts": visible_accounts(request.user).order_by("name", "account_id")[:LISTED],
        "kept_tags": settings.IMDSDASH_TAGS,
        "usual_days": settings.IMDSDASH_WAIVER_DAYS,
        "longest_days": LONGEST.days,
        "last_day": today + LONGEST,
    }
    return render(request, "migration/waiver_new.html", context, status=CONFLICT if refusal else 200)


@require_GET
@allowed(Action.VIEW)
def waiver(request: SignedIn, pk: int) -> HttpResponse:
    return _show(request, waiver_for(request.user, Action.VIEW, pk))


def _show(request: SignedIn, found: Waiver, *, said: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
    """The waiver's page; `said` is what the person had typed when it was refused."""
    now, said = timezone.now(), said or {}
    (row,) = waivers.rows([found], today=now.astimezone(UTC).date())
    renewal = waivers.waiting_renewal(found)
    version = {"version": found.version}
    context = {
        "waiver": found,
        "row": row,
        "covers": covers(found.kind, found.target),
        "renewal": renewal,
        "history": [one for one in waivers.chain(found) if one.pk != found.pk],
        "actions": buttons.waiver_actions(
            user=request.user, waiver=found, instances=row.reach.instances, renewal=renewal
        ),
        "decide_form": DecideForm(initial=version | said),
        "renew_form": RenewForm(initial={"expires_on": _usual(now)} | said),
        "end_form": EndForm(initial=version | said),
    }
    return render(request, "migration/waiver.html", context, status=status)


def _refused(request: SignedIn, pk: int, sentence: str, **said: Any) -> HttpResponse:
    """Say why, on the same page as it is now, with the typed words kept."""
    messages.error(request, sentence)
    return _show(request, waiver_for(request.user, Action.VIEW, pk), said=said, status=CONFLICT)


@require_POST
@allowed(Action.DECIDE)
def approve_waiver(request: SignedIn, pk: int) -> HttpResponse:
    found, form = waiver_for(request.user, Action.DECIDE, pk), DecideForm(request.POST)
    comment = form.data.get("comment", "")
    if not form.is_valid():
        return _refused(request, pk, wrong(form), comment=comment)
    try:
        actions.approve(waiver=found, by=request.user, now=timezone.now(), **form.cleaned_data)
    except Refused as refusal:
        return _refused(request, pk, str(refusal), comment=comment)
    judge_soon(found)
    messages.success(request, f"Waived until {found.expires_on}. The instances show it when they are judged next.")
    return redirect("waiver", pk)


@require_POST
@allowed(Action.DECIDE)
def reject_waiver(request: SignedIn, pk: int) -> HttpResponse:
    found, form = waiver_for(request.user, Action.DECIDE, pk), RejectForm(request.POST)
    comment = form.data.get("comment", "")
    if not form.is_valid():
        return _refused(request, pk, wrong(form), comment=comment)
    try:
        actions.reject(waiver=found, by=request.user, now=timezone.now(), **form.cleaned_data)
    except Refused as refusal:
        return _refused(request, pk, str(refusal), comment=comment)
    messages.success(request, "Rejected. Nothing is waived by it.")
    return redirect("waiver", pk)


@require_POST
@allowed(Action.WAIVE)
def withdraw_waiver(request: SignedIn, pk: int) -> HttpResponse:
    found, form = waiver_for(request.user, Action.WAIVE, pk), VersionForm(request.POST)
    if not form.is_valid():
        return _refused(request, pk, wrong(form))
    try:
        actions.withdraw(waiver=found, by=request.user, now=timezone.now(), **form.cleaned_data)
    except Refused as refusal:
        return _refused(request, pk, str(refusal))
    messages.success(request, "Withdrawn. Nothing is waived by it.")
    return redirect("waiver", pk)


@require_POST
@allowed(Action.END)
def end_waiver(request: SignedIn, pk: int) -> HttpResponse:
    found, form = waiver_for(request.user, Action.END, pk), EndForm(request.POST)
    reason = form.data.get("reason", "")
    if not form.is_valid():
        return _refused(request, pk, wrong(form), reason=reason)
    try:
        actions.end(waiver=found, by=request.user, now=timezone.now(), **form.cleaned_data)
    except Refused as refusal:
        return _refused(request, pk, str(refusal), reason=reason)
    judge_soon(found)
    messages.success(request, "Ended. Its instances count as before when they are judged next.")
    return redirect("waiver", pk)


@require_POST
@allowed(Action.WAIVE)
def renew_waiver(request: SignedIn, pk: int) -> HttpResponse:
    found, form = waiver_for(request.user, Action.WAIVE, pk), RenewForm(request.POST)
    said = {name: form.data.get(name, "") for name in ("reason", "expires_on")}
    if not form.is_valid():
        return _refused(request, pk, wrong(form), **said)
    try:
        asked = actions.renew(waiver=found, by=request.user, now=timezone.now(), **form.cleaned_data)
    except Refused as refusal:
        return _refused(request, pk, str(refusal), **said)
    notification.wake()
    messages.success(request, "Asked for. Until somebody else has agreed, the old end stands.")
    return redirect("waiver", asked.pk)
