"""Runs: how far each has come."""

from dataclasses import dataclass

from django.db.models import Case, Count, IntegerField, QuerySet, Value, When

from migration.enums import ACTIVE_RUN, SETTLED, ChangeState, RunState
from migration.models import Change, Run
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
        "account", "request__requested_by", "request__decided_by"
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
    return f"{run.state}:" + ",".join(f"{state}={progress.counts[state]}" for state in sorted(progress.counts))
