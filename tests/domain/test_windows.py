"""Change windows: when they open and close, over clock changes too, and that the three questions agree."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from migration.domain.windows import LONGEST, Window, closes, is_open, opens_next, problem

MONDAY, SATURDAY, SUNDAY = 0, 5, 6
EVERY_DAY = tuple(range(7))
BERLIN, LORD_HOWE = "Europe/Berlin", "Australia/Lord_Howe"
SECOND = timedelta(seconds=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# zone, days, start, minutes, a moment before it opens: when it opens and when it closes, in UTC
OPENINGS = {
    "winter": (BERLIN, (MONDAY,), time(22), 240, "2026-11-20 09:00", "2026-11-23 21:00", "2026-11-24 01:00"),
    "summer": (BERLIN, (MONDAY,), time(22), 240, "2026-07-03 09:00", "2026-07-06 20:00", "2026-07-07 00:00"),
    # Berlin, 28 March 2027: 02:00 becomes 03:00.
    "a start that the clocks skip": (
        BERLIN,
        (SUNDAY,),
        time(2, 30),
        60,
        "2027-03-27 12:00",
        "2027-03-28 01:30",  # 03:30 on the wall, an hour later than it says
        "2027-03-28 02:30",
    ),
    "clocks that go forward inside": (
        BERLIN,
        (SATURDAY,),
        time(22),
        480,
        "2027-03-27 12:00",
        "2027-03-27 21:00",
        "2027-03-28 05:00",  # 07:00 on the wall, not 06:00: eight hours are eight hours
    ),
    # Berlin, 25 October 2026: 03:00 becomes 02:00, so 02:30 comes twice.
    "a start that the clocks show twice": (
        BERLIN,
        (SUNDAY,),
        time(2, 30),
        30,
        "2026-10-24 12:00",
        "2026-10-25 00:30",  # the first time
        "2026-10-25 01:00",
    ),
    "clocks that go back inside": (
        BERLIN,
        (SATURDAY,),
        time(22),
        480,
        "2026-10-24 12:00",
        "2026-10-24 20:00",
        "2026-10-25 04:00",  # 05:00 on the wall
    ),
    # Lord Howe moves by half an hour: 4 October 2026 02:00 becomes 02:30, 5 April 2026 02:00 becomes 01:30.
    "half an hour skipped": (
        LORD_HOWE,
        (SUNDAY,),
        time(2, 15),
        60,
        "2026-10-03 00:00",
        "2026-10-03 15:45",  # 02:45 on the wall
        "2026-10-03 16:45",
    ),
    "half an hour shown twice": (
        LORD_HOWE,
        (SUNDAY,),
        time(1, 45),
        60,
        "2026-04-04 00:00",
        "2026-04-04 14:45",
        "2026-04-04 15:45",
    ),
}


@pytest.mark.parametrize("case", OPENINGS.values(), ids=OPENINGS)
def test_a_window_opens_when_the_clocks_of_its_zone_say_so_and_lasts_its_minutes(case):
    zone, days, start, minutes, before, opens, shuts = case
    window = Window(zone, days, start, minutes)

    assert opens_next(window, utc(before)) == utc(opens)
    assert (is_open(window, utc(opens) - SECOND), is_open(window, utc(opens))) == (False, True)
    assert (closes(window, utc(opens)), closes(window, utc(shuts))) == (utc(shuts), None)
    assert (is_open(window, utc(shuts) - SECOND), is_open(window, utc(shuts))) == (True, False)


def test_a_window_that_goes_over_midnight_belongs_to_the_day_it_opens_on():
    window = Window(BERLIN, (MONDAY,), time(22), 240)

    assert is_open(window, utc("2026-11-24 00:30"))
    assert not is_open(window, utc("2026-11-23 00:30"))


def test_of_openings_that_overlap_the_one_that_lasts_longest_says_when_it_closes():
    """Two in a row of 36 hours: on the second day the second one's end counts."""
    window = Window("UTC", (MONDAY, 1), time(12), 36 * 60)

    assert closes(window, utc("2026-11-24 13:00")) == utc("2026-11-26 00:00")


def test_without_a_window_it_is_always_open_and_never_closes():
    assert (is_open(None, utc("2026-11-20 09:00")), closes(None, utc("2026-11-20 09:00"))) == (True, None)


