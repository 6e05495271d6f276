"""One pass over a pretend AWS: what becomes a row, what stays unknown, and how many calls it takes."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from migration.actions import collection as rows
from migration.actions import inventory, judging
from migration.aws import ec2
from migration.aws.errors import AwsError
from migration.enums import Outcome, RoleState, Status
from migration.models import Account, Instance, InstanceDay, RegionDefaults, Scope, ScopeDay
from migration.queries import evidence
from migration.tasks import collection, edges, timetable
from migration.tasks.scope import asked_until
from tests import fleets
from tests.tasks.story import collect_all, enter, member, status_of

pytestmark = pytest.mark.django_db


def test_the_account_of_the_credentials_is_collected_as_it_stands(aws):
    aws(fleets.alone({"count": 3, "name_prefix": "web", **fleets.QUIET}))

    passed = collect_all()

    assert passed["us-east-1"].outcome is Outcome.COMPLETE
    assert Account.objects.get().account_id == fleets.CENTRAL
    assert Instance.objects.filter(status=Status.READY).count() == 3


def test_each_kind_of_instance_gets_its_word(aws):
    aws(
        fleets.alone(
            {"name": "quiet", **fleets.QUIET},
            {"name": "caller", "launched_days_ago": 40, "usage": {"profile": "steady", "calls_per_hour": 5}},
            {"name": "young", "launched_days_ago": 5, "usage": "quiet"},
            {"name": "gap", "launched_days_ago": 40, "usage": {"profile": "quiet", "gap_days_ago": [3, 4]}},
            {"name": "done", "http_tokens": "required", "enforced_days_ago": 20},
            {"name": "off", "http_endpoint": "disabled"},
            {"name": "auto", "managed": "eks.amazonaws.com"},
            {"name": "stopped", "state": "stopped", "stopped_days_ago": 30},
            {"name": "later", "state": "stopped", "http_tokens": "required", "options_state": "pending"},
        )
    )

    collect_all()

    assert {row.name: row.status for row in Instance.objects.all()} == {
        "quiet": Status.READY,
        "caller": Status.IN_USE,
        "young": Status.SETTLING,
        "gap": Status.UNKNOWN,
        "done": Status.ENFORCED,
        "off": Status.IMDS_OFF,
        "auto": Status.MANAGED,
        "stopped": Status.UNKNOWN,
        "later": Status.PENDING,
    }


def test_a_managed_instance_that_aws_hides_is_in_the_inventory(aws):
    """`IncludeManagedResources` lists what the account's visibility setting hides (domain.md 3.2)."""
    sandbox = aws(fleets.alone({"count": 2, "managed": "eks.amazonaws.com"}))

    collect_all()

    assert Instance.objects.filter(operator_managed=True, operator_principal="eks.amazonaws.com").count() == 2
    assert not sandbox.calls(operation="GetMetricData")


def test_a_stopped_instance_is_not_asked_about(aws):
    sandbox = aws(fleets.alone({"name": "stopped", "state": "stopped"}))

    collect_all()

    assert not sandbox.calls(operation="GetMetricData")


def test_all_six_options_are_stored_as_aws_said_them(aws):
    aws(fleets.alone({"name": "one", "hop_limit": 3, "ipv6": "enabled", "metadata_tags": "enabled"}))

    collect_all()

    row = Instance.objects.get()
    assert (
        row.http_tokens,
        row.http_put_response_hop_limit,
        row.http_endpoint,
        row.http_protocol_ipv6,
        row.instance_metadata_tags,
        row.options_state,
    ) == ("optional", 3, "enabled", "enabled", "enabled", "applied")


def test_a_missing_key_of_the_defaults_is_no_preference(aws):
    """GetInstanceMetadataDefaults leaves out what has no preference (domain.md 3.4)."""
    aws(fleets.alone(regions={"us-east-1": {"defaults": {"http_tokens": "required"}}}))

    collect_all()

    defaults = RegionDefaults.objects.get()
    assert (defaults.http_tokens, defaults.http_put_response_hop_limit, defaults.http_tokens_enforced) == (
        "required",
        None,
        None,
    )


def test_an_empty_page_with_a_token_is_not_the_end(aws):
    """Page until the token is null even if a page is empty (domain.md 3.2)."""
    aws(fleets.alone({"count": 30, "name_prefix": "web"}, settings={"empty_pages": True}))

    passed = collect_all()

    assert passed["us-east-1"].instances == 30
    assert Instance.objects.count() == 30


