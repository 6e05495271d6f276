"""A verdict on every instance and every workload from what is stored, written where it changed."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from migration.actions import bulk, collection, history, regressions, workloads
from migration.actions.collection import ScopeClaim
from migration.actions.inventory import FACT_FIELDS, OPTION_FIELDS, SEEN_FIELDS
from migration.domain import readiness, regression, risk, workload
from migration.domain.facts import InstanceFact
from migration.domain.obstacles import Around, obstacles
from migration.domain.readiness import Subject, Verdict
from migration.enums import DONE, LEFT, RegressionKind, Status
from migration.models import Instance, RegionDefaults, Scope
from migration.queries import evidence, waivers
from migration.queries.surroundings import Surroundings

CHUNK = 1000
VERDICT_FIELDS = (
    "status",
    "status_reason",
    "status_since",
    "blockers",
    "warnings",
    "risk",
    "measured_days",
    "window_days",
    "v1_calls_window",
    "last_v1_hour",
    "first_enforced_at",
    "watch_until",
)
OF_INSTANCES = (RegressionKind.OPTIONAL_AGAIN, RegressionKind.V1_AFTER_READY)
OF_LAUNCHES = (RegressionKind.NEW_LAUNCH,)
SINGLE = "instances of no group"


def judge_scope(*, claim: ScopeClaim, until: datetime | None, now: datetime) -> Counter[str]:
    """Write a verdict on every instance and workload of the scope. Returns how many instances have which status.

    Each instance is judged up to the hour that is known of it. `until`: the hour this pass asked up to, which is
    what holds for one that cannot be asked about (stopped); None when CloudWatch was not asked. Written chunk by
    chunk, so that a large scope keeps nobody waiting. Raises LeaseLost.
    """
    judging = _Judging(claim, until=until, now=now)
    for chunk in judging.living():
        judging.judge(chunk)
    judging.add_the_dead()
    judging.judge_the_young()
    judging.finish()
    return judging.counted


@dataclass(slots=True)
class _Members:
    """What one pass adds up of a workload, beside its datapoints."""

    by_status: Counter[str] = field(default_factory=Counter)
    blocked: Counter[str] = field(default_factory=Counter)  # the first blocker of each -> instances
    seen: int = 0  # of those that allow IMDSv1, measured for the whole window
    risk: int = 0
    allowing: int = 0


class _Judging:
    """One pass of verdicts over one scope."""

    def __init__(self, claim: ScopeClaim, *, until: datetime | None, now: datetime) -> None:
        self.claim, self.now = claim, now
        self.scope = Scope.objects.get(pk=claim.scope_id)
        self.window = readiness.Window(
            days=settings.IMDSDASH_WINDOW_DAYS, until=until or self.scope.usage_until, today=now.astimezone(UTC).date()
        )
        self.counted: Counter[str] = Counter()
        self.waived = waivers.waived(claim.account_pk, claim.region, self.window.today)
        self.around = Surroundings(claim.account_pk, claim.region)
        self.gathered: dict[workload.Key, workload.Gathering] = defaultdict(lambda: workload.Gathering(self.window))
        self.members: dict[workload.Key | None, _Members] = defaultdict(_Members)
        self.young: list[int] = []
        self.lost: list[regressions.Lost] = []
        self.fallen: set[str] = set()  # ids of instances that have fallen back, now or in an earlier pass

    # --- what is there

    @property
    def here(self) -> QuerySet[Instance]:
        return Instance.objects.filter(account_id=self.claim.account_pk, region=self.claim.region)

    def living(self) -> Iterator[list[Instance]]:
        return _chunks(self.here.filter(gone_at__isnull=True))

    @cached_property
    def was_done(self) -> bool:
        """Did the Region allow IMDSv1 nowhere before this pass, or say `required` for new launches?"""
        if RegionDefaults.objects.filter(scope=self.scope, http_tokens="required").exists():
            return True
        known = self.here.filter(gone_at__isnull=True, status_since__isnull=False)
        return known.filter(status__in=DONE).exists() and not known.filter(status__in=LEFT).exists()

    @cached_property
    def done_workloads(self) -> frozenset[workload.Key]:
        """The workloads whose living members were all done after the last pass."""
        return workloads.done(account_pk=self.claim.account_pk, region=self.claim.region)

    # --- verdicts

    def judge(self, rows: list[Instance]) -> None:
        """Judge these instances by themselves; young members of a workload wait for what their siblings show."""
        days = evidence.v1_days([row.pk for row in rows], self.window)
        around = self.around.of(rows)
        changed = []
        for row in rows:
            window, subject = self._seen(row, days.get(row.pk, {}))
            verdict = readiness.judge(subject, window)
            key = workload.key_of_row(row)
            if key is not None:
                self._gather(key, row, subject)
            if key is not None and verdict.status is Status.SETTLING and workload.young(subject, window):
                self.young.append(row.pk)
            elif self._settle(row, subject, window, verdict, around=around[row.pk], key=key):
                changed.append(row)
        self._store(changed)

    def add_the_dead(self) -> None:
        """Members that went within the window did what they did: their hours count with those of the living."""
        if not self.window.dates:
            return
        begin = datetime.combine(self.window.dates[0], time(0), UTC)
        dead = self.here.filter(gone_at__gte=begin, operator_managed=False).exclude(asg_name="", launch_template_id="")
        for rows in _chunks(dead):
            days = evidence.v1_days([row.pk for row in rows], self.window)
            for row in rows:
                key, v1 = workload.key_of_row(row), days.get(row.pk, {})
                if key is not None and not _could_call(row):
                    self.gathered[key].hear(v1, gone=True)
                elif key is not None and _in_window(row, v1, begin):
                    self.gathered[key].add(_life(row), v1, until=self.window.until, gone=True)

    def judge_the_young(self) -> None:
        """Those that are younger than the window, with what their siblings show."""
        together = {key: gathering.result() for key, gathering in self.gathered.items()}
        for at in range(0, len(self.young), CHUNK):
            rows = list(self.here.filter(pk__in=self.young[at : at + CHUNK]).order_by("pk"))
            days = evidence.v1_days([row.pk for row in rows], self.window)
            around = self.around.of(rows)
            changed = []
            for row in rows:
                window, subject = self._seen(row, days.get(row.pk, {}))
                verdict, key = readiness.judge(subject, window), workload.key_of_row(row)
                if key is not None and key in together:
                    verdict = workload.lift(verdict, subject, window, key=key, together=together[key])
                if self._settle(row, subject, window, verdict, around=around[row.pk], key=key):
                    changed.append(row)
            self._store(changed)

    def _seen(self, row: Instance, v1: dict[date, readiness.Hours]) -> tuple[readiness.Window, Subject]:
        known = self.window.until if row.instance_state == "stopped" else row.usage_until
        return replace(self.window, until=known), evidence.subject(row, v1, self.waived.until(row))

    def _gather(self, key: workload.Key, row: Instance, subject: Subject) -> None:
        if not regression.allows_v1(subject):
            self.gathered[key].hear(subject.v1, gone=False)
            return
        ended = row.stopped_at if row.instance_state == "stopped" else None
        known = row.first_launched_at is not None
        life = workload.Life(row.first_launched_at, ended, known=known)
        self.gathered[key].add(life, subject.v1, until=self.window.until, gone=False)

    def _settle(
        self,
        row: Instance,
        subject: Subject,
        window: readiness.Window,
        verdict: Verdict,
        *,
        around: Around,
        key: workload.Key | None,
    ) -> bool:
        """Put the verdict on the row and count it. True when the row is to be written."""
        was = [getattr(row, name) for name in VERDICT_FIELDS]
        self._regressed(row, subject, verdict, key)
        apply(row, subject, window, verdict, around, now=self.now)
        self.counted[verdict.status.value] += 1
        members = self.members[key]
        members.by_status[verdict.status.value] += 1
        members.risk = max(members.risk, row.risk)
        if regression.allows_v1(subject):
            members.allowing += 1
            members.seen += verdict.measured_days >= window.days
        if verdict.status is Status.READY and row.blockers:
            members.blocked[row.blockers[0]] += 1
        return was != [getattr(row, name) for name in VERDICT_FIELDS]

    def _store(self, rows: list[Instance]) -> None:
        with transaction.atomic():
            collection.hold(claim=self.claim)
            _write(rows)

    # --- what was lost

    def _regressed(self, row: Instance, subject: Subject, verdict: Verdict, key: workload.Key | None) -> None:
        if verdict.status is Status.REGRESSED or (verdict.status is Status.IN_USE and row.status == Status.IN_USE):
            self.fallen.add(row.instance_id)
        before = None if row.status_since is None else Status(row.status)
        found = regression.of_instance(
            before=before,
            after=verdict.status,
            subject=subject,
            known_since=self.scope.inventory_at,
            place_was_done=before is None and (self.was_done or key in self.done_workloads),
        )
        if found is None:
            return
        name = row.name or row.instance_id
        if found is RegressionKind.NEW_LAUNCH:
            group = SINGLE if key is None else key.words
            self.lost.append(
                regressions.Lost(found, group, f"{name} was launched with IMDSv1 allowed, where nothing allowed it.")
            )
            return
        self.fallen.add(row.instance_id)
        self.lost.append(regressions.Lost(found, row.instance_id, f"{name}: {verdict.reason}", row.pk))

    def finish(self) -> None:
        """The workloads' verdicts, and what was lost and won back."""
        allowing = {SINGLE if key is None else key.words for key, found in self.members.items() if found.allowing}
        account, region, now = self.claim.account_pk, self.claim.region, self.now
        with transaction.atomic():
            collection.hold(claim=self.claim)
            workloads.store(claim=self.claim, found=self._workloads(), now=self.now)
            for kinds, still in ((OF_INSTANCES, self.fallen), (OF_LAUNCHES, allowing)):
                regressions.resolve(account_pk=account, region=region, kinds=kinds, still=still, now=now)
            regressions.record(account_pk=account, region=region, lost=self.lost, now=now)

    def _workloads(self) -> Iterable[workloads.Found]:
        for key in {*self.gathered, *(key for key in self.members if key is not None)}:
            members = self.members.get(key) or _Members()
            launches = self.around.launching.of_key(key)
            yield workloads.Found(
                key=key,
                together=self.gathered[key].result(),
                by_status=members.by_status,
                blocked=members.blocked,
                seen=members.seen,
                risk=members.risk,
                window_days=self.window.days,
                launches=None if launches is None else launches.answer_now,
            )


