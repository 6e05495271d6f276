"""Requests: the plan as it was written, and the three heaps of the approvals page."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from migration.domain import approval, ladder, windows
from migration.domain import plan as plans
from migration.domain import policy as policies
from migration.domain.permissions import Action
from migration.domain.policy import Terms
from migration.enums import WATCHED, RequestKind, RequestState, ResourceKind, Status
from migration.models import Account, Approval, EnforcementRequest, PlanEdit
from migration.queries import decisions
from migration.queries.access import Person, can, visible_accounts, who_may

TITLES = {
    RequestKind.ENFORCE: "require IMDSv2",
    RequestKind.HOP_LIMIT: "raise the hop limit",
    RequestKind.IMDS_OFF: "switch IMDS off",
    RequestKind.TEMPLATES: "launch templates and groups",
    RequestKind.IMAGES: "AMIs that require IMDSv2",
    RequestKind.DEFAULTS: "Region defaults",
    RequestKind.ENFORCEMENT: "refuse launches that allow IMDSv1",
    RequestKind.LIFT: "lift the refusal of IMDSv1 launches",
    RequestKind.ROLLBACK: "put back",
}
LEFT_OUT = {
    "left_out": "Left out by hand",
    Status.READY.value: "Ready, but something is in the way",
    "conflict": "In conflict with what stands there",
    "later": "Changed by a later run",
    "unsettled": "Outcome not known",
    "locked": "Locked by AWS settings",
    "managed": "Kept by somebody else",
}


def _told(value: Any) -> str:
    """A value as a person reads it: options by name, a version that is still to be made in words, the rest as JSON."""
    if not isinstance(value, dict | list):
        return str(value)
    if value == {}:
        return "nothing stated"
    if isinstance(value, dict) and set(value) == {ladder.MADE_BY}:
        return "the new version"
    if isinstance(value, dict) and not any(isinstance(inner, dict | list) for inner in value.values()):
        return ", ".join(f"{name}={inner}" for name, inner in value.items())
    return re.sub(r'\{"made_by":"[^"]*"\}', '"the new version"', plans.canonical(value))


@dataclass(frozen=True)
class Option:
    """One option of one instance, before and after."""

    name: str
    before: Any
    after: Any

    @property
    def told(self) -> str:
        """What it shall be. A preference is taken away by a word of its own for each option (domain.ladder)."""
        if self.after == ladder.NO_PREFERENCE or (self.name, self.after) == (
            ladder.HOP_LIMIT,
            ladder.NO_HOP_PREFERENCE,
        ):
            return "no preference"
        return _told(self.after)

    @property
    def sent(self) -> str:
        """Name and value just as AWS gets them."""
        return f"{self.name}={_told(self.after)}"

    @property
    def was(self) -> str | None:
        return None if self.before is None else _told(self.before)


@dataclass(frozen=True)
class PlannedChange:
    key: str  # as a form carries it: kind|Region|resource id
    kind: str
    resource_id: str
    region: str
    name: str
    reason: str
    options: list[Option]
    kept: list[Option]
    warnings: list[str]
    evidence: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What it is, where it is no instance."""
        return "" if self.kind == ResourceKind.INSTANCE else ResourceKind(self.kind).label


@dataclass(frozen=True)
class Exclusions:
    """The instances a plan leaves out for one cause."""

    status: str
    items: list[Mapping[str, Any]]

    @property
    def label(self) -> str:
        return LEFT_OUT.get(self.status) or (Status(self.status).label if self.status in Status.values else self.status)


