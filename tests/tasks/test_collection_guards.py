"""Passes that are overtaken, break off or come back poorer: nothing known is lost, nothing unknown becomes zero."""

import os
import signal
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from migration.actions import collection as rows
from migration.actions import inventory, judging, usage
from migration.aws import ec2
from migration.domain.facts import Ask, Series
from migration.domain.hours import pack
from migration.domain.metrics import V1
from migration.enums import Outcome, Status
from migration.models import Instance, InstanceDay, Scope, ScopeDay
from migration.queries import asking
from migration.tasks import collection, edges
from migration.tasks import scope as scope_pass
from tests import fleets
from tests.tasks.story import collect_all, enter, status_of

pytestmark = pytest.mark.django_db


def test_a_pass_that_was_overtaken_writes_nothing_more(aws):
    """A zombie's page must not lower what a living pass has seen, nor make instances gone."""
    aws(fleets.alone({"count": 2, "name_prefix": "web", **fleets.QUIET}))
    edge = edges.reader()
    scope = collection.open_account(edge, collection.ambient_account(edge), now=timezone.now())[0]
    slow = rows.claim_scope(scope=scope, owner="slow", now=timezone.now())
    assert slow is not None
    facts = next(ec2.instance_pages(edge, edges.reader_target(scope.account), "us-east-1"))
    earlier = timezone.now() - timedelta(hours=1)
    Scope.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert collection.collect_scope(edge, Scope.objects.get()) is not None
    before = list(Instance.objects.order_by("pk").values())

    for write in (
        lambda: inventory.store_page(claim=slow, facts=facts, seen_at=earlier),
        lambda: inventory.mark_gone(claim=slow, seen_at=timezone.now()),
        lambda: inventory.remember_published(claim=slow, ids=["i-1"], seen_at=timezone.now()),
        lambda: judging.judge_scope(claim=slow, until=None, now=timezone.now()),
        lambda: rows.hold(claim=slow),
    ):
        with pytest.raises(rows.LeaseLost):
            write()

    assert list(Instance.objects.order_by("pk").values()) == before


def test_a_whole_pass_that_lost_its_lease_leaves_no_verdict_and_no_rollup(aws, monkeypatch):
    aws(fleets.alone({"name": "web", **fleets.QUIET}))
    edge = edges.reader()
    scope = collection.open_account(edge, collection.ambient_account(edge), now=timezone.now())[0]
    real = scope_pass.Pass._usage

    def overtaken(self):
        answered = real(self)
        Scope.objects.update(fence=99)
        return answered

    monkeypatch.setattr(scope_pass.Pass, "_usage", overtaken)

    assert collection.collect_scope(edge, scope) is None
    assert not ScopeDay.objects.exists()
    assert status_of("web") == Status.UNKNOWN


