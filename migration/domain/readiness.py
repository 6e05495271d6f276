"""Is it safe to enforce this instance? One status and the reason in words. Pure: values in, verdict out.

Three values everywhere: a number, zero, and None for "not measured". Missing is never zero, so taking any
datapoint away never makes an instance readier (a property test holds this).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from migration.domain.facts import MetadataOptions
from migration.domain.words import some
from migration.enums import Status

HOURS = 24
# Order of readiness, worst first; what a verdict may fall to when data is taken away.
RANK = {Status.IN_USE: 0, Status.UNKNOWN: 0, Status.SETTLING: 1, Status.READY: 2}

Hours = tuple[int | None, ...]  # 24 values, the UTC hours of one day
NOTHING: Hours = (None,) * HOURS
QUIET: Hours = (0,) * HOURS


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known of one instance when it is judged."""

    options: MetadataOptions
    instance_state: str
    operator_managed: bool
    first_launched_at: datetime | None
    last_started_at: datetime | None
    stopped_at: datetime | None
    first_enforced_at: datetime | None
    waived_until: date | None
    v1: Mapping[date, Hours]  # MetadataNoToken by UTC day
    waived_words: str = ""  # by what and why, as `domain.waivers` says it


@dataclass(frozen=True, slots=True)
class Window:
    """The last `days` whole UTC days before `until`, the instant up to which CloudWatch was asked."""

    days: int
    until: datetime | None
    today: date

    @property
    def dates(self) -> tuple[date, ...]:
        if self.until is None:
            return ()
        last = self.until.astimezone(UTC).date()
        return tuple(last - timedelta(days=back) for back in range(self.days, 0, -1))

    @property
    def stale(self) -> bool:
        """CloudWatch was last asked more than two days ago: what happened since is not known."""
        return self.until is None or self.today - self.until.astimezone(UTC).date() > timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Verdict:
    status: Status
    reason: str
    measured_days: int = 0
    window_days: int = 0
    v1_calls: int | None = None
    last_v1_hour: datetime | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the datapoints of the window amount to."""

    measured_days: int
    missing_hours: int
    measured_hours: int
    v1_calls: int | None
    last_v1_hour: datetime | None


def judge(subject: Subject, window: Window) -> Verdict:
    """The status of one instance: the words of the design, first match wins."""
    settled = _by_settings(subject, window)
    if settled is not None:
        return settled
    evidence = weigh(subject, window)
    status, reason = _by_evidence(subject, window, evidence)
    return Verdict(
        status=status,
        reason=reason,
        measured_days=evidence.measured_days,
        window_days=window.days,
        v1_calls=evidence.v1_calls,
        last_v1_hour=evidence.last_v1_hour,
    )


def _by_settings(subject: Subject, window: Window) -> Verdict | None:
    """The statuses that AWS's own settings decide, whatever the metric says."""
    options = subject.options
    if subject.instance_state == "terminated":
        return Verdict(Status.GONE, "Terminated.")
    if subject.operator_managed:
        return Verdict(Status.MANAGED, "Run by an AWS service; its metadata options are not ours to change.")
    if options.http_endpoint == "disabled":
        return Verdict(Status.IMDS_OFF, "The metadata endpoint is disabled: no version of IMDS answers.")
    if options.http_tokens == "required":
        if options.state == "applied":
            return Verdict(Status.ENFORCED, "HttpTokens is required and applied.")
        return Verdict(Status.PENDING, _pending(subject))
    if subject.waived_until is not None and subject.waived_until >= window.today:
        return Verdict(Status.WAIVED, _waived(subject.waived_until, subject.waived_words))
    if subject.first_enforced_at is not None:
        seen = subject.first_enforced_at.date().isoformat()
        return Verdict(Status.REGRESSED, f"Was required on {seen} and allows IMDSv1 again.")
    if options.http_tokens is None:
        return Verdict(Status.UNKNOWN, "AWS did not say what HttpTokens is.")
    return None


