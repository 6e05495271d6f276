from django.db import models
from django.db.models import Q

from migration.enums import RegressionKind
from migration.models.decision import Change
from migration.models.inventory import Instance
from migration.models.organization import Account


class OptionChange(models.Model):
    """One metadata option of one instance was another when it was last looked at.

    `change`: the change of ours that did it. NULL: somebody else did, between `since` and `at`.
    """

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="option_changes", db_index=False)
    option = models.CharField(max_length=32)  # as AWS spells it
    before = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001 -- NULL: AWS did not say
    after = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001
    since = models.DateTimeField()  # last seen as before
    at = models.DateTimeField()  # first seen as after
    change = models.ForeignKey(Change, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ("-at", "-pk")
        indexes = [models.Index(fields=("instance", "at"), name="option_change_instance")]

    def __str__(self) -> str:
        return f"{self.option} of {self.instance_id}"


class Regression(models.Model):
    """Something that was won and is lost again. Open while it is so; one open row for one thing."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="regressions", db_index=False)
    region = models.CharField(max_length=32)
    kind = models.CharField(max_length=16, choices=RegressionKind)
    subject = models.CharField(max_length=330)  # an instance id, a workload, or the option of a Region's default
    instance = models.ForeignKey(
        Instance, null=True, blank=True, on_delete=models.CASCADE, related_name="regressions", db_index=False
    )
    sentence = models.CharField(max_length=400)
    found_at = models.DateTimeField()
    seen_at = models.DateTimeField()  # it was so when last looked at
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-found_at", "-pk")
        constraints = [
            models.UniqueConstraint(
                fields=("account", "region", "kind", "subject"),
                condition=Q(resolved_at__isnull=True),
                name="regression_open_once",
            ),
        ]
        indexes = [
            models.Index(fields=("account", "found_at"), name="regression_account"),
            models.Index(fields=("instance",), condition=Q(instance__isnull=False), name="regression_instance"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
