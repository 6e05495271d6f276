from collections.abc import Iterable
from functools import reduce
from operator import add

from django.db import models
from django.db.models import BigIntegerField, Case, Q, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce

from migration.enums import DONE, LEFT, Status
from migration.models.inventory import Instance
from migration.models.organization import Scope


def _counted(statuses: Iterable[Status]) -> Case:
    """Of a count by status, the sum over some; NULL where nothing was counted."""
    terms = [Coalesce(Cast(KT(f"by_status__{status.value}"), BigIntegerField()), Value(0)) for status in statuses]
    return Case(When(Q(by_status__isnull=False), then=reduce(add, terms)), default=None)


class InstanceDay(models.Model):
    """What CloudWatch said of one instance on one UTC day.

    `v1_hours` and `rejected_hours` are the 24 hours, packed by `domain.hours`; an hour that had no datapoint is
    kept apart from zero. NULL: the hours are not kept. `v1_calls` is the sum of the hours that are known, NULL when
    none is.
    """

    # No index of its own, nor one by day: (instance, day) is the one way in, and each index is a fifth of the table.
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="days", db_index=False)
    day = models.DateField()
    v1_calls = models.BigIntegerField(null=True, blank=True)
    rejected_calls = models.BigIntegerField(null=True, blank=True)
    measured_hours = models.PositiveSmallIntegerField(default=0)  # hours with a MetadataNoToken datapoint
    rejected_measured_hours = models.PositiveSmallIntegerField(default=0)
    v1_hours = models.TextField(null=True, blank=True)  # noqa: DJ001 -- NULL: not kept; "" would be 24 unknown hours
    rejected_hours = models.TextField(null=True, blank=True)  # noqa: DJ001

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("instance", "day"), name="instance_day_once"),
            models.CheckConstraint(
                condition=models.Q(measured_hours__lte=24, rejected_measured_hours__lte=24),
                name="instance_day_has_24_hours",
            ),
            models.CheckConstraint(
                condition=models.Q(measured_hours=0, v1_calls__isnull=True)
                | models.Q(measured_hours__gt=0, v1_calls__isnull=False),
                name="instance_day_sum_needs_a_measured_hour",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instance_id} {self.day}"


class ScopeDay(models.Model):
    """The rollup every chart reads: one account in one Region on one UTC day.

    `v1_calls` NULL: no instance was measured. `by_status` NULL: that day lies before the first collection,
    so only CloudWatch's memory of it is known, not the fleet's settings. The database itself counts `instances_left`
    and `instances_done` of it: reading them out of JSON, for every Region of two months, took a second.
    """

    scope = models.ForeignKey(Scope, on_delete=models.CASCADE, related_name="days", db_index=False)
    day = models.DateField()
    v1_calls = models.BigIntegerField(null=True, blank=True)
    rejected_calls = models.BigIntegerField(null=True, blank=True)
    instances_measured = models.PositiveIntegerField(default=0)  # with at least one MetadataNoToken datapoint
    instances_calling_v1 = models.PositiveIntegerField(default=0)
    instances_rejecting = models.PositiveIntegerField(default=0)  # with at least one ...Rejected datapoint
    instances_expected = models.PositiveIntegerField(default=0)  # those asked about for that day
    by_status = models.JSONField(null=True, blank=True)
    instances_left = models.GeneratedField(expression=_counted(LEFT), output_field=BigIntegerField(), db_persist=True)
    instances_done = models.GeneratedField(expression=_counted(DONE), output_field=BigIntegerField(), db_persist=True)
    complete = models.BooleanField(default=False)
    frozen_at = models.DateTimeField(null=True, blank=True)  # late data has settled: not rewritten any more

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("scope", "day"), name="scope_day_once"),
            models.CheckConstraint(
                condition=models.Q(frozen_at__isnull=True) | models.Q(complete=True),
                name="scope_day_frozen_only_when_complete",
            ),
        ]
        indexes = [
            # Everything that the charts of a whole organization sum up, so that they read this and no row.
            models.Index(
                fields=(
                    "day",
                    "scope",
                    "v1_calls",
                    "rejected_calls",
                    "instances_measured",
                    "instances_expected",
                    "instances_calling_v1",
                    "instances_left",
                    "instances_done",
                ),
                name="scope_day_sums",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope_id} {self.day}"


class CollectionRun(models.Model):
    """One sweep, by the timetable or by hand; its counters are what `collect --json` prints."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    trigger = models.CharField(max_length=20)  # timetable, command
    owner = models.CharField(max_length=120, blank=True, default="")  # host:pid of a command, to know it when it died
    asked = models.JSONField(default=dict, blank=True)  # what the command was told: account, region
    result = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("-started_at",)

    def __str__(self) -> str:
        return f"collection {self.pk}"


class ScheduledRun(models.Model):
    """One tick of one periodic job. The UNIQUE constraint makes a second beat harmless."""

    job = models.CharField(max_length=60)
    window_start = models.DateTimeField()
    started_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("job", "window_start"), name="scheduled_run_once")]

    def __str__(self) -> str:
        return f"{self.job} {self.window_start:%Y-%m-%d %H:%M}"
