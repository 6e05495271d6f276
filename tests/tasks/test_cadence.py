"""What is read when: inventory, usage and the watch each at its own time, sooner after a gap, and in slices."""

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from migration.actions import collection as rows
from migration.actions.collection import Kinds
from migration.enums import Outcome, RoleState, ScopeState, Status
from migration.models import Account, ApiDay, CollectionRun, Instance, InstanceDay, Scope, ScopeDay
from migration.queries import asking
from migration.tasks import collection, edges
from migration.tasks import scope as scopes
from tests import fleets
from tests.tasks.story import collect_all, enter, member, over_after, set_options

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
STEADY = {"launched_days_ago": 40, "usage": "steady"}


def asked(sandbox) -> dict[str, int]:
    """Metrics asked for, by name; of the journal's first ten queries a call."""
    return dict(
        Counter(
            value
            for call in sandbox.calls(operation="GetMetricData")
            for name, value in call["params"].items()
            if name.endswith(".MetricName")
        )
    )


def turn_back(**fields: timedelta) -> Scope:
    """As if so much time had passed since these moments of the scope."""
    Scope.objects.update(**{name: getattr(Scope.objects.get(), name) - by for name, by in fields.items()})
    return Scope.objects.select_related("account").get()


def due_pass() -> scopes.Passed | None:
    return collection.collect_if_due(edges.reader(), Scope.objects.select_related("account").get(), seconds=60)


# --- each kind at its own time -------------------------------------------------------------------------


def test_after_a_whole_pass_inventory_is_due_in_six_hours_and_usage_in_a_day(aws):
    aws(fleets.alone({"name": "web", **fleets.QUIET}))
    before = timezone.now()

    collect_all()

    scope = Scope.objects.get()
    assert abs(scope.inventory_due_at - before - 6 * HOUR) < timedelta(minutes=5)
    assert abs(scope.usage_due_at - before - 24 * HOUR) < timedelta(minutes=5)
    assert scope.watch_due_at is None
    assert scope.next_due_at == scope.inventory_due_at


def test_what_is_not_due_is_not_read(aws):
    sandbox = aws(fleets.alone({"name": "web", **fleets.QUIET}))
    collect_all()
    sandbox.clear_calls()

    assert due_pass() is None
    assert not sandbox.calls()


def test_between_two_readings_of_usage_the_inventory_alone_is_read(aws):
    sandbox = aws(fleets.alone({"name": "web", **fleets.QUIET}))
    collect_all()
    turn_back(inventory_due_at=7 * HOUR)
    sandbox.clear_calls()

    passed = due_pass()

    assert passed.outcome is Outcome.COMPLETE
    assert [call["operation"] for call in sandbox.calls()] == [
        "DescribeInstances",
        "GetInstanceMetadataDefaults",
        "DescribeAutoScalingGroups",
        "DescribeLaunchTemplates",
        "DescribeLaunchConfigurations",
        "DescribeSpotInstanceRequests",
        "DescribeImages",
    ]
    assert Instance.objects.get().status == Status.READY


def test_usage_alone_is_read_from_the_inventory_there_is(aws):
    sandbox = aws(fleets.alone({"name": "web", **fleets.QUIET}))
    collect_all()
    turn_back(usage_due_at=25 * HOUR)
    sandbox.clear_calls()

    passed = due_pass()

    assert passed.outcome is Outcome.COMPLETE
    assert {call["operation"] for call in sandbox.calls()} == {"ListMetrics", "GetMetricData"}


@pytest.mark.parametrize(
    "group",
    [
        {"http_tokens": "required", "enforced_days_ago": 20},
        {"state": "stopped", "stopped_days_ago": 10},
        {"managed": "eks.amazonaws.com"},
        {"http_endpoint": "disabled"},
    ],
)
def test_who_cannot_call_is_not_asked_about_each_day(aws, settings, group):
    settings.IMDSDASH_HISTORY_DAYS = settings.IMDSDASH_BACKFILL_DAYS
    sandbox = aws(fleets.alone({"count": 2, **group}))
    collect_all()
    turn_back(usage_due_at=25 * HOUR)
    sandbox.clear_calls()

    due_pass()

    assert not sandbox.calls(operation="GetMetricData")


def test_an_instance_that_stopped_since_is_asked_about_its_last_hours(aws):
    sandbox = aws(fleets.alone({"name": "web", **fleets.QUIET}))
    collect_all()
    row = Instance.objects.get()
    Instance.objects.update(usage_until=row.usage_until - 5 * HOUR)
    sandbox.world.instances[row.instance_id].stop(timezone.now().timestamp() - 7200, "stopped")
    sandbox.clear_calls()

    collect_all()
    assert asked(sandbox) == {"MetadataNoToken": 1}
    sandbox.clear_calls()
    collect_all()

    assert not sandbox.calls(operation="GetMetricData")


