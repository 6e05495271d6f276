"""Blockers and warnings: what the metric cannot say, in the words that stand on the page."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from migration.domain.obstacles import Around, Obstacles, needs_hops, obstacles
from migration.enums import LaunchAnswer, Status
from tests.domain.test_readiness import TODAY, UNTIL, WINDOW, subject

BOOTED = UNTIL - timedelta(days=3)
ONE = subject(last_started_at=BOOTED)
CONTAINERS = Around(containers=("tag aws:ecs:clusterName",))


NOTHING_FOUND = Around()


def of(around: Around = NOTHING_FOUND, *, status=Status.READY, one=ONE, tags=None) -> Obstacles:
    return obstacles(one, around, WINDOW, status=status, tags=tags or {})


def test_a_quiet_instance_booted_in_the_window_has_none():
    assert of() == Obstacles()


def test_case_31_hop_limit_1_with_containers_blocks_until_it_is_raised():
    assert of(CONTAINERS).blockers == (
        (
            "Hop limit 1 with containers (tag aws:ecs:clusterName): the token does not reach them. "
            "Raise it to 2 (3 with an overlay network), then measure again."
        ),
    )


def test_case_31_calls_at_hop_limit_1_with_containers_may_come_from_a_modern_sdk():
    found = of(CONTAINERS, status=Status.IN_USE)

    assert found.blockers == ()
    assert "A modern SDK falls back to IMDSv1 then" in found.warnings[0]


@pytest.mark.parametrize(("limit", "needed", "short"), [(1, 2, True), (2, 2, False), (2, 3, True), (3, 3, False)])
def test_an_overlay_network_needs_one_hop_more(limit, needed, short):
    one = replace(ONE, options=replace(ONE.options, http_put_response_hop_limit=limit))

    assert needs_hops(one, replace(CONTAINERS, hops_needed=needed)) is short


def test_a_hop_limit_that_aws_did_not_say_is_not_called_too_low():
    one = replace(ONE, options=replace(ONE.options, http_put_response_hop_limit=None))

    assert of(CONTAINERS, one=one).blockers == ()


def test_a_chosen_hop_limit_turns_the_blocker_into_a_step_of_the_plan():
    found = of(replace(CONTAINERS, hop_limit_choice=2))

    assert found.blockers == ()
    assert found.warnings == (
        (
            "Hop limit 1 with containers (tag aws:ecs:clusterName): the token does not reach them. "
            "The plan raises it to 2, as chosen for its workload."
        ),
    )


def test_a_chosen_hop_limit_that_is_too_low_blocks_still():
    assert of(replace(CONTAINERS, hop_limit_choice=2, hops_needed=3)).blockers


def test_case_33_not_booted_in_the_window_is_a_warning():
    assert of(one=replace(ONE, last_started_at=datetime(2026, 5, 1, tzinfo=UTC))).warnings == (
        "Not booted since 2026-05-01: software that calls IMDSv1 only at boot would not show.",
    )


def test_case_52_the_last_start_counts_as_a_boot_not_the_first():
    one = replace(ONE, first_launched_at=datetime(2025, 1, 1, tzinfo=UTC), last_started_at=BOOTED)

    assert of(one=one).warnings == ()


def test_user_data_that_calls_imdsv1_blocks_and_names_the_place():
    found = of(Around(certain_calls=("line 4", "line 9", "line 12")))

    assert found.blockers == ("Its user data calls IMDSv1 (line 4, line 9 and 1 more).",)


def test_user_data_that_may_call_imdsv1_warns():
    found = of(Around(uncertain_calls=("line 4",)))

    assert (found.blockers, found.warnings) == (
        (),
        ("Its user data may call IMDSv1 (line 4): look before you enforce.",),
    )


def test_credentials_delivered_by_imdsv1_in_the_window_block():
    found = of(Around(v1_credentials_at=UNTIL - timedelta(days=2), v1_credentials_by="aws-cli/1.16.102"))

    assert found.blockers == (
        "IMDSv1, or credentials it delivered, were seen in use on 2026-11-18 by aws-cli/1.16.102.",
    )


def test_credentials_delivered_by_imdsv1_before_the_window_do_not_block():
    before = datetime.combine(TODAY - timedelta(days=15), datetime.min.time(), UTC)

    assert of(Around(v1_credentials_at=before)).blockers == ()


@pytest.mark.parametrize("status", [Status.READY, Status.ENFORCED])
def test_case_28_an_unsafe_group_will_bring_it_back(status):
    around = Around(source="Auto Scaling group web", source_answer=LaunchAnswer.V1_ALLOWED, in_group=True)

    assert of(around, status=status).warnings == (
        (
            "Will come back: Auto Scaling group web still launches with IMDSv1 allowed, "
            "and this is lost when it replaces it."
        ),
    )


def test_what_launches_next_is_said_when_it_is_not_known():
    around = Around(source="launch template lt-1", source_answer=LaunchAnswer.UNKNOWN)

    assert of(around, status=Status.ENFORCED).warnings == ("What launch template lt-1 launches next is not known.",)


def test_a_safe_source_is_not_mentioned():
    assert of(Around(source="Auto Scaling group web", source_answer=LaunchAnswer.SAFE, in_group=True)) == Obstacles()


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"aws:cloudformation:stack-name": "shop"}, "CloudFormation stack shop made it"),
        ({"elasticbeanstalk:environment-name": "shop-prod"}, "Elastic Beanstalk environment shop-prod made it"),
        ({"ManagedBy": "Terraform"}, "Terraform made it"),
        ({"terraform-workspace": "prod"}, "Terraform made it"),
    ],
)
def test_case_60_code_that_made_it_may_undo_it(tags, words):
    assert of(tags=tags).warnings[0].startswith(words)


def test_case_14_an_enforced_region_takes_the_way_back():
    assert "HttpTokensEnforced" in of(Around(enforced_region=True)).warnings[0]


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.MANAGED, Status.GONE, Status.WAIVED, Status.IMDS_OFF])
def test_nothing_is_said_of_an_instance_that_nobody_would_enforce(status):
    around = replace(CONTAINERS, certain_calls=("line 1",), enforced_region=True)

    assert of(around, status=status) == Obstacles()
