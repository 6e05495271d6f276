"""What CloudWatch shall be asked about a scope: which metric of which instance, for which hours, in which batches.

GetMetricData is billed by the metric asked for (domain.md 6), so what need not be asked is not:

- an instance that runs and allows IMDSv1: `MetadataNoToken`, once a day;
- one that was enforced in the last days: `MetadataNoTokenRejected`, each hour;
- one that is gone and published until lately: its last hours, once;
- enforced, stopped, managed and IMDS-off ones: nothing, but for the first look and the hours before a stop.

Rows are read in chunks by primary key, so a scope of any size takes the same memory.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain

from django.conf import settings
from django.db.models import F, Min, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from migration.domain.facts import Ask
from migration.domain.metrics import POINTS_PER_CALL, REJECTED, V1, queries_per_call
from migration.domain.readiness import HOURS
from migration.models import Instance, Scope

CHUNK = 2000
CATCH_UP = timedelta(days=7)  # further behind: asked from the beginning, in a batch of its own
PUBLISHED = timedelta(days=15)  # ListMetrics names what published within two weeks
SLICE = timedelta(days=63)  # of older history, in one pass; less of a scope so large that it would not fit a turn
SLICE_CALLS = 200  # GetMetricData of a slice at most, for one that is not whole is asked again from its beginning

Metrics = Callable[[str | None], tuple[str, ...]]  # http_tokens -> the metrics to ask for


@dataclass(frozen=True, slots=True)
class Batch:
    """One GetMetricData: the metrics, the hours [start, end), and the primary key of each instance id."""

    start: datetime
    end: datetime
    asks: list[Ask]
    pks: Mapping[str, int]
    knows: bool  # answered whole, its instances are known up to `end`


@dataclass(frozen=True, slots=True)
class SharedBatch:
    """One GetMetricData about several accounts, through a monitoring account."""

    start: datetime
    end: datetime
    asks: list[Ask]
    pks: Mapping[str, Mapping[str, int]]  # account id -> instance id -> primary key

    def part(self, account_id: str) -> Batch:
        """What of it is one account's."""
        mine = [ask for ask in self.asks if ask.account_id == account_id]
        return Batch(self.start, self.end, mine, self.pks[account_id], knows=True)


def usage(scope: Scope, *, until: datetime, again: bool = True) -> Iterator[Batch]:
    """The daily reading: those measured before, those never measured, those that are gone.

    `again`: also those that are known up to `until` already; not where a reading that broke off goes on.
    """
    yield from known(scope, until=until, again=again)
    yield from _batches(_first(scope, until), _first_metrics, start=beginning(until), end=until)
    start = beginning(until) if scope.usage_at is None else _midnight(until - PUBLISHED)
    yield from _batches(_gone(scope, until), _v1, start=start, end=until)


def known(scope: Scope, *, until: datetime, again: bool) -> Iterator[Batch]:
    """Of those measured before: from three days (a setting) before what is known, for points that came late."""
    rows = _measured(scope, until, again=again)
    oldest = rows.aggregate(oldest=Min("usage_until"))["oldest"]
    if oldest is not None:
        start = _midnight(oldest - timedelta(days=settings.IMDSDASH_OVERLAP_DAYS))
        yield from _batches(rows, _daily_metrics, start=start, end=until)


def known_together(scopes: Sequence[tuple[Scope, bool]], *, until: datetime) -> Iterator[SharedBatch]:
    """`known` of several scopes of a Region, and those launched since they were read whole: nothing of them is older.

    `scopes`: each with its `again`; they have been read whole before.
    """
    rows = {scope.account.account_id: _since_last_time(scope, until, again=again) for scope, again in scopes}
    last = [Coalesce("usage_until", Value(scope.usage_until)) for scope, _ in scopes]
    found = [one.aggregate(oldest=Min(at))["oldest"] for one, at in zip(rows.values(), last, strict=True)]
    oldest = min((at for at in found if at is not None), default=None)
    if oldest is not None:
        start = _midnight(oldest - timedelta(days=settings.IMDSDASH_OVERLAP_DAYS))
        yield from _shared(rows, _daily_metrics, start=start, end=until)


def gone_together(scopes: Sequence[Scope], *, until: datetime) -> Iterator[SharedBatch]:
    """Of several scopes of a Region, those that are gone and published until lately: their last hours, once."""
    rows = {scope.account.account_id: _gone(scope, until) for scope in scopes}
    yield from _shared(rows, _v1, start=_midnight(until - PUBLISHED), end=until)


def watch(scope: Scope, *, until: datetime) -> Iterator[Batch]:
    """The hourly reading: rejected calls of those enforced in the last days."""
    rows = _here(scope).filter(watch_until__gt=until, http_tokens="required", usage_until__lt=until)
    oldest = rows.aggregate(oldest=Min("usage_until"))["oldest"]
    if oldest is not None:
        start = _midnight(max(oldest, until - CATCH_UP) - timedelta(hours=3))
        yield from _batches(rows, _rejected, start=start, end=until)


def history(scope: Scope, *, until: datetime) -> Iterator[Batch]:
    """One slice of the days before what was asked so far, as far back as is wanted (`IMDSDASH_HISTORY_DAYS`).

    CloudWatch keeps hours for 455 days (CloudWatch API, GetMetricData). Nothing when there is no more to ask.
    """
    span = history_slice(scope, until=until)
    if span is None:
        return
    start, end = span
    yield from _batches(_older(scope, end), _v1, start=start, end=end, knows=False)


