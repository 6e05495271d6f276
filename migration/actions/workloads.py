"""The verdict on each workload, and what a person chooses for it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from migration.actions import audit, bulk
from migration.actions.collection import ScopeClaim
from migration.actions.errors import Refused
from migration.domain.permissions import Action
from migration.domain.standing import Facts, stand
from migration.domain.workload import Key, Together
from migration.enums import DONE, LEFT, LaunchAnswer
from migration.models import Workload
from migration.queries import access

KEY = ("account_id", "region", "kind", "name")
VERDICT = (
    "standing",
    "reason",
    "coverage",
    "next_step",
    "by_status",
    "instances",
    "instances_gone",
    "instances_calling",
    "v1_calls",
    "measured_days",
    "window_days",
    "missing_hours",
    "unknown_lives",
    "risk",
    "judged_at",
)
HOP_LIMITS = (2, 3)


@dataclass(frozen=True, slots=True)
class Found:
    """What one pass found of a workload."""

    key: Key
    together: Together
    by_status: Counter[str]  # of the living
    blocked: Counter[str]  # the first blocker of each blocked one -> instances
    seen: int
    risk: int
    window_days: int
    launches: LaunchAnswer | None  # what its next member would get; None: not read


def store(*, claim: ScopeClaim, found: Iterable[Found], now: datetime) -> None:
    """Write the verdicts; forget workloads of which nothing is left and for which nobody chose anything.

    Call it inside a transaction that holds the scope.
    """
    bulk.upsert(
        Workload,
        (_row(claim, one, now) for one in found),
        columns=(*KEY, *VERDICT),
        unique=KEY,
        update=VERDICT,
    )
    over = Workload.objects.filter(account_id=claim.account_pk, region=claim.region).exclude(judged_at=now)
    over.filter(hop_limit__isnull=True).delete()
    over.update(by_status={}, instances=0, instances_gone=0, instances_calling=0, v1_calls=None, risk=0)


def _row(claim: ScopeClaim, one: Found, now: datetime) -> list[Any]:
    """The values of KEY and VERDICT."""
    together, blocked = one.together, one.blocked
    verdict = stand(
        Facts(
            by_status=one.by_status,
            window_days=one.window_days,
            blocked=blocked.total(),
            common_blocker=blocked.most_common(1)[0][0] if blocked else "",
            seen=one.seen,
            dead_calling=together.gone_calling,
            dead_calls=together.gone_calls,
            launches={} if one.launches is None else {one.launches.value: 1},
            launches_read=one.launches is not None,
            v1_calls=together.calls,
        )
    )
    return [
        claim.account_pk,
        claim.region,
        one.key.kind,
        one.key.name[:320],
        verdict.standing.value,
        verdict.reason[:400],
        verdict.coverage[:200],
        verdict.next_step[:400],
        dict(one.by_status),
        one.by_status.total(),
        together.gone,
        together.calling,
        together.calls,
        together.measured_days,
        one.window_days,
        together.missing_hours,
        together.unknown_lives,
        one.risk,
        now,
    ]


def done(*, account_pk: int, region: str) -> frozenset[Key]:
    """The workloads whose living members were all done when last judged."""
    rows = Workload.objects.filter(account_id=account_pk, region=region, instances__gt=0)
    return frozenset(
        Key(kind, name)
        for kind, name, counts in rows.values_list("kind", "name", "by_status")
        if any(counts.get(status) for status in DONE) and not any(counts.get(status) for status in LEFT)
    )


def choose_hop_limit(*, workload: Workload, limit: int | None, by: User, now: datetime) -> None:
    """What a plan sets as the hop limit of this workload's instances beside HttpTokens; None: it stays as it is.

    Nothing is sent to AWS by this. Raises Refused.
    """
    account = workload.account
    if not access.can(by, Action.PLAN, account):
        raise Refused(f"Your role does not allow you to choose for {account.name or account.account_id}.")
    if limit is not None and limit not in HOP_LIMITS:
        raise Refused(f"The hop limit can be kept, or raised to 2 or 3; {limit} was not saved.")
    with transaction.atomic():
        row = Workload.objects.select_for_update().get(pk=workload.pk)
        audit.append(
            verb="workload.hop_limit_chosen",
            object_type="Workload",
            object_id=row.pk,
            account_id=account.account_id,
            before={"hop_limit": row.hop_limit},
            after={"hop_limit": limit, "workload": row.name, "region": row.region},
            by=by,
            now=now,
        )
        Workload.objects.filter(pk=row.pk).update(hop_limit=limit)
