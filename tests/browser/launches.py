"""What launches instances in the organisation of the browser tests."""

from datetime import datetime

from migration.enums import LaunchSourceKind
from migration.models import Account, Scope
from tests import factories


def launch_sources(accounts: list[Account], *, hostile: str, now: datetime) -> None:
    """Sources of every answer and kind, one with a hostile name, one kept by a service; one account not wholly read."""
    answers = [("fails", 0), ("v1_allowed", 1), ("unknown", 3), ("safe", 6)]
    for place, (account, kind) in enumerate((account, kind) for account in accounts[:3] for kind in LaunchSourceKind):
        answer, severity = answers[place % 4]
        factories.launch_source(
            account,
            region=("eu-central-1", "eu-west-1", "us-east-1")[place % 3],
            kind=kind,
            name=f"{account.name}-{kind.value}",
            version="$Latest = 7",
            answer_now=answer,
            severity=severity,
            decided="launch",
            reason="Version 7 ($Latest) of web states HttpTokens=optional, which wins over every default.",
            notes=["12 of 40 instances still run version 3 of web; a new version changes nothing on them."],
            resolution=[factories.way(answer=answer), factories.way("Version 3 of web", counts=False)],
            instances_30d=place * 7,
            instances_live=place,
            seen_at=now,
        )
    factories.launch_source(accounts[0], name=hostile, provider="Amazon EKS", severity=16, resolution=[factories.way()])
    for place, scope in enumerate(Scope.objects.filter(account__in=accounts[:4])):
        gap = {"kind": "launch templates", "gap": "denied", "message": f"UnauthorizedOperation: {hostile}"}
        factories.launch_reading(scope, tried_at=now, gaps=[gap] if place % 5 == 0 else [])
