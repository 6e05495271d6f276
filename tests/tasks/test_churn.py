"""Instances that came and went between two passes: found by their metric, measured, attributed, and in every total.

One published case found 4 IMDSv1 users by looking at what runs, and 704 by asking every id that had published the
metric in two weeks (peers.md, part 2, item 1).
"""

from datetime import timedelta

import pytest
from django.utils import timezone

from migration.actions import collection as rows
from migration.actions import inventory
from migration.domain.facts import Activity
from migration.enums import Attribution, Outcome, Status
from migration.models import Instance, InstanceDay, Scope, ScopeDay
from migration.tasks import edges
from tests import fleets
from tests.tasks.story import collect_all

pytestmark = pytest.mark.django_db
CALLS = {"profile": "steady", "calls_per_hour": 10}
DEAD = {"state": "terminated", "launched_days_ago": 5, "stopped_days_ago": 4, "usage": CALLS}


def day(back: int):
    return timezone.now().date() - timedelta(days=back)


def test_an_instance_that_was_gone_before_the_first_look_is_found_and_measured(aws):
    aws(fleets.alone({"name": "web", **fleets.QUIET}, {"count": 3, **DEAD}))

    collect_all()

    gone = Instance.objects.filter(status=Status.GONE)
    assert gone.count() == 3
    assert all(row.published_at is not None and row.gone_at is not None for row in gone)
    assert InstanceDay.objects.filter(instance__in=gone, v1_calls__gt=0).exists()


def test_its_calls_are_in_the_rollup_of_the_day_it_lived(aws):
    aws(fleets.alone({"name": "web", **fleets.QUIET}, {"count": 3, **DEAD}))

    collect_all()

    rollup = ScopeDay.objects.get(day=day(5))
    parts = InstanceDay.objects.filter(day=day(5), v1_calls__isnull=False)
    assert rollup.v1_calls == sum(part.v1_calls or 0 for part in parts) > 0
    assert rollup.instances_calling_v1 == 3


def test_it_is_not_counted_among_the_instances_there_are(aws):
    aws(fleets.alone({"name": "web", **fleets.QUIET}, {"count": 3, **DEAD}))

    passed = collect_all()["us-east-1"]

    assert (passed.instances, dict(passed.by_status)) == (1, {"ready": 1})


def test_one_that_was_silent_for_two_weeks_is_not_found_by_its_metric(aws):
    """ListMetrics forgets a metric after two weeks of silence (domain.md 5.3)."""
    aws(fleets.alone({"name": "old", "state": "terminated", "launched_days_ago": 60, "stopped_days_ago": 20}))

    collect_all()

    assert not Instance.objects.exists()


def test_it_is_asked_about_once_more_and_then_never_again(aws):
    sandbox = aws(fleets.alone({"count": 2, **DEAD}))
    collect_all()
    (first,) = sandbox.calls(operation="GetMetricData")
    assert first["params"]["MetricDataQueries.#"] == "2"
    Instance.objects.update(usage_until=timezone.now() + timedelta(hours=1))
    sandbox.clear_calls()

    collect_all()

    assert not sandbox.calls(operation="GetMetricData")


def test_one_known_from_earlier_passes_keeps_the_group_its_tags_told(aws):
    template = {"name": "web", "versions": [{"ami": "base"}]}
    sandbox = aws(
        fleets.alone(
            {"name": "spot", "asg": "web-asg", "launch_template": "web", "launched_days_ago": 5, "usage": CALLS},
            launch_templates=[template],
            images=[{"name": "base"}],
        )
    )
    collect_all()
    instance = sandbox.world.instances[Instance.objects.get().instance_id]
    instance.stop(timezone.now().timestamp() - 2 * 3600, "terminated")

    collect_all()

    row = Instance.objects.get()
    assert (row.status, row.asg_name, row.attributed_by) == (Status.GONE, "web-asg", Attribution.TAGS)


