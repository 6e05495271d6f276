from django.db import models
from django.db.models import F, Q

from migration.enums import Attribution, Status, UserData
from migration.models.organization import Account


class Instance(models.Model):
    """An EC2 instance as last seen, and the verdict on it. One that vanishes becomes `gone`; its row is kept until
    nothing but a name is left of it (`actions.retention`).
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="instances", db_index=False)
    region = models.CharField(max_length=32)
    instance_id = models.CharField(max_length=32)

    # The metadata options, all six and their State. NULL: AWS did not say.
    http_tokens = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001
    http_put_response_hop_limit = models.SmallIntegerField(null=True, blank=True)
    http_endpoint = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001
    http_protocol_ipv6 = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001
    instance_metadata_tags = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001
    options_state = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001

    instance_state = models.CharField(max_length=20)
    name = models.CharField(max_length=256, blank=True, default="")
    instance_type = models.CharField(max_length=40, blank=True, default="")
    platform_details = models.CharField(max_length=80, blank=True, default="")
    lifecycle = models.CharField(max_length=40, blank=True, default="")
    image_id = models.CharField(max_length=32, blank=True, default="")
    instance_profile_arn = models.CharField(max_length=700, blank=True, default="")
    asg_name = models.CharField(max_length=256, blank=True, default="")
    launch_template_id = models.CharField(max_length=40, blank=True, default="")
    launch_template_version = models.CharField(max_length=12, blank=True, default="")
    public = models.BooleanField(default=False)
    operator_managed = models.BooleanField(default=False)
    operator_principal = models.CharField(max_length=200, blank=True, default="")
    tags = models.JSONField(default=dict, blank=True)
    launched_at = models.DateTimeField(null=True, blank=True)  # the LAST start (EC2's LaunchTime)
    first_launched_at = models.DateTimeField(null=True, blank=True)  # attach time of the primary ENI
    stopped_at = models.DateTimeField(null=True, blank=True)  # from StateTransitionReason, while stopped
    ended_at = models.DateTimeField(null=True, blank=True)  # what AWS said of its end, if it did

    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True, blank=True)
    usage_until = models.DateTimeField(null=True, blank=True)  # every query up to here was answered Complete
    watch_until = models.DateTimeField(null=True, blank=True)  # enforced lately: rejected calls are read each hour
    published_at = models.DateTimeField(null=True, blank=True)  # last seen in ListMetrics while not in the inventory
    attributed_by = models.CharField(max_length=16, choices=Attribution, blank=True, default=Attribution.NONE)
    first_enforced_at = models.DateTimeField(null=True, blank=True)  # first time we saw required+applied

    # Its user data, where reading it is switched on: never the text itself, only what was found in it.
    user_data_read_at = models.DateTimeField(null=True, blank=True)
    user_data = models.CharField(max_length=16, choices=UserData, blank=True, default=UserData.NOT_READ)
    container_hints = models.JSONField(default=list, blank=True)  # what it says of containers: [runtime, hops]

    user_data_callers = models.JSONField(default=list, blank=True)  # ids of known callers that it names
    cloudtrail = models.JSONField(default=dict, blank=True)  # what asking CloudTrail about it came to, if anybody did

    # The verdict of domain.readiness, written with the pass that made it.
    status = models.CharField(max_length=16, choices=Status, default=Status.UNKNOWN)
    status_reason = models.CharField(max_length=400, blank=True, default="")
    status_since = models.DateTimeField(null=True, blank=True)
    blockers = models.JSONField(default=list, blank=True)
    warnings = models.JSONField(default=list, blank=True)
    risk = models.PositiveSmallIntegerField(default=0)  # domain.risk: 0 where IMDSv1 is refused
    measured_days = models.PositiveSmallIntegerField(default=0)
    window_days = models.PositiveSmallIntegerField(default=0)
    v1_calls_window = models.BigIntegerField(null=True, blank=True)  # NULL: not one hour of the window is measured
    last_v1_hour = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("account", "region", "instance_id")
        constraints = [
            models.UniqueConstraint(fields=("account", "region", "instance_id"), name="instance_once_per_scope"),
            models.CheckConstraint(
                condition=Q(gone_at__isnull=True) | Q(status=Status.GONE),
                name="instance_gone_at_only_when_gone",
            ),
        ]
        indexes = [
            models.Index(fields=("account", "status", "id"), name="instance_account_status"),
            # A pass walks the living of a scope by key, and asks for those that went lately.
            models.Index(fields=("account", "region", "id"), condition=Q(gone_at__isnull=True), name="instance_live"),
            models.Index(
                fields=("account", "region", "gone_at"), condition=Q(gone_at__isnull=False), name="instance_gone"
            ),
            # Siblings of one group.
            models.Index(fields=("account", "region", "asg_name"), condition=~Q(asg_name=""), name="instance_group"),
            # The most exposed first, over all accounts.
            models.Index(F("risk").desc(), "id", condition=Q(gone_at__isnull=True), name="instance_risk"),
        ]

    def __str__(self) -> str:
        return self.instance_id


class Finding(models.Model):
    """One statement of an instance's user data that calls IMDSv1, or may. Secrets in it are masked."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="findings", db_index=False)
    part = models.PositiveSmallIntegerField()
    line = models.PositiveIntegerField()
    kind = models.CharField(max_length=16)  # domain.userdata.Kind
    certain = models.BooleanField()
    language = models.CharField(max_length=16, blank=True, default="")
    statement = models.CharField(max_length=320, blank=True, default="")
    advice = models.TextField(blank=True, default="")
    is_rewrite = models.BooleanField(default=False)
    found_at = models.DateTimeField()

    class Meta:
        ordering = ("part", "line", "pk")
        indexes = [models.Index(fields=("instance", "part", "line"), name="finding_instance")]

    def __str__(self) -> str:
        return f"{self.kind} in line {self.line}"
