"""Buttons: whether one is there, whether it can be pressed, and why not. Drawn by components/button.html."""

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.models import User
from django.urls import reverse

from migration.domain.permissions import Action, right_to_plan
from migration.domain.words import some
from migration.enums import ACTIVE_RUN, RequestKind, RequestState, RunState, WaiverKind, WaiverState
from migration.models import Account, EnforcementRequest, Run, Waiver
from migration.queries.access import can
from migration.queries.plans import Plan, Signing


@dataclass(frozen=True)
class ButtonContext:
    """`reason` set: the button is drawn disabled, with the reason in plain sight. `link`: where to go instead."""

    label: str
    url: str
    tone: str = "primary"
    icon: str = ""
    reason: str = ""
    link: str = ""
    link_label: str = ""

    @property
    def enabled(self) -> bool:
        return not self.reason


def enforce(
    *, user: User, account: Account, ready: int, waiting: EnforcementRequest | None, run: Run | None
) -> ButtonContext:
    """The one button of the account page: it opens a prefilled plan, nothing is changed yet."""
    label = f"Enforce IMDSv2 on {some(ready, 'ready instance')}" if ready else "Enforce IMDSv2"
    url = reverse("draft_plan", args=[account.account_id])
    if run is not None:
        there = reverse("run", args=[run.pk])
        return ButtonContext(label, url, reason="A run is active in this account.", link=there, link_label="Watch it")
    if waiting is not None:
        there = reverse("plan", args=[waiting.pk])
        return ButtonContext(
            label, url, reason="A plan for this account waits for approval.", link=there, link_label="Open the plan"
        )
    if not can(user, Action.PLAN, account):
        return ButtonContext(label, url, reason="Your role lets you look. Planning needs the role Engineer.")
    if not ready:
        return ButtonContext(label, url, reason="No instance is ready yet. The table says what each one waits for.")
    return ButtonContext(label, url, icon="shield-lock-fill")


SHORT = {RequestKind.ENFORCEMENT: "Refuse IMDSv1 launches", RequestKind.LIFT: "Lift the refusal"}  # for a phone


def rungs(*, user: User, account: Account, refusing: bool) -> list[tuple[str, ButtonContext]]:
    """What can be planned above the instances, by the word a form sends. Empty for who may not plan. `refusing`: a
    Region refuses launches that allow IMDSv1, so there is something to lift.
    """
    if not can(user, Action.PLAN, account):
        return []
    url = reverse("draft_rung", args=[account.account_id])
    kinds = [RequestKind.TEMPLATES, RequestKind.DEFAULTS, RequestKind.ENFORCEMENT]
    if refusing:
        kinds.append(RequestKind.LIFT)
    if settings.IMDSDASH_IMAGES:
        kinds.insert(1, RequestKind.IMAGES)
    return [(kind.value, ButtonContext(f"Plan: {SHORT.get(kind, kind.label)}", url, tone="quiet")) for kind in kinds]


@dataclass(frozen=True)
class PlanActions:
    """What can be done with a plan now, and the sentence that says who must act."""

    sentence: str
    submit: ButtonContext | None = None
    edit: ButtonContext | None = None
    emergency: ButtonContext | None = None
    withdraw: ButtonContext | None = None
    reopen: ButtonContext | None = None
    take_back: ButtonContext | None = None
    approve: ButtonContext | None = None
    reject: ButtonContext | None = None


# What the button of an approver says, and what happens then, for so many of something.
APPROVE = {
    RequestKind.ENFORCE: ("Approve and enforce on {things}", "{things} in {account} will require IMDSv2"),
    RequestKind.HOP_LIMIT: ("Approve and raise {things}", "{things} in {account} will have a higher hop limit"),
    RequestKind.IMDS_OFF: ("Approve and switch off on {things}", "{things} in {account} will have no IMDS at all"),
    RequestKind.ROLLBACK: ("Approve and put back {things}", "{things} in {account} will be as before, IMDSv1 included"),
    RequestKind.LIFT: ("Approve and lift in {things}", "launches in {account} may allow IMDSv1 again"),
}
OTHERS = ("Approve and change {things}", "{things} in {account} will be changed")


