"""System checks: combinations of settings that would lose or double work refuse to start."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register()
def time_limits_below_visibility(**_: Any) -> list[CheckMessage]:
    """A task longer than Redis's visibility timeout is delivered again while its first copy still runs."""
    visibility = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("visibility_timeout")
    if visibility is not None and visibility <= settings.CELERY_TASK_TIME_LIMIT:
        return [
            Error(
                f"CELERY_TASK_TIME_LIMIT ({settings.CELERY_TASK_TIME_LIMIT} s) must be below the broker's "
                f"visibility_timeout ({visibility} s).",
                id="migration.E001",
            )
        ]
    return []


@register()
def lease_outlives_one_call(**_: Any) -> list[CheckMessage]:
    """A lease must outlast the longest single AWS call, or a second worker starts beside a living one."""
    longest = settings.IMDSDASH_AWS_CONNECT_TIMEOUT + settings.IMDSDASH_AWS_READ_TIMEOUT
    if longest >= settings.IMDSDASH_LEASE_SECONDS:
        return [
            Error(
                f"IMDSDASH_LEASE_SECONDS ({settings.IMDSDASH_LEASE_SECONDS}) must be more than the AWS connect and "
                f"read timeouts together ({longest:g} s).",
                id="migration.E002",
            )
        ]
    return []
