"""The verdict: a table of cases, and the property that missing data never helps."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.domain.facts import MetadataOptions
from migration.domain.readiness import NOTHING, RANK, Hours, Subject, Verdict, Window, judge
from migration.enums import Status

TODAY = date(2026, 11, 20)
UNTIL = datetime(2026, 11, 20, 6, tzinfo=UTC)
WINDOW = Window(days=14, until=UNTIL, today=TODAY)
QUIET: Hours = (0,) * 24
OPTIONAL = MetadataOptions("optional", 1, "enabled", "disabled", "disabled", "applied")


def days(*, hours: Hours = QUIET, count: int = 14) -> dict[date, Hours]:
    """`count` days up to yesterday, and today's hours before `until`."""
    found = {TODAY - timedelta(days=back): hours for back in range(1, count + 1)}
    found[TODAY] = (0,) * 6 + (None,) * 18
    return found


def subject(**fields) -> Subject:
    base = Subject(
        options=OPTIONAL,
        instance_state="running",
        operator_managed=False,
        first_launched_at=datetime(2026, 5, 1, tzinfo=UTC),
        last_started_at=datetime(2026, 5, 1, tzinfo=UTC),
        stopped_at=None,
        first_enforced_at=None,
        waived_until=None,
        v1=days(),
    )
    return replace(base, **fields)


def with_hour(day: date, hour: int, value: int | None) -> dict[date, Hours]:
    found = days()
    hours = list(found[day])
    hours[hour] = value
    return found | {day: tuple(hours)}


REQUIRED = replace(OPTIONAL, http_tokens="required")

CASES = {
    "terminated": (subject(instance_state="terminated"), Status.GONE),
    "run by an AWS service": (subject(operator_managed=True), Status.MANAGED),
    "managed wins over enforced": (subject(operator_managed=True, options=REQUIRED), Status.MANAGED),
    "endpoint disabled": (subject(options=replace(OPTIONAL, http_endpoint="disabled")), Status.IMDS_OFF),
    "endpoint disabled and required": (subject(options=replace(REQUIRED, http_endpoint="disabled")), Status.IMDS_OFF),
    "required and applied": (subject(options=REQUIRED), Status.ENFORCED),
    "required, not applied yet": (subject(options=replace(REQUIRED, state="pending")), Status.PENDING),
    "required, AWS did not say the State": (subject(options=replace(REQUIRED, state=None)), Status.PENDING),
    "waived until tomorrow": (subject(waived_until=TODAY + timedelta(days=1)), Status.WAIVED),
    "waiver over": (subject(waived_until=TODAY - timedelta(days=1)), Status.READY),
    "was enforced once": (subject(first_enforced_at=datetime(2026, 9, 1, tzinfo=UTC)), Status.REGRESSED),
    "HttpTokens not said": (subject(options=replace(OPTIONAL, http_tokens=None)), Status.UNKNOWN),
    "one call two weeks ago": (subject(v1=with_hour(TODAY - timedelta(days=14), 3, 1)), Status.IN_USE),
    "one call today": (subject(v1=with_hour(TODAY, 5, 1)), Status.IN_USE),
    "a call before the window": (subject(v1=days() | {TODAY - timedelta(days=15): (9,) * 24}), Status.READY),
    "no datapoint at all": (subject(v1={}), Status.UNKNOWN),
    "one hour missing": (subject(v1=with_hour(TODAY - timedelta(days=7), 12, None)), Status.UNKNOWN),
    "one hour of today missing": (subject(v1=with_hour(TODAY, 2, None)), Status.UNKNOWN),
    "all quiet": (subject(), Status.READY),
    "stopped and never measured": (subject(instance_state="stopped", v1={}), Status.UNKNOWN),
    "stopped before the window": (
        subject(instance_state="stopped", stopped_at=datetime(2026, 10, 1, tzinfo=UTC), v1={}),
        Status.UNKNOWN,
    ),
    "stopped in the window, quiet until then": (
        subject(
            instance_state="stopped",
            stopped_at=datetime(2026, 11, 15, tzinfo=UTC),
            v1={date(2026, 11, 6) + timedelta(days=n): QUIET for n in range(9)},
        ),
        Status.SETTLING,
    ),
    "born five days ago, quiet": (
        subject(first_launched_at=datetime(2026, 11, 15, tzinfo=UTC), v1=days(count=5)),
        Status.SETTLING,
    ),
    "born five days ago, first hour missing": (
        subject(
            first_launched_at=datetime(2026, 11, 15, 0, 30, tzinfo=UTC),
            v1=days(count=5) | {date(2026, 11, 15): (None, *QUIET[1:])},
        ),
        Status.UNKNOWN,
    ),
    "born after the last reading": (
        subject(first_launched_at=datetime(2026, 11, 20, 8, tzinfo=UTC), v1={}),
        Status.SETTLING,
    ),
}


