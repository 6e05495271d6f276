"""Who may open which page. The decorator asks for a role held anywhere; the look-ups ask for it over the object."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django_htmx.middleware import HtmxDetails

from migration.actions import audit
from migration.domain.permissions import Action, right_to_plan
from migration.enums import RequestKind
from migration.models import Account, EnforcementRequest, Instance, Policy, Run, Waiver, Wave
from migration.queries import instance as instances
from migration.queries import plans, policies, runs, waivers, waves
from migration.queries.access import can, visible_accounts

P = ParamSpec("P")


class SignedIn(HttpRequest):
    """A request of somebody who is signed in, as LoginRequiredMiddleware lets through."""

    user: User
    htmx: HtmxDetails


View = Callable[Concatenate[SignedIn, P], HttpResponse]
Page = Callable[Concatenate[HttpRequest, P], HttpResponse]

SENTENCES = {
    Action.VIEW: "You have no role here yet. Ask an administrator of imdsdash to grant you one.",
    Action.PLAN: "Planning enforcement needs the role Engineer for this account.",
    Action.DECIDE: "This needs the role Approver.",
    Action.WAIVE: "Asking for a waiver needs the role Engineer for this account.",
    Action.END: "Ending a waiver needs the role Engineer or Approver for this account.",
    Action.STEER: "Stopping or resuming a run needs the role Engineer or Approver for this account.",
    Action.CONNECT: "Connecting accounts and testing their roles needs the role Engineer or Admin.",
    Action.BRAKE: "Pulling the brake needs the role Engineer or Approver.",
    Action.RELEASE: "Releasing the brake needs the role Approver.",
    Action.GROUP: "Making waves needs the role Engineer.",
    Action.ADMINISTER: "This needs the role Admin, over all of the place that it is about.",
}


LOOKING = ("GET", "HEAD", "OPTIONS")


class Denied(PermissionDenied):
    """What the person may not do, and in which account, where it is of one."""

    def __init__(self, action: Action, account: Account | None = None) -> None:
        super().__init__(SENTENCES[action])
        self.account_id = account.account_id if account else ""


def allowed(action: Action) -> Callable[[View[P]], Page[P]]:
    """Let through who holds a role for the action somewhere; everybody else gets 403 with a sentence. Who was refused
    when doing something, and not only looking, stands in the audit log.
    """

    def decorate(view: View[P]) -> Page[P]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            try:
                _somewhere(request, action)
                return view(cast("SignedIn", request), *args, **kwargs)
            except Denied as denied:
                _record(cast("SignedIn", request), denied)
                raise

        return cast("Page[P]", guarded)

    return decorate


def _somewhere(request: HttpRequest, action: Action) -> None:
    if not can(request.user, action):
        raise Denied(action)


def _record(request: SignedIn, denied: Denied) -> None:
    page = request.resolver_match
    if request.method in LOOKING or page is None:
        return
    audit.append(
        verb="denied",
        object_type="Page",
        object_id=" ".join(map(str, (page.view_name, *page.kwargs.values())))[:64],
        account_id=denied.account_id,
        reason=str(denied),
        by=request.user,
        now=timezone.now(),
    )


def account_for(user: User, action: Action, account_id: str) -> Account:
    """The account, if the person may see it (else 404) and may do this to it (else 403)."""
    account = visible_accounts(user).filter(account_id=account_id).first()
    if account is None:
        raise Http404("No such account, or none that you may see.")
    require(user, action, account)
    return account


def request_for(user: User, action: Action, pk: int) -> EnforcementRequest:
    found = plans.visible(user).filter(pk=pk).first()
    if found is None:
        raise Http404("No such plan, or none that you may see.")
    require(user, action, found.account)
    return found


def planned_for(user: User, pk: int) -> EnforcementRequest:
    """A request whose plan the person may edit, ask for and withdraw; of a rollback, whoever may steer."""
    found = request_for(user, Action.VIEW, pk)
    require(user, right_to_plan(RequestKind(found.kind)), found.account)
    return found


def run_for(user: User, action: Action, pk: int) -> Run:
    found = runs.visible(user).filter(pk=pk).first()
    if found is None:
        raise Http404("No such run, or none that you may see.")
    require(user, action, found.account)
    return found


def waiver_for(user: User, action: Action, pk: int) -> Waiver:
    found = waivers.visible(user).filter(pk=pk).first()
    if found is None:
        raise Http404("No such waiver, or none that you may see.")
    require(user, action, found.account)
    return found


def wave_for(user: User, pk: int) -> Wave:
    """Whether something may be done to all of it is for the actions to say, in a sentence and in the audit log."""
    found = waves.visible(user).filter(pk=pk).first()
    if found is None:
        raise Http404("No such wave, or none that you may see.")
    return found


def policy_for(user: User, action: Action, pk: int) -> Policy:
    found = policies.visible(user).filter(pk=pk).first()
    if found is None:
        raise Http404("No such policy, or none that you may see.")
    if action == Action.ADMINISTER and not policies.may_administer(user, account=found.account, ou_path=found.ou_path):
        raise Denied(action, found.account)
    return found


def instance_for(user: User, action: Action, pk: int) -> Instance:
    found = instances.visible(visible_accounts(user)).filter(pk=pk).first()
    if found is None:
        raise Http404("No such instance, or none that you may see.")
    require(user, action, found.account)
    return found


def require(user: User, action: Action, account: Account) -> None:
    if not can(user, action, account):
        raise Denied(action, account)
