from django.conf import settings
from django.db import models
from django.db.models import F, Q

from migration.enums import (
    ACTIVE_RUN,
    OPEN_WAIVER,
    ChangeState,
    Decision,
    RequestState,
    RunState,
    WaiverKind,
    WaiverState,
)
from migration.models.inventory import Instance
from migration.models.lease import Leased
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


class EnforcementRequest(models.Model):
    """A plan and the question whether it may be done. The plan never changes once it is requested."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="requests")
    state = models.CharField(max_length=16, choices=RequestState, default=RequestState.DRAFT)
    version = models.PositiveIntegerField(default=0)  # raised by every change; forms carry it
    plan = models.JSONField()  # domain.plan.Plan as canonical JSON
    plan_hash = models.CharField(max_length=64)
    reason = models.TextField(blank=True, default="")
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
                ),
                name="request_decided_by_someone_else",
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

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("request", "approver"), name="approval_once_per_person"),
            models.CheckConstraint(condition=~Q(approver=F("requester")), name="approver_is_not_requester"),
        ]

    def __str__(self) -> str:
        return f"{self.decision} of {self.request_id}"


class Run(models.Model):
    """An approved plan being carried out. One per request, and one active per account."""

    request = models.OneToOneField(EnforcementRequest, on_delete=models.PROTECT, related_name="run")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="runs")
    state = models.CharField(max_length=16, choices=RunState, default=RunState.QUEUED)
    state_reason = models.CharField(max_length=400, blank=True, default="")
    max_failures = models.PositiveSmallIntegerField(default=2)  # beyond it the run pauses
    failures_forgiven = models.PositiveIntegerField(default=0)  # those counted when a person resumed it
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
    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, related_name="changes")
    target_account_id = models.CharField(max_length=12)
    region = models.CharField(max_length=32)
    target_instance_id = models.CharField(max_length=32)
    before = models.JSONField()  # all six options as planned
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

    class Meta:
        ordering = ("pk",)
        constraints = [
            models.UniqueConstraint(fields=("run", "instance"), name="change_once_per_run"),
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
