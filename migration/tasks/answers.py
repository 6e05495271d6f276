"""CloudWatch's answers about one scope become rows; what did not come whole is kept in mind."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings

from migration.actions import usage
from migration.actions.collection import ScopeClaim
from migration.domain.facts import Series
from migration.queries.asking import Batch


@dataclass
class Answers:
    """What was asked about one scope in one pass, and what came back, through whichever account it was asked."""

    claim: ScopeClaim
    until: datetime  # the hour, not included, up to which is asked
    asked: int = 0  # metrics requested
    since: date | None = None  # the first day that was read
    incomplete: int = 0  # series
    first: str = ""  # why the first of them was not whole, in AWS's words

    def take(self, batch: Batch, series: Sequence[Series]) -> bool:
        """Write one answer down. True when every series came whole. Raises LeaseLost."""
        self.asked += len(batch.asks)
        self.since = min(self.since or batch.start.date(), batch.start.date())
        usage.store(
            claim=self.claim,
            pks=batch.pks,
            series=series,
            keep_hours_from=keep_hours_from(self.until),
            known_until=batch.end if batch.knows else None,
        )
        return all(one.complete for one in series)

    def note(self, series: Sequence[Series]) -> None:
        """Keep in mind what did not come whole and is not asked for any more in this pass."""
        bad = [one for one in series if not one.complete]
        if bad:
            self.first = self.first or bad[0].message
            self.incomplete += len(bad)


def keep_hours_from(until: datetime) -> date:
    """Days before this keep their sum, not their hours."""
    return until.date() - timedelta(days=settings.IMDSDASH_WINDOW_DAYS + 2)