def plan_actions(
    *,
    user: User,
    request: EnforcementRequest,
    plan: Plan,
    signing: Signing,
    expired: bool,
    moved_on: bool = False,
    emergency: bool = False,
    one_click: bool = False,
) -> PlanActions:
    """By state, role and four eyes. The actions check all of it again. `moved_on`: the policy has, of an open one."""
    if expired and request.state in {RequestState.DRAFT, RequestState.REQUESTED}:
        return PlanActions("This plan is past its expiry and cannot go on. Make a new one from the account's page.")
    if moved_on:
        return _moved_on(user, request)
    if request.state == RequestState.DRAFT:
        return _draft(user, request, plan, emergency=emergency, one_click=one_click)
    if request.state == RequestState.REQUESTED:
        return _requested(user, request, plan, signing)
    return PlanActions(_closed(request))


def _moved_on(user: User, request: EnforcementRequest) -> PlanActions:
    """Nothing but giving it up, which makes room for a new one."""
    withdraw = None
    if can(user, right_to_plan(RequestKind(request.kind)), request.account):
        label = "Discard draft" if request.state == RequestState.DRAFT else "Withdraw request"
        withdraw = ButtonContext(label, reverse("withdraw_plan", args=[request.pk]), tone="quiet")
    return PlanActions(
        "The policy of this account has changed since the plan was made, so it cannot go on. Make a new plan under "
        "the policy that holds now.",
        withdraw=withdraw,
    )


def _draft(user: User, request: EnforcementRequest, plan: Plan, *, emergency: bool, one_click: bool) -> PlanActions:
    now = None
    if emergency:
        things = some(len(plan.changes), plan.noun)
        now = ButtonContext(
            f"Put back {things} now", reverse("roll_back_now", args=[request.pk]), tone="danger", icon="sign-stop-fill"
        )
    label = "Request approval"
    if one_click:
        label = f"Enforce IMDSv2 on {some(len(plan.changes), plan.noun)} now"
    if not can(user, right_to_plan(RequestKind(request.kind)), request.account):
        return PlanActions("A draft. Its author has not asked for approval yet.", emergency=now)
    return PlanActions(
        "A draft: nothing has been asked of anybody, and nothing in AWS has been touched.",
        submit=ButtonContext(label, reverse("submit_plan", args=[request.pk]), icon="arrow-right"),
        edit=ButtonContext("Leave out what is ticked", reverse("edit_plan", args=[request.pk]), tone="quiet"),
        emergency=now,
        withdraw=ButtonContext("Discard draft", reverse("withdraw_plan", args=[request.pk]), tone="quiet"),
    )


def _requested(user: User, request: EnforcementRequest, plan: Plan, signing: Signing) -> PlanActions:
    withdraw = reopen = None
    if can(user, right_to_plan(RequestKind(request.kind)), request.account):
        withdraw = ButtonContext("Withdraw request", reverse("withdraw_plan", args=[request.pk]), tone="quiet")
        reopen = ButtonContext("Back to a draft", reverse("reopen_plan", args=[request.pk]), tone="quiet")
    if signing.barred:
        if user.pk == request.requested_by_id:
            said = "You requested this, so someone else must approve."
        else:
            said = signing.barred
        return PlanActions(said, withdraw=withdraw, reopen=reopen)
    if not can(user, Action.DECIDE, request.account):
        return PlanActions("Waiting for somebody with the role Approver.", withdraw=withdraw, reopen=reopen)
    if signing.own is not None:
        left = signing.needed - signing.given
        return PlanActions(
            f"You have approved. It waits for {some(left, 'approval')} more, by others.",
            withdraw=withdraw,
            take_back=ButtonContext(
                "Take my approval back", reverse("take_back_approval", args=[request.pk]), tone="quiet"
            ),
        )
    label, outcome = APPROVE.get(RequestKind(request.kind), OTHERS)
    account = f"{request.account.name or 'account'} ({request.account.account_id})"
    words = {"things": some(len(plan.changes), plan.noun), "account": account}
    last = signing.needed - signing.given <= 1
    return PlanActions(
        (
            f"Your decision. Approving starts the run: {outcome}."
            if last
            else f"Your decision, one of {signing.needed}: {outcome}."
        ).format(**words),
        withdraw=withdraw,
        reopen=reopen,
        approve=ButtonContext(label.format(**words), reverse("approve_plan", args=[request.pk]), icon="shield-check"),
        reject=ButtonContext("Reject", reverse("reject_plan", args=[request.pk]), tone="danger"),
    )


