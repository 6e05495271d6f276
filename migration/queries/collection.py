"""What makes a zero believable: account by Region, when it was read whole, and what stands in the way."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from migration.domain.gaps import ADVICE, alike
from migration.domain.schedule import Cadences, breaker_open
from migration.enums import GapKind, Outcome, ScopeState
from migration.models import Account, Instance, Scope, ScopeDay
from migration.queries import health, links
from migration.queries.fleet import UNREADABLE
from migration.queries.probes import Probe, probe_of

MOST_GAPS = 5000  # account-Regions whose words are read to be grouped
MOST_CLOSED = 200  # accounts that are named one by one; the matrix, filtered, has all
SHORT = 5  # places of one saying that are shown without being asked for
NEVER_MENDS = (GapKind.DENIED, GapKind.WRONG_ACCOUNT)  # by itself
LATELY = timedelta(days=3)  # a scope whose last whole day is older has no coverage to tell


def _enabled(accounts: QuerySet[Account]) -> QuerySet[Scope]:
    return Scope.objects.filter(account__in=accounts, account__enabled=True, enabled=True)


# --- Filters ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class QualityFilters:
    q: str = ""
    show: str = ""  # a key of SHOWN

    @property
    def any(self) -> bool:
        return bool(self.q or self.show)


READING = "First reading goes on"  # INCOMPLETE without a gap
SHOWN: Mapping[str, str] = {
    "": "Every account",
    "attention": "What needs attention",
    "closed": "Cannot be entered",
    "overdue": "Overdue",
    "never": "Not read yet",
    "busy": "Being read now",
    "reading": READING,
    **{kind.value: f"Gap: {kind.label.lower()}" for kind in ADVICE if kind},
}


def matching(
    accounts: QuerySet[Account], filters: QualityFilters, *, now: datetime, every: Cadences
) -> QuerySet[Account]:
    if filters.q:
        named = Q(name__icontains=filters.q) | Q(account_id__contains=filters.q) | Q(owner__icontains=filters.q)
        accounts = accounts.filter(named)
    if not filters.show:
        return accounts
    closed = Q(enabled=True, role_state__in=UNREADABLE)
    if filters.show == "closed":
        return accounts.filter(closed)
    scopes = Scope.objects.filter(_shown(filters.show, now=now, every=every), enabled=True, account__enabled=True)
    inside = Q(pk__in=scopes.order_by().values("account"))
    return accounts.filter(inside | closed if filters.show == "attention" else inside)


def _shown(show: str, *, now: datetime, every: Cadences) -> Q:
    if show == "overdue":
        return health.overdue(now, every)
    if show == "never":
        return Q(outcome=Outcome.NEVER)
    if show == "busy":
        return Q(state=ScopeState.LEASED)
    if show == "reading":
        return Q(outcome=Outcome.INCOMPLETE, gap=GapKind.NONE)
    if show == "attention":
        return Q(outcome=Outcome.DENIED) | Q(outcome=Outcome.INCOMPLETE) & ~Q(gap="") | health.overdue(now, every)
    return Q(outcome__in=[Outcome.INCOMPLETE, Outcome.DENIED], gap=show)


# --- All account-Regions, in heaps --------------------------------------------------------------------


@dataclass(frozen=True)
class Heap:
    tone: str
    words: str
    count: int


@dataclass(frozen=True)
class Heaps:
    """Every enabled account-Region in exactly one heap: the first that fits, from `denied` on."""

    denied: int = 0
    incomplete: int = 0
    reading: int = 0  # a first reading that goes on in slices
    never: int = 0
    overdue: int = 0  # the last pass was whole, and is too old
    fine: int = 0
    running: int = 0  # of all of them, those that a worker has now
    throttled: int = 0  # answers "too fast" in the last pass of each
    newest_at: datetime | None = None

    @property
    def parts(self) -> list[Heap]:
        """Those that occur, in the order they are drawn."""
        found = (
            Heap("good", "whole and in time", self.fine),
            Heap("stale", "overdue", self.overdue),
            Heap("warn", "incomplete", self.incomplete),
            Heap("bad", "denied", self.denied),
            Heap("busy", "being read for the first time", self.reading),
            Heap("unknown", "not read yet", self.never),
        )
        return [heap for heap in found if heap.count]

    @property
    def total(self) -> int:
        return self.denied + self.incomplete + self.reading + self.never + self.overdue + self.fine

    @property
    def share(self) -> float | None:
        return self.fine / self.total if self.total else None


def heaps(accounts: QuerySet[Account], *, now: datetime, every: Cadences) -> Heaps:
    late = health.overdue(now, every)
    found = _enabled(accounts).aggregate(
        denied=Count("pk", filter=Q(outcome=Outcome.DENIED)),
        incomplete=Count("pk", filter=Q(outcome=Outcome.INCOMPLETE) & ~Q(gap=GapKind.NONE)),
        reading=Count("pk", filter=Q(outcome=Outcome.INCOMPLETE, gap=GapKind.NONE)),
        never=Count("pk", filter=Q(outcome=Outcome.NEVER)),
        overdue=Count("pk", filter=Q(outcome=Outcome.COMPLETE) & late),
        fine=Count("pk", filter=Q(outcome=Outcome.COMPLETE) & ~late),
        running=Count("pk", filter=Q(state=ScopeState.LEASED)),
        answers=Coalesce(Sum("throttled"), 0),
        newest_at=Max("complete_at"),
    )
    return Heaps(**{name: value for name, value in found.items() if name != "answers"}, throttled=found["answers"])


# --- Accounts that cannot be entered --------------------------------------------------------------------


@dataclass(frozen=True)
class ClosedAccount:
    account: Account
    read_at: datetime | None  # the last whole inventory of any of its Regions
    probe: Probe

    @property
    def left_alone(self) -> bool:
        """The circuit breaker is open: no pass tries it before `retry_at`."""
        return breaker_open(self.account.failures)


@dataclass(frozen=True)
class ClosedGroup:
    """Accounts that AWS, or its silence, turns away with the same words."""

    label: str
    words: str
    accounts: list[ClosedAccount]


def closed(accounts: QuerySet[Account]) -> list[ClosedGroup]:
    """The accounts no pass gets into, those turned away with the same words together, the largest group first."""
    shut = accounts.filter(enabled=True, role_state__in=UNREADABLE).annotate(read_at=Max("scopes__inventory_at"))
    groups: dict[tuple[str, str], list[ClosedAccount]] = defaultdict(list)
    for account in shut.order_by("name", "account_id")[:MOST_CLOSED]:
        one = ClosedAccount(account, account.read_at, probe_of(account))
        groups[account.role_state, alike(account.role_message)].append(one)
    found = [
        ClosedGroup(members[0].account.get_role_state_display(), members[0].account.role_message, members)
        for members in groups.values()
    ]
    return sorted(found, key=lambda group: -len(group.accounts))


# --- Gaps, by reason and by AWS's words -----------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    account_id: str
    account_name: str
    region: str
    complete_at: datetime | None
    next_due_at: datetime | None


@dataclass(frozen=True)
class Saying:
    """AWS's words, and everywhere it said the same."""

    words: str
    places: list[Place]

    @property
    def shown(self) -> list[Place]:
        return self.places[:SHORT]

    @property
    def rest(self) -> list[Place]:
        return self.places[SHORT:]


