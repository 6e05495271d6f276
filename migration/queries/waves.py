"""Waves: who sees them, how far each has come, and how many instances were left on each day."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, timedelta
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from migration.domain import waves
from migration.domain.permissions import Action
from migration.enums import Status, WaveState
from migration.models import Account, Instance, ScopeDay, Wave, WaveAccount
from migration.queries.access import Person, among, can, everything, visible_accounts
from migration.queries.progress import Mix

LONGEST = 180  # days that a burn-down looks back
SHORTEST = 14
LIST_DAYS = 30
OF = "account__wave_member__wave"


def visible(user: Person) -> QuerySet[Wave]:
    """Those with an account that the person sees, and their own."""
    found = Wave.objects.select_related("created_by")
    seen = visible_accounts(user)
    if everything(seen):
        return found
    mine = Q(pk__in=WaveAccount.objects.filter(account__in=seen).values("wave")) | Q(created_by=user.pk)
    return found.filter(mine)


def may(user: Person, action: Action, wave: Wave) -> bool:
    """May the person do this to the whole wave: to each account in it, seen or not?"""
    accounts = Account.objects.filter(wave_member__wave=wave)
    return can(user, action) and all(can(user, action, account) for account in accounts)


def accounts(wave: Wave, user: Person) -> QuerySet[Account]:
    """The wave's accounts that the person sees."""
    return visible_accounts(user).filter(wave_member__wave=wave).order_by("name", "account_id")


# --- The list ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Burn:
    """One UTC day of a wave. `left` None: not every account-Region that is counted by then was counted that day."""

    day: date
    left: int | None = None
    done: int | None = None
    counted: int = 0  # account-Regions
    expected: int = 0


@dataclass(frozen=True)
class Row:
    """A wave as a list shows it."""

    wave: Wave
    due: str
    late: bool
    accounts: int  # those the person sees
    hidden: int
    mix: Mix
    enforceable: int
    burn: Sequence[Burn] = field(default_factory=list)

    @property
    def left_by_day(self) -> list[int | None]:
        return [one.left for one in self.burn]


def rows(found: Sequence[Wave], *, user: Person, today: date) -> list[Row]:
    """In a fixed number of queries. Counted is what the person sees, and how many accounts they do not is said."""
    seen = visible_accounts(user)
    keys = [wave.pk for wave in found]
    members, mixes = _members(keys, seen), _mixes(keys, seen)
    free = Instance.objects.filter(among(seen, "account"), status=Status.READY, blockers=[]).order_by()
    enforceable = dict(free.filter(**{f"{OF}__in": keys}).values_list(OF).annotate(Count("pk")))
    burns = burn(keys, seen, first=today - timedelta(days=LIST_DAYS - 1), today=today)
    return [
        Row(
            wave=wave,
            due=waves.due(wave.due_on, today=today),
            late=is_late(wave, today=today),
            accounts=members.get(wave.pk, (0, 0))[0],
            hidden=members.get(wave.pk, (0, 0))[1],
            mix=mixes.get(wave.pk, Mix()),
            enforceable=enforceable.get(wave.pk, 0),
            burn=with_today(burns[wave.pk], mixes.get(wave.pk, Mix())),
        )
        for wave in found
    ]


def is_late(wave: Wave, *, today: date) -> bool:
    return wave.state != WaveState.CLOSED and wave.due_on is not None and wave.due_on < today


def _members(keys: Sequence[int], seen: QuerySet[Account]) -> dict[int, tuple[int, int]]:
    """By wave (its primary key) how many accounts are seen, and how many are not."""
    counts = WaveAccount.objects.filter(wave__in=keys).order_by().values_list("wave")
    if everything(seen):
        return {wave: (count, 0) for wave, count in counts.annotate(Count("pk"))}
    found = counts.annotate(all=Count("pk"), seen=Count("pk", filter=Q(account__in=seen)))
    return {wave: (some, both - some) for wave, both, some in found}


def _mixes(keys: Sequence[int], seen: QuerySet[Account]) -> dict[int, Mix]:
    found: dict[int, dict[str, int]] = defaultdict(dict)
    instances = Instance.objects.filter(among(seen, "account"), **{f"{OF}__in": keys}).order_by()
    for wave, status, count in instances.values_list(OF, "status").annotate(Count("pk")):
        found[wave][status] = count
    return {wave: Mix(counts) for wave, counts in found.items()}


def with_today(days: Sequence[Burn], mix: Mix) -> list[Burn]:
    """The days with today's count as it is now, where today was counted: a run since the last pass shows at once."""
    if not days or days[-1].left is None or not mix.ours:
        return list(days)
    return [*days[:-1], replace(days[-1], left=mix.left, done=mix.done)]


# --- The burn-down -------------------------------------------------------------------------------------------


def begins(wave: Wave, *, today: date) -> date:
    """The first day that a burn-down shows: a week before the wave began, within what is sensible to draw."""
    began = (wave.started_at or wave.created_at).astimezone(UTC).date() - timedelta(days=7)
    return max(min(began, today - timedelta(days=SHORTEST - 1)), today - timedelta(days=LONGEST - 1))


def burn(keys: Sequence[int], seen: QuerySet[Account], *, first: date, today: date) -> dict[int, list[Burn]]:
    """By wave (its primary key) day for day how many instances of its accounts of today were left. Two queries.

    An account-Region belongs to the count from the first day on that it was counted, and to its last one where it is
    no longer enabled. A day on which one is missing has no number: the sum of the others would look like progress.
    """
    of = f"scope__{OF}"
    counted = ScopeDay.objects.filter(
        among(seen, "scope__account"),
        day__gte=first,
        day__lte=today,
        instances_left__isnull=False,
        **{f"{of}__in": keys},
    ).order_by()
    days = [first + timedelta(days=step) for step in range((today - first).days + 1)]
    expected: dict[int, dict[date, int]] = {key: dict.fromkeys(days, 0) for key in keys}
    spans = counted.values_list(of, "scope", "scope__enabled").annotate(Min("day"), Max("day"))
    for key, _, enabled, begin, end in spans:
        for step in range(((today if enabled else end) - begin).days + 1):
            expected[key][begin + timedelta(days=step)] += 1
    sums = counted.values_list(of, "day").annotate(Sum("instances_left"), Sum("instances_done"), Count("pk"))
    found: dict[tuple[int, date], tuple[Any, ...]] = {(key, day): told for key, day, *told in sums}
    return {key: [_day(day, expected[key][day], found.get((key, day))) for day in days] for key in keys}


def _day(day: date, expected: int, told: Sequence[Any] | None) -> Burn:
    if told is None:
        return Burn(day, expected=expected)
    left, done, counted = told
    if counted < expected:
        return Burn(day, counted=counted, expected=expected)
    return Burn(day, left, done, counted, expected)
