"""The whole visible organisation in a few numbers."""

from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from migration.enums import RoleState, Status
from migration.models import Account, Instance
from migration.queries.progress import Mix

UNREADABLE = (RoleState.DENIED, RoleState.WRONG_ACCOUNT, RoleState.UNREACHABLE)


@dataclass(frozen=True)
class Unit:
    """One business unit: the first level of the organisation's tree."""

    name: str
    mix: Mix
    accounts: int
    unreadable: int


@dataclass(frozen=True)
class Blocker:
    """An account that holds the migration up, and whom to ask."""

    account: Account
    in_use: int
    v1_calls: int | None


def mix(accounts: QuerySet[Account]) -> Mix:
    rows = Instance.objects.filter(account__in=accounts).order_by().values_list("status").annotate(Count("pk"))
    return Mix(dict(rows))


def mixes(accounts: QuerySet[Account]) -> dict[int, Mix]:
    """Counts by status, account by account (its primary key)."""
    found: dict[int, dict[str, int]] = defaultdict(dict)
    rows = Instance.objects.filter(account__in=accounts).order_by().values_list("account", "status")
    for account, status, count in rows.annotate(Count("pk")):
        found[account][status] = count
    return {account: Mix(counts) for account, counts in found.items()}


def enforceable(accounts: QuerySet[Account]) -> dict[int, int]:
    """How many instances are ready with nothing in the way, account by account (its primary key)."""
    free = Instance.objects.filter(account__in=accounts, status=Status.READY, blockers=[]).order_by()
    return dict(free.values_list("account_id").annotate(Count("pk")))


def business_unit(ou_path: str) -> str:
    """The first level below the root; accounts outside any are named as such."""
    levels = [level for level in ou_path.split("/") if level.strip()]
    if levels and levels[0].lower() in {"root", "r"}:
        levels = levels[1:]
    return levels[0] if levels else "No organizational unit"


def units(accounts: QuerySet[Account]) -> list[Unit]:
    """Business units, the one with the most left to do first."""
    by_account = mixes(accounts)
    members: dict[str, list[Account]] = defaultdict(list)
    for account in accounts:
        members[business_unit(account.ou_path)].append(account)
    found = [
        Unit(
            name=name,
            mix=sum((by_account.get(account.pk, Mix()) for account in group), Mix()),
            accounts=len(group),
            unreadable=sum(account.role_state in UNREADABLE for account in group),
        )
        for name, group in members.items()
    ]
    return sorted(found, key=lambda unit: (-unit.mix.left, unit.name))


def blockers(accounts: QuerySet[Account], *, calls: dict[int, int | None], limit: int = 5) -> list[Blocker]:
    """The accounts with most instances still calling IMDSv1; `calls` are theirs over the last 30 days."""
    counted = accounts.annotate(
        in_use_count=Count("instances", filter=Q(instances__status__in=[Status.IN_USE, Status.REGRESSED]))
    )
    worst = counted.filter(in_use_count__gt=0).order_by("-in_use_count", "name", "pk")[:limit]
    return [Blocker(account, account.in_use_count, calls.get(account.pk)) for account in worst]
