"""One pass over one account in one Region: each step is one of AWS's answers written down."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from migration.actions import collection, inventory, judging, usage
from migration.actions.collection import Ending, Kinds, ScopeClaim
from migration.aws import autoscaling, cloudwatch, ec2, errors
from migration.aws.sessions import Edge, Target
from migration.enums import GapKind, Outcome, ScopeState
from migration.models import Scope
from migration.queries import asking
from migration.tasks import edges, launches

log = structlog.get_logger(__name__)

LATE = timedelta(minutes=45)  # a datapoint may arrive this late; the youngest hours are left for the next pass
ACTIVITY_PAGES = 50  # of 100 scaling activities; what is not found today is looked for tomorrow


@dataclass
class Passed:
    """What a pass over one scope came to."""

    account_id: str
    region: str
    outcome: Outcome
    message: str = ""
    instances: int = 0
    metric_queries: int = 0
    gone_measured: int = 0
    unfinished: bool = False
    by_status: Counter[str] = field(default_factory=Counter)


def due(scope: Scope, *, now: datetime) -> Kinds:
    """Which kinds of reading are due. One that was never done is."""
    return Kinds(
        inventory=scope.inventory_due_at is None or scope.inventory_due_at <= now,
        usage=scope.usage_due_at is None or scope.usage_due_at <= now,
        watch=scope.watch_due_at is not None and scope.watch_due_at <= now,
    )


def collect(
    edge: Edge,
    scope: Scope,
    *,
    kinds: Kinds,
    run: str = "",
    seconds: float | None = None,
    until: datetime | None = None,
    again: bool = True,
) -> Passed | None:
    """One pass over one scope. None while another worker has it.

    `run`: names the sweep in the session's name, which the account's CloudTrail shows. `seconds`: after so long it
    gives the scope back and is due again at once; what is written stays written. `until`: the hour to ask up to; by
    default the last one whose datapoints have arrived, or the one that an unfinished reading had begun with. `again`:
    what is known up to there is asked once more; not so where a reading that broke off goes on.

    Whatever else is raised is told on the scope's row first, which is tried again later and later: a caller may go on
    with the next scope.
    """
    now = timezone.now()
    dead = scope.state == ScopeState.LEASED and edges.dead(scope.lease_owner)
    claim = collection.claim_scope(scope=scope, owner=edges.me(), now=now, from_the_dead=dead)
    if claim is None:
        return None
    ends_at = None if seconds is None else time.monotonic() + seconds
    target = edges.reader_target(scope.account, run=run)
    try:
        one = Pass(edge, scope, claim, kinds, target, now, until or going_until(scope, now), ends_at=ends_at)
        one.again = again and scope.going_until is None and scope.state == ScopeState.IDLE
        return one.run()
    except collection.LeaseLost:
        log.warning("scope_lease_lost", scope=str(scope))
        return None
    except Exception as error:
        log.exception("scope_broke_off", scope=str(scope))
        message = broke_off(error)
        with suppress(collection.LeaseLost):
            ending = Ending(Outcome.INCOMPLETE, gap=GapKind.ERROR, message=message, kinds=kinds)
            collection.finish_scope(claim=claim, ending=ending, now=timezone.now())
        raise
    except BaseException:
        collection.give_back(claim=claim)
        raise


def broke_off(error: Exception) -> str:
    """What is told of a pass that met what our own code cannot handle."""
    return f"This pass broke off, which is a fault of imdsdash: {type(error).__name__}: {error}"[:2000]


@dataclass
class Pass:
    """The state of one pass."""

    edge: Edge
    scope: Scope
    claim: ScopeClaim
    kinds: Kinds
    target: Target
    now: datetime
    until: datetime
    ends_at: float | None = None  # time.monotonic
    again: bool = True
    gap: GapKind = GapKind.NONE
    message: str = ""
    partial: int = 0
    instances: int = 0
    queries: int = 0
    gone: int = 0
    unfinished: bool = False
    locked_out: errors.AwsError | None = None  # the account itself refused to be entered
    since: date | None = None  # the first day that was read
    first_partial: str = ""
    history_from: date | None = None

    def run(self) -> Passed:
        """Raises LeaseLost when another worker has taken the scope over meanwhile."""
        listed = self._try(self._inventory) if self.kinds.inventory else self.scope.inventory_at is not None
        read = False
        if listed and self.kinds.usage:
            read = self._usage()
        elif listed and self.kinds.watch:
            read = self._ask(asking.watch(self.scope, until=self.until))
        known = self.until if read and self.kinds.usage else None  # the watch alone tells nothing of IMDSv1 calls
        by_status = judging.judge_scope(claim=self.claim, until=known, now=self.now)
        ending = self._ending(listed=listed, read=read)
        tally = self._write(ending, by_status, listed=listed, read=read)
        log.info("scope_collected", scope=str(self.scope), outcome=ending.outcome, calls=sum(tally.values()))
        return Passed(
            self.claim.account_id,
            self.claim.region,
            ending.outcome,
            ending.message,
            instances=self.instances,
            metric_queries=self.queries,
            gone_measured=self.gone,
            unfinished=self.unfinished,
            by_status=by_status,
        )

    def _write(self, ending: Ending, by_status: Counter[str], *, listed: bool, read: bool) -> Counter[str]:
        """The rollups, the meter and the scope's ending, in one transaction. Returns the calls that were made."""
        tally = self.edge.meter.take(self.claim.account_id, self.claim.region)
        ending = replace(ending, throttled=sum(tally.throttled.values()), clock_skew=tally.clock_skew)
        with transaction.atomic():
            if self.since is not None and not self.unfinished:
                whole = read and self.kinds.usage
                usage.roll_up(claim=self.claim, since=self.since, until=self.until, complete=whole, now=self.now)
            if listed and self.kinds.inventory:
                usage.count_statuses(claim=self.claim, by_status=by_status, now=self.now)
            collection.meter(
                claim=self.claim, calls=tally.calls, throttled=tally.throttled, metrics=self.queries, now=self.now
            )
            collection.finish_scope(claim=self.claim, ending=ending, now=timezone.now())
            if self.locked_out is not None:
                collection.record_not_entered(
                    account=self.scope.account,
                    gap=GapKind(self.locked_out.gap),
                    message=str(self.locked_out),
                    now=timezone.now(),
                    in_mid_pass=True,
                )
        return tally.calls

    def _ending(self, *, listed: bool, read: bool) -> Ending:
        if self.partial:
            self._note(GapKind.PARTIAL, f"{self.partial} series incomplete, first: {self.first_partial}.")
        if self.unfinished:
            left = asking.owes_a_first_look(self.scope, until=self.until)
            self.message = f"{self.message} Being read: {left} instances have not had their first look yet.".strip()
        whole = listed and not self.unfinished and (read or not (self.kinds.usage or self.kinds.watch))
        outcome = Outcome.INCOMPLETE
        if whole and not self.gap:
            outcome = Outcome.COMPLETE
        elif not listed and self.gap in {GapKind.DENIED, GapKind.WRONG_ACCOUNT}:
            outcome = Outcome.DENIED
        usage_read = read and self.kinds.usage
        return Ending(
            outcome=outcome,
            gap=self.gap,
            message=self.message[:2000],
            kinds=self.kinds,
            inventory=listed and self.kinds.inventory,
            usage=usage_read,
            watch=read,
            unfinished=self.unfinished,
            usage_until=self.until if usage_read else None,
            history_from=self.history_from if usage_read else None,
            going_until=self.until if self.unfinished else None,
        )

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

    def _inventory(self) -> None:
        """Every page, then launch defaults and sources. Only a whole inventory makes what is absent from it gone."""
        pages = ec2.instance_pages(self.edge, self.target, self.claim.region, keep_tags=settings.IMDSDASH_TAGS)
        for page in pages:
            inventory.store_page(claim=self.claim, facts=page, seen_at=self.now)
            self.instances += sum(fact.instance_state != "terminated" for fact in page)
        inventory.mark_gone(claim=self.claim, seen_at=self.now)
        self._try(self._defaults)
        launches.collect(self.edge, self.target, claim=self.claim, now=self.now, failed=self._failed)

    def _defaults(self) -> None:
        fact = ec2.metadata_defaults(self.edge, self.target, self.claim.region)
        inventory.store_defaults(claim=self.claim, fact=fact, now=self.now)

    def _usage(self) -> bool:
        """The daily reading. True when every call was answered and every series came whole."""
        first = self.scope.usage_at is None
        found = self._try(self._published)
        whole = self._ask(asking.usage(self.scope, until=self.until, again=self.again))
        self.since = self._first_day()
        if first:
            self.history_from = self.since
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
        return min(self.since or known, known)

    def _older(self) -> None:
        """One slice of what lies before the days that were asked about so far. Not whole, it is asked again with the
        next daily reading, which it does not hold up.
        """
        span = asking.history_slice(self.scope, until=self.until)
        if span is None:
            return
        since = self.since
        if self._ask(asking.history(self.scope, until=self.until)) and not self.unfinished:
            self.history_from = span[0].date()
            since = min(since or self.history_from, self.history_from)
        self.since, self.unfinished = since, False

    def _published(self) -> None:
        """Who published within two weeks and is not listed any more: those count too (ListMetrics)."""
        for page in cloudwatch.published(self.edge, self.target, self.claim.region):
            self.gone += inventory.remember_published(claim=self.claim, ids=page, seen_at=self.now)
        if inventory.unattributed(claim=self.claim):
            self._attribute()

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
        self.queries += len(batch.asks)
        self.since = min(self.since or batch.start.date(), batch.start.date())
        series = cloudwatch.hourly(
            self.edge, self.target, self.claim.region, asks=batch.asks, start=batch.start, end=batch.end
        )
        usage.store(
            claim=self.claim,
            pks=batch.pks,
            series=series,
            keep_hours_from=keep_hours_from(self.until),
            known_until=batch.end if batch.knows else None,
        )
        bad = [one for one in series if not one.complete]
        if bad:
            self.first_partial = self.first_partial or bad[0].message
            self.partial += len(bad)
        return not bad


def keep_hours_from(until: datetime) -> date:
    """Days before this keep their sum, not their hours."""
    return until.date() - timedelta(days=settings.IMDSDASH_WINDOW_DAYS + 2)


def going_until(scope: Scope, now: datetime) -> datetime:
    """Where an unfinished reading goes on, so that what it has read is not asked again; else where a new one ends."""
    going = scope.going_until
    return going if going is not None and going > now - timedelta(hours=12) else asked_until(now)


def asked_until(now: datetime) -> datetime:
    """The last whole UTC hour whose datapoints have had time to arrive; the end, not included, of what is asked."""
    late = (now - LATE).astimezone(UTC)
    return late.replace(minute=0, second=0, microsecond=0)
