from django.db import models
from django.db.models import Q

from migration.enums import AccountSource, GapKind, Outcome, RoleState, ScopeState
from migration.models.lease import Leased


class Account(models.Model):
    account_id = models.CharField(max_length=12, unique=True)
    name = models.CharField(max_length=128, blank=True, default="")
    ou_path = models.CharField(max_length=700, blank=True, default="")
    owner = models.CharField(max_length=200, blank=True, default="")
    contact = models.CharField(max_length=200, blank=True, default="")
    state = models.CharField(max_length=32, blank=True, default="ACTIVE")
    source = models.CharField(max_length=16, choices=AccountSource, default=AccountSource.HAND)
    management = models.BooleanField(default=False)  # the organization's management account
    partition = models.CharField(max_length=16, default="aws")
    # Empty role ARNs mean: the ambient credentials already are this account.
    reader_role_arn = models.CharField(max_length=700, blank=True, default="")
    enforcer_role_arn = models.CharField(max_length=700, blank=True, default="")
    external_id = models.CharField(max_length=1224, blank=True, default="")
    role_state = models.CharField(max_length=16, choices=RoleState, default=RoleState.UNTESTED)
    role_message = models.TextField(blank=True, default="")
    role_checked_at = models.DateTimeField(null=True, blank=True)
    # The circuit breaker: how often in a row the account could not be entered, and when it is tried again.
    failures = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True)
    probe = models.JSONField(default=dict, blank=True)  # what the last test of the role found, permission by permission
    enabled = models.BooleanField(default=True)
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name", "account_id")
        constraints = [
            models.CheckConstraint(
                condition=Q(account_id__regex=r"^[0-9]{12}$"),
                name="account_id_is_12_digits",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name or 'account'} ({self.account_id})"


class Scope(Leased):
    """One account in one Region: the unit of collection."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="scopes", db_index=False)
    region = models.CharField(max_length=32)
    enabled = models.BooleanField(default=True)
    state = models.CharField(max_length=16, choices=ScopeState, default=ScopeState.IDLE)
    # When each kind of reading is due again; NULL: at once. `next_due_at` is the earliest of them, for the dispatcher.
    inventory_due_at = models.DateTimeField(null=True, blank=True)
    usage_due_at = models.DateTimeField(null=True, blank=True)
    watch_due_at = models.DateTimeField(null=True, blank=True)
    next_due_at = models.DateTimeField(null=True, blank=True)
    last_started_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=16, choices=Outcome, default=Outcome.NEVER)
    gap = models.CharField(max_length=20, choices=GapKind, blank=True, default=GapKind.NONE)
    gap_message = models.TextField(blank=True, default="")  # AWS's own words
    # Half-open: usage is known for hours before this UTC instant, where every query answered Complete.
    usage_until = models.DateTimeField(null=True, blank=True)
    going_until = models.DateTimeField(null=True, blank=True)  # an unfinished reading asks up to here until it is done
    inventory_at = models.DateTimeField(null=True, blank=True)  # last complete inventory
    usage_at = models.DateTimeField(null=True, blank=True)  # last time every question about usage was answered whole
    complete_at = models.DateTimeField(null=True, blank=True)  # last pass with no gap at all
    history_from = models.DateField(null=True, blank=True)  # the first UTC day that CloudWatch was asked about
    # The monitoring account whose CloudWatch shows this one's metrics too, and since when that is known.
    linked_to = models.CharField(max_length=12, blank=True, default="")
    linked_since = models.DateTimeField(null=True, blank=True)
    throttled = models.PositiveIntegerField(default=0)  # answers of the last pass that were "too fast"
    clock_skew = models.FloatField(default=0.0)  # seconds AWS's clock was ahead of ours in the last pass

    class Meta:
        ordering = ("account__name", "account__account_id", "region")
        constraints = [
            models.UniqueConstraint(fields=("account", "region"), name="scope_once_per_account_and_region"),
            models.CheckConstraint(
                condition=Q(state=ScopeState.IDLE, lease_expires_at__isnull=True)
                | Q(state=ScopeState.LEASED, lease_expires_at__isnull=False),
                name="scope_lease_fields_go_together",
            ),
            models.CheckConstraint(
                condition=Q(linked_to="", linked_since__isnull=True) | Q(~Q(linked_to=""), linked_since__isnull=False),
                name="scope_link_fields_go_together",
            ),
        ]
        indexes = [models.Index(fields=("state", "next_due_at"), name="scope_due")]

    def __str__(self) -> str:
        return f"{self.account_id}/{self.region}"


class UserDataReading(Leased):
    """The queue of looking into user data: one account in one Region, and how the last look went."""

    scope = models.OneToOneField(Scope, on_delete=models.CASCADE, related_name="user_data_reading")
    read_at = models.DateTimeField(null=True, blank=True)  # last time nothing was left to look at
    left = models.PositiveIntegerField(default=0)
    gap = models.CharField(max_length=20, choices=GapKind, blank=True, default=GapKind.NONE)
    gap_message = models.TextField(blank=True, default="")  # AWS's own words

    def __str__(self) -> str:
        return f"user data of {self.scope_id}"


class ApiDay(models.Model):
    """What collecting one scope on one UTC day asked of AWS: the meter of calls and of cost."""

    scope = models.ForeignKey(Scope, on_delete=models.CASCADE, related_name="api_days", db_index=False)
    day = models.DateField()
    operation = models.CharField(max_length=64)
    calls = models.PositiveIntegerField(default=0)  # requests sent, every retry counted
    throttled = models.PositiveIntegerField(default=0)  # of them, those answered "too fast"
    metrics = models.PositiveIntegerField(default=0)  # metrics requested: what GetMetricData is billed by

    class Meta:
        constraints = [models.UniqueConstraint(fields=("scope", "day", "operation"), name="api_day_once")]
        indexes = [models.Index(fields=("day",), name="api_day_day")]

    def __str__(self) -> str:
        return f"{self.scope_id} {self.day} {self.operation}"


class RegionDefaults(models.Model):
    """Account+Region launch defaults. NULL is AWS's missing key: no preference."""

    scope = models.OneToOneField(Scope, on_delete=models.CASCADE, related_name="defaults")
    http_tokens = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001 -- a missing key is not ""
    http_put_response_hop_limit = models.SmallIntegerField(null=True, blank=True)
    http_endpoint = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001
    instance_metadata_tags = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001
    http_tokens_enforced = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001
    managed_by = models.CharField(max_length=32, null=True, blank=True)  # noqa: DJ001
    managed_exception_message = models.TextField(blank=True, default="")
    read_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"defaults of {self.scope_id}"
