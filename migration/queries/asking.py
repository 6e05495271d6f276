"""What CloudWatch shall be asked about a scope: which metric of which instance, from when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from django.conf import settings

from migration.models import Instance, Scope

# Neither a stopped instance nor one whose endpoint is off can serve a call; a managed one is not ours to change.
MEASURABLE = ("running", "stopping")
CATCH_UP = timedelta(days=7)  # further behind than the rest of the scope: asked from the beginning, in its own batch


@dataclass(frozen=True, slots=True)
class Question:
    """One metric ("v1" or "rejected") of some instances (id -> primary key), from `start` on."""

    metric: str
    start: datetime
    pks: Mapping[str, int]


def questions(scope: Scope, *, until: datetime) -> list[Question]:
    """The questions of one pass, at most four: each metric for those measured before, and for those never measured.

    The two metrics exclude each other (`optional` counts MetadataNoToken, `required` MetadataNoTokenRejected), so
    an instance is asked for the one of its present setting. Both are asked on the first look and around a change.
    """
    beginning = _midnight(until - timedelta(days=settings.IMDSDASH_BACKFILL_DAYS))
    overlap = timedelta(days=settings.IMDSDASH_OVERLAP_DAYS)
    rows = (
        Instance.objects.filter(account_id=scope.account_id, region=scope.region, gone_at__isnull=True)
        .filter(instance_state__in=MEASURABLE, operator_managed=False, http_tokens__isnull=False)
        .exclude(http_endpoint="disabled")
        .order_by("instance_id")
        .values_list("pk", "instance_id", "http_tokens", "usage_until", "first_enforced_at")
    )
    asked: dict[tuple[str, bool], dict[str, int]] = {}
    oldest: dict[str, datetime] = {}
    for pk, instance_id, tokens, known_until, enforced_at in rows:
        first = known_until is None or known_until < until - CATCH_UP
        changed = enforced_at is not None and enforced_at > until - overlap * 2
        for metric in _metrics(tokens, first=first, changed=changed):
            asked.setdefault((metric, first), {})[instance_id] = pk
            if known_until is not None and not first:
                oldest[metric] = min(oldest.get(metric, known_until), known_until)
    return [
        Question(metric, beginning if first else _midnight(oldest[metric] - overlap), pks)
        for (metric, first), pks in sorted(asked.items())
    ]


def _metrics(tokens: str | None, *, first: bool, changed: bool) -> list[str]:
    if tokens == "optional":
        return ["v1"]
    return ["v1", "rejected"] if first or changed else ["rejected"]


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), time(0), UTC)
