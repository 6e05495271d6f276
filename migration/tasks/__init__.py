"""Doors for Celery: primitives in, one action called, the outcome into a row. A message is only a nudge."""

from migration.tasks import (
    audit,
    callers,
    collection,
    discovery,
    enforcement,
    linked,
    notification,
    preflight,
    probe,
    retention,
    userdata,
    verification,
    waivers,
    watch,
)

__all__ = [
    "audit",
    "callers",
    "collection",
    "discovery",
    "enforcement",
    "linked",
    "notification",
    "preflight",
    "probe",
    "retention",
    "userdata",
    "verification",
    "waivers",
    "watch",
]