def test_an_instance_that_vanishes_becomes_gone_and_is_kept(aws):
    sandbox = aws(fleets.alone({"count": 2, "name_prefix": "web", **fleets.QUIET}))
    collect_all()
    gone = Instance.objects.order_by("pk").first()
    assert gone is not None
    sandbox.world.accounts[fleets.CENTRAL].regions["us-east-1"].instances.pop(gone.instance_id)

    collect_all()

    gone.refresh_from_db()
    assert gone.status == Status.GONE
    assert gone.gone_at is not None
    assert gone.days.exists()


def test_a_denied_inventory_is_a_gap_and_not_an_empty_account(aws):
    sandbox = aws(fleets.alone({"count": 2, "name_prefix": "web", **fleets.QUIET}))
    collect_all()
    sandbox.set_faults([{"kind": "access_denied", "operation": "DescribeInstances"}])

    passed = collect_all()

    scope = Scope.objects.get()
    assert passed["us-east-1"].outcome is Outcome.DENIED
    assert "UnauthorizedOperation" in scope.gap_message
    assert Instance.objects.filter(gone_at__isnull=True).count() == 2
    assert scope.complete_at < scope.last_started_at


def test_a_denied_cloudwatch_leaves_instances_unknown_and_the_scope_incomplete(aws):
    aws(
        fleets.alone({"name": "web", **fleets.QUIET}),
        faults=[{"kind": "access_denied", "operation": "GetMetricData"}],
    )

    passed = collect_all()

    assert passed["us-east-1"].outcome is Outcome.INCOMPLETE
    assert status_of("web") == Status.UNKNOWN
    assert Scope.objects.get().usage_until is None


@pytest.mark.parametrize("word", ["PartialData", "InternalError", "Forbidden"])
def test_a_series_that_is_not_complete_makes_the_scope_incomplete(aws, word):
    """HTTP 200 does not mean complete: each result has its StatusCode (domain.md 5.2)."""
    aws(
        fleets.alone({"name": "web", **fleets.QUIET}),
        faults=[{"kind": "partial_data", "operation": "GetMetricData", "status_code": word}],
    )

    passed = collect_all()

    assert passed["us-east-1"].outcome is Outcome.INCOMPLETE
    assert word in Scope.objects.get().gap_message
    assert not ScopeDay.objects.filter(complete=True).exists()
    assert Instance.objects.get().usage_until is None


def test_throttling_is_waited_out(aws):
    aws(
        fleets.alone({"name": "web", **fleets.QUIET}),
        faults=[{"kind": "throttle", "operation": "DescribeInstances", "times": 2}],
    )

    assert collect_all()["us-east-1"].outcome is Outcome.COMPLETE


def test_a_member_is_entered_by_its_reader_role_and_external_id(aws):
    sandbox = aws(fleets.pair({"name": "web", **fleets.QUIET}))

    enter(member())

    assert status_of("web") == Status.READY
    roles = {call["role_name"] for call in sandbox.calls(account_id=fleets.MEMBER, operation="DescribeInstances")}
    assert roles == {"imdsdash-reader"}


def test_a_closed_account_is_told_with_awss_words_and_stays_without_instances(aws):
    aws(fleets.pair())
    account = rows.remember_account(
        account_id=fleets.CLOSED,
        reader_role_arn=f"arn:aws:iam::{fleets.CLOSED}:role/imdsdash-reader",
        external_id=fleets.EXTERNAL_ID,
    )

    enter(account)

    account.refresh_from_db()
    assert account.role_state == RoleState.DENIED
    assert "AccessDenied" in account.role_message
    assert not Scope.objects.exists()


def test_credentials_that_answer_as_another_account_are_not_believed(aws):
    sandbox = aws(fleets.pair({"name": "web"}), faults=[{"kind": "wrong_account", "account_id": fleets.MEMBER}])

    enter(member())

    assert Account.objects.get().role_state == RoleState.WRONG_ACCOUNT
    assert not sandbox.calls(operation="DescribeInstances")


def test_a_dead_endpoint_is_one_sentence(aws, monkeypatch, settings):
    sandbox = aws(fleets.alone())
    sandbox.stop()
    settings.IMDSDASH_AWS_CONNECT_TIMEOUT = 0.2
    monkeypatch.setattr(edges, "limits", lambda: edges.Limits(connect_timeout=0.2, read_timeout=0.2, attempts=1))

    with pytest.raises(AwsError, match="GetCallerIdentity in the ambient account got no answer"):
        collection.ambient_account(edges.reader())