def _closed(request: EnforcementRequest) -> str:
    if request.state == RequestState.APPROVED and request.emergency:
        return f"Carried out by the emergency right of policy {request.by_policy_id}, by {request.requested_by}."
    if request.state == RequestState.APPROVED and request.by_policy_id:
        return f"On one click of {request.requested_by}, as policy {request.by_policy_id} allows."
    if request.state == RequestState.APPROVED:
        return f"Approved by {request.decided_by}."
    if request.state == RequestState.REJECTED:
        return f"Rejected by {request.decided_by}. Nothing was changed."
    if request.state == RequestState.WITHDRAWN:
        return "Withdrawn. Nothing was changed."
    return "Expired before it was decided. Nothing was changed."


@dataclass(frozen=True)
class WaiverActions:
    """What can be done with a waiver now, and the sentence that says who must act."""

    sentence: str
    approve: ButtonContext | None = None
    reject: ButtonContext | None = None
    withdraw: ButtonContext | None = None
    renew: ButtonContext | None = None
    end: ButtonContext | None = None


def waiver_actions(*, user: User, waiver: Waiver, instances: int, renewal: Waiver | None) -> WaiverActions:
    """By state, role and four eyes. The actions check all of it again."""
    if waiver.state == WaiverState.REQUESTED:
        return _asked_for(user, waiver, instances)
    if waiver.state == WaiverState.ACTIVE:
        return _holding(user, waiver, renewal)
    return WaiverActions(_over(waiver))


def _asked_for(user: User, waiver: Waiver, instances: int) -> WaiverActions:
    withdraw = None
    if can(user, Action.WAIVE, waiver.account):
        withdraw = ButtonContext("Withdraw", reverse("withdraw_waiver", args=[waiver.pk]), tone="quiet")
    if user.pk == waiver.requested_by_id:
        return WaiverActions("You asked for this, so someone else must decide.", withdraw=withdraw)
    if not can(user, Action.DECIDE, waiver.account):
        return WaiverActions("Waiting for somebody with the role Approver.", withdraw=withdraw)
    return WaiverActions(
        f"Your decision. Approving leaves {some(instances, 'instance')} of {waiver.account.name or 'the account'} "
        f"out of enforcement until {waiver.expires_on}; they keep answering IMDSv1.",
        withdraw=withdraw,
        approve=ButtonContext(
            f"Waive until {waiver.expires_on}", reverse("approve_waiver", args=[waiver.pk]), icon="pause-circle-fill"
        ),
        reject=ButtonContext("Reject", reverse("reject_waiver", args=[waiver.pk]), tone="danger"),
    )


def _holding(user: User, waiver: Waiver, renewal: Waiver | None) -> WaiverActions:
    renew = end = None
    if can(user, Action.WAIVE, waiver.account) and renewal is None:
        renew = ButtonContext("Ask for more time", reverse("renew_waiver", args=[waiver.pk]), tone="quiet")
    if can(user, Action.END, waiver.account):
        end = ButtonContext("End it now", reverse("end_waiver", args=[waiver.pk]), tone="danger")
    return WaiverActions(f"It holds until {waiver.expires_on}, that day included.", renew=renew, end=end)


def _over(waiver: Waiver) -> str:
    if waiver.state == WaiverState.REJECTED:
        return f"Rejected by {waiver.decided_by}. Nothing was waived by it."
    if waiver.state == WaiverState.WITHDRAWN:
        return "Withdrawn before it was decided. Nothing was waived by it."
    return f"It is over. {waiver.closed_because}".strip()


