"""Runs: how far each has come."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When

from migration.enums import (
    ACTIVE_RUN,
    SETTLED,
    CanaryState,
    ChangeState,
    RequestState,
    ResourceKind,
    RunState,
    WatchState,
)
from migration.models import Change, EnforcementRequest, Run
from migration.queries.access import Person, visible_accounts

# Failures first, then what moves, then what waits, then what is over.
ATTENTION = (
    ChangeState.FAILED,
    ChangeState.UNKNOWN,
    ChangeState.CALLING,
    ChangeState.APPLIED,
    ChangeState.LEASED,
    ChangeState.SKIPPED,
    ChangeState.PENDING,
    ChangeState.VERIFIED,
)


UNDECIDED = (RequestState.DRAFT, RequestState.REQUESTED)
# Failed without a word from AWS that it did nothing: whether it did is not known.
LOST = ("unsettled", "unknown_outcome", "writes")


@dataclass(frozen=True)
class Progress:
    counts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def settled(self) -> int:
        return sum(self.counts.get(state, 0) for state in SETTLED)

    @property
    def verified(self) -> int:
        return self.counts.get(ChangeState.VERIFIED, 0)

    @property
    def failed(self) -> int:
        return self.counts.get(ChangeState.FAILED, 0)

    @property
    def skipped(self) -> int:
        return self.counts.get(ChangeState.SKIPPED, 0)

    @property
    def waiting(self) -> int:
        return self.counts.get(ChangeState.PENDING, 0)

    @property
    def moving(self) -> int:
        return self.total - self.settled - self.waiting

    @property
    def share(self) -> float | None:
        return self.settled / self.total if self.total else None


def visible(user: Person) -> QuerySet[Run]:
    return Run.objects.filter(account__in=visible_accounts(user)).select_related(
        "account", "request__requested_by", "request__decided_by", "wave"
    )


def is_over(run: Run) -> bool:
    return run.state not in ACTIVE_RUN


def progress(run: Run) -> Progress:
    return Progress(dict(Change.objects.filter(run=run).order_by().values_list("state").annotate(Count("pk"))))


def progresses(runs: list[Run]) -> dict[int, Progress]:
    found: dict[int, dict[str, int]] = {run.pk: {} for run in runs}
    rows = Change.objects.filter(run__in=list(found)).order_by().values_list("run", "state").annotate(Count("pk"))
    for run, state, count in rows:
        found[run][state] = count
    return {run: Progress(counts) for run, counts in found.items()}


def written(run: Run) -> QuerySet[Change]:
    """The changes that AWS has, or may have: what is watched afterwards, and what a rollback is about."""
    sent = [ChangeState.CALLING, ChangeState.APPLIED, ChangeState.UNKNOWN, ChangeState.VERIFIED]
    failed = Q(after__isnull=False) | Q(error_class__in=LOST)
    return Change.objects.filter(Q(state__in=sent) | Q(failed, state=ChangeState.FAILED), run=run)


def sent_after(run: Run) -> QuerySet[Change]:
    """What later runs have changed in the account and not put back: that is theirs, even where it is alike."""
    rows = Change.objects.filter(run__account=run.account_id, run__pk__gt=run.pk, after__isnull=False)
    return rows.filter(undoes__isnull=True).exclude(undone_by__state=ChangeState.VERIFIED).order_by("pk")


def taken_over(changes: Iterable[Change], later: Iterable[Change]) -> dict[int, Change]:
    """Of the changes those of which a later one has sent a field of the same resource anew: by key, that later one.
    `later`: of `sent_after`. It is that run's to put back, even where the value is the same.
    """
    sent: defaultdict[tuple[str, str, str], list[Change]] = defaultdict(list)
    for other in later:
        sent[other.kind, other.region, other.resource_id].append(other)
    found: dict[int, Change] = {}
    for change in changes:
        for other in sent.get((change.kind, change.region, change.resource_id), ()):
            if change.send.keys() & other.send.keys():
                found.setdefault(change.pk, other)
    return found


def changes(run: Run) -> QuerySet[Change]:
    rank = Case(
        *[When(state=state, then=Value(place)) for place, state in enumerate(ATTENTION)],
        output_field=IntegerField(),
    )
    return Change.objects.filter(run=run).select_related("instance").order_by(rank, "pk")


def paused(user: Person) -> list[Run]:
    return list(visible(user).filter(state=RunState.PAUSED)[:10])


def fingerprint(run: Run, progress: Progress) -> str:
    """Changes when anything a watcher sees has changed."""
    return f"{run.state}:{run.canary}:{run.watch}:" + ",".join(
        f"{state}={progress.counts[state]}" for state in sorted(progress.counts)
    )


def noun(changes: Iterable[Change]) -> str:
    """What a run's changes are made to, in one word."""
    return "instance" if all(change.kind == ResourceKind.INSTANCE for change in changes) else "resource"


def rollbacks(run: Run) -> list[EnforcementRequest]:
    """The plans that put this run back, whatever became of them."""
    return list(EnforcementRequest.objects.filter(undoes=run).select_related("account", "run").defer("plan"))


@dataclass(frozen=True)
class Told:
    """One line under a run's state: what it waits for, or what was heard since."""

    tone: str  # info, warning, error
    icon: str
    sentence: str


def told(run: Run, *, refused: int, now: datetime) -> list[Told]:
    """What a watcher of the run should know beside its state, the gravest first. `refused`: as `refused_calls`."""
    lines = []
    if refused:
        lines.append(
            Told(
                "error",
                "exclamation-octagon-fill",
                f"{refused} of its instances had IMDSv1 calls refused since. Update what calls, or put those back.",
            )
        )
    watching = run.canary == CanaryState.WATCHING and run.state in ACTIVE_RUN
    if watching and run.canary_until is not None:
        lines.append(
            Told(
                "info",
                "hourglass-split",
                "The first instance is being watched for refused calls; the rest waits for it, until "
                f"{run.canary_until:%Y-%m-%d %H:%M} UTC at the latest.",
            )
        )
    elif run.canary == CanaryState.QUIET:
        lines.append(Told("info", "check-circle-fill", "The first instance published data and had no call refused."))
    elif run.canary == CanaryState.ACCEPTED:
        lines.append(Told("warning", "person-circle", "A person accepted what the first instance showed."))
    if not watching and run.state in ACTIVE_RUN and run.waits_until is not None and run.waits_until > now:
        lines.append(
            Told(
                "info",
                "clock-history",
                f"Outside its change window. It goes on at {run.waits_until:%Y-%m-%d %H:%M} UTC.",
            )
        )
    lines += _watch(run)
    return lines


def _watch(run: Run) -> list[Told]:
    if run.watch == WatchState.WATCHING and run.watch_until is not None:
        until = f"until {run.watch_until:%Y-%m-%d %H:%M} UTC"
        return [Told("info", "stopwatch", f"Its instances are watched for refused calls, hour by hour, {until}.")]
    if run.watch == WatchState.QUIET:
        return [Told("info", "check-circle-fill", "Watched to the end: no call was refused, and every hour is known.")]
    if run.watch == WatchState.BLIND:
        said = "The watch is over, and not every hour is known: no refused call was seen, which does not prove quiet."
        return [Told("warning", "question-circle-fill", said)]
    return []


def refused_calls(run: Run) -> int:
    """How many of its instances had calls refused since their change."""
    return Change.objects.filter(run=run, rejected_calls__gt=0).count()
