"""The tables. No rules live here, only shapes, constraints and indexes."""

from migration.models.access import Grant
from migration.models.audit import AuditEvent, AuditHead
from migration.models.decision import Approval, Change, EnforcementRequest, Run, Waiver
from migration.models.inventory import Instance
from migration.models.organization import Account, ApiDay, RegionDefaults, Scope
from migration.models.usage import CollectionRun, InstanceDay, ScheduledRun, ScopeDay

__all__ = [
    "Account",
    "ApiDay",
    "Approval",
    "AuditEvent",
    "AuditHead",
    "Change",
    "CollectionRun",
    "EnforcementRequest",
    "Grant",
    "Instance",
    "InstanceDay",
    "RegionDefaults",
    "Run",
    "ScheduledRun",
    "Scope",
    "ScopeDay",
    "Waiver",
]
