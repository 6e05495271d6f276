"""Words stored in the database. AWS's words are spelt as AWS spells them."""

from django.db.models import TextChoices


class Status(TextChoices):
    """What an instance is, for the migration: exactly one word each, first match wins in this order."""

    GONE = "gone", "Gone"
    MANAGED = "managed", "Managed by AWS"
    IMDS_OFF = "imds_off", "IMDS off"
    ENFORCED = "enforced", "Enforced"
    PENDING = "pending", "Pending"
    WAIVED = "waived", "Waived"
    REGRESSED = "regressed", "Regressed"
    IN_USE = "in_use", "In use"
    UNKNOWN = "unknown", "Unknown"
    SETTLING = "settling", "Settling"
    READY = "ready", "Ready"


# What counts as finished, as left to do, and as not ours to do. Percentages are made of these and nothing else.
DONE = (Status.ENFORCED, Status.IMDS_OFF)
LEFT = (
    Status.PENDING,
    Status.WAIVED,
    Status.REGRESSED,
    Status.IN_USE,
    Status.UNKNOWN,
    Status.SETTLING,
    Status.READY,
)
NOT_OURS = (Status.GONE, Status.MANAGED)


class FoundBy(TextChoices):
    """Who told of a caller."""

    ATHENA = "athena", "CloudTrail, by Athena"
    LOOKUP = "lookup_events", "CloudTrail, looked up"
    ANALYZER = "packet_analyzer", "IMDS packet analyzer"


class UserData(TextChoices):
    """What looking into an instance's user data came to."""

    NOT_READ = "", "Not read"
    NONE = "none", "It has none"
    QUIET = "quiet", "No IMDSv1 call found"
    FINDINGS = "findings", "Something found"
    REFUSED = "refused", "Could not be read"


class WorkloadKind(TextChoices):
    """What makes instances siblings: who launched them."""

    ASG = "asg", "Auto Scaling group"
    TEMPLATE = "template", "Launch template"


class Standing(TextChoices):
    """Where a workload or an account stands, the worst that is true of any of its instances first."""

    UNREADABLE = "unreadable", "Not readable"
    EMPTY = "empty", "No instance"
    REGRESSED = "regressed", "Regressed"
    IN_USE = "in_use", "In use"
    UNKNOWN = "unknown", "Unknown"
    SETTLING = "settling", "Settling"
    BLOCKED = "blocked", "Ready but blocked"
    READY = "ready", "Ready"
    PENDING = "pending", "Pending"
    WAIVED = "waived", "Waived"
    COMES_BACK = "comes_back", "Enforced but will come back"
    UNSURE = "unsure", "Enforced, launches not known"
    DONE = "done", "Enforced"


class RegressionKind(TextChoices):
    """How something that was won is lost again."""

    OPTIONAL_AGAIN = "optional_again", "Allows IMDSv1 again"
    V1_AFTER_READY = "v1_after_ready", "Called IMDSv1 after it was ready"
    NEW_LAUNCH = "new_launch", "New launch allows IMDSv1"
    DEFAULT_BACK = "default_back", "Region default taken back"


class Role(TextChoices):
    VIEWER = "viewer", "Viewer"
    ENGINEER = "engineer", "Engineer"
    APPROVER = "approver", "Approver"
    ADMIN = "admin", "Admin"


class AccountSource(TextChoices):
    """How an account came to be looked after."""

    HAND = "hand", "Added by hand"
    FILE = "file", "From a file"
    ORGANIZATION = "organization", "From the organization"
    AMBIENT = "ambient", "The credentials' own"


class Attribution(TextChoices):
    """By what a workload was found for an instance that AWS no longer lists."""

    NONE = "", "Not known"
    TAGS = "tags", "Its tags in an earlier pass"
    ACTIVITY = "activity", "A scaling activity"


class RoleState(TextChoices):
    """What the last attempt to enter an account told us."""

    UNTESTED = "untested", "Not tried yet"
    OK = "ok", "Readable"
    DENIED = "denied", "Access denied"
    WRONG_ACCOUNT = "wrong_account", "Answers as another account"
    UNREACHABLE = "unreachable", "No answer"


class ScopeState(TextChoices):
    """The lease of a scope: an (account, Region) pair is a row in the collection queue."""

    IDLE = "idle", "Idle"
    LEASED = "leased", "Being collected"


class Outcome(TextChoices):
    """How the last pass over a scope ended. Only `complete` lets absence mean anything."""

    NEVER = "never", "Not collected yet"
    COMPLETE = "complete", "Complete"
    INCOMPLETE = "incomplete", "Incomplete"
    DENIED = "denied", "Access denied"


class RequestState(TextChoices):
    DRAFT = "draft", "Draft"
    REQUESTED = "requested", "Waiting for approval"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"
    WITHDRAWN = "withdrawn", "Withdrawn"
    EXPIRED = "expired", "Expired"


