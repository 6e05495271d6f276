from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import available_timezones

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from migration.actions import policies as actions
from migration.actions.errors import Refused
from migration.domain.permissions import Action
from migration.domain.policy import Terms
from migration.domain.windows import is_open, opens_next
from migration.enums import PolicyState
from migration.forms import RejectForm, VersionForm
from migration.forms import first_error as wrong
from migration.forms.steering import PolicyDecideForm, PolicyForm
from migration.models import Account, Policy
from migration.queries import accounts as account_rows
from migration.queries import policies
from migration.queries.access import can, visible_accounts
from migration.tasks import notification
from migration.views.access import SignedIn, allowed, policy_for
from migration.views.buttons import ButtonContext

CONFLICT = 409
LISTED = 500  # accounts that are offered while one types
LATEST = 50  # of those that are over


@require_GET
@allowed(Action.VIEW)
def policy_list(request: SignedIn) -> HttpResponse:
    now, found = timezone.now(), policies.visible(request.user)
    waiting = list(found.filter(state=PolicyState.PROPOSED).order_by("proposed_at", "pk"))
    mine = [row for row in waiting if policies.decidable(row, request.user)]
    over = found.exclude(state__in=[PolicyState.PROPOSED, PolicyState.ACTIVE])[:LATEST]
    context = {
        "rows": [(row, _opening(row.policy, now=now)) for row in policies.holding(request.user)],
        "mine": policies.told(mine),
        "others": policies.told(row for row in waiting if row not in mine),
        "over": policies.told(over),
        "may_propose": can(request.user, Action.ADMINISTER),
    }
    return render(request, "migration/policies.html", context)


def _opening(policy: Policy | None, *, now: datetime) -> str:
    """Whether its window is open now, in words; "" where it always is."""
    window = policies.terms_of(policy).window if policy else None
    if window is None:
        return ""
    if is_open(window, now):
        return "open now"
    return f"opens {opens_next(window, now).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@require_http_methods(["GET", "POST"])
@allowed(Action.ADMINISTER)
def new_policy(request: SignedIn) -> HttpResponse:
    """The form, filled with what holds in the place that the address names; posted, the proposal itself."""
    if request.method == "GET":
        return _form(request, PolicyForm(initial=_initial(request)))
    form = PolicyForm(request.POST)
    if not form.is_valid():
        return _form(request, form, refusal=wrong(form))
    said, account, ou_path = form.cleaned_data, None, ""
    if said["where"] == PolicyForm.ACCOUNT:
        account = visible_accounts(request.user).filter(account_id=said["target"]).first()
        if account is None:
            sentence = "There is no such account here, or none that you may see. Check its 12 digits."
            return _form(request, form, refusal=sentence)
    elif said["where"] == PolicyForm.UNIT:
        ou_path = said["target"].rstrip("/")
    proposal = actions.Proposal(form.terms(), said["reason"], account=account, ou_path=ou_path)
    try:
        made = actions.propose(proposal=proposal, by=request.user, now=timezone.now())
    except Refused as refusal:
        return _form(request, form, refusal=str(refusal))
    notification.wake()
    messages.success(request, "Proposed. Until a second admin has agreed, what holds now goes on holding.")
    return redirect("policy", made.pk)


def _initial(request: SignedIn) -> dict[str, Any]:
    """What holds now in the place asked for, or everywhere, to start from."""
    account_id, ou_path = request.GET.get("account", ""), request.GET.get("ou", "")
    account = visible_accounts(request.user).filter(account_id=account_id).first() if account_id else None
    if account is not None:
        return {"where": PolicyForm.ACCOUNT, "target": account_id} | _said(policies.terms_for(account))
    inside = Account(account_id="", ou_path=ou_path)  # not stored: what an account there would get
    where = PolicyForm.UNIT if ou_path else PolicyForm.EVERYWHERE
    return {"where": where, "target": ou_path} | _said(policies.terms_for(inside))


def _said(terms: Terms) -> dict[str, Any]:
    window = terms.window
    return {
        "quorum": terms.quorum,
        "one_click": terms.one_click,
        "max_failures": terms.max_failures,
        "canary_minutes": terms.canary_minutes,
        "watch_hours": terms.watch_hours,
        "max_rejecting": terms.max_rejecting,
        "emergency": terms.emergency.value,
        "window_zone": window.zone if window else "",
        "window_days": list(window.days) if window else [],
        "window_start": window.start if window else None,
        "window_minutes": window.minutes if window else None,
    }


def _form(request: SignedIn, form: PolicyForm, *, refusal: str = "") -> HttpResponse:
    """What was typed stays."""
    visible = visible_accounts(request.user)
    context = {
        "form": form,
        "plain": [form[name] for name in PolicyForm.base_fields if not name.startswith(("window_", "reason"))],
        "refusal": refusal,
        "units": account_rows.organizational_units(visible),
        "accounts": visible.order_by("name", "account_id")[:LISTED],
        "zones": sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/")),
    }
    return render(request, "migration/policy_new.html", context, status=CONFLICT if refusal else 200)


@require_GET
@allowed(Action.VIEW)
def policy(request: SignedIn, pk: int) -> HttpResponse:
    return _show(request, policy_for(request.user, Action.VIEW, pk))


