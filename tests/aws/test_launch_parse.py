"""Payload -> fact, for what launches instances: an absent member stays absent."""

import pytest
from botocore.loaders import create_loader

from migration.aws import launch_parse, models
from migration.domain.launch_facts import LaunchOptions, TemplateUse

GROUP = {"AutoScalingGroupName": "web"}


def spec(name: str, **more):
    return {"LaunchTemplateId": f"lt-{name}", "LaunchTemplateName": name, **more}


def test_a_version_without_metadata_options_states_nothing():
    fact = launch_parse.version({"LaunchTemplateId": "lt-1", "VersionNumber": 3, "LaunchTemplateData": {}})

    assert (fact.options, fact.image_id) == (LaunchOptions(), "")


def test_a_version_states_what_it_has_and_no_more():
    data = {"ImageId": "ami-1", "MetadataOptions": {"HttpTokens": "required", "State": "applied"}}

    fact = launch_parse.version({"LaunchTemplateId": "lt-1", "VersionNumber": 3, "LaunchTemplateData": data})

    assert (fact.options, fact.image_id) == (LaunchOptions(http_tokens="required"), "ami-1")


def test_a_group_that_names_no_version_uses_the_default():
    fact = launch_parse.group({**GROUP, "LaunchTemplate": spec("a")})

    assert fact.uses == (TemplateUse("lt-a", "a", "$Default"),)


def test_overrides_take_the_groups_template_unless_they_name_their_own():
    policy = {
        "LaunchTemplateSpecification": spec("a", Version="3"),
        "Overrides": [
            {"InstanceType": "m6i.large"},
            {"InstanceType": "m7g.large", "LaunchTemplateSpecification": spec("b", Version="$Latest")},
            {"InstanceType": "c7g.large", "ImageId": "ami-2"},
        ],
    }

    fact = launch_parse.group({**GROUP, "MixedInstancesPolicy": {"LaunchTemplate": policy}})

    assert fact.mixed
    assert fact.uses == (
        TemplateUse("lt-a", "a", "3", instance_type="m6i.large"),
        TemplateUse("lt-b", "b", "$Latest", instance_type="m7g.large"),
        TemplateUse("lt-a", "a", "3", image_id="ami-2", instance_type="c7g.large"),
    )


def test_a_mixed_group_without_overrides_launches_its_own_template():
    policy = {"LaunchTemplateSpecification": spec("a", Version="3")}

    fact = launch_parse.group({**GROUP, "MixedInstancesPolicy": {"LaunchTemplate": policy}})

    assert fact.uses == (TemplateUse("lt-a", "a", "3"),)


def test_a_group_tells_its_members_and_those_in_the_warm_pool():
    states = ["InService", "Warmed:Stopped", "Warmed:Running", "Terminating:Retained"]
    members = [{"LifecycleState": state, "LaunchConfigurationName": "old"} for state in states]

    fact = launch_parse.group({**GROUP, "LaunchConfigurationName": "new", "Instances": members})

    assert (fact.members, fact.warm, dict(fact.configured), fact.uses) == (4, 2, {"old": 4}, ())


@pytest.mark.parametrize(
    ("member", "provider"),
    [
        ({}, ""),
        ({"Operator": {"Managed": False}}, ""),
        ({"Operator": {"Managed": True, "Principal": "eks.amazonaws.com"}}, "eks.amazonaws.com"),
        ({"Operator": {"Managed": True}}, "an AWS service"),
        ({"Tags": [{"Key": "eks:nodegroup-name", "Value": "blue"}]}, "Amazon EKS"),
        ({"Tags": [{"Key": "elasticbeanstalk:environment-name", "Value": "shop"}]}, "AWS Elastic Beanstalk"),
        ({"Tags": [{"Key": "team", "Value": "eks:nodegroup-name"}]}, ""),
    ],
)
def test_a_template_tells_which_service_keeps_it(member, provider):
    told = {"LaunchTemplateId": "lt-1", "DefaultVersionNumber": 1, "LatestVersionNumber": 2, **member}

    assert launch_parse.template(told).provider == provider


@pytest.mark.parametrize(
    ("kind", "state", "launches"),
    [
        ("persistent", "open", True),
        ("persistent", "active", True),
        ("one-time", "open", True),
        ("one-time", "active", False),
    ],
)
def test_a_spot_request_that_has_launched_its_one_instance_launches_no_more(kind, state, launches):
    told = {"SpotInstanceRequestId": "sir-1", "Type": kind, "State": state}

    assert (launch_parse.spot_request(told) is not None) is launches


@pytest.mark.parametrize(
    ("service", "shape"),
    [
        ("ec2", "ResponseLaunchTemplateData"),
        ("ec2", "LaunchSpecification"),
        ("autoscaling", "LaunchConfiguration"),
    ],
)
def test_user_data_is_no_member_of_the_cut_models(service, shape):
    stock = create_loader().load_service_model(service, "service-2")["shapes"][shape]
    cut = models.TrimmedLoader().load_service_model(service, "service-2")["shapes"][shape]

    assert ("UserData" in stock["members"], "UserData" in cut["members"]) == (True, False)
