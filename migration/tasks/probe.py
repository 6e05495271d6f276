"""Trying an account's reader role: who answers, which Regions, and each permission by one cheap read.

The enforcer role is not tried: only an approved run enters it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from migration.actions import accounts
from migration.actions import collection as rows
from migration.aws import ec2, errors, probes
from migration.aws.sessions import Edge
from migration.enums import GapKind
from migration.models import Account
from migration.tasks import edges

log = structlog.get_logger(__name__)
REGIONS = "ec2:DescribeRegions"


@dataclass(frozen=True, slots=True)
class Finding:
    """One permission. `message`: AWS's words when it was not granted."""

    action: str
    ok: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """What an account's role let us do."""

    gap: GapKind = GapKind.NONE  # why it could not be entered
    message: str = ""
    identity: str = ""  # the ARN that answered
    regions: tuple[str, ...] = ()
    region: str = ""  # where the permissions were tried
    findings: tuple[Finding, ...] = ()

    @property
    def entered(self) -> bool:
        return not self.gap

    @property
    def missing(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.ok]

    def told(self) -> dict[str, Any]:
        """For the account's row."""
        return {
            "identity": self.identity,
            "regions": list(self.regions),
            "region": self.region,
            "findings": [{"action": one.action, "ok": one.ok, "message": one.message} for one in self.findings],
        }


def probe(edge: Edge, account: Account, *, now: datetime) -> Probed:
    """Try the account's reader role. Nothing is written; a refusal is part of the result."""
    # A session of its own: one that is kept from before would go on reading after the role has been taken away.
    target = edges.reader_target(account, run=f"imdsdash-test-{now:%Y%m%dT%H%M%S}")
    try:
        identity = probes.identity(edge, target)
    except errors.AwsError as error:
        return Probed(GapKind(error.gap), str(error))
    findings, regions = [], []
    try:
        regions = ec2.regions(edge, target)
    except errors.AwsError as error:
        findings.append(Finding(REGIONS, ok=False, message=str(error)))
    else:
        findings.append(Finding(REGIONS, ok=True))
    wanted = [region for region in regions if not settings.IMDSDASH_REGIONS or region in settings.IMDSDASH_REGIONS]
    region = edge.home_region if edge.home_region in wanted or not wanted else wanted[0]
    for one in probes.probes(now):
        try:
            probes.ask(edge, target, region, one)
        except errors.AwsError as error:
            findings.append(Finding(one.action, ok=False, message=str(error)))
        else:
            findings.append(Finding(one.action, ok=True))
    return Probed(identity=identity, regions=tuple(wanted), region=region, findings=tuple(findings))


def record(account: Account, found: Probed, *, now: datetime) -> None:
    """Write what a probe found on the account's row, and its Regions where they were told."""
    refused = [one.message for one in found.missing if one.action == REGIONS]
    gap, message = (GapKind.DENIED, refused[0]) if refused else (found.gap, found.message)
    if gap:  # without its Regions nothing of it can be collected
        rows.record_not_entered(account=account, gap=gap, message=message, now=now)
        rows.record_denied_account(account=account, gap=gap, message=message)
    else:
        rows.record_entered(account=account, now=now)
        rows.record_regions(account=account, regions=found.regions)
    accounts.record_probe(account=account, told=found.told(), now=now)


@shared_task(name="migration.tasks.probe.probe_account")
def probe_account(account_pk: int) -> None:
    """Try one account's role because a person asked for it on a page."""
    account = Account.objects.filter(pk=account_pk).first()
    if account is None:
        return
    found = probe(edges.reader(), account, now=timezone.now())
    record(account, found, now=timezone.now())
    log.info("role_tried", account_id=account.account_id, entered=found.entered, missing=len(found.missing))
