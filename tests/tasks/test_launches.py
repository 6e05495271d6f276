"""What launches instances, read from a pretend AWS: what becomes a source, what stays unknown, and in how many calls.

The cases are those of the list of tricky ones that the design was made against.
"""

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from migration.enums import LaunchAnswer, LaunchSourceKind, Outcome
from migration.models import (
    AutoScalingGroup,
    Image,
    Instance,
    LaunchConfiguration,
    LaunchReading,
    LaunchSource,
    LaunchTemplate,
    LaunchTemplateVersion,
    Scope,
    SpotRequest,
)
from tests import fleets
from tests.tasks.story import collect_all, enter, member

pytestmark = pytest.mark.django_db
SAFE, V1, FAILS, UNKNOWN = LaunchAnswer.SAFE, LaunchAnswer.V1_ALLOWED, LaunchAnswer.FAILS, LaunchAnswer.UNKNOWN
PLAIN, GOLDEN = {"name": "plain"}, {"name": "golden", "imds_support": "v2.0"}
SECRET = "c2VjcmV0LXRoYXQtbm9ib2R5LW1heS1rZWVw"
LAUNCH_CALLS = (
    "DescribeAutoScalingGroups",
    "DescribeLaunchTemplates",
    "DescribeLaunchTemplateVersions",
    "DescribeLaunchConfigurations",
    "DescribeSpotInstanceRequests",
    "DescribeImages",
)


def template(*versions, name="web", **more):
    return {"name": name, "versions": list(versions), **more}


def group(name="web", **more):
    return {"name": name, **more}


def fleet(*instances, defaults=None, **more):
    """One account with two AMIs."""
    more.setdefault("images", [PLAIN, GOLDEN])
    return fleets.alone(*instances, regions={"us-east-1": {"defaults": defaults or {}}}, **more)


def source(kind: LaunchSourceKind, name: str) -> LaunchSource:
    return LaunchSource.objects.get(kind=kind, name=name, gone_at__isnull=True)


def the_group(name="web") -> LaunchSource:
    return source(LaunchSourceKind.GROUP, name)


def answers(one: LaunchSource) -> tuple[str, str]:
    return one.answer_now, one.answer_enforced


def launch_calls(sandbox) -> dict[str, int]:
    return dict(Counter(call["operation"] for call in sandbox.calls() if call["operation"] in LAUNCH_CALLS))


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
    assert the_group().notes == [
        "3 of 5 instances still run version 1 of web; a new version changes nothing on them.",
        "$Latest of web is version 2 now.",
    ]
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


# --- managed resources, on both sides ------------------------------------------------------------------------


def test_case_12_and_66_groups_templates_and_instances_of_services_are_asked_for_alike(aws):
    sandbox = aws(
        fleet(
            {
                "count": 4,
                "name_prefix": "auto",
                "asg": "auto",
                "launch_template": "auto",
                "managed": "eks.amazonaws.com",
            },
            launch_templates=[template({"ami": "plain"}, name="auto", managed="eks.amazonaws.com")],
            auto_scaling_groups=[group("auto", launch_template="auto", managed="eks.amazonaws.com")],
        )
    )

    collect_all()

    row = AutoScalingGroup.objects.get()
    assert row.members == Instance.objects.filter(asg_name="auto").count() == the_group("auto").instances_live == 4
    for operation in (*LAUNCH_CALLS[:3], "DescribeInstances"):
        (call,) = sandbox.calls(operation=operation)
        assert call["params"]["IncludeManagedResources"] == "true"


# --- what cannot be read -------------------------------------------------------------------------------------


