"""What is stored of usage, and the verdict on it: taking datapoints away never helps, and nothing known is unlearnt."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.actions import collection, judging, usage
from migration.actions.collection import Ending, ScopeClaim
from migration.domain.facts import Ask, Series
from migration.domain.hours import pack
from migration.domain.metrics import REJECTED, V1
from migration.domain.readiness import HOURS, RANK
from migration.enums import Outcome, Status
from migration.models import Account, Instance, InstanceDay, Scope
from migration.queries import evidence
from tests import factories

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
UNTIL = datetime(2026, 11, 20, 6, tzinfo=UTC)
WINDOW = 4
START = datetime.combine(UNTIL.date() - WINDOW * DAY, time(0), UTC)
TOLD = round((UNTIL - START) / HOUR)  # hours that are asked about
# A statement takes longer there, and the rules are the same.
EXAMPLES = 40 if "postgresql" in django_settings.DATABASES["default"]["ENGINE"] else 150
OLD_DAYS = 2  # of which only the sum is kept


@contextmanager
def undone() -> Iterator[None]:
    """What is written inside is taken back: one of many examples."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def claim(settings) -> ScopeClaim:
    """A scope in our hands. The window is short, so that there can be many examples."""
    settings.IMDSDASH_WINDOW_DAYS = WINDOW
    claim = collection.claim_scope(scope=factories.scope(factories.account()), owner="test", now=factories.NOW)
    assert claim is not None
    return claim


# --- lives, and what CloudWatch tells of them ----------------------------------------------------------


@dataclass(frozen=True)
class Life:
    """An instance, and its datapoints by hour from START on; None: there is none."""

    born: datetime | None
    stopped: datetime | None
    hours: tuple[int | None, ...]

    def without(self, places: set[int]) -> "Life":
        hours = tuple(None if place in places else value for place, value in enumerate(self.hours))
        return Life(self.born, self.stopped, hours)


moments = st.integers(-3 * HOURS, TOLD).map(lambda place: START + place * HOUR + timedelta(minutes=20))
places = st.integers(0, TOLD - 1)


@st.composite
def lives(draw) -> Life:
    """Mostly quiet, with a few holes and a few calls; no datapoint where it did not run."""
    born = draw(st.none() | st.just(START - 100 * DAY) | moments)
    stopped = draw(st.none() | st.none() | moments)
    holes, calls = draw(st.sets(places, max_size=2)), draw(st.sets(places, max_size=1))
    hours: list[int | None] = []
    for place in range(TOLD):
        start = START + place * HOUR
        alive = (born is None or start + HOUR > born) and (stopped is None or start < stopped)
        hours.append(None if place in holes or not alive else 3 * (place in calls))
    return Life(born, stopped, tuple(hours))


def fleet(claim: ScopeClaim, told: Sequence[Life]) -> dict[str, int]:
    """These instances as an inventory leaves them, not measured yet: their primary keys by id."""
    account = Account.objects.get(pk=claim.account_pk)
    made = [
        factories.instance(
            account, status=Status.UNKNOWN, first_launched_at=life.born, stopped_at=life.stopped, usage_until=None,
            instance_state="running" if life.stopped is None else "stopped",
        )
        for life in told
    ]  # fmt: skip
    return {row.instance_id: row.pk for row in made}


def store(claim: ScopeClaim, pks: dict[str, int], told: Sequence[Life]) -> None:
    series = [
        Series(ask=Ask(instance_id, V1), start=START, hours=list(life.hours), complete=True)
        for instance_id, life in zip(pks, told, strict=True)
    ]
    usage.store(claim=claim, pks=pks, series=series, keep_hours_from=START.date(), known_until=UNTIL)


def ranks(claim: ScopeClaim) -> list[int]:
    judging.judge_scope(claim=claim, until=UNTIL, now=factories.NOW)
    return [RANK[Status(status)] for status in Instance.objects.order_by("pk").values_list("status", flat=True)]


# --- taking away ---------------------------------------------------------------------------------------


def test_the_lives_that_are_tried_come_in_every_rank(claim):
    """Else the properties below would hold of nothing."""
    quiet = Life(START - DAY, None, (0,) * TOLD)
    told = [quiet, quiet.without({5}), Life(START + DAY, None, (None,) * HOURS + quiet.hours[HOURS:])]

    store(claim, fleet(claim, told), told)

    assert ranks(claim) == [2, 0, 1]


