"""Launch sources that cannot be read, or are gone, and in how many calls they are read.

The cases are those of the list of tricky ones that the design was made against.
"""

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from migration.enums import LaunchSourceKind, Outcome
from migration.models import (
    AutoScalingGroup,
    Image,
    Instance,
    LaunchConfiguration,
    LaunchReading,
    LaunchSource,
    LaunchTemplate,
    LaunchTemplateVersion,
    RegionDefaults,
    Scope,
    SpotRequest,
)
from tests import fleets
from tests.tasks.launching import (
    FAILS,
    LAUNCH_CALLS,
    SAFE,
    SECRET,
    UNKNOWN,
    V1,
    answers,
    fleet,
    group,
    launch_calls,
    source,
    template,
    the_group,
)
from tests.tasks.story import collect_all, enter, member

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize(
    ("operation", "tokens"),
    [
        ("DescribeLaunchTemplates", "required"),
        ("DescribeImages", None),
        ("GetInstanceMetadataDefaults", None),
    ],
)
def test_nor_does_what_a_source_was_resolved_from(aws, operation, tokens):
    """`$Latest` may be another version by now, the AMI another one, the default taken back."""
    version = {"ami": "golden"} | ({"http_tokens": tokens} if tokens else {})
    sandbox = aws(fleet(launch_templates=[template(version)], auto_scaling_groups=[group(launch_template="web")]))
    collect_all()
    assert answers(the_group()) == (SAFE, SAFE)
    long_ago = timezone.now() - timedelta(hours=13)
    RegionDefaults.objects.update(read_at=long_ago)
    LaunchReading.objects.update(kinds=dict.fromkeys(LaunchReading.objects.get().kinds, long_ago.isoformat()))
    sandbox.set_faults([{"kind": "access_denied", "operation": operation}])

    collect_all()

    assert answers(the_group()) == (UNKNOWN, UNKNOWN)


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
