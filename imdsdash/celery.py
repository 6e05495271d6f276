"""The Celery app. Its timetable is `CELERY_BEAT_SCHEDULE` in the settings."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imdsdash.settings")

app = Celery("imdsdash")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["migration"])