def test_a_pass_that_breaks_off_gives_its_scope_back(aws, monkeypatch):
    aws(fleets.alone({"name": "web", **fleets.QUIET}))
    edge = edges.reader()
    scope = collection.open_account(edge, collection.ambient_account(edge), now=timezone.now())[0]
    monkeypatch.setattr(scope_pass.Pass, "_defaults", lambda _: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        collection.collect_scope(edge, scope)

    assert Scope.objects.get().state == "idle"


def test_a_scope_whose_holder_died_on_this_host_is_taken_at_once(aws):
    aws(fleets.alone({"name": "web", **fleets.QUIET}))
    edge = edges.reader()
    scope = collection.open_account(edge, collection.ambient_account(edge), now=timezone.now())[0]
    rows.claim_scope(scope=scope, owner=edges.me().replace(f":{edges.os.getpid()}:", ":999999999:"), now=timezone.now())

    assert collection.collect_scope(edge, Scope.objects.get()) is not None


def test_a_killed_process_that_nobody_has_waited_for_is_dead_and_a_stopped_one_is_not():
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        owner = edges.me().replace(f":{os.getpid()}:", f":{child.pid}:")
        child.send_signal(signal.SIGSTOP)
        assert not edges.dead(owner)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is still listed
        assert edges.dead(owner)


def test_calls_that_are_stored_count_even_when_the_pass_that_brought_them_failed(aws):
    """Later answers that were not whole still say what they say."""
    aws(fleets.alone({"name": "web", **fleets.QUIET}))
    collect_all()
    row = Instance.objects.get()
    yesterday = timezone.now() - timedelta(days=1)
    Instance.objects.update(usage_until=yesterday.replace(hour=0, minute=0, second=0, microsecond=0))
    InstanceDay.objects.filter(instance=row, day=timezone.now().date()).delete()
    InstanceDay.objects.create(
        instance=row, day=timezone.now().date(), v1_calls=77, measured_hours=1, v1_hours=pack([77, *[None] * 23])
    )
    claim = rows.claim_scope(scope=Scope.objects.get(), owner="me", now=timezone.now())
    assert claim is not None

    judging.judge_scope(claim=claim, until=None, now=timezone.now())

    assert status_of("web") == Status.IN_USE


def test_a_sum_of_a_whole_day_is_not_replaced_by_a_part_of_it(aws):
    aws(fleets.alone({"name": "web", "launched_days_ago": 60, "usage": {"profile": "steady", "calls_per_hour": 9}}))
    collect_all()
    old = timezone.now().date() - timedelta(days=30)
    before = InstanceDay.objects.filter(day=old).values().get()
    assert (before["measured_hours"], before["v1_hours"]) == (24, None)
    at = datetime.combine(old, datetime.min.time(), UTC)
    claim = rows.claim_scope(scope=Scope.objects.get(), owner="me", now=timezone.now())
    assert claim is not None
    part = Series(ask=Ask("i-1", V1), start=at, hours=[2, *[None] * 23], complete=False)

    usage.store(
        claim=claim,
        pks={"i-1": before["instance_id"]},
        series=[part],
        keep_hours_from=timezone.now().date(),
        known_until=None,
    )

    assert InstanceDay.objects.filter(day=old).values().get() == before


def test_an_empty_scope_gets_complete_days(aws):
    aws(fleets.alone())

    collect_all()

    before_yesterday = timezone.now().date() - timedelta(days=2)  # yesterday's last hour comes an hour after midnight
    rollup = ScopeDay.objects.get(day=before_yesterday)
    assert (rollup.complete, rollup.v1_calls, rollup.instances_expected) == (True, None, 0)


def test_denied_defaults_are_a_gap_and_leave_the_days_of_usage_complete(aws):
    aws(
        fleets.alone({"name": "web", **fleets.QUIET}),
        faults=[{"kind": "access_denied", "operation": "GetInstanceMetadataDefaults"}],
    )

    passed = collect_all()

    assert passed["us-east-1"].outcome is Outcome.INCOMPLETE
    assert ScopeDay.objects.filter(complete=True).count() > 50


def test_a_pass_that_broke_off_goes_on_from_the_batches_it_has(aws, monkeypatch):
    sandbox = aws(fleets.alone({"count": 4, **fleets.QUIET}))
    monkeypatch.setattr(asking, "queries_per_call", lambda *_: 2)
    sandbox.set_faults([{"kind": "access_denied", "operation": "GetMetricData", "after": 1}])
    collect_all()
    assert Instance.objects.exclude(usage_until=None).count() == 2
    sandbox.clear_faults()
    sandbox.clear_calls()

    collect_all()

    starts = sorted(float(call["params"]["StartTime"]) for call in sandbox.calls(operation="GetMetricData"))
    assert starts[0] < starts[-1] - 50 * 86400
    assert Instance.objects.filter(status=Status.READY).count() == 4


def test_an_account_whose_regions_were_all_left_out_is_looked_into_again(aws, settings):
    aws(fleets.alone({"name": "web", **fleets.QUIET}))
    settings.IMDSDASH_REGIONS = ["eu-west-9"]
    account = collection.ambient_account(edges.reader())
    enter(account)
    settings.IMDSDASH_REGIONS = []
    later = timezone.now() + timedelta(hours=7)

    assert collection._accounts_to_open(later) == [account.pk]