def test_only_enabled_regions_are_asked_and_a_setting_narrows_them(aws, settings):
    settings.IMDSDASH_REGIONS = ["eu-west-1"]
    sandbox = aws(fleets.alone({"name": "web", "region": "eu-west-1"}, regions=("us-east-1", "eu-west-1")))

    passed = collect_all()

    assert set(passed) == {"eu-west-1"}
    assert {call["region"] for call in sandbox.calls(operation="DescribeInstances")} == {"eu-west-1"}


def test_an_hour_without_a_datapoint_stays_none_in_the_row(aws):
    aws(fleets.alone({"name": "gap", "launched_days_ago": 40, "usage": {"profile": "quiet", "gap_days_ago": [3, 3.5]}}))

    collect_all()

    short = InstanceDay.objects.filter(measured_hours__lt=24, measured_hours__gt=0, v1_hours__isnull=False)
    assert any(None in evidence.v1_hours(row) for row in short)
    assert all(row.v1_calls == 0 for row in short)


def test_a_wholly_silent_day_has_no_row_and_no_zero(aws):
    aws(fleets.alone({"name": "gap", "launched_days_ago": 40, "usage": {"profile": "quiet", "gap_days_ago": [3, 6]}}))

    collect_all()

    silent = timezone.now().date() - timedelta(days=5)
    assert not InstanceDay.objects.filter(day=silent).exists()
    rollup = ScopeDay.objects.get(day=silent)
    assert (rollup.v1_calls, rollup.instances_measured, rollup.instances_expected) == (None, 0, 1)


def test_the_rollup_is_the_sum_of_its_instance_days(aws):
    aws(fleets.alone({"count": 4, "launched_days_ago": 40, "usage": {"profile": "steady", "calls_per_hour": 7}}))

    collect_all()

    day = timezone.now().date() - timedelta(days=2)
    parts = InstanceDay.objects.filter(day=day)
    rollup = ScopeDay.objects.get(day=day)
    assert rollup.v1_calls == sum(part.v1_calls or 0 for part in parts) > 0
    assert (rollup.instances_measured, rollup.instances_calling_v1, rollup.complete) == (4, 4, True)


def test_a_day_that_was_complete_stays_complete_after_a_poorer_pass(aws):
    sandbox = aws(fleets.alone({"count": 2, **fleets.QUIET}))
    collect_all()
    before = list(ScopeDay.objects.order_by("day").values())
    sandbox.set_faults([{"kind": "access_denied", "operation": "GetMetricData"}])

    collect_all()

    assert [day for day in before if day["complete"]]
    assert list(ScopeDay.objects.order_by("day").values()) == before


def test_todays_rollup_counts_the_statuses(aws):
    aws(fleets.alone({"count": 2, **fleets.QUIET}, {"name": "off", "http_endpoint": "disabled"}))

    collect_all()

    today = ScopeDay.objects.get(day=timezone.now().date())
    assert today.by_status == {"ready": 2, "imds_off": 1}
    assert not today.complete


def test_a_second_pass_changes_nothing_and_asks_for_less(aws):
    sandbox = aws(fleets.alone({"count": 5, **fleets.QUIET}))
    collect_all()
    before = list(InstanceDay.objects.order_by("pk").values())
    first = sandbox.calls(operation="GetMetricData")
    sandbox.clear_calls()

    collect_all()

    assert list(InstanceDay.objects.order_by("pk").values()) == before
    assert len(sandbox.calls(operation="GetMetricData")) <= len(first)


def test_an_hour_once_known_is_not_unlearnt_when_a_later_answer_lacks_it(aws):
    sandbox = aws(fleets.alone({"name": "web", "launched_days_ago": 40, "usage": "steady"}))
    collect_all()
    before = list(InstanceDay.objects.order_by("pk").values("day", "v1_calls", "measured_hours"))
    sandbox.set_faults([{"kind": "partial_data", "operation": "GetMetricData", "status_code": "PartialData"}])

    collect_all()

    assert list(InstanceDay.objects.order_by("pk").values("day", "v1_calls", "measured_hours")) == before


def test_an_enforced_instance_keeps_its_history_and_counts_rejections(aws):
    aws(
        fleets.alone(
            {
                "name": "done",
                "http_tokens": "required",
                "enforced_days_ago": 10,
                "launched_days_ago": 40,
                "usage": {"profile": "steady", "calls_per_hour": 6},
            }
        )
    )

    collect_all()

    today = timezone.now().date()
    assert InstanceDay.objects.get(day=today - timedelta(days=20)).v1_calls > 0
    after = InstanceDay.objects.get(day=today - timedelta(days=3))
    assert (after.v1_calls, after.rejected_measured_hours) == (None, 24)
    assert after.rejected_calls > 0