def _chunks(rows: QuerySet[Instance]) -> Iterator[list[Instance]]:
    last = 0
    while chunk := list(rows.filter(pk__gt=last).order_by("pk")[:CHUNK]):
        last = chunk[-1].pk
        yield chunk


def _could_call(row: Instance) -> bool:
    """Did it answer IMDSv1 when last seen? Of one that only its metric tells of, nothing was seen."""
    return row.http_tokens != "required" and row.http_endpoint != "disabled"


def _life(row: Instance) -> workload.Life:
    """Of one that is gone. What an inventory listed has a LaunchTime; what only published its metric has none."""
    return workload.life_of_the_dead(
        first_launched_at=row.first_launched_at,
        ended_at=row.ended_at,
        last_seen_at=row.last_seen_at,
        published_only=row.launched_at is None,
    )


def _in_window(row: Instance, v1: dict[date, readiness.Hours], begin: datetime) -> bool:
    """Did it run in the window? One that was only noticed then, and ended before, did not."""
    return bool(v1) or row.ended_at is None or row.ended_at > begin


def _write(rows: list[Instance], update: Sequence[str] = VERDICT_FIELDS) -> None:
    """Some columns of rows that exist: found by their key, so the other columns are never inserted."""
    columns = ("account_id", "region", "instance_id", *(name for name in NEEDED if name not in update), *update)
    bulk.upsert(
        Instance,
        ([getattr(row, name) for name in columns] for row in rows),
        columns=columns,
        unique=("account_id", "region", "instance_id"),
        update=update,
    )


