from django.db import models
from django.db.models import Q

from migration.enums import LaunchAnswer, LaunchSourceKind
from migration.models.organization import Account, Scope


class Stated(models.Model):
    """The metadata options that a launch states. NULL: it leaves the option out, which is not "optional"."""

    http_tokens = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001
    http_put_response_hop_limit = models.SmallIntegerField(null=True, blank=True)
    http_endpoint = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001
    http_protocol_ipv6 = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001
    instance_metadata_tags = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001

    class Meta:
        abstract = True


class LaunchReading(models.Model):
    """When each kind of launch source of a scope was last read whole, and why one was not."""

    scope = models.OneToOneField(Scope, on_delete=models.CASCADE, related_name="launch_reading")
    tried_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)  # last time all kinds were read whole
    kinds = models.JSONField(default=dict, blank=True)  # kind -> when it was last read whole, ISO 8601
    gaps = models.JSONField(default=list, blank=True)  # of the last try: kind, gap, AWS's own words

    def __str__(self) -> str:
        return f"launch sources of {self.scope_id}"


class LaunchTemplate(models.Model):
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="launch_templates", db_index=False)
    region = models.CharField(max_length=32)
    template_id = models.CharField(max_length=40)
    name = models.CharField(max_length=128)
    default_version = models.PositiveIntegerField()
    latest_version = models.PositiveIntegerField()
    provider = models.CharField(max_length=200, blank=True, default="")  # the service that keeps it; empty: our own
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("account", "region", "template_id"), name="launch_template_once")
        ]

    def __str__(self) -> str:
        return self.template_id


class LaunchTemplateVersion(Stated):
    """A version that something launches from. It never changes in AWS, so one that is known is not read again.

    No user data: it is not even parsed.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="template_versions", db_index=False)
    region = models.CharField(max_length=32)
    template_id = models.CharField(max_length=40)
    number = models.PositiveIntegerField()
    image_id = models.CharField(max_length=512, blank=True, default="")  # an AMI, or `resolve:ssm:...`
    deleted = models.BooleanField(default=False)  # AWS says that there is no such version
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=("account", "region", "template_id", "number"), name="launch_template_version_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.template_id}:{self.number}"


class AutoScalingGroup(models.Model):
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="groups", db_index=False)
    region = models.CharField(max_length=32)
    name = models.CharField(max_length=256)
    launch_configuration = models.CharField(max_length=256, blank=True, default="")
    uses = models.JSONField(default=list, blank=True)  # every template it may launch from, overrides included
    specification = models.JSONField(default=dict, blank=True)  # what it launches from, as AWS gives it
    mixed = models.BooleanField(default=False)
    desired = models.PositiveIntegerField(default=0)
    members = models.PositiveIntegerField(default=0)
    warm = models.PositiveIntegerField(default=0)  # of them, in the warm pool
    configured = models.JSONField(default=dict, blank=True)  # members by launch configuration
    provider = models.CharField(max_length=200, blank=True, default="")
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("account", "region", "name"), name="group_once")]

    def __str__(self) -> str:
        return self.name


class LaunchConfiguration(Stated):
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="configurations", db_index=False)
    region = models.CharField(max_length=32)
    name = models.CharField(max_length=256)
    image_id = models.CharField(max_length=512, blank=True, default="")
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("account", "region", "name"), name="configuration_once")]

    def __str__(self) -> str:
        return self.name


class SpotRequest(models.Model):
    """A Spot request that may still launch an instance."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="spot_requests", db_index=False)
    region = models.CharField(max_length=32)
    request_id = models.CharField(max_length=40)
    kind = models.CharField(max_length=16)  # one-time, persistent
    state = models.CharField(max_length=16)
    image_id = models.CharField(max_length=512, blank=True, default="")
    instance_id = models.CharField(max_length=32, blank=True, default="")
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("account", "region", "request_id"), name="spot_request_once")]

    def __str__(self) -> str:
        return self.request_id


class Image(models.Model):
    """An AMI in use. `readable` False: DescribeImages does not show it, and its `imds_support` is not known."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="images", db_index=False)
    region = models.CharField(max_length=32)
    image_id = models.CharField(max_length=40)
    name = models.CharField(max_length=256, blank=True, default="")
    owner = models.CharField(max_length=32, blank=True, default="")
    imds_support = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001 -- NULL: not set
    readable = models.BooleanField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("account", "region", "image_id"), name="image_once"),
            models.CheckConstraint(
                condition=Q(readable=True) | Q(imds_support__isnull=True), name="image_says_nothing_unless_readable"
            ),
        ]

    def __str__(self) -> str:
        return self.image_id


class LaunchSource(models.Model):
    """What new instances come from, and what they would get. One that a whole reading no longer lists is gone."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="launch_sources", db_index=False)
    region = models.CharField(max_length=32)
    kind = models.CharField(max_length=24, choices=LaunchSourceKind)
    source_id = models.CharField(max_length=256)
    name = models.CharField(max_length=256)
    version = models.CharField(max_length=80, blank=True, default="")
    provider = models.CharField(max_length=200, blank=True, default="")  # the service that keeps it; empty: our own
    answer_now = models.CharField(max_length=16, choices=LaunchAnswer)
    answer_enforced = models.CharField(max_length=16, choices=LaunchAnswer)
    severity = models.PositiveSmallIntegerField()  # the order of the page, the worst first
    decided = models.CharField(max_length=16, blank=True, default="")  # the level of the tokens of the worst launch
    reason = models.TextField()
    advice = models.TextField()
    notes = models.JSONField(default=list, blank=True)
    resolution = models.JSONField(default=list, blank=True)  # every launch it may make, option by option
    image_id = models.CharField(max_length=512, blank=True, default="")
    instances_live = models.PositiveIntegerField(default=0)
    instances_30d = models.PositiveIntegerField(default=0)  # first launched within 30 days, those gone included
    seen_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("account", "region", "kind", "source_id"), name="launch_source_once")
        ]
        indexes = [
            models.Index(
                fields=("severity", "-instances_30d", "name", "id"),
                condition=Q(gone_at__isnull=True),
                name="launch_source_worst",
            ),
            # The counts of the whole organisation, from the index alone.
            models.Index(
                fields=("account", "answer_now", "answer_enforced"),
                condition=Q(gone_at__isnull=True),
                name="launch_source_answers",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
