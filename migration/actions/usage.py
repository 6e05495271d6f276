"""CloudWatch's answers become days, and days become the rollups that every chart reads."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from migration.actions import bulk
from migration.actions.collection import ScopeClaim, hold
from migration.domain import readiness
from migration.domain.facts import Series
from migration.domain.hours import pack
from migration.domain.metrics import V1
from migration.models import Instance, InstanceDay, ScopeDay
from migration.queries import evidence

HOURS = readiness.HOURS
CHUNK = 500
DAY = timedelta(days=1)
Day = tuple[int, date]  # primary key of the instance, UTC day
COLUMNS = {
    True: ("v1_calls", "measured_hours", "v1_hours"),
    False: ("rejected_calls", "rejected_measured_hours", "rejected_hours"),
}
ROLLUP = (
    "v1_calls",
    "rejected_calls",
    "instances_measured",
    "instances_calling_v1",
    "instances_rejecting",
    "instances_expected",
    "complete",
    "frozen_at",
)


def store(
    *,
    claim: ScopeClaim,
    pks: Mapping[str, int],
    series: Sequence[Series],
    keep_hours_from: date,
    known_until: datetime | None,
) -> None:
    """Write hourly sums as days. An hour without a datapoint stays unknown; a known one is never unlearnt.

    `pks`: instance id -> Instance primary key. `series`: whole answers or not, every metric asked of an instance
    among them. `known_until`: the instant up to which all is known of an instance whose every series is complete; a
    pass that breaks off goes on from there. Days before `keep_hours_from` keep their sum and count of measured
    hours, not the hours. Raises LeaseLost.
    """
    behind = {pks[one.ask.instance_id] for one in series if not one.complete}
    with transaction.atomic():
        hold(claim=claim)
        for is_v1 in (True, False):
            told = _by_day(pks, [one for one in series if (one.ask.metric == V1) == is_v1])
            if told:
                _upsert_days(told, is_v1=is_v1, keep_hours_from=keep_hours_from)
        if known_until is not None:
            _known_until(sorted(set(pks.values()) - behind), known_until)


def _by_day(pks: Mapping[str, int], series: Sequence[Series]) -> dict[Day, Sequence[int | None]]:
    """The days of which at least one hour is told."""
    found: dict[Day, Sequence[int | None]] = {}
    for one in series:
        pk, day = pks[one.ask.instance_id], one.start.astimezone(UTC).date()
        for first in range(0, len(one.hours), HOURS):
            hours = one.hours[first : first + HOURS]
            if hours.count(None) < len(hours):
                found[pk, day] = hours if len(hours) == HOURS else [*hours, *[None] * (HOURS - len(hours))]
            day += DAY
    return found


def _upsert_days(told: Mapping[Day, Sequence[int | None]], *, is_v1: bool, keep_hours_from: date) -> None:
    known = evidence.known_days({pk for pk, _ in told}, [day for _, day in told], is_v1=is_v1)
    rows = []
    for (pk, day), hours in told.items():
        keep = day >= keep_hours_from
        before = known.get((pk, day))
        if before is None:
            rows.append((pk, day, *_day(hours, keep=keep)))
        elif before.only_sum and None in hours:
            # Which hours that sum is made of is not known any more: of the two, whatever says more stays.
            calls, measured, _ = _day(hours, keep=False)
            rows.append((pk, day, max(calls or 0, before.calls), max(measured, before.measured), None))
        else:
            merged = [was if value is None else value for was, value in zip(before.hours, hours, strict=True)]
            rows.append((pk, day, *_day(merged, keep=keep)))
    names = COLUMNS[is_v1]
    bulk.upsert(InstanceDay, rows, columns=("instance_id", "day", *names), unique=("instance_id", "day"), update=names)


def _day(hours: Sequence[int | None], *, keep: bool) -> tuple[int | None, int, str | None]:
    """Sum, measured hours, and the hours themselves where they say more than these two."""
    if tuple(hours) == readiness.QUIET:
        return 0, HOURS, None  # 24 known hours without a call say nothing that (24 measured, 0 calls) does not
    measured = [value for value in hours if value is not None]
    return sum(measured), len(measured), pack(list(hours)) if keep else None


def _known_until(pks: Sequence[int], until: datetime) -> None:
    """Every query about these was answered Complete up to here."""
    behind = Q(usage_until__isnull=True) | Q(
        usage_until__lt=until
    )  # a host whose clock is ahead may have asked further
    for start in range(0, len(pks), CHUNK):
        Instance.objects.filter(behind, pk__in=pks[start : start + CHUNK]).update(usage_until=until)


def roll_up(*, claim: ScopeClaim, since: date, until: datetime, complete: bool, now: datetime) -> None:
    """Rewrite the scope's rollup of every day touched by a reading, in the caller's transaction.

    A day is complete when everything asked was answered and the day lies wholly before `until`. One that was complete
    stays so, for nothing of it is unlearnt; when it is also older than what is read again, late data has settled: it
    is frozen, and not rewritten.
    """
    frozen_before = until.date() - timedelta(days=settings.IMDSDASH_OVERLAP_DAYS + 1)
    known = ScopeDay.objects.filter(scope_id=claim.scope_id, day__gte=since, complete=True)
    finished = dict(known.values_list("day", "frozen_at"))
    sums = evidence.day_sums(claim.account_pk, claim.region, since)
    owing = evidence.owing_by_day(claim.account_pk, claim.region)
    rows = []
    for offset in range((until.date() - since).days + 1):
        day = since + timedelta(days=offset)
        if finished.get(day) is not None:
            continue
        told = sums.get(day, evidence.NOTHING_MEASURED)
        silent = sum(count for born, count in owing.items() if born <= day) - told.owing_measured
        whole = day in finished or (complete and datetime.combine(day + DAY, time(0), UTC) <= until)
        rows.append(
            (
                claim.scope_id,
                day,
                told.v1_calls,
                told.rejected_calls,
                told.measured,
                told.calling_v1,
                told.rejecting,
                told.measured + max(silent, 0),
                whole,
                now if whole and complete and day < frozen_before else None,
            )
        )
    bulk.upsert(ScopeDay, rows, columns=("scope_id", "day", *ROLLUP), unique=("scope_id", "day"), update=ROLLUP)


def count_statuses(*, claim: ScopeClaim, by_status: Mapping[str, int], now: datetime) -> None:
    """Today's row takes the count by status."""
    ScopeDay.objects.update_or_create(
        scope_id=claim.scope_id, day=now.astimezone(UTC).date(), defaults={"by_status": dict(by_status)}
    )
