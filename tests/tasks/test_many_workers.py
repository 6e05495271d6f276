"""Many workers, and every message many times: each scope once, one sweep a day, the same rows."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from migration.models import Account, ApiDay, CollectionRun, ScheduledRun, Scope
from migration.tasks import collection, edges, timetable
from tests import fleets
from tests.tasks.story import collect_all, stored
from tests.tasks.workers import hired

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("hasty")]
REGIONS = ("us-east-1", "eu-west-1", "eu-north-1", "ap-southeast-2")
COPIES = 50


def fleet() -> dict:
    usage = {"launched_days_ago": 40, "usage": {"profile": "steady", "calls_per_hour": 5}}
    return fleets.alone(*[{"count": 2, "region": region, **usage} for region in REGIONS], regions=REGIONS)


@pytest.fixture(autouse=True)
def _few_days(settings):
    settings.IMDSDASH_WINDOW_DAYS, settings.IMDSDASH_BACKFILL_DAYS, settings.IMDSDASH_HISTORY_DAYS = 3, 5, 5


def test_passes_that_begin_at_one_moment_belong_to_one_sweep():
    """Its number is in the name of every session, which the accounts' CloudTrail shows."""
    start = threading.Barrier(8)

    def begin(day: int) -> str:
        try:
            connections["default"].ensure_connection()  # to have nothing to wait for after the start
            start.wait()
            return timetable.sweep(timezone.now() + timedelta(days=day))
        finally:
            connections.close_all()

    for day in range(5):
        with ThreadPoolExecutor(8) as pool:
            names = {done.result() for done in [pool.submit(begin, day) for _ in range(8)]}
        assert names == {f"imdsdash-collect-{CollectionRun.objects.get().pk}"}
        CollectionRun.objects.all().delete()


def test_every_message_fifty_times_over_four_workers_makes_the_rows_of_one(aws, monkeypatch):
    sandbox = aws(fleet())
    collect_all()
    once = stored()
    asked = sandbox.calls()
    Account.objects.all().delete()
    CollectionRun.objects.all().delete()
    edges._edge.cache_clear()
    sandbox.clear_calls()

    with hired(monkeypatch, 4, copies=COPIES) as workers:
        workers.nudge(collection.dispatch_due)
        workers.idle()
        for pk in Scope.objects.values_list("pk", flat=True):
            workers.nudge(collection.collect_one_scope, pk)
        workers.idle()

    assert stored() == once
    for operation in ("DescribeInstances", "GetInstanceMetadataDefaults", "ListMetrics", "GetMetricData"):
        regions = sorted(call["region"] for call in sandbox.calls(operation=operation))
        assert regions == sorted(call["region"] for call in asked if call["operation"] == operation)
        assert sum(row.calls for row in ApiDay.objects.filter(operation=operation)) == len(regions)
    assert CollectionRun.objects.count() == 1
    assert ScheduledRun.objects.filter(job="collect-what-is-due").count() == 1
    assert set(Scope.objects.values_list("fence", flat=True)) == {1}
