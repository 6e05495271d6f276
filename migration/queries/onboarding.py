"""What the page that connects accounts knows already, and what the last tests of the roles said."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db.models import Case, IntegerField, QuerySet, Value, When

from migration.domain.onboarding import Filled, Way, role_of
from migration.enums import AccountSource, RoleState
from migration.models import Account

FILES = (
    "roles.yaml",
    "central.yaml",
    "reader-role.json",
    "enforcer-role.json",
    "enforcer-templates.json",
    "enforcer-defaults.json",
    "enforcer-images.json",
    "enforcer-off.json",
    "central-policy.json",
    "trust-policy.json",
)
PATIENCE = timedelta(seconds=90)  # for a test that was asked for; then nobody waits any more


@cache
def files() -> Mapping[str, str]:
    """The templates and policies of deploy/, as they are installed beside this code."""
    folder = settings.BASE_DIR / "deploy"
    return {name: (folder / name).read_text(encoding="utf-8") for name in FILES}


def known() -> Filled:
    """What the accounts tell of the central role, its partition and the organization."""
    own = Account.objects.filter(reader_role_arn="", enabled=True).order_by("pk").first()
    management = Account.objects.filter(management=True).first()
    discovery = management.probe.get("discovery", {}) if management else {}
    some = own or management or Account.objects.first()
    return Filled(
        partition=some.partition if some else "aws",
        central_role_arn=role_of(str(own.probe.get("identity", ""))) if own else "",
        central_account=own.account_id if own else "",
        organization_id=str(discovery.get("organization") or ""),
        external_id=settings.IMDSDASH_EXTERNAL_ID,
        reader_role=settings.IMDSDASH_READER_ROLE,
        enforcer_role=settings.IMDSDASH_ENFORCER_ROLE,
    )


def usual_way() -> Way:
    """How accounts came here so far."""
    if Account.objects.filter(source=AccountSource.ORGANIZATION).exists():
        return Way.ORGANIZATION
    return Way.HAND if Account.objects.exclude(reader_role_arn="").exists() else Way.HERE


@dataclass(frozen=True, slots=True)
class Discovery:
    """How reading the organization went: the last success, and the failure since, if there was one."""

    organization: str
    account: Account  # the management account
    at: datetime | None
    note: str = ""
    error: str = ""
    error_at: datetime | None = None


def discovery() -> Discovery | None:
    """None where no organization was ever discovered."""
    management = Account.objects.filter(management=True).first()
    if management is None or "discovery" not in management.probe:
        return None
    told = management.probe["discovery"]
    return Discovery(
        organization=str(told.get("organization") or ""),
        account=management,
        at=_moment(told.get("at")),
        note=str(told.get("note") or ""),
        error=str(told.get("error") or ""),
        error_at=_moment(told.get("error_at")),
    )


@dataclass(frozen=True, slots=True)
class Tested:
    """What the last test of one account's role said."""

    account: Account
    at: datetime | None  # None: never tested
    waiting: bool  # a test was asked for, and has not answered yet
    identity: str = ""
    regions: list[str] = field(default_factory=list)
    region: str = ""  # where the permissions were tried
    granted: int = 0
    tried: int = 0
    missing: list[Mapping[str, Any]] = field(default_factory=list)  # action, message

    @property
    def message(self) -> str:
        """Why the account could not be entered, in AWS's words."""
        return self.account.role_message if self.account.role_state != RoleState.OK else ""


def in_order(accounts: QuerySet[Account]) -> QuerySet[Account]:
    """What cannot be entered first, then what was never tried."""
    rank = Case(
        When(enabled=False, then=Value(3)),
        When(role_state=RoleState.OK, then=Value(2)),
        When(role_state=RoleState.UNTESTED, then=Value(1)),
        default=Value(0),
        output_field=IntegerField(),
    )
    return accounts.order_by(rank, "name", "account_id")


def tested(account: Account, *, now: datetime) -> Tested:
    told = account.probe
    at, asked_at = _moment(told.get("at")), _moment(told.get("asked_at"))
    findings = list(told.get("findings") or [])
    missing = [one for one in findings if not one["ok"]]
    return Tested(
        account=account,
        at=at,
        waiting=asked_at is not None and (at is None or at < asked_at) and now - asked_at < PATIENCE,
        identity=str(told.get("identity") or ""),
        regions=list(told.get("regions") or []),
        region=str(told.get("region") or ""),
        granted=len(findings) - len(missing),
        tried=len(findings),
        missing=missing,
    )


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