@dataclass(frozen=True)
class PolicyActions:
    """What can be done with a policy now, and the sentence that says who must act."""

    sentence: str
    approve: ButtonContext | None = None
    reject: ButtonContext | None = None
    withdraw: ButtonContext | None = None
    propose: ButtonContext | None = None


def policy_actions(*, user: User, policy: Policy) -> PolicyActions:
    """By state, role and four eyes. The actions check all of it again."""
    where = policies.place(account=policy.account, ou_path=policy.ou_path)
    may = policies.may_administer(user, account=policy.account, ou_path=policy.ou_path)
    if policy.state == PolicyState.ACTIVE:
        change = f"{reverse('new_policy')}{_query(policy)}"
        propose = ButtonContext("Propose a change", change, tone="quiet") if may else None
        return PolicyActions(f"It holds {where}.", propose=propose)
    if policy.state != PolicyState.PROPOSED:
        return PolicyActions(_over(policy))
    withdraw = ButtonContext("Withdraw", reverse("withdraw_policy", args=[policy.pk]), tone="quiet") if may else None
    if user.pk == policy.proposed_by_id:
        return PolicyActions("You proposed this, so a second admin must decide.", withdraw=withdraw)
    if not may:
        return PolicyActions("Waiting for somebody with the role Admin over all of its place.")
    return PolicyActions(
        f"Your decision. Approved, it holds {where} at once. Plans that are open there have to be made anew; "
        "runs keep their terms.",
        withdraw=withdraw,
        approve=ButtonContext("Approve", reverse("approve_policy", args=[policy.pk]), icon="check-circle-fill"),
        reject=ButtonContext("Reject", reverse("reject_policy", args=[policy.pk]), tone="danger"),
    )


def _query(policy: Policy) -> str:
    if policy.account is not None:
        return f"?account={policy.account.account_id}"
    return f"?{urlencode({'ou': policy.ou_path})}" if policy.ou_path else ""


def _over(policy: Policy) -> str:
    if policy.state == PolicyState.REJECTED:
        return f"Rejected by {policy.decided_by}. Nothing was changed."
    if policy.state == PolicyState.WITHDRAWN:
        return "Withdrawn before it was decided. Nothing was changed."
    return "It held, until another took its place."


def _show(request: SignedIn, found: Policy, *, said: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
    """The policy's page; `said` is what the person had typed when it was refused."""
    terms = policies.terms_of(found)
    waits = found.state == PolicyState.PROPOSED
    before, whose = policies.held_before(found) if waits else (terms, "")
    held = policies.active_at(account=found.account, ou_path=found.ou_path) if waits else None
    initial = {"version": found.version, "replaces": held.pk if held else None} | (said or {})
    context = {
        "policy": found,
        "place": policies.place(account=found.account, ou_path=found.ou_path),
        "waits": waits,
        "whose": whose,
        "lines": policies.difference(before, terms),
        "opening": _opening(found, now=timezone.now()) if found.state == PolicyState.ACTIVE else "",
        "actions": policy_actions(user=request.user, policy=found),
        "decide_form": PolicyDecideForm(initial=initial),
    }
    return render(request, "migration/policy.html", context, status=status)


def _refused(request: SignedIn, pk: int, sentence: str, **said: Any) -> HttpResponse:
    """Say why, on the same page as it is now, with the typed words kept."""
    messages.error(request, sentence)
    return _show(request, policy_for(request.user, Action.VIEW, pk), said=said, status=CONFLICT)


@require_POST
@allowed(Action.ADMINISTER)
def approve_policy(request: SignedIn, pk: int) -> HttpResponse:
    found, form = policy_for(request.user, Action.ADMINISTER, pk), PolicyDecideForm(request.POST)
    comment = form.data.get("comment", "")
    if not form.is_valid():
        return _refused(request, pk, wrong(form), comment=comment)
    try:
        actions.approve(policy=found, by=request.user, now=timezone.now(), **form.cleaned_data)
    except Refused as refusal:
        return _refused(request, pk, str(refusal), comment=comment)
    notification.wake()
    messages.success(request, "Approved. It holds from now on; plans that were made before keep their own terms.")
    return redirect("policy", pk)


@require_POST
@allowed(Action.ADMINISTER)
def reject_policy(request: SignedIn, pk: int) -> HttpResponse:
    found, form = policy_for(request.user, Action.ADMINISTER, pk), RejectForm(request.POST)
    comment = form.data.get("comment", "")
    if not form.is_valid():
        return _refused(request, pk, wrong(form), comment=comment)
    try:
        actions.reject(policy=found, by=request.user, now=timezone.now(), **form.cleaned_data)
    except Refused as refusal:
        return _refused(request, pk, str(refusal), comment=comment)
    messages.success(request, "Rejected. What held goes on holding.")
    return redirect("policy", pk)


@require_POST
@allowed(Action.ADMINISTER)
def withdraw_policy(request: SignedIn, pk: int) -> HttpResponse:
    found, form = policy_for(request.user, Action.ADMINISTER, pk), VersionForm(request.POST)
    if not form.is_valid():
        return _refused(request, pk, wrong(form))
    try:
        actions.withdraw(policy=found, by=request.user, now=timezone.now(), **form.cleaned_data)
    except Refused as refusal:
        return _refused(request, pk, str(refusal))
    messages.success(request, "Withdrawn. What held goes on holding.")
    return redirect("policy", pk)
