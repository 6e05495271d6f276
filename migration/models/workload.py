from django.db import models

from migration.enums import Standing, WorkloadKind
from migration.models.organization import Account


class Workload(models.Model):
    """The siblings that one Auto Scaling group or launch template made in one Region, and the verdict on all of them.

    Written with each pass. It stays while a member lives or went within the window, or while a person chose something
    for it.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="workloads", db_index=False)
    region = models.CharField(max_length=32)
    kind = models.CharField(max_length=16, choices=WorkloadKind)
    name = models.CharField(max_length=320)

    standing = models.CharField(max_length=16, choices=Standing, default=Standing.EMPTY)
    reason = models.CharField(max_length=400, blank=True, default="")
    coverage = models.CharField(max_length=200, blank=True, default="")
    next_step = models.CharField(max_length=400, blank=True, default="")

    by_status = models.JSONField(default=dict, blank=True)  # its living members
    instances = models.PositiveIntegerField(default=0)  # living
    instances_gone = models.PositiveIntegerField(default=0)  # in the window
    instances_calling = models.PositiveIntegerField(default=0)  # in the window, the dead included
    v1_calls = models.BigIntegerField(null=True, blank=True)  # NULL: not one hour of any member is measured
    measured_days = models.PositiveSmallIntegerField(default=0)
    window_days = models.PositiveSmallIntegerField(default=0)
    missing_hours = models.PositiveIntegerField(default=0)
    unknown_lives = models.PositiveIntegerField(default=0)
    risk = models.PositiveSmallIntegerField(default=0)  # of its most exposed member
    judged_at = models.DateTimeField()

    # What a person chose for it: the hop limit that a plan sets beside HttpTokens. NULL: it stays as it is.
    hop_limit = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        ordering = ("account", "region", "kind", "name")
        constraints = [
            models.UniqueConstraint(fields=("account", "region", "kind", "name"), name="workload_once"),
            models.CheckConstraint(
                condition=models.Q(hop_limit__isnull=True) | models.Q(hop_limit__gte=1, hop_limit__lte=64),
                name="workload_hop_limit_1_to_64",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