@dataclass(frozen=True)
class Plan:
    changes: list[PlannedChange]
    exclusions: list[Exclusions]
    notes: list[str]
    window_days: int
    as_of: datetime | None
    title: str
    noun: str
    scope: str
    terms: Terms | None  # None: from before there were policies
    seconds: int | None  # at best
    watched: bool  # for refused calls

    @property
    def window(self) -> str:
        return str(self.terms.window) if self.terms and self.terms.window else ""

    @property
    def excluded(self) -> int:
        return sum(len(group.items) for group in self.exclusions)

    @property
    def warned(self) -> int:
        return sum(bool(change.warnings) for change in self.changes)

    @property
    def told_notes(self) -> list[tuple[str, bool]]:
        """Each note, and whether it warns."""
        return [(note, note == plans.ANSWERS_AGAIN) for note in self.notes]

    @property
    def sent(self) -> list[str]:
        """Every different field and value that would be sent to AWS."""
        return sorted({option.sent for change in self.changes for option in change.options})

    @property
    def regions(self) -> list[str]:
        return sorted({change.region for change in self.changes})


def _change(raw: Mapping[str, Any]) -> PlannedChange:
    before, send = raw.get("before", {}), raw.get("send", {})
    kind, region, resource_id = plans.key_of(raw)
    return PlannedChange(
        key=f"{kind}|{region}|{resource_id}",
        kind=kind,
        resource_id=resource_id,
        region=region,
        name=raw.get("name", ""),
        reason=raw.get("reason", ""),
        options=[Option(name, before.get(name), after) for name, after in send.items()],
        kept=[Option(name, value, value) for name, value in before.items() if name not in send and name != "State"],
        warnings=list(raw.get("warnings", [])),
        evidence=raw.get("evidence", {}),
    )


def read(request: EnforcementRequest) -> Plan:
    raw: Mapping[str, Any] = request.plan
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for item in raw.get("excluded", []):
        groups[item["status"]].append(item)
    changes = [_change(change) for change in raw.get("changes", [])]
    title = TITLES[RequestKind(request.kind)]
    return Plan(
        changes=changes,
        exclusions=sorted(
            (Exclusions(status, items) for status, items in groups.items()), key=lambda group: -len(group.items)
        ),
        notes=list(raw.get("notes", [])),
        window_days=raw.get("window_days", 0),
        as_of=datetime.fromisoformat(raw["as_of"]) if raw.get("as_of") else None,
        title=f"{title} run {request.undoes_id}" if request.undoes_id else title,
        noun="instance" if all(one.kind == ResourceKind.INSTANCE for one in changes) else "resource",
        scope=f"what run {request.undoes_id} changed" if request.undoes_id else str(plans.scope_of(raw)),
        terms=policies.of_plan(raw["policy"]) if raw.get("policy") else None,
        seconds=(raw.get("estimate") or {}).get("seconds"),
        watched=request.kind in WATCHED,
    )


def as_text(request: EnforcementRequest) -> str:
    """The plan for a terminal or a ticket: the same as the page, in plain text."""
    plan, account = read(request), request.account
    lines = [
        f"Plan {request.pk}: {plan.title}",
        f"Account {account.account_id} {account.name}".rstrip(),
        f"Scope: {plan.scope}",
        f"SHA-256: {request.plan_hash}",
        f"Expires: {request.expires_at:%Y-%m-%d %H:%M} UTC",
    ]
    if plan.seconds is not None:
        lines.append(f"Takes: {plan.seconds} s at best")
    if plan.terms is not None:
        lines.append(f"Approvals: {plan.terms.quorum}; stops beyond {plan.terms.max_failures} failures")
    if plan.window:
        lines.append(f"Window: {plan.window}")
    lines += ["", f"{len(plan.changes)} to change:"]
    for change in plan.changes:
        lines.append(f"  ~ {change.resource_id} {change.name} ({change.region})")
        lines += [f"      {one.name}: {one.was} -> {one.told}" for one in change.options]
        lines += [f"      ! {warning}" for warning in change.warnings]
    lines += ["", f"{plan.excluded} excluded:"]
    for group in plan.exclusions:
        lines += [
            f"  - {item['instance_id']} ({item['region']}): {group.label}: {item['reason']}" for item in group.items
        ]
    lines += [f"Note: {note}" for note in plan.notes]
    # A name with a line break in it cannot pretend to be a line of the plan.
    printable = ("".join(letter if letter.isprintable() else " " for letter in line) for line in lines)
    return "\n".join(printable) + "\n"