def history_slice(scope: Scope, *, until: datetime) -> tuple[datetime, datetime] | None:
    """The slice that `history` asks for next: two UTC midnights."""
    if scope.history_from is None:
        return None
    wanted = until.astimezone(UTC).date() - timedelta(days=settings.IMDSDASH_HISTORY_DAYS)
    if scope.history_from <= wanted:
        return None
    end = _at_midnight(scope.history_from)
    affordable = SLICE_CALLS * POINTS_PER_CALL // (HOURS * max(1, _older(scope, end).count()))
    return max(end - min(SLICE, timedelta(days=max(1, affordable))), _at_midnight(wanted)), end


def _older(scope: Scope, end: datetime) -> QuerySet[Instance]:
    """Those that lived before `end` and are still here."""
    return _here(scope).exclude(first_launched_at__gte=end).filter(usage_until__isnull=False)


def beginning(until: datetime) -> datetime:
    """The first hour asked about at the first look."""
    return _midnight(until - timedelta(days=settings.IMDSDASH_BACKFILL_DAYS))


def owes_a_first_look(scope: Scope, *, until: datetime) -> int:
    """How many instances of the scope were never measured and can be."""
    return _first(scope, until).count()


def _here(scope: Scope) -> QuerySet[Instance]:
    """Those that can have called IMDS: listed, ours, their endpoint on, their tokens told."""
    return Instance.objects.filter(
        account_id=scope.account_id,
        region=scope.region,
        gone_at__isnull=True,
        operator_managed=False,
        http_tokens__isnull=False,
    ).exclude(http_endpoint="disabled")


def _running() -> Q:
    """It runs, or ran after it was last asked about."""
    return Q(instance_state__in=("running", "stopping")) | Q(instance_state="stopped", stopped_at__gt=F("usage_until"))


def _measured(scope: Scope, until: datetime, *, again: bool) -> QuerySet[Instance]:
    owing = Q(http_tokens="optional") | Q(watch_until__gt=until)
    rows = _here(scope).filter(_running(), owing, usage_until__gte=until - CATCH_UP)
    return rows if again else rows.filter(usage_until__lt=until)


def _first(scope: Scope, until: datetime) -> QuerySet[Instance]:
    behind = Q(usage_until__isnull=True) | Q(usage_until__lt=until - CATCH_UP, http_tokens="optional")
    return _here(scope).filter(behind, _running())


def _since_last_time(scope: Scope, until: datetime, *, again: bool) -> QuerySet[Instance]:
    """Those of which everything that is not known yet came after the scope was last read whole."""
    new = _first(scope, until).filter(usage_until__isnull=True, first_launched_at__gte=scope.usage_until)
    return _measured(scope, until, again=again) | new


def _gone(scope: Scope, until: datetime) -> QuerySet[Instance]:
    """Those that published and were not asked about since; one that never could call v1 is not among them."""
    published = Q(published_at__isnull=False) | Q(usage_until__isnull=False, http_tokens="optional")
    behind = Q(usage_until__isnull=True) | (Q(usage_until__lt=F("gone_at")) & Q(usage_until__lt=until))
    return Instance.objects.filter(
        published,
        behind,
        account_id=scope.account_id,
        region=scope.region,
        gone_at__gt=until - PUBLISHED,
        operator_managed=False,
    )


def _v1(_tokens: str | None) -> tuple[str, ...]:
    return (V1,)


def _rejected(_tokens: str | None) -> tuple[str, ...]:
    return (REJECTED,)


def _first_metrics(tokens: str | None) -> tuple[str, ...]:
    """The two metrics exclude each other, but nothing tells since when an instance is `required`."""
    return (V1,) if tokens == "optional" else (V1, REJECTED)


_daily_metrics = _first_metrics  # around a change the hours before it are one metric's and those after it the other's


def _batches(
    rows: QuerySet[Instance],
    metrics: Metrics,
    *,
    start: datetime,
    end: datetime,
    knows: bool = True,
) -> Iterator[Batch]:
    if start >= end:
        return
    for asks, pks in _packed(_by_key("", rows), metrics, most=queries_per_call(start, end)):
        yield Batch(start, end, asks, pks[""], knows)


def _shared(
    rows: Mapping[str, QuerySet[Instance]], metrics: Metrics, *, start: datetime, end: datetime
) -> Iterator[SharedBatch]:
    """One account after the other, so that few batches hold a part of the same one."""
    if start >= end:
        return
    everybody = chain.from_iterable(_by_key(account_id, found) for account_id, found in rows.items())
    for asks, pks in _packed(everybody, metrics, most=queries_per_call(start, end)):
        yield SharedBatch(start, end, asks, pks)


def _packed(
    rows: Iterable[tuple[str, int, str, str | None]], metrics: Metrics, *, most: int
) -> Iterator[tuple[list[Ask], dict[str, dict[str, int]]]]:
    """All metrics of an instance are in one batch, so that its answer is whole or is not."""
    asks: list[Ask] = []
    pks: dict[str, dict[str, int]] = {}
    for account_id, pk, instance_id, tokens in rows:
        mine = [Ask(instance_id, metric, account_id) for metric in metrics(tokens)]
        if asks and len(asks) + len(mine) > most:
            yield asks, pks
            asks, pks = [], {}
        asks += mine
        pks.setdefault(account_id, {})[instance_id] = pk
    if asks:
        yield asks, pks


def _by_key(account_id: str, rows: QuerySet[Instance]) -> Iterator[tuple[str, int, str, str | None]]:
    """`account_id`: whose they are, when a monitoring account is asked; else empty."""
    last = 0
    while True:
        chunk = list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", "instance_id", "http_tokens")[:CHUNK])
        if not chunk:
            return
        yield from ((account_id, *row) for row in chunk)
        last = chunk[-1][0]


def _midnight(moment: datetime) -> datetime:
    return _at_midnight(moment.astimezone(UTC).date())


def _at_midnight(day: date) -> datetime:
    return datetime.combine(day, time(0), UTC)
