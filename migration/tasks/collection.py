"""One pass over accounts and Regions. The command line and the timetable run exactly this."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from celery import shared_task
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from migration.actions import collection
from migration.actions.collection import Ending, ScopeClaim
from migration.aws import cloudwatch, ec2, errors
from migration.aws.sessions import Edge
from migration.enums import GapKind, Outcome, RoleState, ScopeState
from migration.models import Account, ScheduledRun, Scope
from migration.queries import asking
from migration.tasks import edges
from migration.tasks.publish import nudge

log = structlog.get_logger(__name__)

ROLE_STATES = {
    GapKind.DENIED: RoleState.DENIED,
    GapKind.WRONG_ACCOUNT: RoleState.WRONG_ACCOUNT,
    GapKind.UNREACHABLE: RoleState.UNREACHABLE,
}
TRY_AGAIN = timedelta(hours=1)  # an account that could never be entered is knocked at once an hour
EVERY = 55.0  # seconds: a nudge of the minute before is worth nothing, the next tick sends another
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
    by_status: Counter[str] = field(default_factory=Counter)


@shared_task(name="migration.tasks.collection.dispatch_due")
def dispatch_due() -> None:
    """Every minute: wake a worker for each account to look into, and for each scope that is due. Two beats make
    one tick; a scope that a living worker has is left to it.
    """
    now = timezone.now()
    if not first_to(job="collect-what-is-due", window=now.replace(second=0, microsecond=0), now=now):
        return
    if not Account.objects.exists():
        nudge(collect_ambient, expires=EVERY)
    for pk in _accounts_to_open(now):
        nudge(open_one_account, pk, expires=EVERY)
    due = Scope.objects.filter(enabled=True, account__enabled=True, account__role_state=RoleState.OK).filter(
        Q(next_due_at__isnull=True) | Q(next_due_at__lte=now)
    )
    free = Q(state=ScopeState.IDLE) | Q(lease_expires_at__lte=now)
    for pk in due.filter(free).values_list("pk", flat=True):
        nudge(collect_one_scope, pk, expires=EVERY)


def _accounts_to_open(now: datetime) -> list[int]:
    """Accounts whose Regions were not asked for since the last round; those that failed are tried once an hour."""
    round_ = timedelta(hours=settings.IMDSDASH_COLLECT_EVERY_HOURS)
    due = Q(role_checked_at__isnull=True) | Q(role_checked_at__lte=now - round_)
    due |= ~Q(role_state=RoleState.OK) & Q(role_checked_at__lte=now - TRY_AGAIN)
    return list(Account.objects.filter(due, enabled=True).values_list("pk", flat=True))


def first_to(*, job: str, window: datetime, now: datetime) -> bool:
    """True for the one that writes this tick first; a second beat gets False."""
    try:
        with transaction.atomic():
            ScheduledRun.objects.create(job=job, window_start=window, started_at=now)
    except IntegrityError:
        return False
    return True


@shared_task(name="migration.tasks.collection.collect_ambient")
def collect_ambient() -> None:
    """No account is configured: the one the ambient credentials belong to is collected as it stands."""
    try:
        account = ambient_account(edges.reader())
    except errors.AwsError as error:
        log.warning("ambient_account_unknown", error=str(error))
        return
    open_one_account(account.pk)


@shared_task(name="migration.tasks.collection.open_one_account")
def open_one_account(account_pk: int) -> None:
    """Ask an account which Regions it may use, and wake a worker for each scope of it that is due."""
    account = Account.objects.filter(pk=account_pk, enabled=True).first()
    if account is None:
        return
    now = timezone.now()
    try:
        scopes = open_account(edges.reader(), account, now=now)
    except errors.AwsError:
        return  # told on the account's row, and tried again when it is due
    for scope in scopes:
        if scope.next_due_at is None or scope.next_due_at <= now:
            nudge(collect_one_scope, scope.pk, expires=EVERY)


@shared_task(name="migration.tasks.collection.collect_one_scope")
def collect_one_scope(scope_pk: int) -> None:
    """One pass over one scope, if it is due and nobody else has it."""
    now = timezone.now()
    scope = Scope.objects.select_related("account").filter(pk=scope_pk, enabled=True).first()
    if scope is not None and (scope.next_due_at is None or scope.next_due_at <= now):
        collect_scope(edges.reader(), scope)


def ambient_account(edge: Edge) -> Account:
    """The account of the ambient credentials, remembered. Raises AwsError."""
    return collection.remember_account(account_id=edge.ambient().account_id)


def open_account(edge: Edge, account: Account, *, now: datetime, only: str = "") -> list[Scope]:
    """Enter an account and list its scopes. `only`: a single Region; `IMDSDASH_REGIONS` narrows the others.

    Raises AwsError after the failure is written on the account and on the scopes it was known to have.
    """
    try:
        regions = ec2.regions(edge, edges.reader_target(account))
    except errors.AwsError as error:
        gap = GapKind(error.gap)
        state = ROLE_STATES.get(gap, RoleState.UNREACHABLE)
        collection.record_role(account=account, state=state, message=str(error), now=now)
        collection.record_denied_account(account=account, gap=gap, message=str(error), now=now)
        log.warning("account_not_read", account_id=account.account_id, error=str(error))
        raise
    collection.record_role(account=account, state=RoleState.OK, message="", now=now)
    if settings.IMDSDASH_REGIONS:
        regions = [region for region in regions if region in settings.IMDSDASH_REGIONS]
    scopes = collection.record_regions(account=account, regions=regions)
    return [scope for scope in scopes if not only or scope.region == only]


def collect_scope(edge: Edge, scope: Scope) -> Passed | None:
    """One pass over one scope: inventory, defaults, usage, verdicts. None while another worker has it."""
    now = timezone.now()
    dead = scope.state == ScopeState.LEASED and edges.dead(scope.lease_owner)
    claim = collection.claim_scope(scope=scope, owner=edges.me(), now=now, from_the_dead=dead)
    if claim is None:
        return None
    try:
        return _Pass(edge=edge, scope=scope, claim=claim, now=now).run()
    except collection.LeaseLost:
        log.warning("scope_lease_lost", scope=str(scope))
        return None
    except BaseException:
        collection.give_back(claim=claim)
        raise


@dataclass
class _Pass:
    """The state of one pass; each step is one of AWS's answers written down."""

    edge: Edge
    scope: Scope
    claim: ScopeClaim
    now: datetime
    gap: GapKind = GapKind.NONE
    message: str = ""
    instances: int = 0
    queries: int = 0

    def run(self) -> Passed:
        """Raises LeaseLost when another worker has taken the scope over meanwhile."""
        self.target = edges.reader_target(self.scope.account)
        inventory = self._try(self._inventory)
        if inventory:
            self._try(self._defaults)
        until = asked_until(self.now)
        since = until.date() - timedelta(days=settings.IMDSDASH_OVERLAP_DAYS)
        whole = False
        if inventory:
            questions = asking.questions(self.scope, until=until)
            since = min((question.start.date() for question in questions), default=since)
            whole = self._usage(questions, until)
        outcome = self._outcome(inventory=inventory, whole=whole)
        with transaction.atomic():
            ending = Ending(outcome, self.gap, self.message[:2000], inventory, until if whole else None)
            if not collection.finish_scope(claim=self.claim, ending=ending, now=timezone.now()):
                raise collection.LeaseLost
            by_status = collection.judge_scope(claim=self.claim, until=until if whole else None, now=self.now)
            if inventory:
                collection.roll_up(
                    claim=self.claim, since=since, until=until, by_status=by_status, complete=whole, now=self.now
                )
        return Passed(
            self.claim.account_id, self.claim.region, outcome, self.message, self.instances, self.queries, by_status
        )

    def _try(self, step: Callable[[], None]) -> bool:
        """Run one step; a failure at the edge becomes the pass's gap, in AWS's own words."""
        try:
            step()
        except errors.AwsError as error:
            self._note(GapKind(error.gap), str(error))
            return False
        return True

    def _note(self, gap: GapKind, message: str) -> None:
        self.gap = self.gap or gap
        self.message = f"{self.message} {message}".strip()

    def _inventory(self) -> None:
        pages = ec2.instance_pages(self.edge, self.target, self.claim.region, keep_tags=settings.IMDSDASH_TAGS)
        for page in pages:
            collection.store_page(claim=self.claim, facts=page, seen_at=self.now, now=timezone.now())
            self.instances += sum(fact.instance_state != "terminated" for fact in page)
        collection.mark_gone(claim=self.claim, seen_at=self.now, now=timezone.now())

    def _defaults(self) -> None:
        fact = ec2.metadata_defaults(self.edge, self.target, self.claim.region)
        collection.store_defaults(claim=self.claim, fact=fact, now=self.now)

    def _usage(self, questions: Sequence[asking.Question], until: datetime) -> bool:
        """Ask and store, batch by batch. True when every call was answered and every series came complete."""
        owed = Counter(pk for question in questions for pk in question.pks.values())
        whole = True
        for question in questions:
            try:
                whole &= self._ask(question, until, owed)
            except errors.AwsError as error:
                whole = False
                self._note(GapKind(error.gap), str(error))
        return whole

    def _ask(self, question: asking.Question, until: datetime, owed: Counter[int]) -> bool:
        """One question in its batches. `owed`: how many answers an instance lacks before it is known to `until`."""
        metric = cloudwatch.V1 if question.metric == "v1" else cloudwatch.REJECTED
        asks = [cloudwatch.Ask(instance_id, metric) for instance_id in question.pks]
        self.queries += len(asks)
        batches = cloudwatch.hourly(
            self.edge, self.target, self.claim.region, asks=asks, start=question.start, end=until
        )
        whole = True
        for batch in batches:
            bad = [series for series in batch if not series.complete]
            for series in batch:
                owed[question.pks[series.instance_id]] -= series.complete
            collection.store_usage(
                claim=self.claim,
                pks=question.pks,
                series=batch,
                metric=question.metric,
                keep_hours_from=until.date() - timedelta(days=settings.IMDSDASH_WINDOW_DAYS + 2),
                known_until={pk: until for series in batch if not owed[pk := question.pks[series.instance_id]]},
                now=timezone.now(),
            )
            if bad:
                whole = False
                self._note(GapKind.PARTIAL, f"{len(bad)} series incomplete, first: {bad[0].message}.")
        return whole

    def _outcome(self, *, inventory: bool, whole: bool) -> Outcome:
        if inventory and whole and not self.gap:
            return Outcome.COMPLETE
        if not inventory and self.gap in {GapKind.DENIED, GapKind.WRONG_ACCOUNT}:
            return Outcome.DENIED
        return Outcome.INCOMPLETE


def asked_until(now: datetime) -> datetime:
    """The last whole UTC hour whose datapoints have had time to arrive; the end, not included, of what is asked."""
    late = (now - LATE).astimezone(UTC)
    return late.replace(minute=0, second=0, microsecond=0)
