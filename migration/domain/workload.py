"""What the members of one workload show together. Pure: values in, verdict out.

An Auto Scaling group replaces its instances, often before any of them has been measured for a whole window, and each
new id would start the days anew (design section 5). So a member that is younger than the window is judged by what all
members did in it, the dead included. Only upwards from `settling`, and only when every hour that any member owed was
measured and was zero: what is not known of a sibling holds the young one back, as it would the sibling itself.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from migration.domain.readiness import HOURS, NOTHING, QUIET, Hours, Subject, Verdict, Window
from migration.enums import Status, WorkloadKind

HOUR = timedelta(hours=1)
NEVER = datetime.min.replace(tzinfo=UTC)  # the end of a life that owes no hour


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which workload: an Auto Scaling group by its name, else a launch template with an instance profile."""

    kind: str
    name: str

    @property
    def words(self) -> str:
        return f"Auto Scaling group {self.name}" if self.kind == WorkloadKind.ASG else f"launch template {self.name}"


def key_of(*, asg_name: str, launch_template_id: str, instance_profile_arn: str) -> Key | None:
    """The workload an instance belongs to; None for one that stands alone."""
    if asg_name:
        return Key(WorkloadKind.ASG, asg_name)
    if launch_template_id:
        profile = instance_profile_arn.rpartition("/")[2]
        return Key(WorkloadKind.TEMPLATE, f"{launch_template_id} with {profile}" if profile else launch_template_id)
    return None


class Launched(Protocol):
    """What of an instance says which workload it belongs to."""

    asg_name: str
    launch_template_id: str
    instance_profile_arn: str


def key_of_row(row: Launched) -> Key | None:
    return key_of(
        asg_name=row.asg_name,
        launch_template_id=row.launch_template_id,
        instance_profile_arn=row.instance_profile_arn,
    )


@dataclass(frozen=True, slots=True)
class Life:
    """When a member ran: [born, ended). `known` is False when either end can only be guessed."""

    born: datetime | None
    ended: datetime | None
    known: bool

    def born_by(self, moment: datetime) -> bool:
        return self.born is not None and self.born <= moment


def life_of_the_dead(
    *, first_launched_at: datetime | None, ended_at: datetime | None, last_seen_at: datetime, published_only: bool
) -> Life:
    """The life of an instance that is gone.

    `ended_at` is what AWS said of its end. Without it, one that an inventory listed owes its hours up to the last time
    it was listed there; of one known only by its metric (`published_only`) nobody knows how long it ran.
    """
    if first_launched_at is None or (ended_at is None and published_only):
        return Life(first_launched_at, ended_at, known=False)
    return Life(first_launched_at, ended_at or last_seen_at, known=True)


@dataclass(frozen=True, slots=True)
class Together:
    """What all members of a workload show in one window."""

    members: int = 0
    gone: int = 0  # of them, those that AWS no longer lists
    calling: int = 0  # with at least one IMDSv1 call in the window
    calls: int | None = None  # None: not one hour of any member is measured
    gone_calling: int = 0
    gone_calls: int = 0
    missing_hours: int = 0  # hours that some member owed and that have no datapoint
    measured_days: int = 0  # days on which a member ran and every hour owed was measured
    unknown_lives: int = 0
    last_v1_hour: datetime | None = None

    @property
    def whole(self) -> bool:
        return not self.missing_hours and not self.unknown_lives


