from django.db import models


class Leased(models.Model):
    """A row that is also a place in the queue. The broker's message is only a nudge; this is the truth.

    A worker claims by compare-and-swap on (state, fence), which raises `fence` by one. Every later write
    of that worker carries its fence, so one that slept past its lease changes nothing.
    """

    attempts = models.PositiveIntegerField(default=0)
    lease_owner = models.CharField(max_length=120, blank=True, default="")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveBigIntegerField(default=0)
    not_before = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
