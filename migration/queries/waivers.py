"""Waivers: what holds in a scope, the list of them, and what each covers now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Min, Q, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.lookups import Exact

from migration.domain import waivers
from migration.domain.permissions import Action
from migration.domain.waivers import Waived, Waiving
from migration.enums import OPEN_WAIVER, Status, WaiverKind, WaiverState
from migration.models import Account, Instance, Waiver
from migration.queries.access import Person, can, visible_accounts

CLOSED = (WaiverState.REJECTED, WaiverState.WITHDRAWN, WaiverState.EXPIRED, WaiverState.ENDED)


def waived(account_pk: int, region: str, today: date) -> Waived:
    """The waivers that hold in one account and Region on a UTC day. One query."""
    rows = Waiver.objects.filter(
        account_id=account_pk, region__in=["", region], state=WaiverState.ACTIVE, expires_on__gte=today
    )
    found: dict[str, dict[str, Waiving]] = {kind: {} for kind in WaiverKind}
    for kind, target, reason, until in rows.values_list("kind", "target", "reason", "expires_on").order_by(
        "expires_on"
    ):
        found[kind][target] = Waiving(until, waivers.words(kind, target, reason))  # the later ones last longer
    return Waived(
        instances=found[WaiverKind.INSTANCE],
        groups=found[WaiverKind.GROUP],
        tags=found[WaiverKind.TAG],
        account=found[WaiverKind.ACCOUNT].get(""),
    )


# --- What one covers ---------------------------------------------------------------------------------


def covered(account: Account, kind: str, target: str, region: str) -> Q:
    """Instances that are there and that a waiver would name."""
    found = Q(account=account, gone_at__isnull=True)
    if region:
        found &= Q(region=region)
    if kind == WaiverKind.INSTANCE:
        found &= Q(instance_id=target)
    elif kind == WaiverKind.GROUP:
        found &= Q(asg_name=target)
    elif kind == WaiverKind.TAG:
        found &= _tagged(target)
    return found


def _tagged(target: str) -> Q:
    """Whose tag it is. Of a key that is no longer kept nothing is known, so none is."""
    split = waivers.tag_of(target, settings.IMDSDASH_TAGS)
    if split is None:
        return Q(pk__in=[])
    key, value = split
    return Q(Exact(KeyTextTransform(key, "tags"), value))


@dataclass(frozen=True, slots=True)
class Reach:
    """What a waiver covers now."""

    instances: int  # that are there and that it names
    waived: int  # of them, those whose status it is that decides

    @property
    def nothing(self) -> bool:
        return not self.instances


def reaches(rows: Sequence[Waiver]) -> dict[int, Reach]:
    """What each covers now, by primary key. One query, however many they are."""
    if not rows:
        return {}
    counts = {}
    for row in rows:
        mine = covered(row.account, row.kind, row.target, row.region)
        counts[f"all_{row.pk}"] = Count("pk", filter=mine)
        counts[f"waived_{row.pk}"] = Count("pk", filter=mine & Q(status=Status.WAIVED))
    accounts = {row.account_id for row in rows}
    told = Instance.objects.filter(account__in=accounts, gone_at__isnull=True).aggregate(**counts)
    return {row.pk: Reach(told[f"all_{row.pk}"], told[f"waived_{row.pk}"]) for row in rows}


# --- The list ------------------------------------------------------------------------------------------


def visible(user: Person) -> QuerySet[Waiver]:
    return Waiver.objects.filter(account__in=visible_accounts(user)).select_related(
        "account", "requested_by", "decided_by", "renews"
    )


def decidable(waiver: Waiver, user: Person) -> bool:
    """Might this person decide it? Never who asked for it."""
    own = waiver.requested_by_id == user.pk
    return waiver.state == WaiverState.REQUESTED and not own and can(user, Action.DECIDE, waiver.account)


def waiting_for(user: Person) -> int:
    """How many wait for this person: the number beside the word Waivers."""
    if not can(user, Action.DECIDE):
        return 0
    waiting = Waiver.objects.filter(account__in=visible_accounts(user), state=WaiverState.REQUESTED)
    return sum(decidable(waiver, user) for waiver in waiting.exclude(requested_by=user.pk).select_related("account"))


SHOWN = {"active": "Active", "over": "Over or refused", "all": "All"}


@dataclass(frozen=True)
class WaiverFilters:
    q: str = ""
    kind: str = ""
    show: str = "active"

    @property
    def any(self) -> bool:
        return bool(self.q or self.kind or self.show != "active")


def matching(user: Person, filters: WaiverFilters) -> QuerySet[Waiver]:
    """Those that were decided, what ends first on top; of those that are over, the latest."""
    found = visible(user)
    if filters.show == "active":
        found = found.filter(state=WaiverState.ACTIVE).order_by("expires_on", "pk")
    elif filters.show == "over":
        found = found.filter(state__in=CLOSED).order_by("-closed_at", "-pk")
    if filters.kind:
        found = found.filter(kind=filters.kind)
    if filters.q:
        account = Q(account__name__icontains=filters.q) | Q(account__account_id__icontains=filters.q)
        found = found.filter(account | Q(target__icontains=filters.q) | Q(reason__icontains=filters.q))
    return found


@dataclass(frozen=True)
class Waiting:
    mine: list[Waiver]
    others: list[Waiver]


def waiting(user: Person) -> Waiting:
    """What waits for a decision: of this person, and of others. The oldest first."""
    rows = list(visible(user).filter(state=WaiverState.REQUESTED).order_by("requested_at", "pk"))
    mine = [row for row in rows if decidable(row, user)]
    return Waiting(mine, [row for row in rows if row not in mine])


@dataclass(frozen=True)
class Row:
    """A waiver as a list shows it."""

    waiver: Waiver
    reach: Reach
    days_left: int
    name: str = ""  # of an instance that it names by its id

    @property
    def covers(self) -> str:
        return waivers.covers(self.waiver.kind, self.waiver.target)

    @property
    def soon(self) -> bool:
        return self.waiver.state == WaiverState.ACTIVE and self.days_left <= max(waivers.REMINDERS)


def rows(found: Iterable[Waiver], *, today: date) -> list[Row]:
    """With what each covers now, and the name of an instance that is named by its id. Two queries more."""
    listed = list(found)
    reach, known = reaches(listed), _names(listed)
    return [
        Row(one, reach[one.pk], (one.expires_on - today).days, known.get((one.account_id, one.target), ""))
        for one in listed
    ]


def _names(rows: Sequence[Waiver]) -> dict[tuple[object, str], str]:
    """By the primary key of the account and the instance id."""
    named = [row for row in rows if row.kind == WaiverKind.INSTANCE]
    if not named:
        return {}
    found = Instance.objects.filter(
        account__in={row.account_id for row in named}, instance_id__in={row.target for row in named}
    )
    return {
        (account, instance): name for account, instance, name in found.values_list("account", "instance_id", "name")
    }


def chain(waiver: Waiver) -> list[Waiver]:
    """The waiver, those that it renews and those that renew it, the latest first."""
    same = Waiver.objects.filter(
        account_id=waiver.account_id, kind=waiver.kind, target=waiver.target, region=waiver.region
    )
    return list(same.select_related("requested_by", "decided_by").order_by("-requested_at", "-pk"))


def waiting_renewal(waiver: Waiver) -> Waiver | None:
    return waiver.renewed_by.filter(state=WaiverState.REQUESTED).first()


# --- In the totals ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """The waivers that hold, in a sentence's worth of numbers."""

    count: int
    first_end: date | None
    last_end: date | None
    oldest: datetime | None  # since when the one that has held longest has, its renewals counted in
    renewals: int  # of the one renewed most


def summary(accounts: QuerySet[Account], *, today: date) -> Summary:
    """One query."""
    holding = Waiver.objects.filter(account__in=accounts, state=WaiverState.ACTIVE, expires_on__gte=today)
    told: Mapping[str, Any] = holding.aggregate(
        count=Count("pk"),
        first_end=Min("expires_on"),
        last_end=Max("expires_on"),
        oldest=Min("since"),
        renewals=Max("renewals"),
    )
    return Summary(**{**told, "renewals": told["renewals"] or 0})


def of_account(account: Account) -> list[Waiver]:
    """What holds in an account and what is asked for there."""
    found = Waiver.objects.filter(account=account, state__in=OPEN_WAIVER).select_related("requested_by", "decided_by")
    return list(found.order_by("state", "expires_on", "pk"))
