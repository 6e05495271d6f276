"""The tables. No rules live here, only shapes, constraints and indexes."""

from migration.models.access import Grant
from migration.models.audit import AuditEvent, AuditHead
from migration.models.callers import Caller
from migration.models.decision import Approval, Change, EnforcementRequest, PlanEdit, Run
from migration.models.history import OptionChange, Regression
from migration.models.inventory import Finding, Instance
from migration.models.launches import (
    AutoScalingGroup,
    Image,
    LaunchConfiguration,
    LaunchReading,
    LaunchSource,
    LaunchTemplate,
    LaunchTemplateVersion,
    SpotRequest,
)
from migration.models.notification import Notification
from migration.models.organization import Account, ApiDay, RegionDefaults, Scope, UserDataReading
from migration.models.policy import Brake, Policy
from migration.models.usage import CollectionRun, InstanceDay, ScheduledRun, ScopeDay
from migration.models.waiver import Waiver
from migration.models.wave import Wave, WaveAccount
from migration.models.workload import Workload

__all__ = [
    "Account",
    "ApiDay",
    "Approval",
    "AuditEvent",
    "AuditHead",
    "AutoScalingGroup",
    "Brake",
    "Caller",
    "Change",
    "CollectionRun",
    "EnforcementRequest",
    "Finding",
    "Grant",
    "Image",
    "Instance",
    "InstanceDay",
    "LaunchConfiguration",
    "LaunchReading",
    "LaunchSource",
    "LaunchTemplate",
    "LaunchTemplateVersion",
    "Notification",
    "OptionChange",
    "PlanEdit",
    "Policy",
    "RegionDefaults",
    "Regression",
    "Run",
    "ScheduledRun",
    "Scope",
    "ScopeDay",
    "SpotRequest",
    "UserDataReading",
    "Waiver",
    "Wave",
    "WaveAccount",
    "Workload",
]
