"""Who calls IMDSv1: of an instance, of an account, and which known callers to upgrade first."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Q, QuerySet, Sum

from migration.domain import callers
from migration.domain.callers import Match
from migration.enums import FoundBy
from migration.models import Account, Caller, Instance
from migration.queries.access import among

BY_INSTANCE = 50


@dataclass(frozen=True, slots=True)
class Seen:
    """When credentials that IMDSv1 delivered were last used on an instance, and by what."""

    at: datetime
    by: str


def v1_credentials(instances: Iterable[Instance]) -> dict[int, Seen]:
    """Of a chunk of instances, by primary key. By their ids, for a file may have told of one before it was collected.
    One query.
    """
    pks = {(row.account_id, row.region, row.instance_id): row.pk for row in instances}
    found = Caller.objects.filter(
        account__in={account for account, _, _ in pks},
        region__in={region for _, region, _ in pks},
        instance_id__in=[name for _, _, name in pks],
    ).order_by("last_seen")
    told = found.values_list("account_id", "region", "instance_id", "last_seen", "user_agent", "process")
    return {
        pks[account, region, name]: Seen(at, (agent or process)[:80])
        for account, region, name, at, agent, process in told
        if (account, region, name) in pks
    }


@dataclass(frozen=True)
class Row:
    """A caller, and what the catalogue knows of it."""

    caller: Caller
    matches: tuple[Match, ...]


def rows(found: Iterable[Caller]) -> list[Row]:
    return [Row(one, callers.match(user_agent=one.user_agent, text=one.process)) for one in found]


def of_instance(instance: Instance) -> list[Row]:
    """What was told of one instance, the latest first. One query."""
    found = Caller.objects.filter(account=instance.account_id, region=instance.region, instance_id=instance.instance_id)
    return rows(found[:BY_INSTANCE])


def expected(instance: Instance, *, image_name: str) -> tuple[Match, ...]:
    """Known callers that its tags, its AMI's name or its user data give away. No query."""
    told = callers.match(tags=instance.tags, image_name=image_name)
    seen = {one.caller.id for one in told}
    from_text = callers.named(instance.user_data_callers, by="user data")
    return (*told, *(one for one in from_text if one.caller.id not in seen))


@dataclass(frozen=True)
class CallerFilters:
    q: str = ""
    known: str = ""
    found_by: str = ""

    @property
    def any(self) -> bool:
        return bool(self.q or self.known or self.found_by)


NOT_KNOWN = "-"


def matching(accounts: QuerySet[Account], filters: CallerFilters) -> QuerySet[Caller]:
    """The loudest first."""
    found = Caller.objects.filter(among(accounts, "account")).select_related("account", "of")
    if filters.known:
        found = found.filter(known="" if filters.known == NOT_KNOWN else filters.known)
    if filters.found_by:
        found = found.filter(found_by=filters.found_by)
    if filters.q:
        found = found.filter(
            Q(user_agent__icontains=filters.q)
            | Q(process__icontains=filters.q)
            | Q(instance_id__icontains=filters.q)
            | Q(role_arn__icontains=filters.q)
        )
    return found.order_by("-calls", "-last_seen", "pk")


@dataclass(frozen=True)
class Total:
    """One known caller, over all accounts. `caller` None: those the catalogue does not know."""

    caller: callers.Caller | None
    instances: int
    upgrade: int  # of those, where its version is to be upgraded
    accounts: int
    calls: int
    last_seen: datetime
    new_enough: bool = False  # every version seen of it needs no upgrade

    @property
    def advice(self) -> str:
        if self.caller is None:
            return ""
        return callers.ADVICE[callers.Reading.FALLBACK_POSSIBLE] if self.new_enough else self.caller.advice


def totals(accounts: QuerySet[Account]) -> list[Total]:
    """Which to upgrade first: the one too old on most instances; what needs no upgrade stands last. One query."""
    known = {one.id: one for one in callers.catalogue()}
    counted = (
        Caller.objects.filter(among(accounts, "account"))
        .order_by()
        .values("known")
        .annotate(
            instances=Count("instance_id", distinct=True, filter=~Q(instance_id="")),
            upgrade=Count("instance_id", distinct=True, filter=Q(reading__in=callers.TO_UPGRADE) & ~Q(instance_id="")),
            enough=Count("pk", filter=Q(reading__in=callers.ADVICE)),
            rows=Count("pk"),
            accounts=Count("account", distinct=True),
            total=Sum("calls"),
            last=Max("last_seen"),
        )
    )
    found = [
        Total(
            known.get(row["known"]),
            row["instances"],
            row["upgrade"],
            row["accounts"],
            row["total"],
            row["last"],
            new_enough=row["enough"] == row["rows"],
        )
        for row in counted
    ]
    return sorted(found, key=lambda one: (-one.upgrade, one.new_enough, -one.instances, -one.calls))


FOUND_BY = {kind.value: kind.label for kind in FoundBy}
