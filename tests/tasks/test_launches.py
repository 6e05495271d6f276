"""What launches instances, read from a pretend AWS: what becomes a source, what stays unknown, and in how many calls.

The cases are those of the list of tricky ones that the design was made against.
"""

import pytest

from migration.enums import LaunchSourceKind
from migration.models import (
    LaunchSource,
    SpotRequest,
)
from tests import fleets
from tests.tasks.launching import FAILS, PLAIN, SAFE, V1, answers, fleet, group, source, template, the_group
from tests.tasks.story import collect_all

pytestmark = pytest.mark.django_db


# --- groups and the version they really use ------------------------------------------------------------------


def test_case_26_a_group_on_latest_is_judged_by_the_version_it_uses(aws):
    """An AWS Config rule would look at the default version, which is fine here."""
    versions = [{"ami": "plain", "http_tokens": "required"}, {"ami": "plain", "http_tokens": "optional"}]
    aws(
        fleet(
            launch_templates=[template(*versions, default_version=1)],
            auto_scaling_groups=[
                group("latest", launch_template="web:$Latest"),
                group("default", launch_template="web"),
                group("pinned", launch_template="web:1"),
            ],
        )
    )

    collect_all()

    assert answers(the_group("latest")) == (V1, FAILS)
    assert the_group("latest").version == "$Latest = 2"
    assert the_group("latest").reason == (
        "Version 2 ($Latest) of web states HttpTokens=optional, which wins over every default."
    )
    assert (answers(the_group("default")), the_group("default").version) == ((SAFE, SAFE), "$Default = 1")
    assert (answers(the_group("pinned")), the_group("pinned").version) == ((SAFE, SAFE), "version 1")


def test_case_28_instances_of_an_older_version_are_told_beside_the_group_that_is_mended(aws):
    aws(
        fleet(
            {"count": 3, "name_prefix": "old", "asg": "web", "launch_template": "web:1"},
            {"count": 2, "name_prefix": "new", "asg": "web", "launch_template": "web:2", "http_tokens": "required"},
            launch_templates=[template({"ami": "plain"}, {"ami": "plain", "http_tokens": "required", "hop_limit": 2})],
            auto_scaling_groups=[group(launch_template="web:$Latest")],
        )
    )

    collect_all()

    assert answers(the_group()) == (SAFE, SAFE)
    assert the_group().notes == ["3 of 5 instances still run version 1 of web; a new version changes nothing on them."]
    assert (the_group().instances_live, the_group().instances_30d) == (5, 0)


def test_case_29_a_mixed_group_is_as_bad_as_its_worst_override(aws):
    aws(
        fleet(
            launch_templates=[
                template({"ami": "plain", "http_tokens": "required"}),
                template({"ami": "plain", "http_tokens": "optional"}, name="arm"),
            ],
            auto_scaling_groups=[
                group(
                    launch_template="web",
                    overrides=[
                        {"instance_type": "m6i.large"},
                        {"instance_type": "m6i.xlarge"},
                        {"instance_type": "m7g.large", "launch_template": "arm"},
                    ],
                )
            ],
        )
    )

    collect_all()

    assert answers(the_group()) == (V1, FAILS)
    assert the_group().reason == (
        "The worst of 2 ways to launch. Version 1 ($Default) of arm states HttpTokens=optional, which wins over every "
        "default."
    )
    assert [way["now"] for way in the_group().resolution] == [SAFE, V1]


def test_an_override_may_name_its_own_ami(aws):
    aws(
        fleet(
            launch_templates=[template({"ami": "golden"})],
            auto_scaling_groups=[
                group(launch_template="web", overrides=[{"instance_type": "m7g.large", "ami": "plain"}])
            ],
        )
    )

    collect_all()

    assert answers(the_group()) == (V1, FAILS)


def test_a_group_whose_overrides_all_name_another_template_never_launches_its_own(aws):
    aws(
        fleet(
            launch_templates=[
                template({"ami": "plain"}),
                template({"ami": "plain", "http_tokens": "required"}, name="arm"),
            ],
            auto_scaling_groups=[group(launch_template="web", overrides=[{"launch_template": "arm"}])],
        )
    )

    collect_all()

    assert answers(the_group()) == (SAFE, SAFE)


def test_case_51_stopped_members_of_a_warm_pool_are_counted_with_the_group(aws):
    aws(
        fleet(
            {"count": 2, "name_prefix": "on", "asg": "web", "launch_template": "web:1"},
            {
                "count": 3,
                "name_prefix": "warm",
                "asg": "web",
                "launch_template": "web:1",
                "state": "stopped",
                "launched_days_ago": 20,
                "stopped_days_ago": 2,
            },
            launch_templates=[template({"ami": "plain"}, {"ami": "golden"})],
            auto_scaling_groups=[group(launch_template="web:$Latest")],
        )
    )

    collect_all()

    found = the_group()
    assert (found.instances_live, found.instances_30d) == (5, 3)
    assert found.notes[0].startswith("5 of 5 instances still run version 1 of web")
    assert found.notes[1] == "3 of 5 members wait in the warm pool: options act when they next start."


