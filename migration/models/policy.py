from django.conf import settings
from django.db import models
from django.db.models import F, Q

from migration.enums import Emergency, PolicyState
from migration.models.organization import Account


class Policy(models.Model):
    """What enforcement takes in a part of the organization. A row never changes: a new one takes its place, once a
    second admin has agreed. Both places empty: everywhere. The narrowest active row holds, as a whole.
    """

    ou_path = models.CharField(max_length=700, blank=True, default="")
    account = models.ForeignKey(Account, null=True, blank=True, on_delete=models.PROTECT, related_name="policies")
    state = models.CharField(max_length=16, choices=PolicyState, default=PolicyState.PROPOSED)
    version = models.PositiveIntegerField(default=0)  # raised by every move; forms carry it

    quorum = models.PositiveSmallIntegerField(default=1)  # approvals by different people
    one_click = models.PositiveIntegerField(default=0)  # so many instances at most need no second person; 0: never
    max_failures = models.PositiveSmallIntegerField(default=2)  # beyond it a run pauses
    canary_minutes = models.PositiveIntegerField(default=30)  # how long the canary may take to show data; 0: no watch
    watch_hours = models.PositiveSmallIntegerField(default=24)
    max_rejecting = models.PositiveSmallIntegerField(
        default=0
    )  # instances with refused calls beyond which a wave pauses
    emergency = models.CharField(max_length=12, choices=Emergency, default=Emergency.NOBODY)
    # The change window, empty zone: always open. A weekly time on the wall of that zone.
    window_zone = models.CharField(max_length=64, blank=True, default="")  # IANA: Europe/Berlin
    window_days = models.JSONField(default=list, blank=True)  # 0 Monday to 6 Sunday: the days on which it opens
    window_start = models.TimeField(null=True, blank=True)
    window_minutes = models.PositiveSmallIntegerField(default=0)

    reason = models.TextField()
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )  # NULL: by the command line, on the server itself
    proposed_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    comment = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("-proposed_at", "-pk")
        constraints = [
            models.UniqueConstraint(
                fields=("ou_path",),
                condition=Q(state=PolicyState.ACTIVE, account__isnull=True),
                name="one_active_policy_per_ou",
            ),
            models.UniqueConstraint(
                fields=("account",),
                condition=Q(state=PolicyState.ACTIVE, account__isnull=False),
                name="one_active_policy_per_account",
            ),
            models.CheckConstraint(condition=Q(ou_path="") | Q(account__isnull=True), name="policy_names_one_place"),
            models.CheckConstraint(condition=Q(quorum__gte=1) & Q(quorum__lte=9), name="policy_quorum_is_a_number"),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("proposed_by")), name="policy_takes_two_people"
            ),
            models.CheckConstraint(
                condition=Q(window_zone="", window_start__isnull=True, window_minutes=0)
                | (~Q(window_zone="") & Q(window_start__isnull=False, window_minutes__gt=0)),
                name="policy_window_fields_go_together",
            ),
        ]
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return f"policy {self.pk}"


class Brake(models.Model):
    """The one row that stops every write to AWS, everywhere, before the next call."""

    on = models.BooleanField(default=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True, default="")

    def __str__(self) -> str:
        return "brake on" if self.on else "brake off"
