"""What was won and is lost again: one open row for one thing, closed when it is well again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from migration.enums import RegressionKind
from migration.models import Regression


@dataclass(frozen=True, slots=True)
class Lost:
    """One thing that was lost, as a pass found it."""

    kind: RegressionKind
    subject: str
    sentence: str
    instance: int | None = None  # primary key


def record(*, account_pk: int, region: str, lost: Iterable[Lost], now: datetime) -> list[Regression]:
    """Open a row for each that has none open. Returns those that are new. Call it inside a transaction that holds the
    scope.
    """
    wanted = {(one.kind.value, one.subject): one for one in lost}
    if not wanted:
        return []
    here = Regression.objects.filter(account_id=account_pk, region=region, resolved_at__isnull=True)
    known = {
        (kind, subject)
        for kind, subject in here.filter(subject__in=[subject for _, subject in wanted]).values_list("kind", "subject")
    }
    new = [
        Regression(
            account_id=account_pk,
            region=region,
            kind=one.kind,
            subject=one.subject,
            instance_id=one.instance,
            sentence=one.sentence[:400],
            found_at=now,
            seen_at=now,
        )
        for key, one in wanted.items()
        if key not in known
    ]
    return Regression.objects.bulk_create(new)


def resolve(
    *, account_pk: int, region: str, kinds: Sequence[RegressionKind], still: Iterable[str], now: datetime
) -> int:
    """Close the open rows of these kinds whose subject is not among those it is still true of; say of the others that
    it still is. Returns how many were closed.
    """
    remaining = set(still)
    rows = Regression.objects.filter(account_id=account_pk, region=region, kind__in=kinds, resolved_at__isnull=True)
    over = [pk for pk, subject in rows.values_list("pk", "subject") if subject not in remaining]
    closed = Regression.objects.filter(pk__in=over).update(resolved_at=now)
    rows.filter(~Q(seen_at=now)).update(seen_at=now)
    return closed
