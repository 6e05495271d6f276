"""What was won and is lost again: one open row for one thing, closed when it is well again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from migration.actions import notifications
from migration.domain import regression
from migration.domain.facts import DefaultsFact
from migration.enums import RegressionKind, Severity
from migration.models import Account, Regression

DEFAULTS = {"HttpTokens": "required", "HttpTokensEnforced": "enabled"}


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
    made = Regression.objects.bulk_create(new)
    _tell(made, account_pk=account_pk, region=region, now=now)
    return made


def _tell(made: Sequence[Regression], *, account_pk: int, region: str, now: datetime) -> None:
    """One message for each kind of what one pass found."""
    account = Account.objects.get(pk=account_pk) if made else None
    for kind in RegressionKind:
        rows = [row for row in made if row.kind == kind]
        if rows and account is not None:
            notifications.add(
                key=f"regression:{rows[0].pk}",
                kind="regression",
                subject=f"{kind.label}: {len(rows)} in {account.name or account.account_id}, {region}",
                lines=[row.sentence for row in rows],
                path=f"/accounts/{account.account_id}/",
                account=account,
                severity=Severity.WARNING,
                now=now,
            )


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


def of_defaults(
    *, account_pk: int, region: str, before: DefaultsFact | None, after: DefaultsFact, now: datetime
) -> None:
    """What a Region's launch defaults lost since they were read before; and what of it was put right. Call it inside
    a transaction that holds the scope.
    """
    if before is not None:
        lost = [
            Lost(
                RegressionKind.DEFAULT_BACK,
                option,
                f"The default of {region} for new launches was {option}={DEFAULTS[option]} and is "
                f"{_said(after, option)}.",
            )
            for option in regression.of_defaults(
                tokens=(before.http_tokens, after.http_tokens),
                enforced=(before.http_tokens_enforced, after.http_tokens_enforced),
            )
        ]
        record(account_pk=account_pk, region=region, lost=lost, now=now)
    still = [option for option, good in DEFAULTS.items() if _said(after, option) != good]
    resolve(account_pk=account_pk, region=region, kinds=[RegressionKind.DEFAULT_BACK], still=still, now=now)


def _said(fact: DefaultsFact, option: str) -> str:
    value = fact.http_tokens if option == "HttpTokens" else fact.http_tokens_enforced
    return value or "no preference"