def test_a_listing_of_metrics_that_is_denied_leaves_the_days_incomplete(aws):
    """Who is not listed may have called: without the list, nothing says that nobody did."""
    aws(
        fleets.alone({"name": "web", **fleets.QUIET}),
        faults=[{"kind": "access_denied", "operation": "ListMetrics"}],
    )

    passed = collect_all()["us-east-1"]

    assert passed.outcome is Outcome.INCOMPLETE
    assert "ListMetrics" in passed.message
    assert not ScopeDay.objects.filter(complete=True).exists()


def test_scaling_activities_that_are_denied_are_no_gap(aws):
    aws(
        fleets.alone({"name": "web", **fleets.QUIET}, {"count": 2, **DEAD}),
        faults=[{"kind": "access_denied", "operation": "DescribeScalingActivities"}],
    )

    assert collect_all()["us-east-1"].outcome is Outcome.COMPLETE


def test_an_id_that_turns_up_in_the_next_inventory_is_not_gone(aws):
    sandbox = aws(fleets.alone({"name": "web", **fleets.QUIET}))
    collect_all()
    row = Instance.objects.get()
    Instance.objects.update(gone_at=timezone.now(), status=Status.GONE, published_at=timezone.now())

    collect_all()

    row.refresh_from_db()
    assert (row.status, row.gone_at) == (Status.READY, None)
    assert sandbox.calls(operation="ListMetrics")


# --- attribution -------------------------------------------------------------------------------------


@pytest.fixture
def claim(aws):
    aws(fleets.alone())
    collect_all()
    scope = Scope.objects.select_related("account").get()
    taken = rows.claim_scope(scope=scope, owner=edges.me(), now=timezone.now())
    assert taken is not None
    return taken


def known(claim, name: str, *, days_ago: int, template: str, image: str, asg: str = "web") -> None:
    now = timezone.now()
    Instance.objects.create(
        account_id=claim.account_pk, region=claim.region, instance_id=name, asg_name=asg, launch_template_id=template,
        launch_template_version="1", image_id=image, first_launched_at=now - timedelta(days=days_ago),
        first_seen_at=now, last_seen_at=now, instance_state="running",
    )  # fmt: skip


def attributed(claim, *activities: Activity) -> Instance:
    inventory.remember_published(claim=claim, ids=["i-dead"], seen_at=timezone.now())
    inventory.attribute(claim=claim, activities=activities)
    return Instance.objects.get(instance_id="i-dead")


def test_a_scaling_activity_tells_its_group_and_the_group_what_it_launched_from(claim):
    known(claim, "i-old", days_ago=9, template="lt-1", image="ami-1")
    known(claim, "i-new", days_ago=3, template="lt-2", image="ami-2")
    launch = timezone.now() - timedelta(days=5)

    row = attributed(claim, Activity("i-dead", "web", None), Activity("i-dead", "web", launch))

    assert (row.asg_name, row.attributed_by) == ("web", Attribution.ACTIVITY)
    assert (row.launch_template_id, row.image_id, row.first_launched_at) == ("lt-1", "ami-1", launch)


def test_before_the_groups_first_known_launch_its_source_is_not_guessed(claim):
    known(claim, "i-new", days_ago=3, template="lt-2", image="ami-2")

    row = attributed(claim, Activity("i-dead", "web", timezone.now() - timedelta(days=5)))

    assert (row.asg_name, row.launch_template_id, row.image_id) == ("web", "", "")


def test_without_a_launch_time_only_a_group_with_one_source_tells_it(claim):
    known(claim, "i-a", days_ago=9, template="lt-1", image="ami-1")
    assert attributed(claim, Activity("i-dead", "web", None)).launch_template_id == "lt-1"


def test_without_a_launch_time_a_group_with_two_sources_tells_none(claim):
    known(claim, "i-a", days_ago=9, template="lt-1", image="ami-1")
    known(claim, "i-b", days_ago=3, template="lt-2", image="ami-2")

    assert attributed(claim, Activity("i-dead", "web", None)).launch_template_id == ""


def test_an_activity_of_another_instance_says_nothing(claim):
    assert attributed(claim, Activity("i-other", "web", timezone.now())).attributed_by == Attribution.NONE
