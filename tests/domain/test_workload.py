"""Siblings judged together: a table of cases, and the property that missing data of a sibling never helps."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.domain.readiness import NOTHING, QUIET, RANK, Hours, judge
from migration.domain.workload import Gathering, Key, Life, Together, key_of, life_of_the_dead, lift
from migration.enums import Status
from tests.domain.test_readiness import TODAY, UNTIL, WINDOW, days, subject

KEY = Key("asg", "web")
BORN = datetime(2026, 11, 18, tzinfo=UTC)
YOUNG = subject(first_launched_at=BORN, last_started_at=BORN, v1=days(count=2))
ALIVE = Life(BORN, None, known=True)


def dead(day: date, *, hours: int = 24, value: int | None = 0) -> tuple[Life, dict[date, Hours]]:
    """A sibling that lived through the first `hours` hours of a day."""
    born = datetime.combine(day, time(0), UTC)
    found = tuple(value if hour < hours else None for hour in range(24))
    return Life(born, born + timedelta(hours=hours), known=True), {day: QUIET if found == QUIET else found}


def gathered(*siblings: tuple[Life, dict[date, Hours]]) -> Together:
    """The young one and these dead siblings."""
    gathering = Gathering(WINDOW)
    gathering.add(ALIVE, YOUNG.v1, until=UNTIL, gone=False)
    for life, v1 in siblings:
        gathering.add(life, v1, until=UNTIL, gone=True)
    return gathering.result()


def a_day_each(*, skip: int | None = None) -> list[tuple[Life, dict[date, Hours]]]:
    return [dead(TODAY - timedelta(days=back)) for back in range(3, 15) if back != skip]


def verdict(together: Together, one=YOUNG):
    return lift(judge(one, WINDOW), one, WINDOW, key=KEY, together=together)


def test_case_50_a_group_that_replaces_its_instances_daily_becomes_ready_by_its_dead():
    found = verdict(gathered(*a_day_each()))

    assert found.status is Status.READY
    assert found.reason == (
        "Judged with its siblings, for it is younger than 14 days: 14 of 14 days fully measured for Auto Scaling group "
        "web (13 instances, 12 of them gone), no IMDSv1 call."
    )


def test_alone_the_young_one_is_settling():
    assert judge(YOUNG, WINDOW).status is Status.SETTLING
    assert verdict(gathered()).status is Status.SETTLING


def test_a_day_on_which_nothing_of_it_ran_is_no_quiet_day():
    found = verdict(gathered(*a_day_each(skip=7)))

    assert found.status is Status.SETTLING
    assert found.reason.endswith("Auto Scaling group web was measured on 13 of 14 days.")


def test_one_call_of_one_dead_sibling_holds_the_young_one_back():
    loud = dead(TODAY - timedelta(days=5), value=1)
    found = verdict(gathered(*a_day_each(), loud))

    assert found.status is Status.SETTLING
    assert "made 24 IMDSv1 calls in the window" in found.reason


def test_one_unmeasured_hour_of_one_dead_sibling_holds_the_young_one_back():
    life, v1 = dead(TODAY - timedelta(days=5))
    v1 = {day: (*hours[:3], None, *hours[4:]) for day, hours in v1.items()}
    found = verdict(gathered(*a_day_each(), (life, v1)))

    assert found.status is Status.SETTLING
    assert "1 hour of its siblings in Auto Scaling group web have no datapoint" in found.reason


def test_a_sibling_whose_life_is_not_known_holds_the_young_one_back():
    found = verdict(gathered(*a_day_each(), (Life(None, None, known=False), {})))

    assert found.status is Status.SETTLING
    assert "how long 1 of its siblings" in found.reason


def test_what_a_sibling_called_before_it_was_enforced_counts_against_the_young_one():
    gathering = Gathering(WINDOW)
    gathering.add(ALIVE, YOUNG.v1, until=UNTIL, gone=False)
    for life, v1 in a_day_each():
        gathering.add(life, v1, until=UNTIL, gone=True)
    gathering.hear(dead(TODAY - timedelta(days=5), value=1)[1], gone=False)
    found = gathering.result()

    assert (found.calling, found.calls, found.missing_hours) == (1, 24, 0)
    assert verdict(found).status is Status.SETTLING


def test_what_a_sibling_called_before_the_window_does_not_count():
    old = dead(TODAY - timedelta(days=15), value=9)

    assert verdict(gathered(*a_day_each(), old)).status is Status.READY


def test_a_nightly_job_of_two_hours_is_measured_on_the_days_it_ran():
    nights = [dead(TODAY - timedelta(days=back), hours=2) for back in range(1, 15)]
    gathering = Gathering(WINDOW)
    for life, v1 in nights:
        gathering.add(life, v1, until=UNTIL, gone=True)

    assert (gathering.result().measured_days, gathering.result().missing_hours) == (14, 0)


def test_an_old_member_is_judged_by_itself_whatever_its_siblings_did():
    old = subject()

    assert verdict(gathered(dead(TODAY - timedelta(days=5), value=9)), old) == judge(old, WINDOW)


def test_a_stopped_young_one_stays_settling():
    stopped = replace(YOUNG, instance_state="stopped", stopped_at=UNTIL, v1=YOUNG.v1 | {TODAY: (0,) * 6 + (None,) * 18})

    assert verdict(gathered(*a_day_each()), stopped).status is Status.SETTLING


def test_a_young_one_without_any_datapoint_of_its_own_is_not_lifted():
    newborn = subject(first_launched_at=UNTIL + timedelta(hours=1), last_started_at=UNTIL, v1={})

    assert judge(newborn, WINDOW).status is Status.SETTLING
    assert verdict(gathered(*a_day_each()), newborn).status is Status.SETTLING


@pytest.mark.parametrize("status", [Status.IN_USE, Status.UNKNOWN])
def test_siblings_never_excuse_what_it_did_itself(status):
    v1 = days(count=2)
    hours = list(v1[TODAY - timedelta(days=1)])
    hours[4] = 3 if status is Status.IN_USE else None
    one = replace(YOUNG, v1=v1 | {TODAY - timedelta(days=1): tuple(hours)})

    assert verdict(gathered(*a_day_each()), one).status is status


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"asg_name": "web", "launch_template_id": "lt-1", "instance_profile_arn": ""}, Key("asg", "web")),
        ({"asg_name": "", "launch_template_id": "lt-1", "instance_profile_arn": ""}, Key("template", "lt-1")),
        (
            {
                "asg_name": "",
                "launch_template_id": "lt-1",
                "instance_profile_arn": "arn:aws:iam::1:instance-profile/a/b",
            },
            Key("template", "lt-1 with b"),
        ),
        ({"asg_name": "", "launch_template_id": "", "instance_profile_arn": "arn:x/b"}, None),
    ],
)
def test_a_group_comes_before_a_template_and_one_without_either_stands_alone(fields, key):
    assert key_of(**fields) == key


SEEN = datetime(2026, 11, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "life"),
    [
        ({"ended_at": SEEN}, Life(BORN, SEEN, known=True)),
        ({"ended_at": None}, Life(BORN, SEEN, known=True)),
        ({"ended_at": None, "published_only": True}, Life(BORN, None, known=False)),
        ({"ended_at": SEEN, "published_only": True}, Life(BORN, SEEN, known=True)),
        ({"ended_at": SEEN, "first_launched_at": None}, Life(None, SEEN, known=False)),
    ],
)
def test_a_life_is_known_only_from_both_ends(fields, life):
    told = {"first_launched_at": BORN, "last_seen_at": SEEN, "published_only": False} | fields

    assert life_of_the_dead(**told) == life


@st.composite
def groups(draw) -> list[tuple[Life, dict[date, Hours]]]:
    """Dead siblings with datapoints only in hours in which they can have run, and seldom a call."""
    found = []
    values = draw(st.sampled_from([(0,), (0,), (0, 0, 0, 0, 0, 0, 0, 0, 5), (0, 0, 0, 0, None)]))
    picks = draw(st.randoms(use_true_random=False))
    for back in range(1, 15):
        begin = draw(st.integers(0, 3)) if draw(st.booleans()) else 0
        day = TODAY - timedelta(days=back)
        life = Life(
            datetime.combine(day, time(begin), UTC), datetime.combine(day + timedelta(days=1), time(0), UTC), known=True
        )
        hours = tuple(picks.choice(values) if hour >= begin else None for hour in range(24))
        found.append((life, {day: hours}))
    return found


@settings(max_examples=200, deadline=None)
@given(siblings=groups(), data=st.data())
def test_taking_a_siblings_datapoints_away_never_makes_the_young_one_readier(siblings, data):
    places = [
        (number, day, hour)
        for number, (_, v1) in enumerate(siblings)
        for day, hours in v1.items()
        for hour, value in enumerate(hours)
        if value is not None
    ]
    taken = data.draw(st.lists(st.sampled_from(places), max_size=30)) if places else []
    holes = set(taken)
    poorer = [
        (
            life,
            {
                day: tuple(None if (n, day, at) in holes else value for at, value in enumerate(hours))
                for day, hours in v1.items()
            },
        )
        for n, (life, v1) in enumerate(siblings)
    ]

    assert RANK[verdict(gathered(*poorer)).status] <= RANK[verdict(gathered(*siblings)).status]


@settings(max_examples=50, deadline=None)
@given(siblings=groups())
def test_a_group_without_datapoints_lifts_nobody(siblings):
    blind = [(life, dict.fromkeys(v1, NOTHING)) for life, v1 in siblings]

    assert verdict(gathered(*blind)).status is Status.SETTLING