class RunState(TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    STOPPED = "stopped", "Stopped"
    DONE = "done", "Done"
    FAILED = "failed", "Finished with failures"


ACTIVE_RUN = (RunState.QUEUED, RunState.RUNNING, RunState.PAUSED)


class RequestKind(TextChoices):
    """What a plan is for. One plan does one thing, so that who approves it reads one sentence."""

    ENFORCE = "enforce", "Require IMDSv2"
    HOP_LIMIT = "hop_limit", "Raise the hop limit"
    IMDS_OFF = "imds_off", "Switch IMDS off"
    TEMPLATES = "templates", "Launch templates and groups"
    IMAGES = "images", "AMIs"
    DEFAULTS = "defaults", "Region defaults"
    ENFORCEMENT = "enforcement", "Refuse launches that allow IMDSv1"
    LIFT = "lift", "Lift the refusal of IMDSv1 launches"
    ROLLBACK = "rollback", "Put back"


# What may break the software on an instance: the first one is watched before the rest, and all of them afterwards.
WATCHED = (RequestKind.ENFORCE, RequestKind.IMDS_OFF)


class ScopeKind(TextChoices):
    """What of an account a plan is for."""

    ACCOUNT = "account", "Whole account"
    INSTANCES = "instances", "Chosen instances"
    GROUP = "group", "Auto Scaling group"
    FILTER = "filter", "What a filter shows"


# What makes the fleet less safe: the same ladder of confirmation, and an alert.
LOOSENS = (RequestKind.ROLLBACK, RequestKind.LIFT)


class ResourceKind(TextChoices):
    """What a change is made to."""

    INSTANCE = "instance", "Instance"
    TEMPLATE_VERSION = "launch_template_version", "Launch template version"
    TEMPLATE_DEFAULT = "launch_template_default", "Launch template default"
    GROUP = "auto_scaling_group", "Auto Scaling group"
    IMAGE = "image", "AMI"
    DEFAULTS = "region_defaults", "Region defaults"


class CanaryState(TextChoices):
    """What the first instance of a run has shown since it was changed."""

    NONE = "", "Not judged"
    WATCHING = "watching", "Being watched"
    QUIET = "quiet", "Quiet"
    CALLED = "called", "Calls refused"
    SILENT = "silent", "No data"
    ACCEPTED = "accepted", "Accepted by a person"


class WatchState(TextChoices):
    """What was heard of a run's instances after their change."""

    NONE = "", "Not watched"
    WATCHING = "watching", "Being watched"
    QUIET = "quiet", "Quiet for the whole watch"
    CALLED = "called", "Calls refused"
    BLIND = "blind", "Not measured throughout"


class PolicyState(TextChoices):
    PROPOSED = "proposed", "Waiting for a second admin"
    ACTIVE = "active", "Active"
    REJECTED = "rejected", "Rejected"
    WITHDRAWN = "withdrawn", "Withdrawn"
    REPLACED = "replaced", "Replaced"


class Emergency(TextChoices):
    """Who may put a run back without waiting for a second person."""

    NOBODY = "nobody", "Nobody"
    OWNER = "owner", "Who requested or approved the run"
    STEERING = "steering", "Everybody who may steer runs"


class WaveState(TextChoices):
    DRAFT = "draft", "Draft"
    ACTIVE = "active", "Active"
    CLOSED = "closed", "Closed"


class ChangeState(TextChoices):
    PENDING = "pending", "Waiting"
    LEASED = "leased", "Checking"
    CALLING = "calling", "Calling AWS"
    APPLIED = "applied", "Applied, being verified"
    UNKNOWN = "unknown", "Outcome unknown, being reconciled"
    VERIFIED = "verified", "Verified"
    SKIPPED = "skipped", "Skipped"
    FAILED = "failed", "Failed"


SETTLED = (ChangeState.VERIFIED, ChangeState.SKIPPED, ChangeState.FAILED)


class Decision(TextChoices):
    APPROVE = "approve", "Approved"
    REJECT = "reject", "Rejected"


class WaiverKind(TextChoices):
    """What a waiver names. The narrower first."""

    INSTANCE = "instance", "Instance"
    GROUP = "asg", "Auto Scaling group"
    TAG = "tag", "Tag"
    ACCOUNT = "account", "Whole account"


class WaiverState(TextChoices):
    REQUESTED = "requested", "Waiting for approval"
    ACTIVE = "active", "Active"
    REJECTED = "rejected", "Rejected"
    WITHDRAWN = "withdrawn", "Withdrawn"
    EXPIRED = "expired", "Expired"
    ENDED = "ended", "Ended"


OPEN_WAIVER = (WaiverState.REQUESTED, WaiverState.ACTIVE)


class Channel(TextChoices):
    """By which way people are told."""

    MAIL = "mail", "Mail"
    SLACK = "slack", "Slack"
    WEBHOOK = "webhook", "Webhook"


class Severity(TextChoices):
    INFO = "info", "For information"
    WARNING = "warning", "Warning"
    CRITICAL = "critical", "Needs somebody now"


class NotificationState(TextChoices):
    PENDING = "pending", "Waiting"
    LEASED = "leased", "Being sent"
    SENT = "sent", "Sent"
    PARKED = "parked", "Given up"


class GapKind(TextChoices):
    """Why something is not known."""

    NONE = "", ""
    DENIED = "denied", "Access denied"
    THROTTLED = "throttled", "Throttled"
    UNREACHABLE = "unreachable", "No answer"
    PARTIAL = "partial", "Partial data"
    REGION_DISABLED = "region_disabled", "Region not enabled"
    WRONG_ACCOUNT = "wrong_account", "Wrong account"
    ERROR = "error", "Error"


class LaunchAnswer(TextChoices):
    """What becomes of a launch, for the migration."""

    SAFE = "safe", "Safe"
    V1_ALLOWED = "v1_allowed", "Allows IMDSv1"
    FAILS = "fails", "Launch fails"
    UNKNOWN = "unknown", "Not known"


class Level(TextChoices):
    """Where an option of a launch is decided, highest first (EC2 user guide, "Configure instance metadata options")."""

    LAUNCH = "launch", "launch or template"
    ACCOUNT = "account", "account default"
    IMAGE = "image", "AMI"
    BASE = "base", "EC2 base value"


class LaunchSourceKind(TextChoices):
    """What new instances come from."""

    GROUP = "asg", "Auto Scaling group"
    TEMPLATE = "launch_template", "Launch template"
    CONFIGURATION = "launch_configuration", "Launch configuration"
    SPOT = "spot_request", "Spot request"
    IMAGE = "image", "AMI, launched directly"