# --- the watch ---------------------------------------------------------------------------------------


def test_an_instance_enforced_lately_is_watched_each_hour_for_rejected_calls(aws):
    sandbox = aws(fleets.alone({"name": "web", **STEADY}, {"name": "other", **fleets.QUIET}))
    collect_all()
    row = Instance.objects.get(name="web")
    set_options(sandbox, row.instance_id, http_tokens="required")
    collect_all()
    row.refresh_from_db()
    assert row.status == Status.ENFORCED
    assert row.watch_until > timezone.now() + timedelta(days=2)
    Instance.objects.update(usage_until=row.usage_until - 2 * HOUR)
    turn_back(watch_due_at=2 * HOUR)
    sandbox.clear_calls()

    passed = due_pass()

    assert passed.outcome is Outcome.COMPLETE
    assert asked(sandbox) == {"MetadataNoTokenRejected": 1}
    assert {call["operation"] for call in sandbox.calls()} == {"GetMetricData"}
    scope = Scope.objects.get()
    assert scope.next_due_at == scope.watch_due_at


def test_around_an_enforcement_both_metrics_are_asked_for(aws):
    """The hours before it are one metric's, those after it the other's (domain.md 5.1)."""
    sandbox = aws(fleets.alone({"name": "web", **STEADY}))
    collect_all()
    row = Instance.objects.get()
    set_options(sandbox, row.instance_id, http_tokens="required")
    collect_all()
    sandbox.clear_calls()

    collect_all()

    assert asked(sandbox) == {"MetadataNoToken": 1, "MetadataNoTokenRejected": 1}


def test_an_instance_that_was_enforced_all_along_is_not_watched(aws):
    aws(fleets.alone({"name": "done", "http_tokens": "required", "enforced_days_ago": 20}))

    collect_all()

    assert Instance.objects.get().watch_until is None
    assert Scope.objects.get().watch_due_at is None


def test_the_watch_ends(aws):
    sandbox = aws(fleets.alone({"name": "web", **STEADY}))
    collect_all()
    set_options(sandbox, Instance.objects.get().instance_id, http_tokens="required")
    collect_all()
    Instance.objects.update(watch_until=timezone.now() - HOUR)
    turn_back(watch_due_at=2 * HOUR)
    sandbox.clear_calls()

    due_pass()

    assert not sandbox.calls(operation="GetMetricData")
    assert Scope.objects.get().watch_due_at is None


# --- gaps, and how soon it is tried again ------------------------------------------------------------


def test_a_scope_with_a_gap_is_tried_again_soon_and_less_and_less_often(aws):
    sandbox = aws(fleets.alone({"name": "web", **fleets.QUIET}))
    sandbox.set_faults([{"kind": "partial_data", "operation": "GetMetricData", "status_code": "InternalError"}])
    waits = []
    for _ in range(9):
        before = timezone.now()
        collect_all()
        waits.append(round((Scope.objects.get().usage_due_at - before).total_seconds() / 60))

    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 1280]
    sandbox.clear_faults()
    collect_all()
    assert Scope.objects.get().attempts == 0


def test_only_the_kind_with_the_gap_is_due_sooner(aws):
    aws(
        fleets.alone({"name": "web", **fleets.QUIET}),
        faults=[{"kind": "access_denied", "operation": "GetMetricData"}],
    )

    collect_all()

    scope = Scope.objects.get()
    assert scope.usage_due_at < scope.inventory_due_at


# --- the circuit breaker -----------------------------------------------------------------------------


def test_an_account_that_keeps_refusing_is_left_alone_for_longer_and_longer(aws):
    aws(fleets.pair())
    account = rows.remember_account(
        account_id=fleets.CLOSED, reader_role_arn=f"arn:aws:iam::{fleets.CLOSED}:role/imdsdash-reader"
    )
    waits = []
    for _ in range(8):
        before = timezone.now()
        collection.open_one_account(account.pk)
        account.refresh_from_db()
        waits.append(round((account.retry_at - before).total_seconds() / 60))

    assert waits == [10, 10, 60, 120, 240, 480, 960, 1440]
    assert account.failures == 8
    assert collection._accounts_to_open(timezone.now()) == []
    assert collection._accounts_to_open(timezone.now() + 25 * HOUR) == [account.pk]


