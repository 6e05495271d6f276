"""Where an account stands, and what is lost again: read for the pages."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from django.conf import settings
from django.db.models import Count, F, Q, QuerySet
from django.db.models.fields.json import KT

from migration.domain.standing import LEFT_ALLOWING, Facts, Stand, stand
from migration.enums import RegressionKind, Standing, Status
from migration.models import Account, Instance, LaunchReading, LaunchSource, Regression, Scope, Workload
from migration.queries import churn, fleet
from migration.queries.access import among
from migration.queries.churn import Workload as Dead
from migration.queries.progress import Mix

WORST = (
    Standing.REGRESSED,
    Standing.IN_USE,
    Standing.UNKNOWN,
    Standing.SETTLING,
    Standing.BLOCKED,
    Standing.READY,
    Standing.PENDING,
    Standing.WAIVED,
    Standing.COMES_BACK,
    Standing.UNSURE,
    Standing.DONE,
    Standing.EMPTY,
)


def of_account(account: Account, *, mix: Mix, dead: Sequence[Dead]) -> Stand:
    """The verdict on a whole account. `dead`: what came and went in it lately. A fixed number of queries."""
    here = Instance.objects.filter(account=account, gone_at__isnull=True)
    blocked = Counter(
        found[0] for found in here.filter(status=Status.READY).exclude(blockers=[]).values_list("blockers", flat=True)
    )
    seen = here.filter(status__in=LEFT_ALLOWING, window_days__gt=0, measured_days__gte=F("window_days")).count()
    sources = LaunchSource.objects.filter(account=account, gone_at__isnull=True, provider="").order_by()
    return stand(
        Facts(
            by_status=mix.counts,
            window_days=settings.IMDSDASH_WINDOW_DAYS,
            blocked=blocked.total(),
            common_blocker=blocked.most_common(1)[0][0] if blocked else "",
            seen=seen,
            dead_calling=sum(one.calling for one in dead),
            dead_calls=sum(one.v1_calls or 0 for one in dead),
            readable=account.role_state not in fleet.UNREADABLE,
            launches=dict(sources.values_list("answer_now").annotate(Count("pk"))),
            launches_read=_read(account),
        )
    )


def of_accounts(accounts: QuerySet[Account], *, today: date, days: int) -> dict[int, Stand]:
    """The verdict on each, by primary key: what `of_account` says of one, in as many queries for a hundred.

    `days`: how far back what came and went counts.
    """
    here = Instance.objects.filter(account__in=accounts).order_by()
    mixes, gone = fleet.mixes(accounts), churn.calling(accounts, today=today, days=days)
    living = here.filter(gone_at__isnull=True)
    blocked: dict[int, Counter[str]] = defaultdict(Counter)
    first = living.filter(status=Status.READY).exclude(blockers=[]).annotate(first=KT("blockers__0"))
    for account, words, count in first.values_list("account_id", "first").annotate(Count("pk")):
        blocked[account][words] = count
    allowing = living.filter(status__in=LEFT_ALLOWING, window_days__gt=0, measured_days__gte=F("window_days"))
    seen = dict(allowing.values_list("account_id").annotate(Count("pk")))
    launches: dict[int, dict[str, int]] = defaultdict(dict)
    sources = LaunchSource.objects.filter(account__in=accounts, gone_at__isnull=True, provider="").order_by()
    for account, answer, count in sources.values_list("account_id", "answer_now").annotate(Count("pk")):
        launches[account][answer] = count
    enabled = Scope.objects.filter(account__in=accounts, enabled=True).order_by()
    read = enabled.filter(launch_reading__read_at__isnull=False).values_list("account_id").annotate(Count("pk"))
    scopes, whole = dict(enabled.values_list("account_id").annotate(Count("pk"))), dict(read)
    return {
        account.pk: stand(
            Facts(
                by_status=mixes.get(account.pk, Mix()).counts,
                window_days=settings.IMDSDASH_WINDOW_DAYS,
                blocked=blocked[account.pk].total(),
                common_blocker=(blocked[account.pk].most_common(1) or [("", 0)])[0][0],
                seen=seen.get(account.pk, 0),
                dead_calling=gone.get(account.pk, (0, 0))[0],
                dead_calls=gone.get(account.pk, (0, 0))[1],
                readable=account.role_state not in fleet.UNREADABLE,
                launches=launches[account.pk],
                launches_read=0 < scopes.get(account.pk, 0) == whole.get(account.pk, 0),
            )
        )
        for account in accounts
    }


def _read(account: Account) -> bool:
    """Were the launch sources of each of its Regions read whole?"""
    enabled = Scope.objects.filter(account=account, enabled=True)
    read = LaunchReading.objects.filter(scope__in=enabled, read_at__isnull=False).count()
    return 0 < enabled.count() == read


def workloads(account: Account) -> list[Workload]:
    """The workloads of an account, the worst first, of equal ones the largest."""
    rows = Workload.objects.filter(account=account)
    return sorted(rows, key=lambda row: (WORST.index(Standing(row.standing)), -row.instances, row.name, row.region))


@dataclass(frozen=True)
class Lost:
    """What is lost again in one account, of one kind."""

    account: Account
    kind: RegressionKind
    rows: list[Regression] = field(default_factory=list)

    @property
    def newest(self) -> Regression:
        return self.rows[0]


def lost(accounts: QuerySet[Account], *, limit: int = 200) -> list[Lost]:
    """What is lost and not yet won back, by account and kind, the newest first. One query."""
    rows = Regression.objects.filter(among(accounts, "account"), resolved_at__isnull=True).select_related("account")
    found: dict[tuple[int, str], Lost] = {}
    for row in rows.order_by("-found_at", "-pk")[:limit]:
        kind = RegressionKind(row.kind)
        found.setdefault((row.account_id, kind), Lost(row.account, kind)).rows.append(row)
    return list(found.values())


# --- all instances, the most exposed first


@dataclass(frozen=True)
class FleetFilters:
    q: str = ""
    status: str = ""
    account: str = ""
    region: str = ""
    order: str = "risk"

    @property
    def any(self) -> bool:
        return bool(self.q or self.status or self.account or self.region)


ORDERS = {"risk": "Most exposed first", "calls": "Most IMDSv1 calls first", "new": "Newest first"}


def instances(accounts: QuerySet[Account], filters: FleetFilters) -> QuerySet[Instance]:
    """Living instances of these accounts; by default those first that a forged request would cost most."""
    found = Instance.objects.filter(among(accounts, "account"), gone_at__isnull=True).select_related("account")
    if filters.status:
        found = found.filter(status=filters.status)
    if filters.account:
        found = found.filter(account__account_id=filters.account)
    if filters.region:
        found = found.filter(region=filters.region)
    if filters.q:
        found = found.filter(
            Q(name__icontains=filters.q) | Q(instance_id__icontains=filters.q) | Q(asg_name__icontains=filters.q)
        )
    if filters.order == "calls":
        return found.order_by(F("v1_calls_window").desc(nulls_last=True), "pk")
    if filters.order == "new":
        return found.order_by(F("first_launched_at").desc(nulls_last=True), "pk")
    return found.order_by(F("risk").desc(), "pk")
