"""The 66 tricky cases that the design was made against: which test holds which, and why some are not ours to hold.

Each is a situation in which a naive tool says or does the wrong thing. A test that is renamed or removed fails here.
"""

import re
from functools import cache

import pytest

from tests.test_repository import ROOT

HELD = {
    1: ("nothing_is_said_of_the_endpoint_so_that_imds_that_is_off_stays_off", "only_tokens_and_hop_limit_may_travel"),
    2: ("the_answer_is_pending_and_applied_comes_later", "a_stopped_instance_stays_pending_until_it_starts"),
    3: ("an_instance_enforced_lately_is_watched_each_hour_for_rejected_calls", "pending_is_not_done"),
    4: ("an_unmeasured_instance_has_no_number_of_calls", "a_zero_is_a_point_and_a_missing_hour_is_none"),
    5: ("a_period_too_fine_for_its_age_gives_nothing_and_no_error",),
    6: ("parts_of_an_id_that_is_split_over_pages_are_merged",),
    7: ("forbidden_is_incomplete_and_not_asked_again", "partial_data_that_does_not_heal_stays_incomplete"),
    9: ("an_id_that_never_comes_back_is_incomplete",),
    10: ("late_data_of_the_last_three_days_revises_what_was_written",),
    11: ("metrics_of_many_accounts_come_in_pages_of_five_hundred", "an_empty_page_with_a_token_is_not_the_end"),
    12: ("a_managed_instance_that_aws_hides_is_in_the_inventory",),
    13: ("a_managed_instance_is_refused",),
    14: ("case_14_an_enforced_region_takes_the_way_back",),
    15: ("the_way_back_is_denied_only_to_calls_that_set_the_tokens",),
    16: ("case_16_what_would_fail_under_enforcement_is_told_before_it_is_switched_on",),
    17: ("case_17_an_explicit_optional_fails_though_the_default_is_required",),
    18: ("case_18_a_default_without_keys_is_no_preference",),
    19: ("no_preference_takes_a_default_away", "the_undo_of_a_default_is_what_was_read_and_no_preference_where_aws"),
    20: ("a_declarative_policy_spells_no_preference_with_an_underscore_and_numbers_as_strings",),
    21: ("a_region_default_that_is_taken_back_is_a_regression_until_it_is_put_right",),
    22: ("case_22_a_default_set_in_one_region_says_nothing_of_another",),
    23: ("defaults_are_of_one_region_and_of_new_launches",),
    24: ("case_24_a_hop_limit_of_one_with_tokens_required_is_noted",),
    25: ("case_25_an_ami_with_v2_loses_to_an_account_default_of_optional",),
    26: ("case_26_a_group_on_latest_is_judged_by_the_version_it_uses",),
    27: ("case_27_a_template_that_is_silent_takes_the_accounts_default",),
    28: ("case_28_a_workload_that_is_enforced_stands_as_what_its_group_launches_next",),
    29: ("case_29_a_mixed_group_is_as_bad_as_its_worst_override",),
    31: ("case_31_hop_limit_1_with_containers_blocks_until_it_is_raised",),
    33: ("case_33_not_booted_in_the_window_is_a_warning",),
    36: ("case_36_no_credential_by_imdsv1_proves_nothing_and_changes_no_verdict",),
    37: ("case_37_it_is_asked_by_a_click_two_times_a_second_and_not_twice_at_once",),
    39: ("an_account_is_told_with_its_units_owner_and_state",),
    40: ("an_empty_page_of_accounts_may_carry_a_token",),
    41: ("the_management_account_leaves_out_its_own_id", "no_scp_binds_the_management_account"),
    42: ("no_session_is_asked_for_longer_than_role_chaining_allows",),
    43: ("only_enabled_regions_are_asked_and_a_setting_narrows_them",),
    44: ("arns_are_built_with_the_accounts_partition", "no_text_is_of_another_partition"),
    45: ("dry_run_of_a_read_is_an_error_too",),
    46: ("more_amis_than_a_filter_takes_are_asked_for_in_two_calls",),
    47: ("a_page_counts_instances_and_splits_a_reservation",),
    48: ("a_terminated_instance_in_the_answer_is_gone_and_one_that_comes_back_is_back",),
    49: ("at_our_share_of_the_rate_aws_never_says_too_fast",),
    50: ("case_50_a_member_of_a_group_that_is_replaced_daily_is_ready",),
    51: ("case_51_stopped_members_of_a_warm_pool_are_counted_with_the_group",),
    52: ("case_52_the_last_start_counts_as_a_boot_not_the_first",),
    56: ("case_56_a_spot_request_without_a_template_states_nothing",),
    57: ("stopped_instances_that_allow_imdsv1_can_still_be_started",),
    59: ("the_share_is_done_of_done_and_left_and_nothing_else",),
    60: ("case_60_code_that_made_it_may_undo_it",),
    61: ("each_sample_is_told_as_it_is_labelled",),
    62: ("each_sample_is_told_as_it_is_labelled",),
    63: ("each_sample_is_told_as_it_is_labelled",),
    66: ("case_12_and_66_groups_templates_and_instances_of_services_are_asked_for_alike",),
}
NOT_OURS = {
    8: "Metrics Insights is not used: each instance is asked for by its id.",
    30: "AWSSupport-ConfigureEC2Metadata is neither run nor advised; a change sends only what its plan says.",
    32: "Nothing here takes the hop limit for a limit on IMDSv1; the words of case 31 say what it does.",
    34: "The watch of rejected calls is collected for three days; the verdict on a run by it comes with rollback.",
    35: "The statement on ec2:RoleDelivery is a text to copy; its note says that it acts at once (golden file).",
    38: "CloudTrail Lake is not used: Athena and LookupEvents are.",
    53: "Instance refreshes are not started yet.",
    54: "Nor is their rollback promised.",
    55: "EMR's release is not read; the catalogue of known callers says from which one on IMDSv2 works.",
    58: "The packet analyzer's limits (IPv4) are words on the page Callers.",
    64: "A proxy's X-Forwarded-For shows nowhere that is read.",
    65: "AWS Config is not asked.",
}


@cache
def names() -> str:
    return "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("case", HELD)
def test_each_case_that_concerns_us_is_held_by_a_test(case):
    for name in HELD[case]:
        assert re.search(rf"^def test_{name}\w*\(", names(), re.MULTILINE), f"no test_{name}"


def test_all_66_cases_are_placed():
    assert sorted([*HELD, *NOT_OURS]) == list(range(1, 67))
