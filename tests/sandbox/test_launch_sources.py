"""What launches instances in the pretend AWS: launch configurations, mixed groups, Spot requests, AMIs not shown."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from sandbox.testing import start
from tests.sandbox.clients import Clients

SECRET = "IyEvYmluL3No"
FLEET = {
    "accounts": [
        {
            "id": "123456789012",
            "images": [
                {"name": "plain"},
                {"name": "old", "deprecated": True, "owner": "137112412989", "imds_support": "v2.0"},
                {"name": "own-old", "deprecated": True},
                {"name": "gone", "hidden": True},
            ],
            "launch_templates": [
                {"name": "web", "versions": [{"ami": "plain"}, {"ami": "resolve:ssm:/golden"}]},
                {"name": "arm", "versions": [{"ami": "plain", "http_tokens": "optional"}]},
            ],
            "launch_configurations": [{"name": "batch", "ami": "plain", "hop_limit": 2, "user_data": SECRET}],
            "auto_scaling_groups": [
                {
                    "name": "mixed",
                    "launch_template": "web:$Latest",
                    "overrides": [{"instance_type": "m6i.large"}, {"launch_template": "arm:1", "ami": "plain"}],
                },
                {"name": "eks", "launch_template": "web", "managed": "eks.amazonaws.com"},
            ],
            "spot_requests": [{"count": 2, "ami": "plain"}, {"type": "one-time", "state": "closed"}],
            "instances": [
                {"name": "b", "asg": "batch", "launch_configuration": "batch", "state": "stopped"},
                {"name": "s", "ami": "gone", "spot_request": "persistent"},
                {"name": "m", "asg": "mixed", "launch_template": "web:1"},
            ],
        }
    ]
}


@pytest.fixture(scope="module")
def own():
    with start(FLEET) as running:
        yield Clients(running)


@pytest.fixture(scope="module")
def ec2(own):
    return own("ec2")


@pytest.fixture(scope="module")
def groups(own):
    told = own("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return {group["AutoScalingGroupName"]: group for group in told}


def test_a_launch_configuration_is_told_as_it_was_made(own):
    (told,) = own("autoscaling").describe_launch_configurations()["LaunchConfigurations"]

    assert (told["LaunchConfigurationName"], told["UserData"]) == ("batch", SECRET)
    assert told["MetadataOptions"] == {"HttpPutResponseHopLimit": 2}


def test_a_group_of_a_launch_configuration_names_it_and_so_do_its_members(groups):
    (member,) = groups["batch"]["Instances"]

    assert (groups["batch"]["LaunchConfigurationName"], "LaunchTemplate" in groups["batch"]) == ("batch", False)
    assert (member["LaunchConfigurationName"], member["LifecycleState"]) == ("batch", "Warmed:Stopped")


def test_a_mixed_group_tells_its_template_and_its_overrides(groups):
    policy = groups["mixed"]["MixedInstancesPolicy"]["LaunchTemplate"]

    assert policy["LaunchTemplateSpecification"]["Version"] == "$Latest"
    assert [sorted(one) for one in policy["Overrides"]] == [
        ["InstanceType"],
        ["ImageId", "InstanceType", "LaunchTemplateSpecification"],
    ]
    assert groups["mixed"]["Instances"][0]["LaunchTemplate"]["Version"] == "1"


def test_a_group_of_a_service_is_shown_unless_it_is_asked_to_be_left_out(own, groups):
    told = own("autoscaling").describe_auto_scaling_groups(IncludeManagedResources=False)["AutoScalingGroups"]

    assert groups["eks"]["Operator"] == {"Principal": "eks.amazonaws.com"}
    assert {one["AutoScalingGroupName"] for one in told} == {"mixed", "batch"}


def test_spot_requests_are_found_by_state(ec2):
    wanted = [{"Name": "state", "Values": ["open", "active"]}]
    told = ec2.describe_spot_instance_requests(Filters=wanted)["SpotInstanceRequests"]

    assert sorted((one["Type"], one["State"], bool(one.get("InstanceId"))) for one in told) == [
        ("persistent", "active", True),
        ("persistent", "open", False),
        ("persistent", "open", False),
    ]
    assert len(ec2.describe_spot_instance_requests()["SpotInstanceRequests"]) == 4


def test_a_template_may_name_its_ami_by_a_parameter(ec2):
    told = ec2.describe_launch_template_versions(LaunchTemplateName="web", Versions=["2"])["LaunchTemplateVersions"]

    assert told[0]["LaunchTemplateData"]["ImageId"] == "resolve:ssm:/golden"


def shown(ec2, **more) -> set[str]:
    return {image["Name"] for image in ec2.describe_images(**more)["Images"]}


def test_a_deprecated_ami_of_another_account_is_shown_to_who_asks_for_it(ec2):
    assert {"old", "own-old"} & shown(ec2) == {"own-old"}
    assert {"old", "own-old"} & shown(ec2, IncludeDeprecated=True) == {"old", "own-old"}


def test_a_hidden_ami_is_shown_to_nobody_and_fails_a_call_by_its_id(ec2):
    instance = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["s"]}])
    image_id = instance["Reservations"][0]["Instances"][0]["ImageId"]
    by_filter = ec2.describe_images(Filters=[{"Name": "image-id", "Values": [image_id]}], IncludeDeprecated=True)

    assert by_filter["Images"] == []
    with pytest.raises(ClientError, match=r"InvalidAMIID\.NotFound"):
        ec2.describe_images(ImageIds=[image_id])


def test_a_group_may_be_made_from_a_launch_configuration(own):
    client = own("autoscaling")
    client.create_launch_configuration(LaunchConfigurationName="new", ImageId="ami-1", InstanceType="t3.micro")
    client.create_auto_scaling_group(AutoScalingGroupName="n", LaunchConfigurationName="new", MinSize=1, MaxSize=1)

    with pytest.raises(ClientError, match="ResourceInUse"):
        client.delete_launch_configuration(LaunchConfigurationName="new")
    client.delete_auto_scaling_group(AutoScalingGroupName="n", ForceDelete=True)
    client.delete_launch_configuration(LaunchConfigurationName="new")
    assert len(client.describe_launch_configurations()["LaunchConfigurations"]) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("auto_scaling_groups", [{"name": "x", "launch_template": "nowhere"}]),
        ("auto_scaling_groups", [{"name": "x", "launch_configuration": "nowhere"}]),
        ("spot_requests", [{"type": "sometimes"}]),
        ("launch_configurations", [{"name": "x", "ami": "nowhere"}]),
    ],
)
def test_a_mistake_in_these_is_one_sentence(field, value):
    from sandbox.checks import Mistake

    with pytest.raises(Mistake, match=rf"accounts\[0\]\.{field}\[0\]"):
        start({"accounts": [{"id": "123456789012", field: value}]})