def test_case_16_what_would_fail_under_enforcement_is_told_before_it_is_switched_on(aws):
    aws(fleet(launch_templates=[template({"ami": "plain"})], auto_scaling_groups=[group(launch_template="web")]))

    collect_all()

    found = the_group()
    assert answers(found) == (V1, FAILS)
    assert found.reason.endswith("AMI plain (" + found.image_id + ") has no ImdsSupport: EC2's base value is optional.")
    assert found.decided == "base"
    assert "SourceVersion=1" in found.advice


def test_case_17_an_explicit_optional_fails_though_the_default_is_required(aws):
    aws(
        fleet(
            defaults={"http_tokens": "required", "http_tokens_enforced": "enabled"},
            launch_templates=[template({"ami": "golden", "http_tokens": "optional"})],
            auto_scaling_groups=[group(launch_template="web")],
        )
    )

    collect_all()

    assert answers(the_group()) == (FAILS, FAILS)
    assert the_group().reason.endswith("HttpTokensEnforced is on: the launch fails.")


def test_case_27_a_template_that_is_silent_takes_the_accounts_default(aws):
    aws(
        fleet(
            defaults={"http_tokens": "required"},
            launch_templates=[template({"ami": "plain"})],
            auto_scaling_groups=[group(launch_template="web")],
        )
    )

    collect_all()

    assert (answers(the_group()), the_group().decided) == ((SAFE, SAFE), "account")


def test_case_24_a_hop_limit_of_one_with_tokens_required_is_noted(aws):
    aws(
        fleet(
            defaults={"hop_limit": 1},
            launch_templates=[template({"ami": "golden"})],
            auto_scaling_groups=[group(launch_template="web")],
        )
    )

    collect_all()

    assert (answers(the_group()), the_group().decided) == ((SAFE, SAFE), "image")
    assert "Tokens required with a hop limit of 1: containers do not reach IMDS." in the_group().notes


def test_case_25_an_ami_with_v2_loses_to_an_account_default_of_optional(aws):
    aws(
        fleet(
            defaults={"http_tokens": "optional"},
            launch_templates=[template({"ami": "golden"})],
            auto_scaling_groups=[group(launch_template="web")],
        )
    )

    collect_all()

    assert (answers(the_group()), the_group().decided) == ((V1, FAILS), "account")
    assert "which wins over the v2.0 of AMI golden" in the_group().reason


def test_case_18_a_default_without_keys_is_no_preference(aws):
    aws(fleet(launch_templates=[template({"ami": "golden"})], auto_scaling_groups=[group(launch_template="web")]))

    collect_all()

    assert (answers(the_group()), the_group().decided) == ((SAFE, SAFE), "image")


def test_case_22_a_default_set_in_one_region_says_nothing_of_another(aws):
    aws(
        fleets.alone(
            regions={"us-east-1": {"defaults": {"http_tokens": "required"}}, "eu-west-1": {}},
            images=[PLAIN],
            launch_templates=[template({"ami": "plain"}), template({"ami": "plain"}, region="eu-west-1")],
            auto_scaling_groups=[
                group(launch_template="web"),
                group("web", launch_template="web", region="eu-west-1"),
            ],
        )
    )

    collect_all()

    rows = LaunchSource.objects.filter(kind=LaunchSourceKind.GROUP)
    assert dict(rows.values_list("region", "answer_now")) == {"us-east-1": SAFE, "eu-west-1": V1}


# --- the other kinds -----------------------------------------------------------------------------------------


def test_a_launch_configuration_that_states_nothing_is_taken_for_the_worse_and_says_so(aws):
    aws(
        fleet(
            {"count": 2, "name_prefix": "batch", "asg": "batch", "launch_configuration": "batch-2019"},
            defaults={"http_tokens": "required"},
            launch_configurations=[
                {"name": "batch-2019", "ami": "plain"},
                {"name": "batch-2023", "ami": "plain", "http_tokens": "required"},
            ],
        )
    )

    collect_all()

    assert answers(source(LaunchSourceKind.CONFIGURATION, "batch-2023")) == (SAFE, SAFE)
    for one in (source(LaunchSourceKind.CONFIGURATION, "batch-2019"), the_group("batch")):
        assert answers(one) == (V1, FAILS)
        assert "is not confirmed, so the worse is taken" in one.reason
        assert one.advice.startswith("Replace the launch configuration, which cannot be edited")
    assert the_group("batch").instances_live == 2


