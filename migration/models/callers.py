from django.db import models

from migration.enums import FoundBy
from migration.models.inventory import Instance
from migration.models.organization import Account


class Caller(models.Model):
    """Somebody seen calling IMDSv1, or using credentials that IMDSv1 delivered. What is told of it is hostile text.

    Of a credential's use CloudTrail tells role, instance and user agent; the packet analyzer tells the process.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="callers", db_index=False)
    region = models.CharField(max_length=32)
    instance_id = models.CharField(max_length=32, blank=True, default="")
    of = models.ForeignKey(Instance, null=True, blank=True, on_delete=models.SET_NULL, related_name="callers")
    role_arn = models.CharField(max_length=700, blank=True, default="")
    user_agent = models.CharField(max_length=1000, blank=True, default="")
    event_source = models.CharField(max_length=120, blank=True, default="")
    process = models.CharField(max_length=500, blank=True, default="")
    parents = models.JSONField(default=list, blank=True)
    known = models.CharField(max_length=40, blank=True, default="")  # the entry of the catalogue it matches first
    reading = models.CharField(max_length=20, blank=True, default="")  # what its version says, as of when it was told
    calls = models.PositiveBigIntegerField(default=0)
    first_seen = models.DateTimeField(null=True, blank=True)
    last_seen = models.DateTimeField()
    found_by = models.CharField(max_length=20, choices=FoundBy)
    key = models.CharField(max_length=64)  # SHA-256 of what makes it one caller

    class Meta:
        ordering = ("-last_seen", "-pk")
        constraints = [models.UniqueConstraint(fields=("account", "region", "key"), name="caller_once")]
        indexes = [models.Index(fields=("account", "last_seen"), name="caller_account")]

    def __str__(self) -> str:
        return f"{self.user_agent or self.process} on {self.instance_id}"
