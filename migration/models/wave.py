from django.conf import settings
from django.db import models
from django.db.models import Q

from migration.enums import WaveState
from migration.models.organization import Account


class Wave(models.Model):
    """Accounts that move together, with somebody who answers for them and a day by which they are done."""

    name = models.CharField(max_length=120, unique=True)
    owner = models.CharField(max_length=200)
    contact = models.CharField(max_length=200, blank=True, default="")
    due_on = models.DateField(null=True, blank=True)  # the last UTC day
    position = models.PositiveSmallIntegerField(default=0)  # the order of the waves
    state = models.CharField(max_length=16, choices=WaveState, default=WaveState.DRAFT)
    version = models.PositiveIntegerField(default=0)  # raised by every move and edit; forms carry it
    paused_because = models.CharField(max_length=400, blank=True, default="")  # set by a watch: nothing of it goes on
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("position", "pk")
        constraints = [
            models.CheckConstraint(
                condition=Q(state=WaveState.CLOSED, closed_at__isnull=False)
                | (~Q(state=WaveState.CLOSED) & Q(closed_at__isnull=True)),
                name="wave_closed_has_time",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class WaveAccount(models.Model):
    """An account is in one wave at most."""

    wave = models.ForeignKey(Wave, on_delete=models.CASCADE, related_name="members")
    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="wave_member")

    def __str__(self) -> str:
        return f"{self.account_id} in {self.wave_id}"
