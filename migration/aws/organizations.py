"""Reading the organization's accounts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from migration.aws.sessions import Edge, Target


@dataclass(frozen=True, slots=True)
class AccountFact:
    account_id: str
    name: str
    arn: str
    state: str  # PENDING_ACTIVATION, ACTIVE, SUSPENDED, PENDING_CLOSURE, CLOSED
    ou_path: str  # organizational unit ids or names, slash separated; empty when AWS did not say


def accounts(edge: Edge, target: Target) -> Iterator[AccountFact]:
    """Every account. `State` is read, not the retired `Status`; an empty page may carry a token. Raises AwsError."""
    more: dict[str, Any] = {}
    while True:
        answer = edge.ask(target, "organizations", edge.home_region, "list_accounts", **more)
        for told in answer.get("Accounts", ()):
            paths = told.get("Paths") or [""]
            yield AccountFact(
                account_id=told["Id"],
                name=told.get("Name", ""),
                arn=told.get("Arn", ""),
                state=told.get("State") or told.get("Status", ""),
                ou_path=str(paths[0]).strip("/"),
            )
        token = answer.get("NextToken")
        if not token:
            return
        more = {"NextToken": token}


def ou_names(edge: Edge, target: Target) -> dict[str, str]:
    """Organizational unit id -> name, for reading the paths. Raises AwsError."""
    names = {root["Id"]: root.get("Name", root["Id"]) for root in _all(edge, target, "list_roots", "Roots")}
    waiting = list(names)
    while waiting:
        parent = waiting.pop()
        below = _all(edge, target, "list_organizational_units_for_parent", "OrganizationalUnits", ParentId=parent)
        for unit in below:
            names[unit["Id"]] = unit.get("Name", unit["Id"])
            waiting.append(unit["Id"])
    return names


def tags(edge: Edge, target: Target, account_id: str) -> dict[str, str]:
    """The tags of one account in the organization (ListTagsForResource). Raises AwsError."""
    return {
        tag["Key"]: tag["Value"] for tag in _all(edge, target, "list_tags_for_resource", "Tags", ResourceId=account_id)
    }


def _all(edge: Edge, target: Target, operation: str, member: str, **params: Any) -> list[dict[str, Any]]:
    """All pages of a list; an empty page may carry a token."""
    found: list[dict[str, Any]] = []
    while True:
        answer = edge.ask(target, "organizations", edge.home_region, operation, **params)
        found += answer.get(member, ())
        token = answer.get("NextToken")
        if not token:
            return found
        params["NextToken"] = token
