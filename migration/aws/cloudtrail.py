"""CloudTrail's last 90 days, for the few instances that a person asks about: LookupEvents takes two requests a second,
an account and Region, and cannot ask for how credentials were delivered (CloudTrail API, LookupEvents).
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from migration.aws.sessions import Edge, Target
from migration.domain.sightings import Sighting
from migration.domain.sightings import told as told_as
from migration.enums import FoundBy

PAGE = 50  # the most it gives
PAGES = 20  # of one question: ten seconds and more at the pace it allows


@dataclass(slots=True)
class Looked:
    """What the events of one instance's own credentials tell. `whole` is False when there were more of them."""

    events: int = 0
    by_v2: int = 0
    sightings: list[Sighting] = field(default_factory=list)
    whole: bool = True


def looked_up(edge: Edge, target: Target, region: str, instance_id: str, *, start: datetime, end: datetime) -> Looked:
    """Events whose user name is the instance's id: so is the session of an instance's role named. Raises AwsError."""
    found = Looked()
    more: dict[str, Any] = {}
    for _ in range(PAGES):
        answer = edge.ask(
            target,
            "cloudtrail",
            region,
            "lookup_events",
            LookupAttributes=[{"AttributeKey": "Username", "AttributeValue": instance_id}],
            StartTime=start,
            EndTime=end,
            MaxResults=PAGE,
            **more,
        )
        for event in answer.get("Events", ()):
            _take(found, event, target.account_id, region, instance_id)
        token = answer.get("NextToken")
        if not token:
            return found
        more = {"NextToken": token}
    found.whole = False
    return found


def _take(found: Looked, event: dict[str, Any], account_id: str, region: str, instance_id: str) -> None:
    try:
        told = json.loads(event.get("CloudTrailEvent") or "{}")
    except ValueError:
        return
    found.events += 1
    session = _inside(told, "userIdentity", "sessionContext")
    delivery = str(session.get("ec2RoleDelivery", ""))
    found.by_v2 += delivery == "2.0"
    if delivery == "1.0":
        found.sightings.append(
            Sighting(
                account_id=account_id,
                region=region,
                instance_id=instance_id,
                last_seen=event["EventTime"],
                found_by=FoundBy.LOOKUP,
                role_arn=told_as(_inside(session, "sessionIssuer").get("arn"), 700),
                user_agent=told_as(told.get("userAgent"), 1000),
                event_source=told_as(told.get("eventSource"), 120),
            )
        )


def _inside(told: Any, *names: str) -> dict[str, Any]:
    """An object inside another; empty where it is absent, null or something else."""
    for name in names:
        told = told.get(name) if isinstance(told, dict) else None
    return told if isinstance(told, dict) else {}
