"""Reading the usage of one scope: what CloudWatch is asked by the account's own role, and what of it failed."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog
from django.conf import settings

from migration.actions import inventory
from migration.actions.collection import ScopeClaim
from migration.aws import autoscaling, cloudwatch, errors
from migration.aws.sessions import Edge, Target
from migration.enums import GapKind
from migration.models import Scope
from migration.queries import asking
from migration.tasks.answers import Answers

log = structlog.get_logger(__name__)

ACTIVITY_PAGES = 50  # of 100 scaling activities; what is not found today is looked for tomorrow


@dataclass(kw_only=True)
class Reading:
    """The state of one reading. LeaseLost ends any of its steps."""

    edge: Edge
    scope: Scope
    claim: ScopeClaim
    target: Target
    now: datetime
    answers: Answers
    ends_at: float | None = None  # time.monotonic
    again: bool = True  # what is known up to there is asked once more
    gap: GapKind = GapKind.NONE
    message: str = ""
    listed: bool = False  # who published lately is remembered
    gone: int = 0
    unfinished: bool = False
    locked_out: errors.AwsError | None = None  # the account itself refused to be entered
    history_from: date | None = None

    @property
    def until(self) -> datetime:
        """The hour, not included, up to which is asked."""
        return self.answers.until

    def _usage(self) -> bool:
        """The daily reading. True when every call was answered and every series came whole."""
        first = self.scope.usage_at is None
        found = self.listed or self._try(self._published)
        if found and inventory.unattributed(claim=self.claim):
            self._attribute()
        whole = self._ask(asking.usage(self.scope, until=self.until, again=self.again))
        self.answers.since = self._first_day()
        if first:
            self.history_from = self.answers.since
        elif whole and not self.unfinished:
            self._older()
        return found and whole and not self.unfinished

    def _first_day(self) -> date:
        """From where on days are summed up: all since the last whole reading, for passes that left gaps, or broke off
        before they summed up, have written there too; and what this one has read before that.
        """
        if self.scope.usage_until is None:
            return asking.beginning(self.until).date()
        known = min(self.scope.usage_until, self.until).date() - timedelta(days=settings.IMDSDASH_OVERLAP_DAYS)
        return min(self.answers.since or known, known)

    def _older(self) -> None:
        """One slice of what lies before the days that were asked about so far. Not whole, it is asked again with the
        next daily reading, which it does not hold up.
        """
        span = asking.history_slice(self.scope, until=self.until)
        if span is None:
            return
        since = self.answers.since
        if self._ask(asking.history(self.scope, until=self.until)) and not self.unfinished:
            self.history_from = span[0].date()
            since = min(since or self.history_from, self.history_from)
        self.answers.since, self.unfinished = since, False

    def _published(self) -> None:
        """Who published within two weeks and is not listed any more: those count too (ListMetrics)."""
        for page in cloudwatch.published(self.edge, self.target, self.claim.region):
            self.remember(page)
        self.listed = True

    def remember(self, page: Iterable[str]) -> None:
        """Keep the ids of a page that are not in the inventory: instances that are gone."""
        self.gone += inventory.remember_published(claim=self.claim, ids=page, seen_at=self.now)

    def _attribute(self) -> None:
        """Which group launched them. Not knowing it is no gap: their calls are counted all the same."""
        try:
            for number, page in enumerate(autoscaling.activities(self.edge, self.target, self.claim.region), 1):
                inventory.attribute(claim=self.claim, activities=page)
                if number >= ACTIVITY_PAGES or not inventory.unattributed(claim=self.claim):
                    return
        except errors.AwsError as error:
            log.info("gone_instances_not_attributed", scope=str(self.scope), error=str(error))

    def _ask(self, batches: Iterable[asking.Batch]) -> bool:
        """Ask and store, batch by batch. True when every call was answered and every series came whole."""
        whole = True
        try:
            for batch in batches:
                if self._over():
                    self.unfinished = True
                    return whole
                whole &= self._ask_one(batch)
        except errors.AwsError as error:
            self._failed(error)
            return False
        return whole

    def _over(self) -> bool:
        return self.ends_at is not None and time.monotonic() > self.ends_at

    def _ask_one(self, batch: asking.Batch) -> bool:
        series = cloudwatch.hourly(
            self.edge, self.target, self.claim.region, asks=batch.asks, start=batch.start, end=batch.end
        )
        whole = self.answers.take(batch, series)
        self.answers.note(series)
        return whole

    def _try(self, step: Callable[[], None]) -> bool:
        """Run one step; a failure at the edge becomes the pass's gap, in AWS's own words."""
        try:
            step()
        except errors.AwsError as error:
            self._failed(error)
            return False
        return True

    def _failed(self, error: errors.AwsError) -> None:
        if error.operation in {"AssumeRole", "GetCallerIdentity"}:
            self.locked_out = error
        self._note(GapKind(error.gap), str(error))

    def _note(self, gap: GapKind, message: str) -> None:
        self.gap = self.gap or gap
        if message not in self.message:
            self.message = f"{self.message} {message}".strip()
