"""Doors for Celery: primitives in, one action called, the outcome into a row. A message is only a nudge."""

from migration.tasks import collection, enforcement, verification

__all__ = ["collection", "enforcement", "verification"]