@dataclass(frozen=True)
class GapGroup:
    kind: GapKind
    sayings: list[Saying]

    @property
    def count(self) -> int:
        return sum(len(saying.places) for saying in self.sayings)

    @property
    def label(self) -> str:
        return str(self.kind.label) or READING

    @property
    def tone(self) -> str:
        return "bad" if self.kind in NEVER_MENDS else "warn" if self.kind else "busy"

    @property
    def advice(self) -> str:
        return ADVICE[self.kind]


@dataclass(frozen=True)
class Gaps:
    groups: list[GapGroup] = field(default_factory=list)
    cut: bool = False  # there are more than were read

    @property
    def count(self) -> int:
        return sum(group.count for group in self.groups)


def gaps(accounts: QuerySet[Account]) -> Gaps:
    """The account-Regions whose last pass had a gap, in accounts that can be entered: the others are in `closed`."""
    rows = (
        _enabled(accounts)
        .filter(outcome__in=[Outcome.INCOMPLETE, Outcome.DENIED])
        .exclude(account__role_state__in=UNREADABLE)
        .order_by("account__name", "account__account_id", "region")
        .values_list(
            "outcome",
            "gap",
            "gap_message",
            "account__account_id",
            "account__name",
            "region",
            "complete_at",
            "next_due_at",
        )
    )
    found: dict[GapKind, dict[str, Saying]] = defaultdict(dict)
    read = list(rows[: MOST_GAPS + 1])
    for outcome, gap, message, account_id, name, region, complete_at, due_at in read[:MOST_GAPS]:
        saying = found[_kind(outcome, gap)].setdefault(alike(message), Saying(message, []))
        saying.places.append(Place(account_id, name, region, complete_at, due_at))
    groups = [
        GapGroup(kind, sorted(found[kind].values(), key=lambda saying: -len(saying.places)))
        for kind in ADVICE
        if kind in found
    ]
    return Gaps(groups, cut=len(read) > MOST_GAPS)


