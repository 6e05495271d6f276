from django.conf import settings
from django.db import models
from django.db.models import F, Q

from migration.enums import (
    ACTIVE_RUN,
    CanaryState,
    ChangeState,
    Decision,
    RequestKind,
    RequestState,
    ResourceKind,
    RunState,
    WatchState,
)
from migration.models.inventory import Instance
from migration.models.lease import Leased
from migration.models.organization import Account
from migration.models.policy import Policy
from migration.models.wave import Wave


class EnforcementRequest(models.Model):
    """A plan and the question whether it may be done. The plan never changes once it is requested."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="requests")
    kind = models.CharField(max_length=16, choices=RequestKind, default=RequestKind.ENFORCE)
    state = models.CharField(max_length=16, choices=RequestState, default=RequestState.DRAFT)
    version = models.PositiveIntegerField(default=0)  # raised by every change; forms carry it
    plan = models.JSONField()  # domain.plan.Plan as canonical JSON
    plan_hash = models.CharField(max_length=64)
    quorum = models.PositiveSmallIntegerField(default=1)  # how many must approve; the plan holds the same number
    reason = models.TextField(blank=True, default="")
    batch = models.UUIDField(null=True, blank=True)  # planned together, one request for each account
    wave = models.ForeignKey(Wave, null=True, blank=True, on_delete=models.PROTECT, related_name="requests")
    undoes = models.ForeignKey("Run", null=True, blank=True, on_delete=models.PROTECT, related_name="undone_by")
    emergency = models.BooleanField(default=False)  # put back by the right of the policy, without a second person
    by_policy = models.ForeignKey(Policy, null=True, blank=True, on_delete=models.PROTECT, related_name="requests")
    # What AWS answered when it was asked beforehand: rollback locks, DryRun. Beside the plan, for it is asked again.
    checks = models.JSONField(default=dict, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    requested_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at", "-pk")
        constraints = [
            models.CheckConstraint(
                condition=Q(requested_by__isnull=True, requested_at__isnull=True)
                | Q(requested_by__isnull=False, requested_at__isnull=False),
                name="request_requested_fields_go_together",
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True, decided_at__isnull=True)
                | Q(decided_by__isnull=False, decided_at__isnull=False),
                name="request_decided_fields_go_together",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=[RequestState.APPROVED, RequestState.REJECTED])
                | (
                    Q(decided_by__isnull=False)
                    & Q(requested_by__isnull=False)
                    & ~Q(decided_by=F("requested_by"))
                    & ~Q(decided_by=F("created_by"))
                )
                | Q(state=RequestState.APPROVED, by_policy__isnull=False, decided_by__isnull=True),
                name="request_decided_by_someone_else",
            ),
            models.CheckConstraint(condition=Q(quorum__gte=1) & Q(quorum__lte=9), name="request_quorum_is_a_number"),
            models.CheckConstraint(
                condition=Q(kind=RequestKind.ROLLBACK, undoes__isnull=False)
                | (~Q(kind=RequestKind.ROLLBACK) & Q(undoes__isnull=True, emergency=False)),
                name="request_undoes_when_it_is_a_rollback",
            ),
            models.CheckConstraint(
                condition=Q(state=RequestState.DRAFT)
                | Q(state=RequestState.EXPIRED)
                | Q(state=RequestState.WITHDRAWN)
                | Q(requested_by__isnull=False),
                name="request_leaves_draft_by_a_person",
            ),
        ]

    def __str__(self) -> str:
        return f"request {self.pk}"


class Approval(models.Model):
    """One person's decision. `requester` is a copy, so that the database itself can refuse self-approval."""

    request = models.ForeignKey(EnforcementRequest, on_delete=models.PROTECT, related_name="approvals")
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    decision = models.CharField(max_length=8, choices=Decision)
    plan_hash = models.CharField(max_length=64)  # what was signed
    comment = models.TextField(blank=True, default="")
    at = models.DateTimeField()
    void_at = models.DateTimeField(null=True, blank=True)  # taken back, or the plan was edited since

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=("request", "approver"), condition=Q(void_at__isnull=True), name="approval_once_per_person"
            ),
            models.CheckConstraint(condition=~Q(approver=F("requester")), name="approver_is_not_requester"),
        ]

    def __str__(self) -> str:
        return f"{self.decision} of {self.request_id}"


class PlanEdit(models.Model):
    """Somebody changed a draft. Who did cannot approve it."""

    request = models.ForeignKey(EnforcementRequest, on_delete=models.PROTECT, related_name="edits")
    editor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    plan_hash = models.CharField(max_length=64)  # of the plan as it was left
    left_out = models.JSONField(default=list, blank=True)  # keys of the changes taken out
    reason = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"edit of {self.request_id}"


