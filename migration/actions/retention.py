"""What is forgotten, and when. Small transactions, each good by itself: broken off anywhere, the next night goes on.

Kept for good: the rollups (`ScopeDay`), from which every chart is drawn, and the audit log.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from migration.enums import Status, WaiverKind
from migration.models import (
    ApiDay,
    Change,
    CollectionRun,
    Instance,
    InstanceDay,
    Notification,
    ScheduledRun,
    ScopeDay,
    Waiver,
)

BATCH = 2000  # rows of one transaction
STRIDE = 500  # instances whose days are looked at together
LEAST_REST = 0.02  # seconds between two transactions: whoever waits to write gets in
HOURS_MARGIN = 7  # days beyond the window, for an instance that is behind the rest of its scope
SETTLED_MARGIN = 2  # days beyond the history that is asked for
KEEP_API_DAYS = timedelta(days=400)  # a year to compare with, and a month
KEEP_RUNS = timedelta(days=400)
KEEP_TICKS = timedelta(days=30)
KEEP_NOTIFICATIONS = timedelta(days=30)  # a key is forgotten with its row: no key may be told again after that


@dataclass
class Pruned:
    """How many rows were deleted, or emptied of their hours; with `dry_run`, how many would be."""

    instance_days: int = 0
    hours_emptied: int = 0
    instances: int = 0
    api_days: int = 0
    collection_runs: int = 0
    scheduled_runs: int = 0
    notifications: int = 0
    kept_without_rollup: int = 0  # instance days past their time that no settled rollup holds
    finished: bool = False  # False: told to stop before the end


def prune(
    *,
    now: datetime,
    dry_run: bool = False,
    go_on: Callable[[], bool] = lambda: True,
    rest: Callable[[float], None] = time.sleep,
) -> Pruned:
    """Forget what is past its time. `go_on` is asked before every transaction, `rest` called after it with seconds."""
    return _Pruning(now, _Times.at(now), dry_run, go_on, rest).run()


@dataclass(frozen=True, slots=True)
class _Times:
    """UTC days; what lies before each of them is past its time."""

    days: date  # instance days
    hours: date  # their hours
    history: date  # no pass asks for an older day

    @classmethod
    def at(cls, now: datetime) -> "_Times":
        today = now.astimezone(UTC).date()
        looked_at = max(settings.IMDSDASH_WINDOW_DAYS, settings.IMDSDASH_OVERLAP_DAYS)
        return cls(
            days=today - timedelta(days=settings.IMDSDASH_KEEP_DAYS),
            hours=today - timedelta(days=looked_at + HOURS_MARGIN),
            history=today - timedelta(days=settings.IMDSDASH_HISTORY_DAYS + SETTLED_MARGIN),
        )

    def rolled_up(self) -> Exists:
        """True of an instance day that a rollup holds which nobody will write again.

        A frozen rollup is never made again. Another is, from the instance days, whenever one of its scope is asked
        about that day, and that must not happen when they are gone: so its day has to be older than all that is asked.
        """
        return Exists(
            ScopeDay.objects.filter(
                Q(frozen_at__isnull=False) | Q(day__lt=self.history),
                day=OuterRef("day"),
                scope__account=OuterRef("instance__account"),
                scope__region=OuterRef("instance__region"),
            )
        )

    def forgotten(self) -> QuerySet[Instance]:
        """Instances that are gone, and of which nothing but their name is left.

        Kept, they would outnumber the living within months where groups scale. What they did stays in the rollups, and
        by name in the audit log. One that a person decided about (a change, a waiver) is kept, and so is one with a day
        left.
        """
        left = InstanceDay.objects.filter(~self.rolled_up() | Q(day__gte=self.days), instance=OuterRef("pk"))
        return Instance.objects.filter(
            ~Exists(left),
            ~Exists(Change.objects.filter(instance=OuterRef("pk"))),
            ~Exists(
                Waiver.objects.filter(
                    kind=WaiverKind.INSTANCE, account=OuterRef("account"), target=OuterRef("instance_id")
                )
            ),
            status=Status.GONE,
            gone_at__lt=datetime.combine(self.days, datetime.min.time(), UTC),
        )


@dataclass
class _Pruning:
    now: datetime
    times: _Times
    dry_run: bool
    go_on: Callable[[], bool]
    rest: Callable[[float], None]
    told: Pruned = field(default_factory=Pruned)

    def run(self) -> Pruned:
        self.told.finished = all(self._days(low, high) for low, high in _strides()) and self._rest_of_it()
        return self.told

    def _days(self, low: int, high: int) -> bool:
        """The large table, some instances at a time: (instance, day) is its only index. False when told to stop."""
        days = InstanceDay.objects.filter(instance_id__gt=low, instance_id__lte=high)
        old = days.filter(day__lt=self.times.days)
        # Days of which the sum is enough: no verdict looks at their hours any more, and none is asked for again.
        dull = days.filter(day__gte=self.times.days, day__lt=self.times.hours)
        dull = dull.filter(Q(v1_hours__isnull=False) | Q(rejected_hours__isnull=False))
        going_on = self._all("instance_days", old.filter(self.times.rolled_up())) and self._all(
            "hours_emptied", dull, {"v1_hours": None, "rejected_hours": None}
        )
        if going_on:
            left = old.filter(~self.times.rolled_up()) if self.dry_run else old
            self.told.kept_without_rollup += left.count()
        return going_on

    def _rest_of_it(self) -> bool:
        return (
            self._all("instances", self.times.forgotten())
            and self._all("api_days", ApiDay.objects.filter(day__lt=(self.now - KEEP_API_DAYS).astimezone(UTC).date()))
            and self._all("collection_runs", CollectionRun.objects.filter(started_at__lt=self.now - KEEP_RUNS))
            and self._all("scheduled_runs", ScheduledRun.objects.filter(window_start__lt=self.now - KEEP_TICKS))
            and self._all("notifications", Notification.objects.filter(created_at__lt=self.now - KEEP_NOTIFICATIONS))
        )

    def _all(self, name: str, found: QuerySet[Any], fields: dict[str, None] | None = None) -> bool:
        """Delete all that is found, or empty those fields of it, batch by batch. False when told to stop."""
        while self.go_on():
            if self.dry_run:
                self._count(name, found.count())
                return True
            # Read outside the transaction: on SQLite it holds the one lock for writing from its first moment.
            pks = list(found.values_list("pk", flat=True).order_by()[:BATCH])
            if not pks:
                return True
            began = time.monotonic()
            with transaction.atomic():
                chosen = found.filter(pk__in=pks)
                self._count(name, chosen.update(**fields) if fields else _delete(chosen))
            self.rest(max(LEAST_REST, time.monotonic() - began))
        return False

    def _count(self, name: str, rows: int) -> None:
        setattr(self.told, name, getattr(self.told, name) + rows)


def _delete(chosen: QuerySet[Any]) -> int:
    _, by_model = chosen.delete()
    return by_model.get(chosen.model._meta.label, 0)  # noqa: SLF001 -- the documented door


def _strides() -> Iterator[tuple[int, int]]:
    """(after, up to) primary keys of instances, `STRIDE` at a time."""
    low = 0
    while chunk := list(Instance.objects.filter(pk__gt=low).order_by("pk").values_list("pk", flat=True)[:STRIDE]):
        yield low, chunk[-1]
        low = chunk[-1]