# What a row must have to be a row at all; all of these exist, and are never inserted.
NEEDED = ("instance_state", "first_seen_at", "last_seen_at")


def apply(
    row: Instance, subject: Subject, window: readiness.Window, verdict: Verdict, around: Around, *, now: datetime
) -> None:
    """Put a verdict and what goes with it on a row; nothing is written."""
    seen_before = row.status_since is not None
    if verdict.status is Status.ENFORCED and row.status != verdict.status and seen_before:
        # It was not so when last looked at: what breaks now is seen in its rejected calls.
        row.watch_until = now + timedelta(days=settings.IMDSDASH_WATCH_DAYS)
    if row.status != verdict.status or row.status_since is None:
        row.status_since = now
    found = obstacles(subject, around, window, status=verdict.status, tags=row.tags)
    row.status = verdict.status
    row.status_reason = verdict.reason
    row.blockers = list(found.blockers)
    row.warnings = list(found.warnings)
    row.risk = risk.score(
        risk.factors(
            options=subject.options,
            public=row.public,
            has_role=bool(row.instance_profile_arn),
            v1_calls=verdict.v1_calls,
            fully_measured=verdict.status is Status.READY,
        )
    )
    row.measured_days = verdict.measured_days
    row.window_days = verdict.window_days
    row.v1_calls_window = verdict.v1_calls
    row.last_v1_hour = verdict.last_v1_hour
    if verdict.status is Status.ENFORCED and row.first_enforced_at is None:
        row.first_enforced_at = now


