"""Many scopes in one worker's hands: leases, slices and kills; who is linked, and what the timetable does with it."""

import pytest
from django.utils import timezone

from migration.actions import collection as rows
from migration.enums import Outcome, ScopeState
from migration.models import ApiDay, Instance, ScheduledRun, Scope
from migration.queries import asking, links
from migration.tasks import collection, edges, linked
from migration.tasks import scope as scopes
from tests import fleets
from tests.tasks.story import over_after
from tests.tasks.together import (
    DAY,
    REGION,
    asked,
    known_until,
    member,
    of,
    organization,
    read_apart,
    read_together,
)
from tests.tasks.workers import hired

pytestmark = pytest.mark.django_db

# --- leases, slices, kills -----------------------------------------------------------------------------


def in_hand(*numbers: int) -> linked.Shared:
    """What a worker has that has claimed these members' scopes and asked nothing yet."""
    shared = linked.Shared(edges.reader(), edges.monitoring_target(run="one"), REGION, ends_at=float("inf"))
    for number in numbers:
        shared.take(of(number), run="one")
    return shared


def test_two_workers_at_once_have_different_scopes_and_ask_nothing_twice(yesterday):
    sandbox = yesterday(organization(count=4))
    first = in_hand(0, 1)

    second = read_together()
    first.ask()
    others = {one.account_id for one in first.carry_out()}

    assert (others, set(second)) == ({member(0), member(1)}, {member(2), member(3)})
    assert asked(sandbox) == [10, 10]
    assert Instance.objects.filter(usage_until=known_until()).count() == 20


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("hasty")
def test_four_workers_and_every_message_ten_times_read_each_scope_once(yesterday, monkeypatch):
    sandbox = yesterday(organization(count=8))
    monkeypatch.setattr(linked, "TOGETHER", 3)
    before = set(Scope.objects.values_list("fence", flat=True))

    with hired(monkeypatch, 4, copies=10) as workers:
        workers.nudge(collection.dispatch_due)
        workers.idle()

    assert sum(asked(sandbox)) == sum(asked(sandbox, account_id=fleets.CENTRAL)) == 40
    assert Instance.objects.filter(usage_until=known_until()).count() == 40
    assert set(Scope.objects.values_list("state", "outcome")) == {(ScopeState.IDLE, Outcome.COMPLETE)}
    assert (before, set(Scope.objects.values_list("fence", flat=True))) == ({1}, {2})
    meter = ApiDay.objects.filter(operation="GetMetricData").values_list("metrics", "calls")
    assert [metrics for metrics, _ in meter] == [5 + 5] * 8
    assert sum(made for _, made in meter) == 8 + len(asked(sandbox))


def test_of_two_workers_that_saw_the_same_scope_one_has_it(yesterday):
    yesterday(organization())
    seen = of(0)
    first, second = in_hand(0), in_hand()

    second.take(seen, run="two")

    assert (set(first.passes), set(second.passes)) == ({member(0)}, set())


def test_a_scope_that_another_worker_took_meanwhile_is_let_go_alone(yesterday):
    yesterday(organization())
    shared = in_hand(0, 1, 2)
    Scope.objects.filter(pk=of(1).pk).update(fence=99)

    shared.ask()
    passed = {one.account_id for one in shared.carry_out()}

    assert passed == {member(0), member(2)}
    assert Instance.objects.filter(usage_until=known_until()).exclude(account__account_id=member(1)).count() == 10
    assert not Instance.objects.filter(usage_until=known_until(), account__account_id=member(1)).exists()
    assert of(1).state == ScopeState.LEASED