@pytest.mark.parametrize(("one", "status"), CASES.values(), ids=CASES.keys())
def test_each_case_has_its_status(one: Subject, status: Status):
    assert judge(one, WINDOW).status == status


def test_the_reason_counts_days_and_missing_hours():
    verdict = judge(subject(v1=with_hour(TODAY - timedelta(days=7), 12, None)), WINDOW)

    assert verdict.reason == "13 of 14 days fully measured; 1 hour has no datapoint, and no datapoint is not zero."
    assert verdict.measured_days == 13


def test_the_reason_of_use_names_calls_and_the_last_hour():
    verdict = judge(subject(v1=with_hour(TODAY - timedelta(days=2), 3, 40)), WINDOW)

    assert verdict == Verdict(
        status=Status.IN_USE,
        reason="40 IMDSv1 calls in the window, last in the hour from 2026-11-18 03:00 UTC.",
        measured_days=14,
        window_days=14,
        v1_calls=40,
        last_v1_hour=datetime(2026, 11, 18, 3, tzinfo=UTC),
    )


def test_an_unmeasured_instance_has_no_number_of_calls():
    assert judge(subject(v1={}), WINDOW).v1_calls is None


def test_a_reading_older_than_two_days_proves_nothing():
    assert judge(subject(), replace(WINDOW, today=TODAY + timedelta(days=3))).status is Status.UNKNOWN


def test_a_scope_that_was_never_read_is_unknown():
    assert judge(subject(), replace(WINDOW, until=None)).status is Status.UNKNOWN


@st.composite
def lives(draw) -> Subject:
    """An instance with datapoints only in hours in which it can have run."""
    born = draw(
        st.none() | st.datetimes(datetime(2026, 10, 20), datetime(2026, 11, 20, 7)).map(lambda t: t.replace(tzinfo=UTC))
    )
    stopped = draw(st.booleans())
    stopped_at = None
    if stopped:
        least = (born or datetime(2026, 11, 1, tzinfo=UTC)).replace(tzinfo=None)
        stopped_at = draw(
            st.none() | st.datetimes(least, datetime(2026, 11, 20, 8)).map(lambda t: t.replace(tzinfo=UTC))
        )
    values = draw(st.sampled_from([(0,), (0, 0, 0, None), (0, 0, 0, 0, 0, 0, 0, 7), (0, None, 3)]))
    picks = draw(st.randoms(use_true_random=False))
    v1 = {}
    for back in range(16):
        day = TODAY - timedelta(days=back)
        hours = []
        for hour in range(24):
            start = datetime.combine(day, time(hour), UTC)
            alive = (born is None or start + timedelta(hours=1) > born) and (stopped_at is None or start < stopped_at)
            known = alive and start + timedelta(hours=1) <= UNTIL
            hours.append(picks.choice(values) if known else None)
        v1[day] = tuple(hours)
    return subject(
        first_launched_at=born, instance_state="stopped" if stopped else "running", stopped_at=stopped_at, v1=v1
    )


@settings(max_examples=300, deadline=None)
@given(one=lives(), data=st.data())
def test_taking_datapoints_away_never_makes_an_instance_readier(one: Subject, data):
    known = [(day, hour) for day, hours in one.v1.items() for hour, value in enumerate(hours) if value is not None]
    taken = data.draw(st.lists(st.sampled_from(known), max_size=40)) if known else []
    v1 = {day: list(hours) for day, hours in one.v1.items()}
    for day, hour in taken:
        v1[day][hour] = None
    poorer = replace(one, v1={day: tuple(hours) for day, hours in v1.items()})

    assert RANK[judge(poorer, WINDOW).status] <= RANK[judge(one, WINDOW).status]


@settings(max_examples=100, deadline=None)
@given(one=lives())
def test_without_any_datapoint_nothing_owed_is_ever_ready(one: Subject):
    blind = replace(one, v1=dict.fromkeys(one.v1, NOTHING))

    assert judge(blind, WINDOW).status in {Status.UNKNOWN, Status.SETTLING}
    assert judge(blind, WINDOW).v1_calls is None