def _waived(until: date, words: str) -> str:
    return f"Waived until {until.isoformat()}{f' {words}' if words else '.'}"


def _pending(subject: Subject) -> str:
    if subject.instance_state == "stopped":
        return "HttpTokens is required; AWS applies it when the instance next starts."
    return "HttpTokens is required; AWS has not applied it yet."


def weigh(subject: Subject, window: Window) -> Evidence:
    """Count what the datapoints say, up to the hour CloudWatch was asked for.

    A day is measured when all its 24 hours are. Only the days of the first launch and of a stop we know of
    owe fewer hours, and such a day never counts as a measured one.
    """
    calls = measured_hours = measured_days = missing = 0
    last: datetime | None = None
    until = window.until
    if until is None:
        return Evidence(0, 0, 0, None, None)
    for day in (*window.dates, until.date()):
        hours = subject.v1.get(day, NOTHING)
        measured_days += day != until.date() and None not in hours
        if hours is QUIET:  # most days of most instances, and nothing in them to look at hour by hour
            measured_hours += HOURS
            continue
        for hour, value in enumerate(hours):
            if value is not None:
                measured_hours += 1
                calls += value
                last = datetime.combine(day, time(hour), UTC) if value else last
            else:
                start = datetime.combine(day, time(hour), UTC)
                missing += start + timedelta(hours=1) <= until and _owed(subject, start)
    for day in sorted(day for day in subject.v1 if day > until.date()):
        # A later answer that was not whole: what it does say counts, what it does not say is not asked of it.
        for hour, value in enumerate(subject.v1[day]):
            if value:
                measured_hours += 1
                calls += value
                last = datetime.combine(day, time(hour), UTC)
    return Evidence(measured_days, missing, measured_hours, calls if measured_hours else None, last)


def _owed(subject: Subject, start: datetime) -> bool:
    """Must CloudWatch have a datapoint for the hour from `start`? Not before it was born, nor after a known stop.

    The hour of the birth is owed too: boot is when old software calls IMDSv1. Between two starts nothing is
    excused: EC2 tells only the last start, so a silent hour there may be a stop or a gap, and a gap is not zero.
    """
    if subject.first_launched_at is not None and start + timedelta(hours=1) <= subject.first_launched_at:
        return False
    if subject.instance_state == "stopped" and subject.stopped_at is not None:
        return start < subject.stopped_at
    return True


def _by_evidence(subject: Subject, window: Window, evidence: Evidence) -> tuple[Status, str]:
    of_days = f"{evidence.measured_days} of {window.days} days fully measured"
    if evidence.v1_calls:
        at = f", last in the hour from {evidence.last_v1_hour:%Y-%m-%d %H:%M} UTC" if evidence.last_v1_hour else ""
        return Status.IN_USE, f"{some(evidence.v1_calls, 'IMDSv1 call')} in the window{at}."
    if evidence.measured_hours == 0 and subject.instance_state == "stopped":
        return Status.UNKNOWN, "Stopped and not measured: nothing shows what it calls at its next boot."
    if window.until is None:
        return Status.UNKNOWN, "CloudWatch has not answered for it yet."
    if window.stale:
        return Status.UNKNOWN, "CloudWatch has not been read for more than two days."
    if evidence.measured_hours == 0:
        if not evidence.missing_hours:
            return Status.SETTLING, f"0 of {window.days} days: launched too recently to have been measured."
        return Status.UNKNOWN, "CloudWatch has no datapoint for it in the window; that is not zero."
    if evidence.missing_hours:
        hours = "1 hour has" if evidence.missing_hours == 1 else f"{evidence.missing_hours} hours have"
        return Status.UNKNOWN, f"{of_days}; {hours} no datapoint, and no datapoint is not zero."
    if evidence.measured_days >= window.days:
        return Status.READY, f"{of_days}, no IMDSv1 call."
    return Status.SETTLING, f"{of_days}, no IMDSv1 call so far."
