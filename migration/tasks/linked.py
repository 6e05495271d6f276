"""Usage of many accounts at once, through the monitoring account they are linked to (docs/adr/0010).

What it answers is written down, each scope's part under that scope's own claim. Then each scope's ordinary pass is
carried out, which asks its account's own role for whatever is still missing: nothing, as a rule.
"""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby

import structlog
from celery import shared_task
from django.conf import settings
from django.db.models import Count, QuerySet
from django.utils import timezone

from migration.actions import collection
from migration.actions.collection import Kinds
from migration.aws import cloudwatch, errors, oam
from migration.aws.sessions import Edge, Target
from migration.domain.facts import Series
from migration.models import Instance, ScheduledRun, Scope
from migration.queries import asking, links
from migration.tasks import edges
from migration.tasks import scope as scopes
from migration.tasks.publish import nudge
from migration.tasks.scope import Pass, Passed
from migration.tasks.timetable import first_to, sweep

log = structlog.get_logger(__name__)

EVERY = 55.0  # seconds: a nudge of the minute before is worth nothing, the next tick sends another
TOGETHER = 100  # scopes in one worker's hands
RENEWED = 60.0  # seconds between two renewals of their leases, which are good for five minutes
LISTED = 500  # metrics on a page of ListMetrics
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def dispatch(now: datetime) -> None:
    """A tick of the timetable: who is linked, once a round; and workers for the Regions where a linked scope is due."""
    if not settings.IMDSDASH_MONITORING_ACCOUNT:
        return
    if not ScheduledRun.objects.filter(job=_job(), window_start=_round(now)).exists():
        nudge(find_links, expires=EVERY)
    due = _left(now).filter(usage_due_at__lte=now)
    for region, count in due.order_by().values_list("region").annotate(Count("pk")):
        for _ in range(math.ceil(count / TOGETHER)):
            nudge(collect_linked, region, expires=EVERY)


def _left(now: datetime) -> QuerySet[Scope]:
    """Scopes that are left to the monitoring account and free, the longest overdue first."""
    return Scope.objects.filter(collection.takeable(), links.left(now)).order_by("usage_due_at", "pk")


def _job() -> str:
    """Each monitoring account is a job of its own: another one in the settings is asked at once."""
    return f"find-links-{settings.IMDSDASH_MONITORING_ACCOUNT}"


def _round(now: datetime) -> datetime:
    """When the round began: links are read as often as accounts are opened."""
    length = timedelta(hours=settings.IMDSDASH_COLLECT_EVERY_HOURS)
    return EPOCH + (now - EPOCH) // length * length


@shared_task(name="migration.tasks.linked.find_links")
def find_links() -> None:
    """Which accounts are linked, Region by Region, once a round."""
    now = timezone.now()
    if settings.IMDSDASH_MONITORING_ACCOUNT and first_to(job=_job(), window=_round(now), now=now):
        read_links(edges.reader(), now=now)


def read_links(edge: Edge, *, now: datetime) -> None:
    """A Region where the monitoring account is refused has no links; one that failed in passing keeps those it had."""
    monitoring, target = settings.IMDSDASH_MONITORING_ACCOUNT, edges.monitoring_target(run=sweep(now))
    known = Scope.objects.filter(enabled=True, account__enabled=True).values_list("region", flat=True)
    for region in sorted(set(known)):
        try:
            sources = oam.sources(edge, target, region)
        except errors.AwsError as error:
            log.warning("links_not_read", monitoring=monitoring, region=region, error=str(error))
            if not error.permanent:
                continue
            sources = set()
        linked = collection.record_links(monitoring=monitoring, region=region, sources=sources, now=now)
        log.info("links_read", region=region, sources=len(sources), scopes=linked)


@shared_task(name="migration.tasks.linked.collect_linked")
def collect_linked(region: str) -> None:
    """One worker's turn in a Region: as many scopes as it holds, and again while any is due, until its time is over."""
    slice_ = settings.IMDSDASH_SLICE_SECONDS
    begins_until = time.monotonic() + slice_ / 2
    while collect_together(edges.reader(), region, seconds=slice_ / 2) and time.monotonic() <= begins_until:
        continue


def collect_together(edge: Edge, region: str, *, seconds: float) -> list[Passed]:
    """Read the usage of a Region's linked scopes that are due, and of those that nearly are.

    Empty when there are none, or when the monitoring account could not be read: then they are their own roles' next
    turn. `seconds`: after so long, scopes that are not done are given back and due again at once.
    """
    now, left = timezone.now(), _left(timezone.now()).filter(region=region)
    if not left.filter(usage_due_at__lte=now).exists():
        return []
    run = sweep(now)
    shared = Shared(edge, edges.monitoring_target(run=run), region, ends_at=time.monotonic() + seconds)
    try:
        for scope in left.select_related("account")[:TOGETHER]:
            shared.take(scope, run=run)
        shared.ask()
        return shared.carry_out()
    except errors.AwsError as error:
        log.warning("monitoring_account_not_read", region=region, error=str(error))
        return []
    finally:
        shared.give_back()