def test_the_leases_of_scopes_whose_turn_has_not_come_are_renewed(yesterday, monkeypatch):
    monkeypatch.setattr(linked, "RENEWED", 0)
    monkeypatch.setattr(linked.Shared, "_list", lambda self: self.shown.update(self.passes))
    monkeypatch.setattr(asking, "queries_per_call", lambda *_: 5)
    yesterday(organization())
    shared = in_hand(0, 1, 2)
    old = timezone.now() - 100 * DAY
    Scope.objects.update(lease_expires_at=old)
    left = iter([False])
    monkeypatch.setattr(linked.Shared, "_over", lambda _: next(left, True))

    shared.ask()

    assert Instance.objects.filter(usage_until=known_until()).count() == 5
    assert not Scope.objects.filter(lease_expires_at=old).exists()


def test_a_reading_whose_time_is_over_goes_on_through_the_link_and_asks_nothing_twice(yesterday, monkeypatch):
    monkeypatch.setattr(asking, "queries_per_call", lambda *_: 5)
    sandbox = yesterday(organization())
    over_after(monkeypatch, 0)
    left = iter([False, False, True])
    with monkeypatch.context() as patch:
        patch.setattr(linked.Shared, "_over", lambda _: next(left, True))
        first = read_together()
    assert sorted(one.unfinished for one in first.values()) == [False, False, True]
    assert Scope.objects.filter(attempts=0, usage_due_at__lte=timezone.now(), going_until=known_until()).count() == 1

    second = read_together()

    assert [one.outcome for one in second.values()] == [Outcome.COMPLETE]
    assert asked(sandbox) == asked(sandbox, account_id=fleets.CENTRAL) == [5, 5, 5]


def test_a_worker_that_is_killed_half_way_leaves_the_rest_to_the_accounts_own_roles(yesterday, monkeypatch):
    monkeypatch.setattr(asking, "queries_per_call", lambda *_: 5)
    sandbox = yesterday(organization())
    shared = in_hand(0, 1, 2)
    real, left = linked.cloudwatch.hourly, iter([True])

    def hourly(*args, **options):
        if not next(left, False):
            raise KeyboardInterrupt
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(linked.cloudwatch, "hourly", hourly)
        with pytest.raises(KeyboardInterrupt):
            shared.ask()  # nobody gives anything back
    assert not collection._due(timezone.now()).exists()

    Scope.objects.update(lease_expires_at=timezone.now() - 100 * DAY)
    read_apart()

    everybody = (fleets.CENTRAL, member(0), member(1), member(2))
    assert [sum(asked(sandbox, account_id=one)) for one in everybody] == [5, 0, 5, 5]
    assert set(Scope.objects.values_list("outcome", "state")) == {(Outcome.COMPLETE, ScopeState.IDLE)}
    assert Instance.objects.filter(usage_until=known_until()).count() == 15