class Run(models.Model):
    """An approved plan being carried out. One per request, and one active per account."""

    request = models.OneToOneField(EnforcementRequest, on_delete=models.PROTECT, related_name="run")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="runs")
    state = models.CharField(max_length=16, choices=RunState, default=RunState.QUEUED)
    state_reason = models.CharField(max_length=400, blank=True, default="")
    max_failures = models.PositiveSmallIntegerField(default=2)  # beyond it the run pauses
    failures_forgiven = models.PositiveIntegerField(default=0)  # those counted when a person resumed it
    wave = models.ForeignKey(Wave, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")
    waits_until = models.DateTimeField(null=True, blank=True)  # outside its change window: the next opening
    # The canary: the first change goes alone, and what its instance shows afterwards decides.
    canary = models.CharField(max_length=12, choices=CanaryState, blank=True, default=CanaryState.NONE)
    canary_until = models.DateTimeField(null=True, blank=True)
    # After the last write: rejected calls of what was changed, hour by hour.
    watch = models.CharField(max_length=12, choices=WatchState, blank=True, default=WatchState.NONE)
    watch_until = models.DateTimeField(null=True, blank=True)
    watched_at = models.DateTimeField(null=True, blank=True)  # when it was last judged
    # Who drives it now, and until when without a sign of life: one worker at a time.
    driver = models.CharField(max_length=160, blank=True, default="")
    driver_expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at", "-pk")
        constraints = [
            models.UniqueConstraint(
                fields=("account",),
                condition=Q(state__in=[str(state) for state in ACTIVE_RUN]),
                name="one_active_run_per_account",
            ),
            models.CheckConstraint(
                condition=Q(state__in=[str(state) for state in ACTIVE_RUN], finished_at__isnull=True)
                | (~Q(state__in=[str(state) for state in ACTIVE_RUN]) & Q(finished_at__isnull=False)),
                name="run_finished_when_over",
            ),
        ]

    def __str__(self) -> str:
        return f"run {self.pk}"


class Change(Leased):
    """One resource to change: what it was, what it shall be, what came of it. A row in the enforcement queue."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="changes", db_index=False)
    kind = models.CharField(max_length=32, choices=ResourceKind, default=ResourceKind.INSTANCE)
    instance = models.ForeignKey(Instance, null=True, blank=True, on_delete=models.PROTECT, related_name="changes")
    target_account_id = models.CharField(max_length=12)
    region = models.CharField(max_length=32)
    resource_id = models.CharField(max_length=256)  # instance id, template id, group name, AMI id, Region
    name = models.CharField(max_length=256, blank=True, default="")
    needs = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="needed_by")
    undoes = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="undone_by")
    before = models.JSONField()  # the whole state as planned; of an instance all six options
    send = models.JSONField()  # exactly the fields sent to AWS, e.g. {"HttpTokens": "required"}
    after = models.JSONField(null=True, blank=True)  # all six options as read back from AWS
    state = models.CharField(max_length=16, choices=ChangeState, default=ChangeState.PENDING)
    reason = models.CharField(max_length=400, blank=True, default="")
    error_class = models.CharField(max_length=60, blank=True, default="")
    aws_request_id = models.CharField(max_length=80, blank=True, default="")
    writes = models.PositiveSmallIntegerField(default=0)  # how often `calling` was entered
    reads = models.PositiveSmallIntegerField(default=0)  # verification reads since the write
    called_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    rejected_calls = models.BigIntegerField(null=True, blank=True)  # refused since the change; NULL: not measured
    rejected_hour = models.DateTimeField(null=True, blank=True)  # the last hour with a refused call

    class Meta:
        ordering = ("pk",)
        constraints = [
            models.UniqueConstraint(fields=("run", "kind", "region", "resource_id"), name="change_once_per_run"),
            models.CheckConstraint(
                condition=Q(kind=ResourceKind.INSTANCE, instance__isnull=False)
                | (~Q(kind=ResourceKind.INSTANCE) & Q(instance__isnull=True)),
                name="change_of_an_instance_has_one",
            ),
            models.CheckConstraint(
                condition=~Q(state=ChangeState.VERIFIED) | Q(after__isnull=False),
                name="change_verified_has_after",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=[ChangeState.CALLING, ChangeState.APPLIED]) | Q(called_at__isnull=False),
                name="change_called_has_time",
            ),
            models.CheckConstraint(condition=Q(writes__lte=2), name="change_written_at_most_twice"),
        ]
        indexes = [
            models.Index(fields=("state", "not_before"), name="change_due"),
            models.Index(fields=("run", "state"), name="change_run_state"),
            models.Index(fields=("target_account_id", "region", "called_at"), name="change_pace"),
        ]

    def __str__(self) -> str:
        return f"change {self.pk}"