@dataclass
class Shared:
    """The passes in one worker's hands, by account id, and their common reading."""

    edge: Edge
    target: Target  # the monitoring account
    region: str
    ends_at: float  # time.monotonic
    passes: dict[str, Pass] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)  # accounts whose metrics the monitoring account shows
    renewed_at: float = field(default_factory=time.monotonic)

    def take(self, scope: Scope, *, run: str) -> None:
        """Claim a scope, unless another worker was faster."""
        one = scopes.begin(self.edge, scope, kinds=Kinds(inventory=False, usage=True), run=run)
        if one is not None:
            one.ends_at = self.ends_at
            self.passes[one.claim.account_id] = one

    def ask(self) -> None:
        """All that is known to lie after the links. Raises AwsError when the monitoring account does not answer."""
        try:
            self._list()
            for until, group in groupby(sorted(self._of_shown(), key=_until), key=_until):
                known = asking.known_together([(one.scope, one.again) for one in group], until=until)
                self._ask(known)
                gone = [one.scope for one in self._of_shown() if one.until == until]
                self._ask(asking.gone_together(gone, until=until))
        finally:
            self._meter()

    def carry_out(self) -> list[Passed]:
        """Each scope's own pass. First those that ask nothing more, lest the others' leases run out meanwhile."""
        for account_id, one in self.passes.items():
            one.listed = account_id in self.shown
            one.again = one.again and not one.listed
        ended = []
        for one in sorted(self.passes.values(), key=lambda one: asking.owes_a_first_look(one.scope, until=one.until)):
            self._renew()
            if self.passes.pop(one.claim.account_id, None) is not None:
                with suppress(Exception):  # in the log and on the scope's row, and no reason to leave out the others
                    ended.append(scopes.carry_out(one))
        return [one for one in ended if one is not None]

    def give_back(self) -> None:
        """What was taken and not carried out is free: its own role's next turn."""
        for one in self.passes.values():
            collection.give_back(claim=one.claim)

    def _list(self) -> None:
        """Who published lately. An account of which no metric is named is not shown, for its link may be narrowed to
        other namespaces: its own role is asked, as without a link.
        """
        for owner in self._owners():
            for page in cloudwatch.published_by_account(self.edge, self.target, self.region, owner=owner):
                for account_id, ids in page.items():
                    one = self.passes.get(account_id)
                    if one is not None:
                        with self._claimed(one):
                            one.remember(ids)
                            self.shown.add(account_id)
                self._renew()

    def _owners(self) -> list[str]:
        """All linked accounts at once (""), or each of ours by itself, whichever should take fewer calls."""
        linked = Scope.objects.filter(region=self.region, linked_to=self.target.account_id)
        listed = Instance.objects.filter(account__in=linked.values("account"), region=self.region, gone_at=None)
        return [""] if listed.count() <= LISTED * len(self.passes) else list(self.passes)

    def _of_shown(self) -> list[Pass]:
        return [one for account_id, one in self.passes.items() if account_id in self.shown]

    def _ask(self, batches: Iterable[asking.SharedBatch]) -> None:
        """Batch by batch until the time is over; what is left is the scopes' own passes', which end unfinished."""
        for batch in batches:
            if self._over():
                return
            self._renew()
            found: dict[str, list[Series]] = {account_id: [] for account_id in batch.pks}
            for one in cloudwatch.hourly(
                self.edge, self.target, self.region, asks=batch.asks, start=batch.start, end=batch.end
            ):
                found[one.ask.account_id].append(one)
            for account_id in found.keys() & self.shown:
                self._store(self.passes[account_id], batch, found[account_id])

    def _over(self) -> bool:
        return time.monotonic() > self.ends_at

    def _store(self, one: Pass, batch: asking.SharedBatch, series: list[Series]) -> None:
        """One account's part of an answer. When nothing of it came whole, it is not asked about here any more."""
        account_id = one.claim.account_id
        with self._claimed(one):
            one.answers.take(batch.part(account_id), series)
            if not any(told.complete for told in series):
                log.warning("linked_account_not_shown", scope=str(one.scope), error=series[0].message)
                self.shown.discard(account_id)
                collection.record_unlinked(claim=one.claim)

    @contextmanager
    def _claimed(self, one: Pass) -> Iterator[None]:
        """A write to one scope: when another worker has taken it meanwhile, it alone is let go."""
        try:
            yield
        except collection.LeaseLost:
            log.warning("scope_lease_lost", scope=str(one.scope))
            self.shown.discard(one.claim.account_id)
            del self.passes[one.claim.account_id]

    def _renew(self) -> None:
        if time.monotonic() < self.renewed_at + RENEWED:
            return
        self.renewed_at = time.monotonic()
        for one in list(self.passes.values()):
            with self._claimed(one):
                collection.hold(claim=one.claim)

    def _meter(self) -> None:
        """The calls were made once, and count once: for the scope that most of the metrics were asked of."""
        busiest = max(self.passes.values(), key=lambda one: one.answers.asked, default=None)
        if busiest is not None:
            tally = self.edge.meter.take(self.target.account_id, self.region)
            self.edge.meter.give(busiest.claim.account_id, self.region, tally)


def _until(one: Pass) -> datetime:
    return one.until