def test_what_breaks_off_for_another_reason_gives_all_its_scopes_back(yesterday, monkeypatch):
    yesterday(organization())
    monkeypatch.setattr(linked.Shared, "_list", lambda _: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        read_together()

    assert set(Scope.objects.values_list("state", "attempts")) == {(ScopeState.IDLE, 1)}
    assert collection._due(timezone.now()).count() == 3


def test_a_scope_whose_pass_breaks_off_leaves_the_others_done(yesterday, monkeypatch):
    yesterday(organization())
    real = scopes.Pass.run

    def breaks(one):
        return real(one) if one.claim.account_id != member(1) else 1 / 0

    monkeypatch.setattr(scopes.Pass, "run", breaks)

    passed = read_together()

    assert set(passed) == {member(0), member(2)}
    assert (of(1).state, of(1).outcome) == (ScopeState.IDLE, Outcome.INCOMPLETE)
    assert "ZeroDivisionError" in of(1).gap_message


# --- links ---------------------------------------------------------------------------------------------


def test_links_are_known_region_by_region_and_keep_the_time_they_were_first_seen(yesterday):
    yesterday(organization(linked_=2))
    first = of(0).linked_since

    linked.read_links(edges.reader(), now=timezone.now())

    assert [of(n).linked_to for n in range(3)] == [fleets.CENTRAL, fleets.CENTRAL, ""]
    assert [of(n).linked_since for n in range(3)] == [first, first, None]


def test_a_link_that_is_gone_is_forgotten_and_another_monitoring_accounts_begins_anew(yesterday):
    yesterday(organization())
    now = timezone.now()

    rows.record_links(monitoring="999999999999", region=REGION, sources={member(0)}, now=now)

    assert [(of(n).linked_to, of(n).linked_since) for n in range(3)] == [("999999999999", now), ("", None), ("", None)]


@pytest.mark.parametrize(
    ("fault", "linked_to"),
    [({"kind": "access_denied"}, ""), ({"kind": "throttle"}, fleets.CENTRAL)],
)
@pytest.mark.usefixtures("hasty")
def test_a_refusal_ends_the_links_and_a_passing_failure_keeps_them(yesterday, fault, linked_to):
    yesterday(organization(), faults=[fault | {"operation": "ListSinks"}])

    linked.read_links(edges.reader(), now=timezone.now())

    assert of(0).linked_to == linked_to


@pytest.fixture
def nudged(monkeypatch):
    """What a tick of the timetable sends."""
    sent = []
    for module in (collection, linked):
        monkeypatch.setattr(module, "nudge", lambda task, *ids, **_: sent.append((task.name.rsplit(".", 1)[1], *ids)))
    return sent


def test_a_tick_wakes_a_worker_for_each_region_and_none_for_the_scopes_that_are_left_to_it(yesterday, nudged):
    yesterday(organization())
    collection.dispatch_due()

    assert nudged == [("find_links",), ("collect_linked", REGION)]


def test_links_are_read_once_a_round(yesterday, nudged):
    sandbox = yesterday(organization())
    linked.find_links()
    linked.find_links()
    linked.dispatch(timezone.now())

    assert len(sandbox.calls(operation="ListSinks")) == 1
    assert nudged == [("collect_linked", REGION)]
    assert ScheduledRun.objects.filter(job=f"find-links-{fleets.CENTRAL}").count() == 1


def test_without_a_monitoring_account_nothing_of_this_happens(yesterday, nudged, settings):
    sandbox = yesterday(organization())
    settings.IMDSDASH_MONITORING_ACCOUNT = ""

    collection.dispatch_due()
    linked.find_links()
    linked.collect_linked(REGION)

    assert nudged == [("collect_what_is_due",)] * 3
    assert not sandbox.calls()


def test_a_worker_takes_a_hundred_after_the_other_while_any_is_due(yesterday, monkeypatch):
    monkeypatch.setattr(linked, "TOGETHER", 2)
    sandbox = yesterday(organization(count=5))

    linked.collect_linked(REGION)

    assert asked(sandbox) == [10, 10, 5]
    assert Instance.objects.filter(usage_until=known_until()).count() == 25


def test_scopes_that_are_nearly_due_are_read_with_those_that_are(yesterday):
    """From then on they are due together."""
    sandbox = yesterday(organization())
    now = timezone.now()
    Scope.objects.filter(pk=of(1).pk).update(usage_due_at=now + links.EARLY / 2)
    Scope.objects.filter(pk=of(2).pk).update(usage_due_at=now + links.EARLY * 2)

    read_together()

    assert asked(sandbox) == [10]
    assert of(2).usage_until < known_until()


@pytest.mark.parametrize(("page", "owners"), [(5, [None, None, None]), (500, [None])])
def test_who_published_is_asked_of_all_accounts_at_once_or_of_each_whichever_takes_fewer_calls(
    yesterday, monkeypatch, page, owners
):
    monkeypatch.setattr(linked, "LISTED", page)
    sandbox = yesterday(organization(count=4))
    Scope.objects.filter(pk=of(3).pk).update(usage_due_at=timezone.now() + DAY)

    read_together()

    found = [call["params"].get("OwningAccount") for call in sandbox.calls(operation="ListMetrics")]
    assert sorted(found) == ([member(n) for n in range(3)] if page == 5 else [None])
