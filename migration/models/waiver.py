from django.conf import settings
from django.db import models
from django.db.models import F, Q

from migration.enums import OPEN_WAIVER, WaiverKind, WaiverState
from migration.models.organization import Account


class Waiver(models.Model):
    """Instances are left out of enforcement until a date, with a reason and a second person.

    Which ones is said by name: the row holds the text, so that it also covers what a group launches tomorrow.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="waivers", db_index=False)
    kind = models.CharField(max_length=16, choices=WaiverKind)
    target = models.CharField(max_length=400, blank=True, default="")  # instance id, group, Key=Value; "": the account
    region = models.CharField(max_length=32, blank=True, default="")  # "": in every Region
    reason = models.TextField()
    expires_on = models.DateField()  # the last UTC day on which it holds
    state = models.CharField(max_length=16, choices=WaiverState, default=WaiverState.REQUESTED)
    version = models.PositiveIntegerField(default=0)  # raised by every move; forms carry it
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    comment = models.TextField(blank=True, default="")  # of who decided
    since = models.DateTimeField(null=True, blank=True)  # when the first of its renewals took effect
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_because = models.CharField(max_length=2000, blank=True, default="")
    renews = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="renewed_by")
    renewals = models.PositiveIntegerField(default=0)  # how often it was asked for again, this time included

    class Meta:
        ordering = ("-requested_at", "-pk")
        constraints = [
            models.UniqueConstraint(
                fields=("account", "kind", "target", "region"),
                condition=Q(state=WaiverState.ACTIVE),
                name="one_active_waiver_each",
            ),
            models.UniqueConstraint(
                fields=("account", "kind", "target", "region"),
                condition=Q(state=WaiverState.REQUESTED),
                name="one_waiting_waiver_each",
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("requested_by")), name="waiver_takes_two_people"
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True, decided_at__isnull=True)
                | Q(decided_by__isnull=False, decided_at__isnull=False),
                name="waiver_decided_fields_go_together",
            ),
            models.CheckConstraint(
                condition=Q(state__in=[WaiverState.ACTIVE, WaiverState.REJECTED, WaiverState.ENDED])
                & Q(decided_by__isnull=False)
                | Q(state__in=[WaiverState.REQUESTED, WaiverState.WITHDRAWN]) & Q(decided_by__isnull=True)
                | Q(state=WaiverState.EXPIRED),
                name="waiver_decided_when_its_state_says_so",
            ),
            models.CheckConstraint(
                condition=Q(state__in=[str(state) for state in OPEN_WAIVER], closed_at__isnull=True)
                | (~Q(state__in=[str(state) for state in OPEN_WAIVER]) & Q(closed_at__isnull=False)),
                name="waiver_closed_when_over",
            ),
            models.CheckConstraint(
                condition=(Q(kind=WaiverKind.ACCOUNT, target="") | (~Q(kind=WaiverKind.ACCOUNT) & ~Q(target=""))),
                name="waiver_names_something",
            ),
            models.CheckConstraint(
                condition=Q(renews__isnull=True, renewals=0) | Q(renews__isnull=False, renewals__gt=0),
                name="waiver_renewals_are_counted",
            ),
        ]
        indexes = [models.Index(fields=("account", "state"), name="waiver_account_state")]

    def __str__(self) -> str:
        return f"waiver {self.pk}"