def test_an_ami_that_is_not_shown_is_unknown_and_not_an_ami_without_v2(aws):
    aws(
        fleet(
            images=[{"name": "gone", "imds_support": "v2.0", "hidden": True}],
            launch_templates=[
                template({"ami": "gone"}),
                template({"ami": "gone", "http_tokens": "required"}, name="says"),
            ],
            auto_scaling_groups=[group(launch_template="web"), group("says", launch_template="says")],
        )
    )

    collect_all()

    row = Image.objects.get()
    assert (row.readable, row.imds_support) == (False, None)
    assert answers(the_group()) == (UNKNOWN, UNKNOWN)
    assert "could not be read" in the_group().reason
    assert answers(the_group("says")) == (SAFE, SAFE), "where the launch decides, the AMI does not matter"


def test_a_deprecated_ami_of_another_account_is_read(aws):
    """DescribeImages leaves these out unless it is asked for them."""
    aws(
        fleet(
            {"name": "web", "ami": "old"},
            images=[{"name": "old", "imds_support": "v2.0", "deprecated": True, "owner": "137112412989"}],
        )
    )

    collect_all()

    assert Image.objects.get().readable


def test_an_ami_named_by_a_parameter_is_unknown_unless_a_higher_level_decides(aws):
    sandbox = aws(
        fleet(
            launch_templates=[template({"ami": "resolve:ssm:/golden/ami"})],
            auto_scaling_groups=[group(launch_template="web")],
        )
    )

    collect_all()
    unknown = the_group()
    sandbox.world.first_account.regions["us-east-1"].defaults.http_tokens = "required"
    collect_all()

    assert (answers(unknown), answers(the_group())) == ((UNKNOWN, UNKNOWN), (SAFE, SAFE))
    assert "It is taken from resolve:ssm:/golden/ami at launch" in unknown.reason
    assert not sandbox.calls(operation="DescribeImages")


def test_defaults_that_are_not_read_leave_silent_launches_unknown(aws):
    aws(
        fleet(
            launch_templates=[template({"ami": "golden"}), template({"http_tokens": "optional"}, name="loud")],
            auto_scaling_groups=[group(launch_template="web"), group("loud", launch_template="loud")],
        ),
        faults=[{"kind": "access_denied", "operation": "GetInstanceMetadataDefaults"}],
    )

    collect_all()

    assert answers(the_group()) == (UNKNOWN, UNKNOWN)
    assert answers(the_group("loud")) == (UNKNOWN, FAILS)


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("DescribeAutoScalingGroups", "Auto Scaling groups"),
        ("DescribeLaunchTemplates", "launch templates"),
        ("DescribeLaunchTemplateVersions", "launch templates"),
        ("DescribeLaunchConfigurations", "launch configurations"),
        ("DescribeSpotInstanceRequests", "Spot requests"),
        ("DescribeImages", "AMIs"),
    ],
)
def test_a_kind_that_is_refused_is_a_gap_in_words_and_leaves_the_rest_as_read(aws, operation, kind):
    sandbox = aws(
        fleet(
            {"count": 2, "name_prefix": "web", "asg": "web", "launch_template": "web"},
            launch_templates=[template({"ami": "plain"})],
            launch_configurations=[{"name": "old"}],
            spot_requests=[{}],
        ),
        faults=[{"kind": "access_denied", "operation": operation}],
    )

    passed = collect_all()["us-east-1"]

    reading = LaunchReading.objects.get()
    assert [(gap["kind"], gap["gap"]) for gap in reading.gaps] == [(kind, "denied")]
    assert operation in reading.gaps[0]["message"]
    assert (reading.read_at, kind in reading.kinds, len(reading.kinds)) == (None, False, 4)
    assert (passed.outcome, passed.instances) == (Outcome.INCOMPLETE, 2)
    assert operation in passed.message
    assert sandbox.calls(operation="GetMetricData")
    assert Scope.objects.get().inventory_at is not None


def test_a_group_whose_template_is_not_read_is_unknown(aws):
    aws(
        fleet(launch_templates=[template({"ami": "golden"})], auto_scaling_groups=[group(launch_template="web")]),
        faults=[{"kind": "access_denied", "operation": "DescribeLaunchTemplates"}],
    )

    collect_all()

    assert answers(the_group()) == (UNKNOWN, UNKNOWN)
    assert the_group().reason == "Template web is deleted, or launch templates were not read."