def _kind(outcome: str, gap: str) -> GapKind:
    """Why it is not whole. NONE: nothing failed, the first reading goes on."""
    return GapKind.DENIED if outcome == Outcome.DENIED and not gap else GapKind(gap)


# --- Account by Region ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    scope: Scope
    overdue: bool
    next_at: datetime | None  # when it is tried next; None: it is due
    inhabited: bool  # instances are, or were last, seen here
    day: date | None  # the last whole UTC day whose usage was read
    measured: int | None
    expected: int | None

    @property
    def coverage(self) -> float | None:
        return self.measured / self.expected if self.measured is not None and self.expected else None

    @property
    def together(self) -> bool:
        """The usage is read through the monitoring account, with other accounts'."""
        return links.is_shown(self.scope)

    @property
    def tone(self) -> str:
        """The word that colours the cell: the worst of what there is to say."""
        if not self.scope.enabled:
            return "off"
        if self.scope.outcome == Outcome.COMPLETE:
            return "overdue" if self.overdue else "complete"
        if self.scope.outcome == Outcome.INCOMPLETE and not self.scope.gap:
            return "reading"
        return str(self.scope.outcome)

    @property
    def gap(self) -> str:
        """Why the last pass was not whole, in a word or two."""
        if self.scope.outcome not in {Outcome.INCOMPLETE, Outcome.DENIED}:
            return ""
        return str(_kind(self.scope.outcome, self.scope.gap).label) or READING

    @property
    def says(self) -> str:
        """Everything the cell stands for, in one line."""
        scope = self.scope
        parts = [
            f"{scope.region}: {self.gap or scope.get_outcome_display()}",
            f"inventory read whole {_at(scope.inventory_at)}",
            f"usage read whole {_at(scope.usage_at)}",
            self._measured(),
            f"{scope.throttled:,} throttled" if scope.throttled else "",
            f"next try {_at(self.next_at, unset='at once')}",
        ]
        return "; ".join(part for part in parts if part)

    def _measured(self) -> str:
        if self.day is None or self.expected is None:
            return "no day measured yet"
        if not self.expected:
            return "nothing to measure"
        return f"{self.measured or 0:,} of {self.expected:,} instances measured on {self.day.isoformat()}"


def _at(moment: datetime | None, *, unset: str = "never") -> str:
    return unset if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


WORST = ("denied", "incomplete", "overdue", "reading", "never", "complete", "off")