def test_one_good_answer_closes_the_breaker(aws):
    aws(fleets.pair({"name": "web"}))
    account = member()
    Account.objects.update(failures=5, retry_at=timezone.now() + HOUR, role_state=RoleState.DENIED)

    collection.open_one_account(account.pk)

    account.refresh_from_db()
    assert (account.failures, account.retry_at, account.role_state) == (0, None, RoleState.OK)


def test_an_account_that_locks_us_out_in_mid_pass_is_not_asked_in_its_other_regions(aws):
    sandbox = aws(fleets.pair({"name": "web", **fleets.QUIET}))
    account = member()
    enter(account)
    edges._edge.cache_clear()
    sandbox.set_faults([{"kind": "access_denied", "operation": "AssumeRole"}])
    Scope.objects.update(next_due_at=None, inventory_due_at=None)

    collection.collect_one_scope(Scope.objects.get().pk)

    account.refresh_from_db()
    assert (account.role_state, account.failures) == (RoleState.DENIED, 1)
    assert not collection._due(timezone.now()).exists()
    assert "AssumeRole" in Scope.objects.get().gap_message


# --- slices ------------------------------------------------------------------------------------------


def collected_in_slices(monkeypatch, *, per_slice: int) -> int:
    """Passes whose time is over after so many batches, until the scope is whole. Returns how many it took."""
    monkeypatch.setattr(asking, "queries_per_call", lambda *_: 2)
    for number in range(1, 30):
        over_after(monkeypatch, per_slice)
        passed = due_pass()
        if not passed.unfinished:
            return number
    raise AssertionError("never whole")


def test_a_reading_whose_time_is_over_goes_on_where_it_was_and_asks_nothing_twice(aws, monkeypatch):
    sandbox = aws(fleets.alone({"count": 9, **fleets.QUIET}))
    edge = edges.reader()
    collection.open_account(edge, collection.ambient_account(edge), now=timezone.now())

    slices = collected_in_slices(monkeypatch, per_slice=2)

    assert slices == 3
    assert asked(sandbox) == {"MetadataNoToken": 9}
    assert Instance.objects.filter(status=Status.READY).count() == 9
    assert ScopeDay.objects.filter(complete=True).count() > 50


def test_while_it_goes_on_nothing_is_called_complete_and_the_page_says_how_much_is_left(aws, monkeypatch):
    aws(fleets.alone({"count": 4, **fleets.QUIET}))
    edge = edges.reader()
    collection.open_account(edge, collection.ambient_account(edge), now=timezone.now())
    monkeypatch.setattr(asking, "queries_per_call", lambda *_: 2)
    over_after(monkeypatch, 1)

    passed = due_pass()

    scope = Scope.objects.get()
    assert (passed.outcome, passed.unfinished, scope.state) == (Outcome.INCOMPLETE, True, ScopeState.IDLE)
    assert "2 instances have not had their first look yet" in scope.gap_message
    assert (scope.complete_at, scope.usage_at) == (None, None)
    assert scope.next_due_at <= timezone.now()
    assert not ScopeDay.objects.filter(complete=True).exists()


# --- history, rollups, meter -------------------------------------------------------------------------


def test_after_the_first_look_older_days_are_read_a_slice_at_a_time_down_to_what_is_wanted(aws, settings):
    settings.IMDSDASH_BACKFILL_DAYS, settings.IMDSDASH_HISTORY_DAYS = 20, 100
    sandbox = aws(fleets.alone({"name": "web", "launched_days_ago": 200, "usage": "steady"}))
    collect_all()
    first = Scope.objects.get().history_from
    sandbox.clear_calls()

    collect_all()
    second = Scope.objects.get().history_from
    collect_all()
    third = Scope.objects.get().history_from
    collect_all()

    until = scopes.asked_until(timezone.now()).date()
    assert [(until - day).days for day in (first, second, third)] == [20, 83, 100]
    assert Scope.objects.get().history_from == third
    oldest = ScopeDay.objects.order_by("day").first()
    assert (oldest.day, oldest.complete, oldest.v1_calls > 0) == (third, True, True)
    assert InstanceDay.objects.filter(day=oldest.day, measured_hours=24, v1_hours=None).exists()


def test_a_day_that_is_complete_and_settled_is_frozen(aws):
    sandbox = aws(fleets.alone({"name": "web", **STEADY}))
    collect_all()
    settled = timezone.now().date() - timedelta(days=6)
    young = timezone.now().date() - timedelta(days=2)
    assert ScopeDay.objects.get(day=settled).frozen_at is not None
    assert ScopeDay.objects.get(day=young).frozen_at is None
    before = ScopeDay.objects.filter(day=settled).values().get()
    InstanceDay.objects.filter(day__in=[settled, young]).update(v1_calls=10**6)

    Instance.objects.update(usage_until=timezone.now() - timedelta(days=6, hours=12))
    collect_all()

    assert sandbox.calls(operation="GetMetricData")
    assert ScopeDay.objects.filter(day=settled).values().get() == before


