"""Requests: the plan as it was written, and the three heaps of the approvals page."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from migration.domain.permissions import Action
from migration.enums import RequestState, Status
from migration.models import Account, Approval, EnforcementRequest
from migration.queries.access import Person, can, visible_accounts


@dataclass(frozen=True)
class Option:
    """One option of one instance, before and after."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class PlannedChange:
    instance_id: str
    region: str
    name: str
    reason: str
    options: list[Option]
    kept: list[Option]
    warnings: list[str]
    evidence: Mapping[str, Any]


@dataclass(frozen=True)
class Exclusions:
    """The instances a plan leaves out for one cause."""

    status: str
    items: list[Mapping[str, Any]]

    @property
    def label(self) -> str:
        return Status(self.status).label if self.status in Status.values else self.status


@dataclass(frozen=True)
class Plan:
    changes: list[PlannedChange]
    exclusions: list[Exclusions]
    notes: list[str]
    window_days: int
    as_of: datetime | None

    @property
    def excluded(self) -> int:
        return sum(len(group.items) for group in self.exclusions)

    @property
    def warned(self) -> int:
        return sum(bool(change.warnings) for change in self.changes)

    @property
    def sent(self) -> list[str]:
        """Every different field and value that would be sent to AWS."""
        return sorted({f"{option.name}={option.after}" for change in self.changes for option in change.options})

    @property
    def regions(self) -> list[str]:
        return sorted({change.region for change in self.changes})


def _change(raw: Mapping[str, Any]) -> PlannedChange:
    before, send = raw.get("before", {}), raw.get("send", {})
    return PlannedChange(
        instance_id=raw["instance_id"],
        region=raw["region"],
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
    return Plan(
        changes=[_change(change) for change in raw.get("changes", [])],
        exclusions=sorted(
            (Exclusions(status, items) for status, items in groups.items()), key=lambda group: -len(group.items)
        ),
        notes=list(raw.get("notes", [])),
        window_days=raw.get("window_days", 0),
        as_of=datetime.fromisoformat(raw["as_of"]) if raw.get("as_of") else None,
    )


def visible(user: Person) -> QuerySet[EnforcementRequest]:
    return EnforcementRequest.objects.filter(account__in=visible_accounts(user)).select_related(
        "account", "created_by", "requested_by", "decided_by", "run"
    )


@dataclass(frozen=True)
class Inbox:
    mine: list[EnforcementRequest]
    others: list[EnforcementRequest]
    drafts: list[EnforcementRequest]
    decided: list[EnforcementRequest]


def decidable(request: EnforcementRequest, user: Person, account: Account) -> bool:
    """Might this person decide it? Four eyes: neither who drafted the plan nor who asked for it."""
    own = user.pk in {request.created_by_id, request.requested_by_id}
    return request.state == RequestState.REQUESTED and not own and can(user, Action.DECIDE, account)


def inbox(user: Person, *, limit: int = 50) -> Inbox:
    waiting = list(visible(user).filter(state=RequestState.REQUESTED).order_by("requested_at", "pk"))
    mine = [request for request in waiting if decidable(request, user, request.account)]
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
    waiting = (
        EnforcementRequest.objects.filter(account__in=visible_accounts(user), state=RequestState.REQUESTED)
        .exclude(created_by=user.pk)
        .exclude(requested_by=user.pk)
        .select_related("account")
        .defer("plan")
    )
    return sum(can(user, Action.DECIDE, request.account) for request in waiting)


def signatures(request: EnforcementRequest) -> list[Approval]:
    return list(Approval.objects.filter(request=request).select_related("approver").order_by("at"))
