"""What the last test of an account's role found. It is stored as JSON by another process: nothing in it is trusted."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from migration.models import Account
from migration.queries.onboarding import PATIENCE


@dataclass(frozen=True)
class Check:
    """One call the role must be allowed to make."""

    operation: str
    ok: bool
    message: str = ""


@dataclass(frozen=True)
class Probe:
    at: datetime | None = None  # when it was answered
    asked_at: datetime | None = None  # when a person asked for it
    identity: str = ""
    regions: int | None = None
    checks: list[Check] = field(default_factory=list)

    @property
    def unanswered(self) -> bool:
        return self.asked_at is not None and (self.at is None or self.at < self.asked_at)

    def pending(self, now: datetime) -> bool:
        """Somebody asked for a test a moment ago, and it has not been answered."""
        return self.unanswered and self.asked_at is not None and self.asked_at > now - PATIENCE

    @property
    def refused(self) -> list[Check]:
        return [check for check in self.checks if not check.ok]


def probe_of(account: Account) -> Probe:
    """What is stored, as far as it can be read."""
    told: Any = account.probe
    if not isinstance(told, dict):
        return Probe()
    checks, regions = told.get("findings", told.get("checks")), told.get("regions")
    return Probe(
        at=_moment(told.get("at")),
        asked_at=_moment(told.get("asked_at")),
        identity=str(told.get("identity") or ""),
        regions=len(regions) if isinstance(regions, list) else regions if isinstance(regions, int) else None,
        checks=[_check(one) for one in checks if isinstance(one, dict)] if isinstance(checks, list) else [],
    )


def _check(told: dict[str, Any]) -> Check:
    return Check(
        operation=str(told.get("action") or told.get("operation") or "?"),
        ok=told.get("ok") is True,
        message=str(told.get("message") or ""),
    )


def _moment(text: object) -> datetime | None:
    try:
        moment = parse_datetime(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return timezone.make_aware(moment) if moment is not None and timezone.is_naive(moment) else moment