def test_late_data_of_the_last_three_days_revises_what_was_written(aws):
    gap = {"profile": "quiet", "gap_days_ago": [2, 2.5]}
    sandbox = aws(fleets.alone({"name": "web", "launched_days_ago": 40, "usage": gap}))
    collect_all()
    assert Instance.objects.get().status == Status.UNKNOWN
    instance = next(iter(sandbox.world.instances.values()))
    instance.blueprint = type(instance.blueprint)(
        **{name: getattr(instance.blueprint, name) for name in instance.blueprint.__slots__}
        | {"usage": type(instance.blueprint.usage)("quiet")}
    )

    collect_all()

    assert Instance.objects.get().status == Status.READY


def test_what_was_asked_of_aws_is_on_the_meter_of_the_day(aws):
    aws(
        fleets.alone({"count": 3, **fleets.QUIET}),
        faults=[{"kind": "throttle", "operation": "GetMetricData", "times": 1}],
    )

    collect_all()

    meter = {row.operation: (row.calls, row.throttled, row.metrics) for row in ApiDay.objects.all()}
    assert meter["GetMetricData"] == (2, 1, 3)
    assert meter["DescribeInstances"] == (1, 0, 0)
    assert Scope.objects.get().throttled == 1


def test_the_timetables_passes_of_a_day_share_one_sweep_and_its_name(aws):
    sandbox = aws(fleets.pair({"name": "web"}))

    enter(member())

    run = CollectionRun.objects.get()
    names = {call["session_name"] for call in sandbox.calls(operation="DescribeInstances")}
    assert names == {f"imdsdash-collect-{run.pk}"}


# --- many workers ------------------------------------------------------------------------------------


def test_a_worker_goes_from_scope_to_scope_until_none_is_due(aws):
    aws(
        fleets.alone(
            {"name": "a"}, {"name": "b", "region": "eu-west-1"}, regions=("us-east-1", "eu-west-1", "eu-north-1")
        )
    )
    edge = edges.reader()
    collection.open_account(edge, collection.ambient_account(edge), now=timezone.now())

    collection.collect_what_is_due()

    assert set(Scope.objects.values_list("outcome", flat=True)) == {Outcome.COMPLETE}
    assert Scope.objects.count() == 3


def test_the_longest_overdue_scope_comes_first_and_one_of_a_locked_account_not_at_all(aws):
    aws(fleets.alone(regions=("us-east-1", "eu-west-1")))
    edge = edges.reader()
    account = collection.ambient_account(edge)
    collection.open_account(edge, account, now=timezone.now())
    Scope.objects.filter(region="us-east-1").update(next_due_at=timezone.now() - HOUR)
    Scope.objects.filter(region="eu-west-1").update(next_due_at=timezone.now() - 2 * HOUR)
    assert [scope.region for scope in collection._due(timezone.now())] == ["eu-west-1", "us-east-1"]

    Account.objects.update(role_state=RoleState.DENIED)

    assert not collection._due(timezone.now()).exists()


def test_a_message_that_comes_fifty_times_makes_the_same_rows(aws):
    sandbox = aws(fleets.alone({"count": 3, "launched_days_ago": 40, "usage": "steady"}))
    edge = edges.reader()
    (scope,) = collection.open_account(edge, collection.ambient_account(edge), now=timezone.now())

    for _ in range(50):
        collection.collect_one_scope(scope.pk)
        collection.collect_what_is_due()

    assert len(sandbox.calls(operation="DescribeInstances")) == 1
    assert Instance.objects.count() == 3
    assert ApiDay.objects.get(operation="GetMetricData").calls == len(sandbox.calls(operation="GetMetricData"))


def test_leases_run_by_the_databases_clock_and_not_the_hosts(aws):
    """A worker whose clock is ten minutes ahead must not see a living one's lease as run out."""
    aws(fleets.alone())
    edge = edges.reader()
    (scope,) = collection.open_account(edge, collection.ambient_account(edge), now=timezone.now())
    slow = timezone.now() - timedelta(minutes=10)
    assert rows.claim_scope(scope=scope, owner="slow", now=slow) is not None
    scope.refresh_from_db()

    fast = timezone.now() + timedelta(minutes=10)
    assert rows.claim_scope(scope=scope, owner="fast", now=fast) is None
    assert not collection._due(fast).exists()


def test_nothing_is_due_when_no_kind_is():
    assert not Kinds(inventory=False, usage=False, watch=False)
