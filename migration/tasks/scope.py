"""One pass over one account in one Region: each step is one of AWS's answers written down."""

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from migration.actions import collection, inventory, judging, usage
from migration.actions.collection import Ending, Kinds
from migration.aws import ec2
from migration.aws.sessions import Edge
from migration.enums import GapKind, Outcome, ScopeState
from migration.models import Scope
from migration.queries import asking, links
from migration.tasks import edges, launches
from migration.tasks.answers import Answers
from migration.tasks.reading import Reading

log = structlog.get_logger(__name__)

LATE = timedelta(minutes=45)  # a datapoint may arrive this late; the youngest hours are left for the next pass


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
    """Which kinds of reading are due, and not left to the monitoring account. One that was never done is."""
    return Kinds(
        inventory=scope.inventory_due_at is None or scope.inventory_due_at <= now,
        usage=(scope.usage_due_at is None or scope.usage_due_at <= now) and not links.is_left(scope, now=now),
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
    """
    one = begin(edge, scope, kinds=kinds, run=run, until=until, again=again)
    if one is None:
        return None
    one.ends_at = None if seconds is None else time.monotonic() + seconds
    return carry_out(one)


def begin(
    edge: Edge, scope: Scope, *, kinds: Kinds, run: str, until: datetime | None = None, again: bool = True
) -> "Pass | None":
    """Take a scope for one pass. None while another worker has it. As `collect`."""
    now = timezone.now()
    dead = scope.state == ScopeState.LEASED and edges.dead(scope.lease_owner)
    claim = collection.claim_scope(scope=scope, owner=edges.me(), now=now, from_the_dead=dead)
    if claim is None:
        return None
    again = again and scope.going_until is None and scope.state == ScopeState.IDLE
    answers = Answers(claim, until or going_until(scope, now))
    target = edges.reader_target(scope.account, run=run)
    return Pass(edge=edge, scope=scope, claim=claim, target=target, now=now, answers=answers, again=again, kinds=kinds)


def carry_out(one: "Pass") -> Passed | None:
    """Do what a pass is to do and give its scope back. None when another worker has taken it meanwhile.

    Whatever else is raised is told on the scope's row first, which is tried again later and later: a caller may go on
    with the next scope.
    """
    try:
        return one.run()
    except collection.LeaseLost:
        log.warning("scope_lease_lost", scope=str(one.scope))
        return None
    except Exception as error:
        log.exception("scope_broke_off", scope=str(one.scope))
        ending = Ending(Outcome.INCOMPLETE, gap=GapKind.ERROR, message=broke_off(error), kinds=one.kinds)
        with suppress(collection.LeaseLost):
            collection.finish_scope(claim=one.claim, ending=ending, now=timezone.now())
        raise
    except BaseException:
        collection.give_back(claim=one.claim)
        raise


def broke_off(error: Exception) -> str:
    """What is told of a pass that met what our own code cannot handle."""
    return f"This pass broke off, which is a fault of imdsdash: {type(error).__name__}: {error}"[:2000]


@dataclass(kw_only=True)
class Pass(Reading):
    """One pass: the inventory, the reading of usage, a verdict on every instance, and how it ended."""

    kinds: Kinds
    instances: int = 0

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
            metric_queries=self.answers.asked,
            gone_measured=self.gone,
            unfinished=self.unfinished,
            by_status=by_status,
        )

    def _write(self, ending: Ending, by_status: Counter[str], *, listed: bool, read: bool) -> Counter[str]:
        """The rollups, the meter and the scope's ending, in one transaction. Returns the calls that were made."""
        tally = self.edge.meter.take(self.claim.account_id, self.claim.region)
        ending = replace(ending, throttled=sum(tally.throttled.values()), clock_skew=tally.clock_skew)
        with transaction.atomic():
            since = self.answers.since
            if since is not None and not self.unfinished:
                whole = read and self.kinds.usage
                usage.roll_up(claim=self.claim, since=since, until=self.until, complete=whole, now=self.now)
            if listed and self.kinds.inventory:
                usage.count_statuses(claim=self.claim, by_status=by_status, now=self.now)
            metrics = self.answers.asked
            collection.meter(
                claim=self.claim, calls=tally.calls, throttled=tally.throttled, metrics=metrics, now=self.now
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
        if self.answers.incomplete:
            told = f"{self.answers.incomplete} series incomplete, first: {self.answers.first}."
            self._note(GapKind.PARTIAL, told)
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


def going_until(scope: Scope, now: datetime) -> datetime:
    """Where an unfinished reading goes on, so that what it has read is not asked again; else where a new one ends."""
    going = scope.going_until
    return going if going is not None and going > now - timedelta(hours=12) else asked_until(now)


def asked_until(now: datetime) -> datetime:
    """The last whole UTC hour whose datapoints have had time to arrive; the end, not included, of what is asked."""
    late = (now - LATE).astimezone(UTC)
    return late.replace(minute=0, second=0, microsecond=0)
