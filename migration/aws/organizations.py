"""Reading the organization's accounts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from migration.aws.sessions import Edge, Target, call


@dataclass(frozen=True, slots=True)
class AccountFact:
    account_id: str
    name: str
    arn: str
    state: str  # PENDING_ACTIVATION, ACTIVE, SUSPENDED, PENDING_CLOSURE, CLOSED
    ou_path: str  # organizational unit ids or names, slash separated; empty when AWS did not say


def accounts(edge: Edge, target: Target) -> Iterator[AccountFact]:
    """Every account. `State` is read, not the retired `Status`; an empty page may carry a token. Raises AwsError."""
    client = edge.client(target, "organizations", edge.home_region)
    token: str | None = None
    while True:
        asked: dict[str, Any] = {"NextToken": token} if token else {}
        answer = call(
            lambda asked=asked: client.list_accounts(**asked),  # type: ignore[misc]
            place=f"organization of {target.account_id}",
            operation="ListAccounts",
        )
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


def ou_names(edge: Edge, target: Target) -> dict[str, str]:
    """Organizational unit id -> name, for reading the paths. Raises AwsError."""
    client = edge.client(target, "organizations", edge.home_region)
    place = f"organization of {target.account_id}"
    names: dict[str, str] = {}
    roots = call(lambda: list(client.get_paginator("list_roots").paginate()), place=place, operation="ListRoots")
    waiting = [root["Id"] for page in roots for root in page.get("Roots", ())]
    names |= {root["Id"]: root.get("Name", root["Id"]) for page in roots for root in page.get("Roots", ())}
    pager = client.get_paginator("list_organizational_units_for_parent")
    while waiting:
        parent = waiting.pop()
        pages = call(
            lambda parent=parent: list(pager.paginate(ParentId=parent)),  # type: ignore[misc]
            place=place,
            operation="ListOrganizationalUnitsForParent",
        )
        for unit in (unit for page in pages for unit in page.get("OrganizationalUnits", ())):
            names[unit["Id"]] = unit.get("Name", unit["Id"])
            waiting.append(unit["Id"])
    return names


def tags(edge: Edge, target: Target, account_id: str) -> dict[str, str]:
    """The tags of one account in the organization (ListTagsForResource). Raises AwsError."""
    client = edge.client(target, "organizations", edge.home_region)
    pager = client.get_paginator("list_tags_for_resource")
    pages = call(
        lambda: list(pager.paginate(ResourceId=account_id)),
        place=f"organization of {target.account_id}",
        operation="ListTagsForResource",
    )
    return {tag["Key"]: tag["Value"] for page in pages for tag in page.get("Tags", ())}