def test_members_of_an_earlier_launch_configuration_are_told(aws):
    aws(
        fleet(
            {"count": 2, "name_prefix": "batch", "asg": "batch", "launch_configuration": "one"},
            launch_configurations=[{"name": "one"}, {"name": "two", "http_tokens": "required"}],
            auto_scaling_groups=[group("batch", launch_configuration="two")],
        )
    )

    collect_all()

    assert answers(the_group("batch")) == (SAFE, SAFE)
    assert the_group("batch").notes[0] == "2 of 2 instances were launched by one."


def test_case_56_a_spot_request_without_a_template_states_nothing(aws):
    aws(fleet(spot_requests=[{"ami": "plain"}, {"ami": "golden"}]))

    collect_all()

    rows = LaunchSource.objects.filter(kind=LaunchSourceKind.SPOT)
    assert sorted(rows.values_list("answer_now", "answer_enforced", "decided")) == [
        (SAFE, SAFE, "image"),
        (V1, FAILS, "base"),
    ]
    assert rows.get(answer_now=V1).advice.startswith("Set the account default in us-east-1 to required")


def test_a_spot_request_that_launches_no_more_is_no_source(aws):
    aws(
        fleet(
            {"name": "done", "spot_request": "one-time"},
            {"name": "kept", "spot_request": "persistent", "launched_days_ago": 3},
            spot_requests=[{"state": "cancelled"}],
        )
    )

    collect_all()

    found = LaunchSource.objects.get(kind=LaunchSourceKind.SPOT)
    assert (found.instances_live, found.instances_30d) == (1, 1)
    assert LaunchSource.objects.get(kind=LaunchSourceKind.IMAGE).instances_live == 1, "each counts for one source"


def test_the_spot_request_of_a_groups_instance_is_the_groups(aws):
    aws(
        fleet(
            {"name": "web", "asg": "web", "launch_template": "web", "spot_request": "persistent"},
            launch_templates=[template({"ami": "plain"})],
        )
    )

    collect_all()

    assert SpotRequest.objects.count() == 1
    assert not LaunchSource.objects.filter(kind=LaunchSourceKind.SPOT).exists()


def test_an_ami_that_instances_were_launched_from_directly_is_a_source(aws):
    aws(
        fleet(
            {"count": 3, "name_prefix": "tool", "ami": "golden", "launched_days_ago": 5},
            {"name": "managed", "ami": "plain", "managed": "eks.amazonaws.com"},
            {"name": "web", "ami": "plain", "asg": "web", "launch_template": "web"},
            launch_templates=[template({"ami": "plain"})],
        )
    )

    collect_all()

    found = LaunchSource.objects.get(kind=LaunchSourceKind.IMAGE)
    assert (found.name, answers(found), found.instances_live, found.instances_30d) == ("golden", (SAFE, SAFE), 3, 3)


def test_a_template_is_judged_by_its_default_and_by_what_was_launched_from_it(aws):
    versions = [
        {"ami": "plain"},
        {"ami": "plain", "http_tokens": "required"},
        {"ami": "plain", "http_tokens": "optional"},
    ]
    aws(
        fleet(
            {"name": "one", "launch_template": "used:1", "launched_days_ago": 2},
            launch_templates=[
                template(*versions, name="used", default_version=2),
                template(*versions, name="idle", default_version=2),
            ],
        )
    )

    collect_all()

    used, idle = (source(LaunchSourceKind.TEMPLATE, name) for name in ("used", "idle"))
    assert (answers(used), answers(idle)) == ((V1, FAILS), (SAFE, SAFE))
    assert {way["version"]: (way["counts"], way["now"]) for way in used.resolution} == {
        3: (False, V1),
        2: (True, SAFE),
        1: (True, V1),
    }
    assert idle.version == "default 2, latest 3"


def test_what_a_service_keeps_is_shown_and_is_not_ours_to_change(aws):
    aws(
        fleet(
            launch_templates=[
                template({"ami": "plain"}, name="auto", managed="eks.amazonaws.com"),
                template({"ami": "plain"}, name="eks-1", tags={"eks:nodegroup-name": "blue"}),
                template({"ami": "plain"}, name="own"),
            ],
            auto_scaling_groups=[group("emr", launch_template="own", tags={"aws:elasticmapreduce:job-flow-id": "j-1"})],
        )
    )

    collect_all()

    rows = LaunchSource.objects.exclude(provider="").order_by("name")
    assert [(row.name, row.provider) for row in rows] == [
        ("auto", "eks.amazonaws.com"),
        ("eks-1", "Amazon EKS"),
        ("emr", "Amazon EMR"),
    ]
    assert all("it is not ours to change" in row.advice for row in rows)
    assert min(row.severity for row in rows) > source(LaunchSourceKind.TEMPLATE, "own").severity
    assert "5.32" in rows[2].advice, "case 55: an older EMR does not start with tokens required"
