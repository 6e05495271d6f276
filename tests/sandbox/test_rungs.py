"""The writes above the single instance: templates, groups, AMIs, Region defaults (domain.md 3.3, 3.4, 4, 9)."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from sandbox.testing import start
from sandbox.throttle import limit_of
from tests.sandbox import fleets
from tests.sandbox.clients import Clients

OWN = "123456789012"
DISK = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-1", "VolumeSize": 30, "VolumeType": "gp3"}}
REQUIRED = {"MetadataOptions": {"HttpTokens": "required"}}
SPOT = {"OnDemandBaseCapacity": 1, "SpotAllocationStrategy": "capacity-optimized"}


def fleet(**account):
    template = {"name": "web", "versions": [{"ami": "plain"}, {"ami": "plain", "http_tokens": "required"}]}
    return {
        "credentials": [
            {"access_key_id": fleets.KEY_ID, "secret_access_key": fleets.SECRET, "account_id": OWN},
        ],
        "accounts": [
            {
                "id": OWN,
                "images": [{"name": "plain"}, {"name": "theirs", "owner": "137112412989"}],
                "launch_templates": [
                    template,
                    {"name": "eks", "versions": [{"ami": "plain"}], "managed": "eks.amazonaws.com"},
                ],
                "auto_scaling_groups": [
                    {"name": "one", "launch_template": "web:1"},
                    {"name": "mixed", "launch_template": "web:1", "overrides": [{"instance_type": "m5.large"}]},
                    {"name": "eks", "launch_template": "eks", "managed": "eks.amazonaws.com"},
                ],
                "roles": fleets.ROLES,
                "instances": [{"name": "a"}],
                **account,
            }
        ],
    }


@pytest.fixture
def own():
    with start(fleet()) as running:
        yield Clients(running)


@pytest.fixture
def ec2(own):
    return own("ec2")


@pytest.fixture
def autoscaling(own):
    return own("autoscaling")


def template(ec2, name="web"):
    found = ec2.describe_launch_templates(LaunchTemplateNames=[name], IncludeManagedResources=True)
    return found["LaunchTemplates"][0]


def group(autoscaling, name):
    return autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]


def image(ec2, name):
    return ec2.describe_images(Filters=[{"Name": "name", "Values": [name]}])["Images"][0]["ImageId"]


# --- templates -----------------------------------------------------------------------------------------------


def test_the_same_token_makes_one_version_and_gets_the_same_answer(ec2):
    """Retries with the same client token complete without performing any further actions [DG-idem]."""
    asked = {"LaunchTemplateName": "web", "SourceVersion": "1", "LaunchTemplateData": REQUIRED, "ClientToken": "t-1"}

    first, second = (ec2.create_launch_template_version(**asked)["LaunchTemplateVersion"] for _ in range(2))

    assert first == second
    assert template(ec2)["LatestVersionNumber"] == 3


def test_the_same_token_with_other_parameters_is_refused(ec2, refused):
    """`IdempotentParameterMismatch` [DG-idem]."""
    asked = {"LaunchTemplateName": "web", "LaunchTemplateData": REQUIRED, "ClientToken": "t-1"}
    ec2.create_launch_template_version(SourceVersion="1", **asked)

    refused("IdempotentParameterMismatch", ec2.create_launch_template_version, SourceVersion="2", **asked)

    assert template(ec2)["LatestVersionNumber"] == 3


def test_a_default_set_twice_by_one_token_is_set_once(ec2, refused):
    """What was moved since stays: a retry performs no further action [DG-idem]."""
    ec2.modify_launch_template(LaunchTemplateName="web", DefaultVersion="2", ClientToken="t-1")
    ec2.modify_launch_template(LaunchTemplateName="web", DefaultVersion="1", ClientToken="t-2")
    ec2.modify_launch_template(LaunchTemplateName="web", DefaultVersion="2", ClientToken="t-1")

    assert template(ec2)["DefaultVersionNumber"] == 1
    asked = {"LaunchTemplateName": "web", "DefaultVersion": "1", "ClientToken": "t-1"}
    refused("IdempotentParameterMismatch", ec2.modify_launch_template, **asked)


def test_a_dry_run_uses_up_no_token(ec2, refused):
    asked = {"LaunchTemplateName": "web", "DefaultVersion": "2", "ClientToken": "t-1"}
    refused("DryRunOperation", ec2.modify_launch_template, DryRun=True, **asked)

    ec2.modify_launch_template(**asked)

    assert template(ec2)["DefaultVersionNumber"] == 2


def test_snapshots_of_the_source_are_not_carried_over_unless_they_are_sent(ec2):
    """`SourceVersion`: snapshots applied to the block device mapping are ignored unless explicitly included [BC]."""
    ec2.create_launch_template(LaunchTemplateName="disk", LaunchTemplateData={"BlockDeviceMappings": [DISK]})
    asked = {"LaunchTemplateName": "disk", "SourceVersion": "1"}

    bare = ec2.create_launch_template_version(LaunchTemplateData=REQUIRED, **asked)["LaunchTemplateVersion"]
    sent = ec2.create_launch_template_version(LaunchTemplateData={**REQUIRED, "BlockDeviceMappings": [DISK]}, **asked)

    inherited = {**DISK, "Ebs": {"VolumeSize": 30, "VolumeType": "gp3"}}
    assert bare["LaunchTemplateData"]["BlockDeviceMappings"] == [inherited]
    assert sent["LaunchTemplateVersion"]["LaunchTemplateData"]["BlockDeviceMappings"] == [DISK]
    first = ec2.describe_launch_template_versions(LaunchTemplateName="disk", Versions=["1"])["LaunchTemplateVersions"]
    assert first[0]["LaunchTemplateData"]["BlockDeviceMappings"] == [DISK]


def test_versions_are_listed_from_a_number_to_a_number(ec2):
    """`MinVersion`, `MaxVersion` [BC]."""
    ec2.create_launch_template_version(LaunchTemplateName="web", LaunchTemplateData=REQUIRED)

    found = ec2.describe_launch_template_versions(LaunchTemplateName="web", MinVersion="2", MaxVersion="3")

    assert [one["VersionNumber"] for one in found["LaunchTemplateVersions"]] == [3, 2]


def test_a_template_of_a_service_is_refused(ec2, refused):
    """`OperationNotPermitted` [API-err]; managed by an AWS service [UG-mgd]."""
    asked = {"LaunchTemplateId": template(ec2, "eks")["LaunchTemplateId"]}
    refused("OperationNotPermitted", ec2.create_launch_template_version, LaunchTemplateData=REQUIRED, **asked)
    refused("OperationNotPermitted", ec2.modify_launch_template, DefaultVersion="1", **asked)


# --- groups --------------------------------------------------------------------------------------------------


def test_a_group_takes_another_version_by_id_or_by_name(ec2, autoscaling):
    template_id = template(ec2)["LaunchTemplateId"]
    for spec in ({"LaunchTemplateId": template_id, "Version": "2"}, {"LaunchTemplateName": "web", "Version": "1"}):
        autoscaling.update_auto_scaling_group(AutoScalingGroupName="one", LaunchTemplate=spec)

        told = {"LaunchTemplateId": template_id, "LaunchTemplateName": "web", "Version": spec["Version"]}
        assert group(autoscaling, "one")["LaunchTemplate"] == told


def test_what_describe_tells_cannot_be_sent_back_as_it_is(autoscaling, refused):
    """Id and name together: "must contain either" (aws-cli issue 7281)."""
    one, mixed = (group(autoscaling, name) for name in ("one", "mixed"))
    spec, policy = one["LaunchTemplate"], {"LaunchTemplate": mixed["MixedInstancesPolicy"]["LaunchTemplate"]}

    refused("ValidationError", autoscaling.update_auto_scaling_group, AutoScalingGroupName="one", LaunchTemplate=spec)
    asked = {"AutoScalingGroupName": "mixed", "MixedInstancesPolicy": policy}
    refused("ValidationError", autoscaling.update_auto_scaling_group, **asked)


def test_a_mixed_group_takes_another_version_and_keeps_the_distribution_that_is_sent_along(autoscaling):
    source = {
        "LaunchTemplateSpecification": {"LaunchTemplateName": "web", "Version": "2"},
        "Overrides": [{"InstanceType": "m5.large", "WeightedCapacity": "2"}],
    }
    policy = {"LaunchTemplate": source, "InstancesDistribution": SPOT}
    autoscaling.update_auto_scaling_group(AutoScalingGroupName="mixed", MixedInstancesPolicy=policy)

    found = group(autoscaling, "mixed")["MixedInstancesPolicy"]

    assert found["LaunchTemplate"]["LaunchTemplateSpecification"]["Version"] == "2"
    assert found["LaunchTemplate"]["Overrides"] == source["Overrides"]
    assert found["InstancesDistribution"].items() >= SPOT.items()


def test_a_distribution_that_is_left_out_is_lost(autoscaling):
    """The model's text says of the group that what is not specified is not changed, and older texts of the policy that
    each value left out takes its default: the sandbox is as AWS is at its worst.
    """
    source = {"LaunchTemplateSpecification": {"LaunchTemplateName": "web", "Version": "2"}}
    asked = {"AutoScalingGroupName": "mixed"}
    autoscaling.update_auto_scaling_group(
        MixedInstancesPolicy={"LaunchTemplate": source, "InstancesDistribution": SPOT}, **asked
    )
    autoscaling.update_auto_scaling_group(MixedInstancesPolicy={"LaunchTemplate": source}, **asked)

    found = group(autoscaling, "mixed")["MixedInstancesPolicy"]["InstancesDistribution"]

    assert (found["OnDemandBaseCapacity"], found["SpotAllocationStrategy"]) == (0, "lowest-price")


def test_pools_are_refused_where_the_strategy_has_none(autoscaling, refused):
    """`SpotInstancePools` is valid only when the strategy is lowest-price [BC]; here Describe tells of its default
    all the same, as AWS is at its worst.
    """
    source = {"LaunchTemplateSpecification": {"LaunchTemplateName": "web", "Version": "2"}}
    policy = {"LaunchTemplate": source, "InstancesDistribution": SPOT}
    asked = {"AutoScalingGroupName": "mixed", "MixedInstancesPolicy": policy}
    autoscaling.update_auto_scaling_group(**asked)
    told = group(autoscaling, "mixed")["MixedInstancesPolicy"]["InstancesDistribution"]
    assert told["SpotInstancePools"] == 2

    asked["MixedInstancesPolicy"] = {"LaunchTemplate": source, "InstancesDistribution": told}
    refused("ValidationError", autoscaling.update_auto_scaling_group, **asked)


def test_a_version_that_is_not_there_is_refused(autoscaling, refused):
    asked = {"AutoScalingGroupName": "one", "LaunchTemplate": {"LaunchTemplateName": "web", "Version": "9"}}

    error = refused("ValidationError", autoscaling.update_auto_scaling_group, **asked)

    assert "valid fully-formed launch template" in str(error)


def test_two_sources_at_once_are_refused(autoscaling, refused):
    refused(
        "ValidationError",
        autoscaling.update_auto_scaling_group,
        AutoScalingGroupName="one",
        LaunchTemplate={"LaunchTemplateName": "web"},
        LaunchConfigurationName="x",
    )


def test_a_group_of_a_service_is_refused(autoscaling, refused):
    spec = {"LaunchTemplateName": "web"}
    refused(
        "OperationNotPermitted", autoscaling.update_auto_scaling_group, AutoScalingGroupName="eks", LaunchTemplate=spec
    )


def test_another_template_is_refused_to_who_may_not_launch(refused):
    """The caller's RunInstances permission is checked when a group's template is changed [UG-pol]."""
    with start(fleet(deny=["ec2:RunInstances"])) as running:
        own = Clients(running)("autoscaling")
        spec = {"LaunchTemplateName": "web", "Version": "2"}
        refused("AccessDenied", own.update_auto_scaling_group, AutoScalingGroupName="one", LaunchTemplate=spec)
        own.update_auto_scaling_group(AutoScalingGroupName="one", MaxSize=3)


# --- AMIs, defaults, all of them -----------------------------------------------------------------------------


def test_an_ami_of_another_account_is_refused(ec2, refused):
    asked = {"ImageId": image(ec2, "theirs"), "ImdsSupport": {"Value": "v2.0"}}
    refused("AuthFailure", ec2.modify_image_attribute, **asked)


def test_a_declarative_policy_speaks_with_its_own_message_and_a_dry_run_does_not_find_it_out(refused):
    """While attached, the account cannot change those settings [ORG-decl]; DryRun tests permission [BC]."""
    managed = {"defaults": {"managed_by": "declarative-policy", "exception_message": "Ask platform@example.com."}}
    with start(fleet(regions={"us-east-1": managed})) as running:
        modify = Clients(running)("ec2").modify_instance_metadata_defaults
        error = refused("OperationNotPermitted", modify, HttpTokensEnforced="enabled")
        assert "Ask platform@example.com." in str(error)
        refused("DryRunOperation", modify, HttpTokensEnforced="enabled", DryRun=True)


def level(ec2):
    told = ec2.get_instance_metadata_defaults()["AccountLevel"]
    return {name: value for name, value in told.items() if name != "ManagedBy"}


def test_what_no_call_names_keeps_its_value_and_no_preference_takes_it_away(ec2):
    """`no-preference`, and -1 for the hop limit; a missing key means no preference [BC]."""
    ec2.modify_instance_metadata_defaults(HttpTokens="required", HttpPutResponseHopLimit=2)
    ec2.modify_instance_metadata_defaults(HttpTokensEnforced="enabled")
    assert level(ec2) == {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "HttpTokensEnforced": "enabled"}

    ec2.modify_instance_metadata_defaults(HttpTokensEnforced="no-preference", HttpPutResponseHopLimit=-1)

    assert level(ec2) == {"HttpTokens": "required"}


def test_a_dry_run_does_not_find_out_that_enforcement_would_refuse(ec2, refused):
    """It tests permission; UnsupportedOperation is found by the call itself [BC; UG-exist; open: domain.md 9]."""
    instance = ec2.describe_instances()["Reservations"][0]["Instances"][0]["InstanceId"]
    asked = {"InstanceId": instance, "HttpTokens": "optional"}
    ec2.modify_instance_metadata_defaults(HttpTokensEnforced="enabled")

    refused("DryRunOperation", ec2.modify_instance_metadata_options, DryRun=True, **asked)
    refused("UnsupportedOperation", ec2.modify_instance_metadata_options, **asked)

    ec2.modify_instance_metadata_defaults(HttpTokensEnforced="disabled")
    ec2.modify_instance_metadata_options(**asked)


def test_enforcement_of_a_declarative_policy_cannot_be_switched_off_and_takes_the_way_back(refused):
    """The account cannot change those settings [ORG-decl], and enforcement refuses rollback [UG-exist]."""
    managed = {"defaults": {"managed_by": "declarative-policy", "http_tokens_enforced": "enabled"}}
    with start(fleet(regions={"us-east-1": managed})) as running:
        own = Clients(running)("ec2")
        instance = own.describe_instances()["Reservations"][0]["Instances"][0]["InstanceId"]
        refused("OperationNotPermitted", own.modify_instance_metadata_defaults, HttpTokensEnforced="disabled")
        asked = {"InstanceId": instance, "HttpTokens": "optional"}
        refused("UnsupportedOperation", own.modify_instance_metadata_options, **asked)


def writes(ec2):
    instance = ec2.describe_instances()["Reservations"][0]["Instances"][0]["InstanceId"]
    return {
        "modify_instance_metadata_options": {"InstanceId": instance, "HttpTokens": "required"},
        "modify_instance_metadata_defaults": {"HttpTokens": "required"},
        "create_launch_template_version": {"LaunchTemplateName": "web", "LaunchTemplateData": REQUIRED},
        "modify_launch_template": {"LaunchTemplateName": "web", "DefaultVersion": "2"},
        "modify_image_attribute": {"ImageId": image(ec2, "plain"), "ImdsSupport": {"Value": "v2.0"}},
    }


def test_a_dry_run_of_every_write_tells_who_may_and_changes_nothing(own, ec2, refused):
    """DryRunOperation where it is permitted, UnauthorizedOperation where it is not [BC; API-err]."""
    for role, code in ((fleets.ENFORCER, "DryRunOperation"), (fleets.READER, "UnauthorizedOperation")):
        client = own.assuming(role, OWN)("ec2")
        for name, asked in writes(ec2).items():
            refused(code, getattr(client, name), DryRun=True, **asked)

    assert not [call for call in own.running.calls() if call["applied"]]
    assert template(ec2)["LatestVersionNumber"] == 2


def test_the_reader_may_not_touch_a_group(own, refused):
    client = own.assuming(fleets.READER, OWN)("autoscaling")
    refused("AccessDenied", client.update_auto_scaling_group, AutoScalingGroupName="one", MaxSize=3)


@pytest.mark.parametrize(
    ("operation", "burst", "refill"),
    [
        ("ModifyInstanceMetadataOptions", 100, 5),
        ("ModifyInstanceMetadataDefaults", 2, 2),
        ("CreateLaunchTemplateVersion", 100, 5),
        ("ModifyLaunchTemplate", 100, 5),
        ("ModifyImageAttribute", 100, 5),
    ],
)
def test_every_write_has_its_token_bucket(operation, burst, refill):
    """[DG-thr], and off unless a fault of the kind request_limits turns them on."""
    assert limit_of(operation, unpaged=False) == (burst, refill)


def test_defaults_are_changed_twice_at_once_and_no_more(own, ec2):
    own.running.set_faults([{"kind": "request_limits", "refill": 0.01}])
    codes = []
    for _ in range(4):
        try:
            ec2.modify_instance_metadata_defaults(HttpTokens="required", DryRun=True)
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])

    assert codes == ["DryRunOperation"] * 2 + ["RequestLimitExceeded"] * 2