def waive(*, user: User, account: Account, instance_id: str = "") -> ButtonContext | None:
    """Where a waiver is asked for: of one instance, or of the whole account. None for who may not: an engineer does."""
    if not can(user, Action.WAIVE, account):
        return None
    said = {"account": account.account_id, "kind": WaiverKind.INSTANCE if instance_id else WaiverKind.ACCOUNT}
    query = urlencode(said | ({"target": instance_id} if instance_id else {}))
    return ButtonContext("Ask for a waiver", f"{reverse('new_waiver')}?{query}")


def run_buttons(*, user: User, run: Run) -> list[ButtonContext]:
    """Pause and stop while there is something to stop; resume what paused; put back what is over, or paused."""
    found: list[ButtonContext] = []
    reason = "" if can(user, Action.STEER, run.account) else "Steering needs the role Engineer or Approver."
    if run.state == RunState.RUNNING:
        found.append(
            ButtonContext(
                "Pause", reverse("hold_run", args=[run.pk]), tone="quiet", icon="pause-circle-fill", reason=reason
            )
        )
    if run.state == RunState.PAUSED:
        found.append(
            ButtonContext("Resume", reverse("resume_run", args=[run.pk]), icon="play-circle-fill", reason=reason)
        )
    if run.state in ACTIVE_RUN:
        found.append(
            ButtonContext(
                "Stop the run", reverse("stop_run", args=[run.pk]), tone="danger", icon="sign-stop-fill", reason=reason
            )
        )
    return found


def put_back(*, user: User, run: Run, changed: bool, waiting: EnforcementRequest | None) -> ButtonContext | None:
    """Where a rollback is planned. None when there is nothing to put back, or the run itself put something back."""
    if run.request.kind == RequestKind.ROLLBACK or not changed:
        return None
    url = reverse("roll_back", args=[run.pk])
    label = "Plan to put it back"
    if waiting is not None:
        there = reverse("plan", args=[waiting.pk])
        return ButtonContext(
            label, url, tone="quiet", reason="A plan to put it back is open.", link=there, link_label="Open it"
        )
    if run.state in {RunState.QUEUED, RunState.RUNNING}:
        return ButtonContext(label, url, tone="quiet", reason="Pause or stop the run first.")
    if not can(user, Action.STEER, run.account):
        return ButtonContext(label, url, tone="quiet", reason="Putting back needs the role Engineer or Approver.")
    return ButtonContext(label, url, tone="quiet", icon="arrow-counterclockwise")


def put_back_refused(whole: ButtonContext | None, *, refused: int) -> ButtonContext | None:
    """Beside putting back all of it: only what had calls refused since."""
    if whole is None or not whole.enabled or not refused:
        return None
    return replace(whole, label=f"Plan to put back the {refused:,} with refused calls")


def test_role(*, user: User, account: Account, pending: bool) -> ButtonContext | None:
    """Ask AWS now what the account's role may do. None for who may not: the page says once which role it needs."""
    if not can(user, Action.CONNECT, account):
        return None
    url = reverse("test_role", args=[account.account_id])
    return ButtonContext("Test the role", url, tone="quiet", reason="A test is under way." if pending else "")


def send_again(*, user: User) -> ButtonContext:
    """Try what the outbox has given up once more."""
    reason = "" if can(user, Action.CONNECT) else "Sending again needs the role Engineer."
    return ButtonContext("Send them again", reverse("send_again"), tone="quiet", reason=reason)


@dataclass(frozen=True)
class NextStep:
    """The one most useful thing to do with an account, as a link."""

    label: str
    url: str
    tone: str = "quiet"


def next_step(
    *, user: User, account: Account, readable: bool, ready: int, open_request: int | None, active_run: int | None
) -> NextStep:
    here = reverse("account", args=[account.account_id])
    if active_run is not None:
        return NextStep("Watch run", reverse("run", args=[active_run]), "busy")
    if open_request is not None:
        return NextStep("Review plan", reverse("plan", args=[open_request]), "busy")
    if not readable:
        return NextStep("See what is denied", here, "warn")
    if ready and can(user, Action.PLAN, account):
        return NextStep(f"Enforce {ready:,}", f"{here}#enforce", "primary")
    return NextStep("Open", here)
