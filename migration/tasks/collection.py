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
from migration.enums import GapKind, Outcome, RoleState
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


def nudge_account(account_pk: int) -> None:
    """Ask for a pass over one account soon, once the caller's transaction is committed."""
    nudge(collect_account, account_pk)


@shared_task(name="migration.tasks.collection.dispatch_due")
def dispatch_due() -> None:
    """Every minute: wake a worker for each account with a scope that is due. Two beats make one tick."""
    now = timezone.now()
    if not first_to(job="collect-what-is-due", window=now.replace(second=0, microsecond=0), now=now):
        return
    untried = Q(role_checked_at__isnull=True) | Q(role_checked_at__lte=now - TRY_AGAIN)
    due = Q(untried, scopes__isnull=True) | Q(scopes__enabled=True, scopes__next_due_at__isnull=True)
    due |= Q(scopes__enabled=True, scopes__next_due_at__lte=now)
    if not Account.objects.exists():
        nudge(collect_ambient)
    for pk in Account.objects.filter(due, enabled=True).distinct().values_list("pk", flat=True):
        nudge(collect_account, pk)


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
    collect_account(account.pk)


@shared_task(name="migration.tasks.collection.collect_account")
def collect_account(account_pk: int) -> None:
    """Collect every due scope of one account, one after the other."""
    account = Account.objects.filter(pk=account_pk, enabled=True).first()
    if account is None:
        return
    now = timezone.now()
    try:
        edge = edges.reader()
        scopes = open_account(edge, account, now=now)
    except errors.AwsError:
        return  # told on the account's row, and asked again when it is due
    for scope in scopes:
        if scope.next_due_at is None or scope.next_due_at <= now:
            collect_scope(edge, scope)


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
    claim = collection.claim_scope(scope=scope, owner=edges.me(), now=now)
    if claim is None:
        return None
    return _Pass(edge=edge, scope=scope, claim=claim, now=now).run()


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
        self.target = edges.reader_target(self.scope.account)
        inventory = self._try(self._inventory)
        if inventory:
            self._try(self._defaults)
        until = asked_until(self.now)
        asked: frozenset[int] = frozenset()
        incomplete: frozenset[int] = frozenset()
        since = until.date()
        answered = False
        if inventory:
            questions = asking.questions(self.scope, until=until)
            asked = frozenset(pk for question in questions for pk in question.pks.values())
            since = min((question.start.date() for question in questions), default=since)
            answered, incomplete = self._usage(questions, until)
        outcome = self._outcome(inventory=inventory, whole=answered and not incomplete)
        with transaction.atomic():
            by_status = collection.judge_scope(
                claim=self.claim, until=until if answered else None, incomplete=incomplete, asked=asked, now=self.now
            )
            if inventory:
                collection.roll_up(
                    claim=self.claim, since=since, until=until, by_status=by_status,
                    complete=outcome is Outcome.COMPLETE, now=self.now,
                )  # fmt: skip
            ending = Ending(outcome, self.gap, self.message, inventory, until if answered else None)
            collection.finish_scope(claim=self.claim, ending=ending, now=self.now)
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
            collection.store_page(claim=self.claim, facts=page, seen_at=self.now)
            self.instances += sum(fact.instance_state != "terminated" for fact in page)
        collection.mark_gone(claim=self.claim, seen_at=self.now)

    def _defaults(self) -> None:
        fact = ec2.metadata_defaults(self.edge, self.target, self.claim.region)
        collection.store_defaults(claim=self.claim, fact=fact, now=self.now)

    def _usage(self, questions: Sequence[asking.Question], until: datetime) -> tuple[bool, frozenset[int]]:
        """Ask and store. Returns whether every call was answered, and whose series did not come complete."""
        incomplete: set[int] = set()
        answered = True
        keep_from = until.date() - timedelta(days=settings.IMDSDASH_WINDOW_DAYS + 2)
        for question in questions:
            metric = cloudwatch.V1 if question.metric == "v1" else cloudwatch.REJECTED
            asks = [cloudwatch.Ask(instance_id, metric) for instance_id in question.pks]
            self.queries += len(asks)
            try:
                for batch in cloudwatch.hourly(
                    self.edge, self.target, self.claim.region, asks=asks, start=question.start, end=until
                ):
                    collection.store_usage(
                        pks=question.pks, series=batch, metric=question.metric, keep_hours_from=keep_from
                    )
                    bad = [one for one in batch if not one.complete]
                    incomplete |= {question.pks[one.instance_id] for one in bad}
                    if bad:
                        self._note(GapKind.PARTIAL, f"{len(bad)} series incomplete, first: {bad[0].message}.")
            except errors.AwsError as error:
                answered = False
                self._note(GapKind(error.gap), str(error))
        return answered, frozenset(incomplete)

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