def refresh_instances(*, account_pk: int, region: str, facts: Mapping[int, InstanceFact], now: datetime) -> None:
    """A fresh read of instances of one Region after changes of ours: their rows and verdicts follow at once, not at
    the next pass. `facts`: by the instance's primary key.
    """
    with transaction.atomic():
        rows = list(Instance.objects.select_for_update().filter(pk__in=facts).order_by("pk"))
        history.remember(rows, {row.pk: facts[row.pk].options for row in rows}, at=now)
        scope = Scope.objects.get(account_id=account_pk, region=region)
        today = now.astimezone(UTC).date()
        window = readiness.Window(days=settings.IMDSDASH_WINDOW_DAYS, until=scope.usage_until, today=today)
        waived = waivers.waived(account_pk, region, today)
        days = evidence.v1_days([row.pk for row in rows], window)
        around = Surroundings(account_pk, region).of(rows)
        for row in rows:
            _show(row, facts[row.pk], now)
            own = window if row.instance_state == "stopped" else replace(window, until=row.usage_until)
            subject = evidence.subject(row, days.get(row.pk, {}), waived.until(row))
            apply(row, subject, own, readiness.judge(subject, own), around[row.pk], now=now)
        _write(rows, update=(*SEEN_FIELDS, *VERDICT_FIELDS))
        if scope.watch_due_at is None and any(row.watch_until is not None for row in rows):
            collection.watch_from(scope=scope, at=now + collection.cadence("watch"))


def _show(row: Instance, fact: InstanceFact, now: datetime) -> None:
    """What AWS has just shown of it."""
    for name in FACT_FIELDS:
        setattr(row, name, getattr(fact, name))
    for name in OPTION_FIELDS:
        setattr(row, name, getattr(fact.options, name))
    row.options_state = fact.options.state
    row.last_seen_at = now
    row.gone_at = None
