"""Reading the organization and its accounts.

Any member may ask which organization it is in; the lists are for its management account and for members that are
registered as delegated administrators (ORG-lim, BC).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from migration.aws import errors
from migration.aws.sessions import Edge, Target
from migration.domain.accounts import AccountFact, partition_of

PAGE = 20  # the most ListAccounts takes; an empty page may still carry a token
PEOPLE = ("owner", "contact")  # tags of these names, in any case, say who looks after an account
NONE_IN_USE = "AWSOrganizationsNotInUseException"


@dataclass(frozen=True, slots=True)
class Organization:
    organization_id: str
    management_account: str
    partition: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """All accounts of an organization, as one caller sees them."""

    organization: Organization
    accounts: tuple[AccountFact, ...]
    note: str = ""  # what besides could not be read, in a sentence


def read(edge: Edge, target: Target, *, whose_tags: Callable[[str], bool] = lambda _: True) -> Discovery:
    """The whole organization. Raises AwsError, with what to do about it when the caller may not ask.

    `whose_tags`: of which accounts the tags are read; that takes one call each, of which AWS gives 10 a second.
    """
    found = organization(edge, target)
    try:
        units = ou_names(edge, target)
        told = list(_accounts(edge, target))
    except errors.Denied as error:
        raise _not_for(target, found, error) from error
    people = _People(edge, target, whose_tags)
    facts = tuple(_fact(one, found, units, people) for one in told)
    return Discovery(found, facts, people.note)


def organization(edge: Edge, target: Target) -> Organization:
    """The organization the caller's account is in. Raises AwsError."""
    try:
        told = _ask(edge, target, "describe_organization")["Organization"]
    except errors.AwsError as error:
        if error.code != NONE_IN_USE:
            raise
        raise errors.Refused(
            f"Account {target.account_id} is in no AWS Organization, so there is nothing to discover. "
            "Add accounts with `manage.py accounts add ID`, or many with `manage.py accounts add --file FILE`.",
            code=error.code,
            operation=error.operation,
            request_id=error.request_id,
        ) from error
    return Organization(told["Id"], told["MasterAccountId"], partition_of(told["Arn"]))


def ou_names(edge: Edge, target: Target) -> dict[str, str]:
    """Organizational unit id -> name, for reading the paths. Raises AwsError."""
    names: dict[str, str] = {}
    waiting = [root["Id"] for page in _pages(edge, target, "list_roots") for root in page.get("Roots", ())]
    while waiting:
        parent = waiting.pop()
        for page in _pages(edge, target, "list_organizational_units_for_parent", ParentId=parent):
            for unit in page.get("OrganizationalUnits", ()):
                names[unit["Id"]] = unit.get("Name", unit["Id"])
                waiting.append(unit["Id"])
    return names


def tags(edge: Edge, target: Target, account_id: str) -> dict[str, str]:
    """The tags of one account in the organization. Raises AwsError."""
    pages = _pages(edge, target, "list_tags_for_resource", ResourceId=account_id)
    return {tag["Key"]: tag["Value"] for page in pages for tag in page.get("Tags", ())}


def ou_path(path: str, account_id: str, names: Mapping[str, str]) -> str:
    """`o-x/r-y/ou-z/123456789012/` as the names of its units, without organization, root and account."""
    parts = [part for part in path.split("/") if part and part != account_id and not part.startswith(("o-", "r-"))]
    return "/".join(names.get(part, part) for part in parts)


def _accounts(edge: Edge, target: Target) -> Iterator[dict[str, Any]]:
    for page in _pages(edge, target, "list_accounts", MaxResults=PAGE):
        yield from page.get("Accounts", ())


class _People:
    """Owner and contact by the accounts' tags, until AWS refuses: then nobody's are asked for any more."""

    def __init__(self, edge: Edge, target: Target, whose: Callable[[str], bool]) -> None:
        self._edge, self._target, self._whose = edge, target, whose
        self.note = ""

    def of(self, account_id: str) -> dict[str, str]:
        """Empty when the tags were not read; "" where they name nobody."""
        if self.note or not self._whose(account_id):
            return {}
        try:
            found = {key.lower(): value for key, value in tags(self._edge, self._target, account_id).items()}
        except errors.Denied as error:
            self.note = f"The accounts' tags could not be read, so owners and contacts stay as they were. {error}"
            return {}
        return {name: found.get(name, "") for name in PEOPLE}


def _fact(told: dict[str, Any], within: Organization, units: Mapping[str, str], people: _People) -> AccountFact:
    """`State` is read; `Status`, retired on 2026-09-09, showed SUSPENDED for closed accounts."""
    account_id = told["Id"]
    paths = told.get("Paths")
    plain = AccountFact(
        account_id=account_id,
        name=told.get("Name", ""),
        state=told.get("State") or told.get("Status", ""),
        partition=partition_of(told.get("Arn", "")) or within.partition,
        ou_path=ou_path(str(paths[0]), account_id, units) if paths else None,
        management=account_id == within.management_account,
    )
    if plain.shut:
        return plain
    who = people.of(account_id)
    return replace(plain, owner=who.get("owner"), contact=who.get("contact"))


def _not_for(target: Target, within: Organization, error: errors.Denied) -> errors.Denied:
    """Who may ask instead, or what permission is missing."""
    if target.account_id == within.management_account:
        advice = "This is the management account, so the permission is missing: deploy/central-policy.json has it."
    else:
        advice = (
            f"Account {target.account_id} is a member. Run this in the management account {within.management_account}, "
            "or register the member as a delegated administrator of the organization and give it "
            "deploy/central-policy.json. Accounts can also be added by hand: `manage.py accounts add --file FILE`."
        )
    return errors.Denied(f"{error} {advice}", code=error.code, operation=error.operation, request_id=error.request_id)


def _pages(edge: Edge, target: Target, operation: str, **params: Any) -> Iterator[dict[str, Any]]:
    """Every page: only a missing token ends a list."""
    token: str | None = None
    while True:
        answer = _ask(edge, target, operation, **params, **({"NextToken": token} if token else {}))
        yield answer
        token = answer.get("NextToken")
        if not token:
            return


def _ask(edge: Edge, target: Target, operation: str, **params: Any) -> dict[str, Any]:
    return edge.ask(target, "organizations", edge.home_region, operation, **params)