def window_opens(plan: Plan, now: datetime) -> datetime | None:
    """When a run of it may begin, if that is not now."""
    window = plan.terms.window if plan.terms else None
    return None if window is None or windows.is_open(window, now) else windows.opens_next(window, now)


def visible(user: Person) -> QuerySet[EnforcementRequest]:
    return EnforcementRequest.objects.filter(account__in=visible_accounts(user)).select_related(
        "account", "created_by", "requested_by", "decided_by", "run", "wave", "undoes__request", "by_policy"
    )


@dataclass(frozen=True)
class Inbox:
    mine: list[EnforcementRequest]
    others: list[EnforcementRequest]
    drafts: list[EnforcementRequest]
    decided: list[EnforcementRequest]


def decidable(request: EnforcementRequest, user: Person, account: Account) -> bool:
    """Might this person decide it? Four eyes: neither who drafted or edited the plan nor who asked for it."""
    if request.state != RequestState.REQUESTED or not can(user, Action.DECIDE, account) or user.pk is None:
        return False
    return not decisions.barred_because(request, user) and not given_by(request, user)


def given_by(request: EnforcementRequest, user: Person) -> Approval | None:
    """The person's own decision, unless it was taken back."""
    return Approval.objects.filter(request=request, approver=user.pk, void_at__isnull=True).first()


@dataclass(frozen=True)
class Signing:
    """How far a request's approval has come."""

    needed: int
    given: int
    barred: str  # why this person cannot decide, or ""
    own: Approval | None
    able: int  # people without a hand in it who may decide on the account, those included who have

    @property
    def too_few(self) -> bool:
        """Can it never be approved, with the people there are?"""
        return self.able < self.needed


def signing(request: EnforcementRequest, user: Person) -> Signing:
    """For a draft the person who looks at it counts as the one who asks for it."""
    asked = decisions.asked(request)
    given = approval.approvers(decisions.standing(request), asked)
    barred = approval.barred(user.pk, asked) if user.pk is not None else ""
    others = who_may(Action.DECIDE, request.account) - {asked.creator, asked.requester, *asked.editors}
    if request.state == RequestState.DRAFT:
        others.discard(user.pk)
    return Signing(request.quorum, len(given), barred, given_by(request, user), len(others))


def batch_of(request: EnforcementRequest, user: Person) -> list[EnforcementRequest]:
    """Those planned together with it, itself among them; empty when it was planned alone."""
    if request.batch is None:
        return []
    return list(visible(user).filter(batch=request.batch).order_by("account__name", "pk").defer("plan"))


def edits(request: EnforcementRequest) -> list[PlanEdit]:
    return list(PlanEdit.objects.filter(request=request).select_related("editor"))


def inbox(user: Person, *, limit: int = 50) -> Inbox:
    waiting = list(visible(user).filter(state=RequestState.REQUESTED).order_by("requested_at", "pk"))
    undecided = set(
        decisions.not_by(visible(user).filter(state=RequestState.REQUESTED), user).values_list("pk", flat=True)
    )
    mine = [one for one in waiting if one.pk in undecided and can(user, Action.DECIDE, one.account)]
    closed = (RequestState.APPROVED, RequestState.REJECTED, RequestState.WITHDRAWN, RequestState.EXPIRED)
    return Inbox(
        mine=mine,
        others=[request for request in waiting if request not in mine],
        drafts=list(visible(user).filter(state=RequestState.DRAFT, created_by=user.pk)[:limit]),
        decided=list(visible(user).filter(state__in=closed)[:limit]),
    )


def waiting_for(user: Person) -> int:
    """How many requests wait for this person: the number beside the word Approvals."""
    if not can(user, Action.DECIDE):
        return 0
    asked = EnforcementRequest.objects.filter(account__in=visible_accounts(user), state=RequestState.REQUESTED)
    waiting = decisions.not_by(asked, user).select_related("account").defer("plan")
    return sum(can(user, Action.DECIDE, request.account) for request in waiting)


def signatures(request: EnforcementRequest) -> list[Approval]:
    return list(Approval.objects.filter(request=request).select_related("approver").order_by("at"))
