from django.db import models
from django.db.models import Q

from migration.enums import Channel, NotificationState, Severity
from migration.models.lease import Leased
from migration.models.organization import Account


class Notification(Leased):
    """One message on one channel: the outbox. Written in the transaction of what it tells of, so that neither is there
    without the other; sent afterwards, at least once.
    """

    key = models.CharField(max_length=200)  # of what it tells; the receiver knows by it that a copy came twice
    channel = models.CharField(max_length=16, choices=Channel)
    kind = models.CharField(max_length=40)
    account = models.ForeignKey(Account, null=True, blank=True, on_delete=models.CASCADE, related_name="notifications")
    severity = models.CharField(max_length=16, choices=Severity, default=Severity.INFO)
    subject = models.CharField(max_length=200)
    lines = models.JSONField(default=list)
    path = models.CharField(max_length=400, blank=True, default="")  # the page of ours it is about
    created_at = models.DateTimeField()
    state = models.CharField(max_length=16, choices=NotificationState, default=NotificationState.PENDING)
    error = models.CharField(max_length=400, blank=True, default="")  # why the last try failed, in words
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("pk",)
        constraints = [
            models.UniqueConstraint(fields=("key", "channel"), name="notification_once_per_channel"),
            models.CheckConstraint(
                condition=Q(state=NotificationState.LEASED, lease_expires_at__isnull=False)
                | (~Q(state=NotificationState.LEASED) & Q(lease_expires_at__isnull=True)),
                name="notification_lease_fields_go_together",
            ),
            models.CheckConstraint(
                condition=Q(state=NotificationState.SENT, sent_at__isnull=False)
                | (~Q(state=NotificationState.SENT) & Q(sent_at__isnull=True)),
                name="notification_sent_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=("state", "not_before"), name="notification_due"),
            models.Index(fields=("channel", "sent_at"), name="notification_last_sent"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.key}"