def test_a_week_long_window_is_always_open():
    window = Window(BERLIN, (2,), time(3), LONGEST)

    assert all(is_open(window, utc("2026-11-20 09:00") + timedelta(hours=hour)) for hour in range(24 * 8))


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (Window(BERLIN, (0,), time(22), 240), "Monday 22:00 for 4 h, Europe/Berlin"),
        (Window("UTC", EVERY_DAY, time(6, 5), 90), "every day 06:05 for 1 h 30 min, UTC"),
        (Window("UTC", (5, 6), time(0), 45), "Saturday, Sunday 00:00 for 45 min, UTC"),
    ],
)
def test_a_window_is_said_as_a_person_says_it(window, words):
    assert str(window) == words


@pytest.mark.parametrize(
    ("day", "name"),
    list(enumerate(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"])),
)
def test_each_day_is_said_by_its_name_and_opens_on_it(day, name):
    window = Window("UTC", (day,), time(9), 60)

    assert str(window) == f"{name} 09:00 for 1 h, UTC"
    assert f"{opens_next(window, utc('2026-11-20 09:30')):%A}" == name


PROBLEMS = {
    "an unknown zone": (Window("Europe/Nowhere", (0,), time(22), 60), "'Europe/Nowhere' is not a time zone"),
    "no zone": (Window("", (0,), time(22), 60), "'' is not a time zone"),
    "no day": (Window(BERLIN, (), time(22), 60), "It opens on no day"),
    "an eighth day": (Window(BERLIN, (0, 7), time(22), 60), "It opens on no day"),
    "no minute": (Window(BERLIN, (0,), time(22), 0), "It is open for 0 minutes"),
    "more than a week": (Window(BERLIN, (0,), time(22), LONGEST + 1), "It is open for 10081 minutes"),
}


@pytest.mark.parametrize(("window", "words"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_window_that_never_opens_is_told_in_a_sentence(window, words):
    assert problem(window).startswith(words)


@pytest.mark.parametrize("days", [(MONDAY,), EVERY_DAY])
@pytest.mark.parametrize("minutes", [1, LONGEST])
def test_a_window_of_a_minute_and_one_of_a_week_are_fine_on_one_day_and_on_all(minutes, days):
    assert problem(Window(LORD_HOWE, days, time(22), minutes)) == ""


# --- the three questions agree ----------------------------------------------------------------------------

ZONES = st.sampled_from([BERLIN, LORD_HOWE, "UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"])
WINDOWS = st.builds(
    Window,
    zone=ZONES,
    days=st.sets(st.sampled_from(EVERY_DAY), min_size=1).map(lambda days: tuple(sorted(days))),
    start=st.builds(time, hour=st.integers(0, 23), minute=st.integers(0, 59)),
    minutes=st.integers(1, LONGEST),
)
CLOCK_CHANGES = [
    utc("2027-03-28 01:00"),
    utc("2026-10-25 01:00"),
    utc("2026-10-03 15:30"),
    utc("2026-04-04 15:00"),
    utc("2026-03-08 07:00"),
]
NEAR_A_CHANGE = st.builds(
    lambda change, seconds: change + timedelta(seconds=seconds),
    st.sampled_from(CLOCK_CHANGES),
    st.integers(-9 * 86400, 9 * 86400),
)
ANY_TIME = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
MOMENTS = ANY_TIME | NEAR_A_CHANGE


@given(WINDOWS, MOMENTS)
def test_it_is_open_exactly_when_it_has_an_end_and_exactly_when_it_opens_now(window, now):
    end = closes(window, now)

    assert is_open(window, now) == (end is not None) == (opens_next(window, now) == now)


@given(WINDOWS, MOMENTS)
def test_it_is_closed_until_it_opens_next_and_open_then(window, now):
    opens = opens_next(window, now)

    assert is_open(window, opens)
    assert now <= opens <= now + timedelta(days=7, hours=2)
    assert opens == now or not is_open(window, opens - SECOND)
    assert opens == now or opens_next(window, now + (opens - now) / 2) == opens


@given(WINDOWS, MOMENTS, st.integers(0, 999))
def test_it_stays_open_until_it_closes(window, now, share):
    now = opens_next(window, now)
    end = closes(window, now)

    assert end is not None
    assert now < end <= now + timedelta(minutes=window.minutes)
    assert is_open(window, now + (end - now) * share // 1000)


# An hour that Berlin's clocks show twice: Python calls no two such moments of different zones equal (PEP 495).
@example(Window(LORD_HOWE, (SUNDAY,), time(4), 480), utc("2026-10-25 00:59:59"), BERLIN)
@given(WINDOWS, MOMENTS, ZONES)
def test_in_which_zone_a_moment_is_said_changes_nothing(window, now, zone):
    local = now.astimezone(ZoneInfo(zone))

    assert (is_open(window, local), closes(window, local)) == (is_open(window, now), closes(window, now))
    assert opens_next(window, local) == opens_next(window, now)