@dataclass(slots=True)
class Gathering:
    """Adds member after member; holds a few numbers a day, however many members there are."""

    window: Window
    members: int = 0
    gone: int = 0
    calling: int = 0
    calls: int = 0
    gone_calling: int = 0
    gone_calls: int = 0
    measured: int = 0
    unknown_lives: int = 0
    owed: Counter[date] = field(default_factory=Counter)
    missing: Counter[date] = field(default_factory=Counter)
    last_v1_hour: datetime | None = None

    def add(self, life: Life, v1: Mapping[date, Hours], *, until: datetime | None, gone: bool) -> None:
        """One member that may call IMDSv1. `until`: the hour up to which CloudWatch was asked about it."""
        self.members += 1
        self.gone += gone
        self.unknown_lives += not life.known
        calls = sum(self._day(day, life, v1.get(day, NOTHING), until) for day in self._days(v1, until))
        self.calls += calls
        self.calling += calls > 0
        if gone:
            self.gone_calling += calls > 0
            self.gone_calls += calls

    def hear(self, v1: Mapping[date, Hours], *, gone: bool) -> None:
        """One member that answers IMDSv1 no more: it owes nothing, and what it called before counts."""
        first = min(self.window.dates, default=date.max)
        if any(any(hours) for day, hours in v1.items() if day >= first and hours is not QUIET):
            self.add(Life(None, NEVER, known=True), v1, until=None, gone=gone)

    def _days(self, v1: Mapping[date, Hours], until: datetime | None) -> Iterable[date]:
        """The window, the day under way, and any later day that holds something."""
        days = set(self.window.dates)
        if until is not None:
            days.add(until.astimezone(UTC).date())
        first = min(days, default=date.max)
        return days | {day for day in v1 if day > first}

    def _day(self, day: date, life: Life, hours: Hours, until: datetime | None) -> int:
        """Takes one day of one member in; its calls on it."""
        midnight = datetime.combine(day, time(0), UTC)
        calls = 0
        if hours is QUIET and _whole_day(life, midnight):
            self.owed[day] += HOURS
            self.measured += HOURS
            return 0
        if hours is NOTHING and not _any_hour(life, midnight):
            return 0
        for hour, value in enumerate(hours):
            start = midnight + HOUR * hour
            owed = _owed(life, start) and until is not None and start + HOUR <= until
            self.owed[day] += owed
            if value is None:
                self.missing[day] += owed
                continue
            self.measured += 1
            if value:
                calls += value
                self.last_v1_hour = max(self.last_v1_hour or start, start)
        return calls

    def result(self) -> Together:
        return Together(
            members=self.members,
            gone=self.gone,
            calling=self.calling,
            calls=self.calls if self.measured else None,
            gone_calling=self.gone_calling,
            gone_calls=self.gone_calls,
            missing_hours=sum(self.missing.values()),
            measured_days=sum(bool(self.owed[day]) and not self.missing[day] for day in self.window.dates),
            unknown_lives=self.unknown_lives,
            last_v1_hour=self.last_v1_hour,
        )


def _owed(life: Life, start: datetime) -> bool:
    """As `readiness`: not before it was born, nor after its end. The hour of the birth is owed: boot is when old
    software calls. The hour of the end is not: it may have ended before the first period did.
    """
    if not life.known or (life.born is not None and start + HOUR <= life.born):
        return False
    return life.ended is None or start + HOUR <= life.ended


def _whole_day(life: Life, midnight: datetime) -> bool:
    """Did it run all the day from this midnight?"""
    return life.born_by(midnight) and _owed(life, midnight + HOUR * (HOURS - 1))


def _any_hour(life: Life, midnight: datetime) -> bool:
    """Can it have run at all on the day from this midnight?"""
    if life.born is not None and life.born >= midnight + HOUR * HOURS:
        return False
    return life.known and (life.ended is None or life.ended > midnight)


def young(subject: Subject, window: Window) -> bool:
    """Was it launched within the window, so that by itself it cannot have been measured for all of it?"""
    born = subject.first_launched_at
    return born is not None and bool(window.dates) and born.date() >= window.dates[0]


def lift(verdict: Verdict, subject: Subject, window: Window, *, key: Key, together: Together) -> Verdict:
    """The verdict on a young member in the light of its siblings; any other verdict as it is.

    `settling` becomes `ready` when the workload ran on every day of the window, every hour owed by any member was
    measured, and none called. It runs, and its own first hours are among those measured.
    """
    if verdict.status is not Status.SETTLING or not young(subject, window) or together.members <= 1:
        return verdict
    own = f"{verdict.measured_days} of {window.days} days fully measured, no IMDSv1 call so far"
    group = f"{key.words} ({_members(together)})"
    if together.calls:
        calls = "1 IMDSv1 call" if together.calls == 1 else f"{together.calls} IMDSv1 calls"
        return replace(verdict, reason=f"{own}; but {group} made {calls} in the window.")
    if not together.whole or together.measured_days < window.days:
        return replace(verdict, reason=f"{own}; {_short(key, together, window)}.")
    if subject.instance_state != "running" or verdict.v1_calls is None:
        return verdict
    reason = (
        f"Judged with its siblings, for it is younger than {window.days} days: {together.measured_days} of "
        f"{window.days} days fully measured for {group}, no IMDSv1 call."
    )
    return replace(verdict, status=Status.READY, reason=reason)


def _members(together: Together) -> str:
    gone = f", {together.gone} of them gone" if together.gone else ""
    return f"{together.members} instances{gone}"


def _short(key: Key, together: Together, window: Window) -> str:
    """What keeps the workload itself from being known to be quiet."""
    if together.missing_hours:
        hours = "1 hour" if together.missing_hours == 1 else f"{together.missing_hours} hours"
        return f"{hours} of its siblings in {key.words} have no datapoint"
    if together.unknown_lives:
        return f"how long {together.unknown_lives} of its siblings in {key.words} ran is not known"
    return f"{key.words} was measured on {together.measured_days} of {window.days} days"