def test_an_instance_that_was_enforced_and_is_optional_again_is_regressed(aws):
    sandbox = aws(fleets.alone({"name": "web", "http_tokens": "required", "enforced_days_ago": 20}))
    collect_all()
    row = Instance.objects.get()
    options = sandbox.world.instances[row.instance_id].options
    sandbox.world.instances[row.instance_id].options = type(options)(
        **{name: getattr(options, name) for name in options.__slots__} | {"http_tokens": "optional"}
    )

    collect_all()

    assert status_of("web") == Status.REGRESSED


def test_a_scope_held_by_a_living_worker_is_left_alone_and_a_dead_ones_is_taken(aws):
    aws(fleets.alone({"name": "web"}))
    edge = edges.reader()
    account = collection.ambient_account(edge)
    now = timezone.now()
    scope = collection.open_account(edge, account, now=now)[0]
    assert rows.claim_scope(scope=scope, owner="other", now=now) is not None
    scope.refresh_from_db()

    assert collection.collect_scope(edge, scope) is None

    Scope.objects.update(lease_expires_at=now - timedelta(seconds=1))
    assert collection.collect_scope(edge, scope) is not None


def test_a_pass_that_lost_its_lease_speaks_no_more_for_the_scope(aws):
    aws(fleets.alone({"name": "web"}))
    edge = edges.reader()
    scope = collection.open_account(edge, collection.ambient_account(edge), now=timezone.now())[0]
    claim = rows.claim_scope(scope=scope, owner="slow", now=timezone.now())
    assert claim is not None
    Scope.objects.update(fence=claim.fence + 1)

    with pytest.raises(rows.LeaseLost):
        rows.finish_scope(claim=claim, ending=rows.Ending(Outcome.COMPLETE), now=timezone.now())
    assert Scope.objects.get().outcome == Outcome.NEVER


def test_two_beats_make_one_tick():
    now = timezone.now()
    window = now.replace(second=0, microsecond=0)

    assert [timetable.first_to(job="tick", window=window, now=now) for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (datetime(2026, 11, 20, 9, 44, tzinfo=UTC), datetime(2026, 11, 20, 8, tzinfo=UTC)),
        (datetime(2026, 11, 20, 9, 45, tzinfo=UTC), datetime(2026, 11, 20, 9, tzinfo=UTC)),
        (datetime(2026, 11, 20, 0, 10, tzinfo=UTC), datetime(2026, 11, 19, 23, tzinfo=UTC)),
    ],
)
def test_the_window_ends_at_a_whole_hour_whose_datapoints_had_time_to_arrive(now, until):
    assert asked_until(now) == until


def test_the_window_asked_for_is_half_open_and_begins_at_a_utc_midnight(aws):
    sandbox = aws(fleets.alone({"name": "web", **fleets.QUIET}))

    collect_all()

    asked = sandbox.calls(operation="GetMetricData")[0]["params"]
    start, end = (datetime.fromtimestamp(float(asked[name]), UTC) for name in ("StartTime", "EndTime"))
    assert (start.hour, start.minute) == (0, 0)
    assert (end.minute, end.second) == (0, 0)
    assert start.date() == end.date() - timedelta(days=63)
    assert isinstance(start.date(), date)


def test_a_known_instance_keeps_its_verdict_while_a_pass_is_under_way(aws):
    aws(fleets.alone({"name": "web", **fleets.QUIET}))
    collect_all()
    since = Instance.objects.get().status_since
    edge = edges.reader()
    scope = Scope.objects.get()
    claim = rows.claim_scope(scope=scope, owner="me", now=timezone.now())
    assert claim is not None
    facts = next(ec2.instance_pages(edge, edges.reader_target(scope.account), "us-east-1"))

    inventory.store_page(claim=claim, facts=facts, seen_at=timezone.now())

    assert status_of("web") == Status.READY
    judging.judge_scope(claim=claim, until=None, now=timezone.now())
    assert Instance.objects.get().status_since == since


def test_a_terminated_instance_in_the_answer_is_gone_and_one_that_comes_back_is_back(aws):
    sandbox = aws(fleets.alone({"name": "web", **fleets.QUIET}))
    collect_all()
    instance = sandbox.world.instances[Instance.objects.get().instance_id]
    instance.state = "terminated"
    collect_all()
    assert status_of("web") == Status.GONE

    instance.state = "running"
    collect_all()

    row = Instance.objects.get()
    assert (row.status, row.gone_at) == (Status.READY, None)
