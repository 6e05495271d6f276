"""The list of accounts: one row each, filtered and sorted by the query string."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from migration.enums import ACTIVE_RUN, Outcome, RequestState
from migration.models import Account, EnforcementRequest, Instance, Run, Scope
from migration.queries import usage
from migration.queries.access import everything
from migration.queries.fleet import UNREADABLE, enforceable, mixes
from migration.queries.progress import Mix

SPARK_DAYS = 30
ORDERS = {
    "calls": "IMDSv1 calls",
    "left": "Left to enforce",
    "ready": "Ready to enforce",
    "name": "Name",
}


@dataclass(frozen=True)
class AccountRow:
    account: Account
    mix: Mix
    enforceable: int  # ready, and nothing in the way: what a plan made now would change
    calls: Sequence[int | None]  # day by day, oldest first; None is a day not measured
    measured: int | None
    expected: int | None
    scopes: int
    scopes_complete: int
    collected_at: datetime | None
    open_request: int | None  # primary key
    active_run: int | None

    @property
    def calls_total(self) -> int | None:
        return usage.total(self.calls)

    @property
    def readable(self) -> bool:
        return self.account.role_state not in UNREADABLE

    @property
    def coverage(self) -> float | None:
        return self.measured / self.expected if self.measured is not None and self.expected else None


@dataclass(frozen=True)
class AccountFilters:
    q: str = ""
    ou: str = ""
    status: str = ""
    incomplete: bool = False
    order: str = "calls"

    @property
    def any(self) -> bool:
        return bool(self.q or self.ou or self.status or self.incomplete)


def organizational_units(accounts: QuerySet[Account]) -> list[str]:
    return list(accounts.exclude(ou_path="").order_by("ou_path").values_list("ou_path", flat=True).distinct())


def matching(accounts: QuerySet[Account], filters: AccountFilters) -> QuerySet[Account]:
    if filters.q:
        accounts = accounts.filter(
            Q(name__icontains=filters.q) | Q(account_id__contains=filters.q) | Q(owner__icontains=filters.q)
        )
    if filters.ou:
        accounts = accounts.filter(Q(ou_path=filters.ou) | Q(ou_path__startswith=f"{filters.ou}/"))
    if filters.status:
        accounts = accounts.filter(Exists(Instance.objects.filter(account=OuterRef("pk"), status=filters.status)))
    if filters.incomplete:
        gap = Scope.objects.filter(enabled=True).exclude(outcome=Outcome.COMPLETE)
        accounts = accounts.filter(Q(role_state__in=UNREADABLE) | Q(pk__in=gap.values("account"))).distinct()
    return accounts


def rows(accounts: QuerySet[Account], *, today: date) -> list[AccountRow]:
    """Every account of the query as a row, in a fixed number of queries."""
    chosen = list(accounts)
    keys = accounts if everything(accounts) else Account.objects.filter(pk__in=[account.pk for account in chosen])
    counted, calls = mixes(keys), usage.calls_by_account(keys, today=today, count=SPARK_DAYS)
    free, coverage = enforceable(keys), usage.last_full_day_coverage(keys, today=today)
    scopes: dict[int, list[str]] = {}
    enabled = Scope.objects.filter(account__in=keys, enabled=True)
    for account, outcome in enabled.values_list("account_id", "outcome"):
        scopes.setdefault(account, []).append(outcome)
    seen = dict(Scope.objects.filter(account__in=keys).order_by().values_list("account").annotate(Max("complete_at")))
    waiting = EnforcementRequest.objects.filter(account__in=keys, state=RequestState.REQUESTED)
    open_requests = dict(waiting.values_list("account_id", "pk"))
    active_runs = dict(Run.objects.filter(account__in=keys, state__in=ACTIVE_RUN).values_list("account_id", "pk"))
    return [
        AccountRow(
            account=account,
            mix=counted.get(account.pk, Mix()),
            enforceable=free.get(account.pk, 0),
            calls=calls.get(account.pk, [None] * SPARK_DAYS),
            measured=coverage.get(account.pk, (None, None))[0],
            expected=coverage.get(account.pk, (None, None))[1],
            scopes=len(scopes.get(account.pk, [])),
            scopes_complete=scopes.get(account.pk, []).count(Outcome.COMPLETE),
            collected_at=seen.get(account.pk),
            open_request=open_requests.get(account.pk),
            active_run=active_runs.get(account.pk),
        )
        for account in chosen
    ]


def ordered(found: list[AccountRow], order: str) -> list[AccountRow]:
    """Unknown sorts above zero: what nobody measured needs a look before what is known to be quiet."""
    if order == "name":
        return sorted(found, key=lambda row: (row.account.name.lower(), row.account.account_id))
    if order == "left":
        return sorted(found, key=lambda row: (-row.mix.left, row.account.name.lower()))
    if order == "ready":
        return sorted(found, key=lambda row: (-row.enforceable, row.account.name.lower()))
    return sorted(
        found,
        key=lambda row: (-(0.5 if row.calls_total is None else row.calls_total), row.account.name.lower()),
    )


def busiest(found: list[AccountRow], limit: int = 10) -> list[AccountRow]:
    """The accounts with the most IMDSv1 calls, those with none left out."""
    return [row for row in ordered(found, "calls") if row.calls_total][:limit]
