"""Buttons: whether one is there, whether it can be pressed, and why not. Drawn by components/button.html."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.urls import reverse

from migration.domain.permissions import Action
from migration.enums import RequestState, RunState, WaiverKind, WaiverState
from migration.models import Account, EnforcementRequest, Run, Waiver
from migration.queries.access import can


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


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def enforce(
    *, user: User, account: Account, ready: int, waiting: EnforcementRequest | None, run: Run | None
) -> ButtonContext:
    """The one button of the account page: it opens a prefilled plan, nothing is changed yet."""
    label = f"Enforce IMDSv2 on {plural(ready, 'ready instance')}" if ready else "Enforce IMDSv2"
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


@dataclass(frozen=True)
class PlanActions:
    """What can be done with a plan now, and the sentence that says who must act."""

    sentence: str
    submit: ButtonContext | None = None
    withdraw: ButtonContext | None = None
    approve: ButtonContext | None = None
    reject: ButtonContext | None = None


def plan_actions(*, user: User, request: EnforcementRequest, changes: int, expired: bool) -> PlanActions:
    """By state, role and four eyes. The actions check all of it again."""
    if expired and request.state in {RequestState.DRAFT, RequestState.REQUESTED}:
        return PlanActions("This plan is past its expiry and cannot go on. Make a new one from the account's page.")
    if request.state == RequestState.DRAFT:
        return _draft(user, request)
    if request.state == RequestState.REQUESTED:
        return _requested(user, request, changes)
    return PlanActions(_closed(request))


def _draft(user: User, request: EnforcementRequest) -> PlanActions:
    if not can(user, Action.PLAN, request.account):
        return PlanActions("A draft. Its author has not asked for approval yet.")
    return PlanActions(
        "A draft: nothing has been asked of anybody, and nothing in AWS has been touched.",
        submit=ButtonContext("Request approval", reverse("submit_plan", args=[request.pk]), icon="arrow-right"),
        withdraw=ButtonContext("Discard draft", reverse("withdraw_plan", args=[request.pk]), tone="quiet"),
    )


def _requested(user: User, request: EnforcementRequest, changes: int) -> PlanActions:
    withdraw = None
    if can(user, Action.PLAN, request.account):
        withdraw = ButtonContext("Withdraw request", reverse("withdraw_plan", args=[request.pk]), tone="quiet")
    if user.pk in {request.requested_by_id, request.created_by_id}:
        return PlanActions("You requested this, so someone else must approve.", withdraw=withdraw)
    if not can(user, Action.DECIDE, request.account):
        return PlanActions("Waiting for somebody with the role Approver.", withdraw=withdraw)
    return PlanActions(
        f"Your decision. Approving starts the run: {plural(changes, 'instance')} in "
        f"{request.account.name or 'account'} ({request.account.account_id}) will require IMDSv2.",
        withdraw=withdraw,
        approve=ButtonContext(
            f"Approve and enforce on {plural(changes, 'instance')}",
            reverse("approve_plan", args=[request.pk]),
            icon="shield-check",
        ),
        reject=ButtonContext("Reject", reverse("reject_plan", args=[request.pk]), tone="danger"),
    )


def _closed(request: EnforcementRequest) -> str:
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
        f"Your decision. Approving leaves {plural(instances, 'instance')} of {waiver.account.name or 'the account'} "
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
    """Stop while there is something to stop; resume what paused."""
    if run.state not in {RunState.QUEUED, RunState.RUNNING, RunState.PAUSED}:
        return []
    reason = "" if can(user, Action.STEER, run.account) else "Stopping needs the role Engineer or Approver."
    stop = ButtonContext(
        "Stop the run", reverse("stop_run", args=[run.pk]), tone="danger", icon="sign-stop-fill", reason=reason
    )
    if run.state != RunState.PAUSED:
        return [stop]
    return [
        ButtonContext("Resume", reverse("resume_run", args=[run.pk]), icon="play-circle-fill", reason=reason),
        stop,
    ]


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
