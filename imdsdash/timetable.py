"""Which queue a task waits in, and when the periodic ones are asked for. Wiring only: what they do is theirs."""

from typing import Any

from celery.schedules import crontab

ROUTES = {
    # Not behind the passes it wakes: while all workers of `collect` are at one, the timetable must not seem dead.
    "migration.tasks.collection.dispatch_due": {"queue": "enforce"},
    "migration.tasks.collection.*": {"queue": "collect"},
    "migration.tasks.discovery.*": {"queue": "collect"},
    "migration.tasks.linked.*": {"queue": "collect"},
    "migration.tasks.probe.*": {"queue": "collect"},
    "migration.tasks.retention.*": {"queue": "collect"},
    "migration.tasks.audit.*": {"queue": "enforce"},  # short, and every hour
    "migration.tasks.enforcement.*": {"queue": "enforce"},
    "migration.tasks.verification.*": {"queue": "enforce"},
    "migration.tasks.waivers.*": {"queue": "enforce"},
    "migration.tasks.watch.*": {"queue": "enforce"},
    "migration.tasks.preflight.*": {"queue": "enforce"},
    # Of their own: a receiver that hangs keeps nobody waiting but other messages.
    "migration.tasks.notification.*": {"queue": "notify"},
}


def schedule(*, sweep_seconds: int) -> dict[str, dict[str, Any]]:
    """The timetable of beat. `expires`: a message that was not taken by then is worth nothing, another one comes."""
    return {
        "collect-what-is-due": {
            "task": "migration.tasks.collection.dispatch_due",
            "schedule": 60.0,
            "options": {"expires": 55},
        },
        "discover-the-organization": {  # once a day; every hour there is one more try after a failure that passes
            "task": "migration.tasks.discovery.discover_organization",
            "schedule": crontab(minute="17"),
            "options": {"expires": 3000},
        },
        "sweep-the-enforcement-queue": {
            "task": "migration.tasks.enforcement.sweep",
            "schedule": float(sweep_seconds),
            "options": {"expires": 60},
        },
        "expire-requests": {
            "task": "migration.tasks.enforcement.expire_requests",
            "schedule": crontab(minute="*/5"),
            "options": {"expires": 240},
        },
        "watch-what-was-changed": {
            "task": "migration.tasks.watch.tend",
            "schedule": crontab(minute="*/10"),
            "options": {"expires": 540},
        },
        "tend-waivers": {
            "task": "migration.tasks.waivers.tend",
            "schedule": crontab(minute="*/5"),
            "options": {"expires": 240},
        },
        "send-notifications": {
            "task": "migration.tasks.notification.dispatch",
            "schedule": 30.0,
            "options": {"expires": 25},
        },
        "look-into-user-data": {
            "task": "migration.tasks.userdata.dispatch",
            "schedule": crontab(minute="*/10"),
            "options": {"expires": 540},
        },
        "forget-what-is-old": {
            "task": "migration.tasks.retention.prune",
            "schedule": crontab(hour="3", minute="17"),
            "options": {"expires": 3600},
        },
        "anchor-the-audit-log": {  # once a day; every hour there is one more try, until the day has its anchor
            "task": "migration.tasks.audit.anchor",
            "schedule": crontab(minute="41"),
            "options": {"expires": 3000},
        },
    }