def test_no_datapoint_that_is_taken_from_what_is_stored_makes_an_instance_readier(claim):
    @settings(max_examples=EXAMPLES, deadline=None)
    @given(told=st.lists(lives(), min_size=1, max_size=3), data=st.data())
    def holds(told, data):
        with undone():
            store(claim, fleet(claim, told), told)
            before = ranks(claim)

            days = list(InstanceDay.objects.filter(measured_hours__gt=0).order_by("pk"))
            for row in data.draw(st.lists(st.sampled_from(days), unique_by=id, max_size=4)) if days else []:
                take_away(row, data.draw(st.sets(st.integers(0, 23), min_size=1) | st.just(set(range(24)))))

            assert all(after <= was for after, was in zip(ranks(claim), before, strict=True))

    holds()


def take_away(row: InstanceDay, places: set[int]) -> None:
    hours = [None if place in places else value for place, value in enumerate(evidence.v1_hours(row))]
    known = [value for value in hours if value is not None]
    if not known:
        row.delete()
        return
    row.v1_calls, row.measured_hours, row.v1_hours = sum(known), len(known), pack(hours)
    row.save()


def test_no_datapoint_that_cloudwatch_leaves_out_makes_an_instance_readier(claim):
    @settings(max_examples=EXAMPLES, deadline=None)
    @given(pairs=st.lists(st.tuples(lives(), st.sets(places, max_size=40)), min_size=1, max_size=3))
    def holds(pairs):
        """Each instance twice: with all its datapoints, and without some of them."""
        told = [one for life, lost in pairs for one in (life, life.without(lost))]
        with undone():
            store(claim, fleet(claim, told), told)

            found = ranks(claim)
            assert all(poorer <= whole for whole, poorer in zip(found[::2], found[1::2], strict=True))

    holds()


# --- never unlearnt ------------------------------------------------------------------------------------

truths = st.lists(st.sampled_from([0, 0, 0, 5]), min_size=TOLD, max_size=TOLD)
shown = st.sets(places, max_size=TOLD)


@pytest.mark.parametrize("metric", [V1, REJECTED])
def test_a_later_and_smaller_answer_takes_nothing_away(claim, metric):
    """Neither an hour that is kept, nor a sum whose hours are not kept any more."""

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(truth=truths, answers=st.lists(shown, min_size=2, max_size=4))
    def holds(truth, answers):
        with undone():
            pks = fleet(claim, [Life(None, None, ())])
            before: dict[int, Learnt] = {}
            for told in answers:
                usage.store(
                    claim=claim,
                    pks=pks,
                    series=[Series(Ask(next(iter(pks)), metric), START, seen(truth, told), complete=False)],
                    keep_hours_from=START.date() + OLD_DAYS * DAY,
                    known_until=None,
                )
                after = learnt(metric)
                assert all(after[day].includes(was) for day, was in before.items())
                assert all(one.calls <= sum(truth[day * HOURS :][:HOURS]) for day, one in after.items())
                before = after

    holds()


def seen(truth: Sequence[int], told: set[int]) -> list[int | None]:
    return [value if place in told else None for place, value in enumerate(truth)]


@dataclass(frozen=True)
class Learnt:
    """What is known of a day."""

    calls: int
    measured: int
    kept: frozenset[int]  # hours whose own value is known

    def includes(self, other: "Learnt") -> bool:
        return self.calls >= other.calls and self.measured >= other.measured and self.kept >= other.kept


def learnt(metric: str) -> dict[int, Learnt]:
    """By day, counted from START on."""
    found = {}
    for row in InstanceDay.objects.all():
        hours, calls, measured = evidence.v1_hours(row), row.v1_calls, row.measured_hours
        if metric == REJECTED:
            hours, calls, measured = evidence.rejected_hours(row), row.rejected_calls, row.rejected_measured_hours
        kept = frozenset(place for place, value in enumerate(hours) if value is not None)
        found[(row.day - START.date()).days] = Learnt(calls or 0, measured, kept)
    return found


def test_what_is_known_up_to_an_hour_stays_known_when_a_slower_clock_asks_less_far(claim):
    life = Life(None, None, (0,) * TOLD)
    pks = fleet(claim, [life])
    store(claim, pks, [life])

    usage.store(claim=claim, pks=pks, series=[], keep_hours_from=START.date(), known_until=UNTIL - HOUR)

    assert Instance.objects.get().usage_until == UNTIL


def test_a_scope_stays_known_up_to_an_hour_when_a_slower_clock_asks_less_far(claim):
    ending = Ending(Outcome.COMPLETE, usage=True, usage_until=UNTIL - 10 * DAY)

    collection.finish_scope(claim=claim, ending=ending, now=factories.NOW)

    assert Scope.objects.get().usage_until == datetime.combine(UNTIL.date(), time(0), UTC)
