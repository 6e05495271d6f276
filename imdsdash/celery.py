"""The Celery app. Its timetable is `CELERY_BEAT_SCHEDULE` in the settings."""

import os
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import after_task_publish, heartbeat_sent
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imdsdash.settings")

app = Celery("imdsdash")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["migration"])


@heartbeat_sent.connect  # a worker, every two seconds
@after_task_publish.connect  # beat, whenever the broker has taken a nudge
def still_here(**_: Any) -> None:
    """Touch the file that a container's health check looks at."""
    if settings.IMDSDASH_HEARTBEAT_FILE:
        Path(settings.IMDSDASH_HEARTBEAT_FILE).touch()