@dataclass(frozen=True)
class Rest:
    """The Regions of one account that have no column: nothing runs there."""

    cells: list[Cell]

    @property
    def enabled(self) -> int:
        return sum(cell.scope.enabled for cell in self.cells)

    @property
    def tone(self) -> str:
        return min((cell.tone for cell in self.cells), key=WORST.index, default="off")

    @property
    def counts(self) -> list[tuple[str, int]]:
        """How many are what, the worst first."""
        tones = [cell.tone for cell in self.cells]
        return [(tone, tones.count(tone)) for tone in WORST if tone in tones]

    @property
    def says(self) -> str:
        return "; ".join(f"{cell.scope.region} {cell.tone}" for cell in self.cells)


@dataclass(frozen=True)
class MatrixRow:
    account: Account
    cells: list[Cell | None]
    rest: Rest

    @property
    def readable(self) -> bool:
        return self.account.role_state not in UNREADABLE


@dataclass(frozen=True)
class Matrix:
    regions: list[str]  # those in use: the columns
    rows: list[MatrixRow]

    @property
    def others(self) -> bool:
        """Is there a Region without a column?"""
        return any(row.rest.cells for row in self.rows)


def matrix(accounts: Sequence[Account], *, now: datetime, every: Cadences) -> Matrix:
    """One page of accounts. Columns are the Regions where something runs, or where something is wrong."""
    found = cells(accounts, now=now, every=every)
    readable = {account.pk for account in accounts if account.role_state not in UNREADABLE}
    regions = sorted({cell.scope.region for cell in found if _in_use(cell, readable=cell.scope.account_id in readable)})
    placed = {(cell.scope.account_id, cell.scope.region): cell for cell in found}
    rest: dict[int, list[Cell]] = defaultdict(list)
    for cell in found:
        if cell.scope.region not in regions:
            rest[cell.scope.account_id].append(cell)
    return Matrix(
        regions=regions,
        rows=[
            MatrixRow(
                account=account,
                cells=[placed.get((account.pk, region)) for region in regions],
                rest=Rest(rest.get(account.pk, [])),
            )
            for account in accounts
        ],
    )


def _in_use(cell: Cell, *, readable: bool) -> bool:
    """An account that cannot be entered fails in every Region alike: that makes no Region worth a column."""
    return cell.inhabited or (readable and cell.tone in {"denied", "incomplete"})


def cells(accounts: Sequence[Account], *, now: datetime, every: Cadences) -> list[Cell]:
    """Every scope of these accounts with what is known of it, in three queries."""
    pks = {account.pk: account for account in accounts}
    scopes = list(Scope.objects.filter(account__in=pks).order_by("account", "region"))
    living = Instance.objects.filter(account__in=pks, gone_at__isnull=True)
    inhabited = set(living.order_by().values_list("account_id", "region").distinct())
    first = now.astimezone(UTC).date() - LATELY
    days = {
        (day.scope_id, day.day): day
        for day in ScopeDay.objects.filter(scope__account__in=pks, day__gte=first).only(
            "scope", "day", "instances_measured", "instances_expected"
        )
    }
    found = []
    for scope in scopes:
        last = scope.usage_until.astimezone(UTC).date() - timedelta(days=1) if scope.usage_until else None
        told = days.get((scope.pk, last)) if last else None
        found.append(
            Cell(
                scope=scope,
                overdue=_late(scope, since=pks[scope.account_id].added_at, now=now, every=every),
                next_at=_next(scope, pks[scope.account_id], now),
                inhabited=(scope.account_id, scope.region) in inhabited,
                day=last if told else None,
                measured=told.instances_measured if told else None,
                expected=told.instances_expected if told else None,
            )
        )
    return found


def _late(scope: Scope, *, since: datetime, now: datetime, every: Cadences) -> bool:
    return (
        every.inventory.overdue(scope.inventory_at, since=since, now=now)
        or every.usage.overdue(scope.usage_at, since=since, now=now)
        or every.watch.late(scope.watch_due_at, now=now)
    )


def _next(scope: Scope, account: Account, now: datetime) -> datetime | None:
    """A Region of an account that cannot be entered waits for the account."""
    at = account.retry_at if account.role_state in UNREADABLE else scope.next_due_at
    return at if at is not None and at > now else None