def test_what_was_read_too_long_ago_says_nothing_of_now(aws):
    sandbox = aws(
        fleet(launch_templates=[template({"ami": "golden"})], auto_scaling_groups=[group(launch_template="web")])
    )
    collect_all()
    assert answers(the_group()) == (SAFE, SAFE)
    LaunchReading.objects.update(
        kinds={kind: (timezone.now() - timedelta(hours=13)).isoformat() for kind in LaunchReading.objects.get().kinds}
    )
    sandbox.set_faults([{"kind": "access_denied", "operation": "DescribeAutoScalingGroups"}])

    collect_all()

    assert answers(the_group()) == (UNKNOWN, UNKNOWN)
    assert the_group().reason.startswith("Auto Scaling groups were last read whole on ")
    assert answers(source(LaunchSourceKind.TEMPLATE, "web")) == (SAFE, SAFE)


def test_an_endpoint_that_does_not_answer_is_not_asked_for_the_rest(aws, hasty):
    sandbox = aws(fleet(), faults=[{"kind": "drop", "operation": "DescribeAutoScalingGroups"}])

    collect_all()

    assert set(launch_calls(sandbox)) == {"DescribeAutoScalingGroups"}
    assert len(LaunchReading.objects.get().gaps) == 5


# --- what is gone, and what is not asked again ---------------------------------------------------------------


def test_a_source_that_a_whole_reading_does_not_list_is_gone(aws):
    sandbox = aws(
        fleet(launch_templates=[template({"ami": "plain"})], auto_scaling_groups=[group(launch_template="web")])
    )
    collect_all()
    region = sandbox.world.first_account.regions["us-east-1"]
    region.groups.clear()

    collect_all()

    assert LaunchSource.objects.get(kind=LaunchSourceKind.GROUP).gone_at is not None
    assert (AutoScalingGroup.objects.count(), LaunchTemplate.objects.count()) == (0, 1)
    assert source(LaunchSourceKind.TEMPLATE, "web").gone_at is None


def test_a_source_that_could_not_be_listed_is_not_gone(aws):
    sandbox = aws(
        fleet(launch_templates=[template({"ami": "plain"})], auto_scaling_groups=[group(launch_template="web")])
    )
    collect_all()
    sandbox.set_faults([{"kind": "access_denied", "operation": "DescribeAutoScalingGroups"}])
    sandbox.world.first_account.regions["us-east-1"].groups.clear()

    collect_all()

    assert the_group().gone_at is None


def test_a_pass_over_an_empty_region_takes_four_calls(aws):
    sandbox = aws(fleets.alone())

    collect_all()

    assert launch_calls(sandbox) == {
        "DescribeAutoScalingGroups": 1,
        "DescribeLaunchTemplates": 1,
        "DescribeLaunchConfigurations": 1,
        "DescribeSpotInstanceRequests": 1,
    }
    assert LaunchReading.objects.get().read_at is not None


def test_numbered_versions_are_asked_for_a_template_at_a_time_and_once_only(aws):
    """A version never changes: what is known of it is not asked again."""
    versions = [{"ami": "plain"}, {"ami": "golden"}, {"ami": "plain"}, {"ami": "golden"}]
    sandbox = aws(
        fleet(
            {"name": "old", "launch_template": "web:1"},
            launch_templates=[template(*versions, default_version=3), template(*versions, name="other")],
            auto_scaling_groups=[group(launch_template="web:2"), group("other", launch_template="other:3")],
        )
    )

    collect_all()
    first = sandbox.calls(operation="DescribeLaunchTemplateVersions")
    sandbox.clear_calls()
    collect_all()

    assert len(first) == 3  # `$Default` and `$Latest` of all, and the numbered ones of each of two templates
    assert launch_calls(sandbox) == dict.fromkeys(LAUNCH_CALLS, 1)
    known = LaunchTemplateVersion.objects.order_by("template_id", "number")
    assert sorted(Counter(known.values_list("template_id", flat=True)).values()) == [3, 4]


