"""What is stored about usage, as the values the rules judge."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db.models import Count, Q, Sum, Value
from django.db.models.functions import Coalesce, TruncDate

from migration.domain.hours import unpack
from migration.domain.readiness import HOURS, NOTHING, QUIET, Hours, Subject, Window
from migration.domain.waivers import Waiving
from migration.models import Instance, InstanceDay
from migration.queries.planning import options_of

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)  # for an instance whose first launch AWS does not tell
SLACK = timedelta(days=3)  # an instance behind the rest of its scope has its window a little earlier


def _unpack(hours: str | None, measured: int, calls: int | None) -> Hours:
    """The 24 hours of a stored day. A quiet, wholly measured day is stored without them."""
    if measured == HOURS and calls == 0:
        return QUIET
    if hours is not None:
        return unpack(hours)
    return NOTHING  # an old day keeps only its sum: which of its hours are known is no longer known


def v1_hours(row: InstanceDay) -> Hours:
    """MetadataNoToken of a stored day, hour by hour."""
    return _unpack(row.v1_hours, row.measured_hours, row.v1_calls)


def rejected_hours(row: InstanceDay) -> Hours:
    """MetadataNoTokenRejected of a stored day, hour by hour."""
    return _unpack(row.rejected_hours, row.rejected_measured_hours, row.rejected_calls)


def v1_days(pks: Iterable[int], window: Window) -> dict[int, dict[date, Hours]]:
    """MetadataNoToken by instance and day, from the window's first day on: a later day may hold calls that count."""
    if window.until is None or not window.dates:
        return {}
    found: dict[int, dict[date, Hours]] = {}
    rows = InstanceDay.objects.filter(
        instance_id__in=list(pks), day__gte=window.dates[0] - SLACK, measured_hours__gt=0
    ).values_list("instance_id", "day", "v1_hours", "measured_hours", "v1_calls")
    for instance, day, hours, measured, calls in rows.iterator(chunk_size=5000):
        found.setdefault(instance, {})[day] = _unpack(hours, measured, calls)
    return found


@dataclass(frozen=True, slots=True)
class KnownDay:
    """What is stored of one metric of one instance on one day."""

    hours: Hours
    measured: int  # hours that had a datapoint
    calls: int

    @property
    def only_sum(self) -> bool:
        """The hours are not kept any more, only how many there were and their sum."""
        return self.measured > 0 and self.hours == NOTHING


def known_days(pks: Iterable[int], days: Sequence[date], *, is_v1: bool) -> dict[tuple[int, date], KnownDay]:
    """What is stored of one metric in those days, by instance and day."""
    names = ("v1_hours", "measured_hours", "v1_calls")
    if not is_v1:
        names = ("rejected_hours", "rejected_measured_hours", "rejected_calls")
    rows = InstanceDay.objects.filter(instance_id__in=list(pks), day__gte=min(days), day__lte=max(days))
    return {
        (instance, day): KnownDay(_unpack(hours, measured, calls), measured, calls or 0)
        for instance, day, hours, measured, calls in rows.values_list("instance_id", "day", *names).iterator(
            chunk_size=5000
        )
    }


def subject(row: Instance, days: dict[date, Hours], waived: Waiving | None) -> Subject:
    """An instance as `readiness.judge` takes it."""
    return Subject(
        options=options_of(row),
        instance_state=row.instance_state,
        operator_managed=row.operator_managed,
        first_launched_at=row.first_launched_at,
        last_started_at=row.launched_at,
        stopped_at=row.stopped_at,
        first_enforced_at=row.first_enforced_at,
        waived_until=waived.until if waived else None,
        waived_words=waived.words if waived else "",
        v1=days,
    )


def owes(prefix: str = "") -> Q:
    """Instances that owe datapoints now: they run, and their own setting lets them call IMDSv1."""
    running = {
        "gone_at__isnull": True,
        "http_tokens": "optional",
        "operator_managed": False,
        "instance_state": "running",
    }
    on = Q(**{f"{prefix}http_endpoint__isnull": True}) | ~Q(**{f"{prefix}http_endpoint": "disabled"})
    return Q(**{f"{prefix}{name}": value for name, value in running.items()}) & on


@dataclass(frozen=True, slots=True)
class DaySums:
    v1_calls: int | None
    rejected_calls: int | None
    measured: int
    calling_v1: int
    rejecting: int
    owing_measured: int  # measured ones among those that owe datapoints


NOTHING_MEASURED = DaySums(None, None, 0, 0, 0, 0)


def owing_by_day(account_pk: int, region: str) -> dict[date, int]:
    """How many of the scope's instances that owe datapoints were first launched on which UTC day."""
    rows = (
        Instance.objects.filter(owes(), account_id=account_pk, region=region)
        .annotate(born=TruncDate(Coalesce("first_launched_at", Value(LONG_AGO)), tzinfo=UTC))
        .values("born")
        .annotate(count=Count("pk"))
        .values_list("born", "count")
    )
    return dict(rows)


def day_sums(account_pk: int, region: str, since: date) -> dict[date, DaySums]:
    """Per UTC day, the sums over a scope's instances, those that are gone included."""
    rows = (
        InstanceDay.objects.filter(instance__account_id=account_pk, instance__region=region, day__gte=since)
        .values("day")
        .annotate(
            v1=Sum("v1_calls"),
            rejected=Sum("rejected_calls"),
            measured=Count("pk", filter=Q(measured_hours__gt=0)),
            calling=Count("pk", filter=Q(v1_calls__gt=0)),
            rejecting=Count("pk", filter=Q(rejected_measured_hours__gt=0)),
            owing=Count("pk", filter=Q(measured_hours__gt=0) & owes("instance__")),
        )
    )
    return {
        row["day"]: DaySums(row["v1"], row["rejected"], row["measured"], row["calling"], row["rejecting"], row["owing"])
        for row in rows
    }