def test_a_version_that_was_deleted_is_told_and_not_asked_for_again(aws):
    sandbox = aws(
        fleet(
            {"name": "old", "launch_template": "web:1"},
            launch_templates=[template({"ami": "plain"}, {"ami": "plain"}, {"ami": "golden"}, default_version=3)],
            auto_scaling_groups=[group(launch_template="web:2")],
        )
    )
    (one,) = sandbox.world.first_account.regions["us-east-1"].templates.values()
    one.versions = [version for version in one.versions if version.number != 1]

    collect_all()
    asked = launch_calls(sandbox)["DescribeLaunchTemplateVersions"]
    sandbox.clear_calls()
    collect_all()

    assert asked == 4  # of all, both numbers together, and each by itself
    assert launch_calls(sandbox)["DescribeLaunchTemplateVersions"] == 1
    assert LaunchTemplateVersion.objects.get(number=1).deleted
    assert answers(the_group()) == (V1, FAILS)


def test_a_version_that_nothing_launches_from_any_more_is_forgotten(aws):
    sandbox = aws(
        fleet(
            launch_templates=[template({"ami": "plain"}, {"ami": "golden"}, {"ami": "golden"}, default_version=3)],
            auto_scaling_groups=[group(launch_template="web:1")],
        )
    )
    collect_all()
    assert set(LaunchTemplateVersion.objects.values_list("number", flat=True)) == {1, 3}
    sandbox.world.first_account.regions["us-east-1"].groups["web"].template_version = "2"

    collect_all()

    assert set(LaunchTemplateVersion.objects.values_list("number", flat=True)) == {2, 3}


def test_more_amis_than_a_filter_takes_are_asked_for_in_two_calls(aws):
    names = [f"ami-{number}" for number in range(201)]
    sandbox = aws(
        fleet(
            images=[{"name": name, "imds_support": "v2.0"} for name in names],
            launch_configurations=[{"name": name, "ami": name} for name in names],
        )
    )

    collect_all()

    assert launch_calls(sandbox) == {
        "DescribeAutoScalingGroups": 1,
        "DescribeLaunchTemplates": 1,
        "DescribeLaunchConfigurations": 3,  # 100 a page
        "DescribeSpotInstanceRequests": 1,
        "DescribeImages": 2,
    }
    assert (LaunchConfiguration.objects.count(), Image.objects.filter(readable=True).count()) == (201, 201)


def test_launch_sources_are_read_with_the_readers_role(aws):
    sandbox = aws(fleets.pair({"name": "web"}))

    enter(member())

    calls = [call for call in sandbox.calls(account_id=fleets.MEMBER) if call["operation"] in LAUNCH_CALLS]
    assert {call["role_name"] for call in calls} == {"imdsdash-reader"}


# --- what is never kept --------------------------------------------------------------------------------------


def test_no_user_data_of_a_template_configuration_or_spot_request_is_stored(aws):
    from django.apps import apps
    from django.core import serializers

    aws(
        fleet(
            launch_templates=[
                template({"ami": "plain", "user_data": SECRET}),
                template({"ami": "plain"}, name=SECRET[:9]),
            ],
            auto_scaling_groups=[group(launch_template="web")],
            launch_configurations=[{"name": "old", "user_data": SECRET}],
            spot_requests=[{"user_data": SECRET}],
        )
    )

    collect_all()

    rows = [row for model in apps.get_app_config("migration").get_models() for row in model.objects.all()]
    text = serializers.serialize("json", rows)
    assert SECRET[:9] in text, "the search itself finds what is there"
    assert SECRET not in text
    assert LaunchConfiguration.objects.exists()
    assert SpotRequest.objects.exists()
