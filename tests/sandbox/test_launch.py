"""What a launch gets, against domain.md section 2, and the places a setting can live (section 1, 3.3, 3.4)."""

from __future__ import annotations

import pytest

from sandbox.testing import start
from tests.sandbox.clients import Clients

FLEET = {
    "accounts": [
        {
            "id": "123456789012",
            "regions": {
                "us-east-1": {},
                "eu-west-1": {
                    "defaults": {
                        "http_tokens": "required",
                        "managed_by": "declarative-policy",
                        "exception_message": "Ask us.",
                    }
                },
            },
            "images": [{"name": "plain"}, {"name": "flagged", "imds_support": "v2.0"}],
        }
    ]
}


@pytest.fixture
def own():
    """An account of one's own: these tests set Region defaults."""
    with start(FLEET) as running:
        yield Clients(running)


@pytest.fixture
def ec2(own):
    return own("ec2")


def image(ec2, name):
    return ec2.describe_images(Filters=[{"Name": "name", "Values": [name]}])["Images"][0]["ImageId"]


def launched(ec2, name="plain", **more):
    return ec2.run_instances(ImageId=image(ec2, name), MinCount=1, MaxCount=1, **more)["Instances"][0][
        "MetadataOptions"
    ]


@pytest.mark.parametrize("asked", ["required", "optional", None])
@pytest.mark.parametrize("account", ["required", "optional", None])
@pytest.mark.parametrize("ami", ["flagged", "plain"])
def test_tokens_come_from_the_launch_then_the_account_then_the_image(ec2, asked, account, ami):
    """R/any/any->R; O/any/any->O; -/R/any->R; -/O/any->O; -/-/v2.0->R; -/-/null->O [UG-opts]."""
    if account:
        ec2.modify_instance_metadata_defaults(HttpTokens=account)
    options = {"MetadataOptions": {"HttpTokens": asked}} if asked else {}
    expected = asked or account or ("required" if ami == "flagged" else "optional")
    assert launched(ec2, ami, **options)["HttpTokens"] == expected


def test_a_flagged_image_brings_a_hop_limit_of_two(ec2):
    """AMI: tokens required, hop 2 [UG-opts]."""
    assert launched(ec2, "flagged")["HttpPutResponseHopLimit"] == 2


def test_each_option_is_resolved_on_its_own(ec2):
    """Worked trap: account hop=1, AMI v2.0, nothing at launch -> tokens required and hop 1, not 2 [UG-opts]."""
    ec2.modify_instance_metadata_defaults(HttpPutResponseHopLimit=1)
    got = launched(ec2, "flagged")
    assert (got["HttpTokens"], got["HttpPutResponseHopLimit"]) == ("required", 1)


def test_enforcement_fails_a_launch_that_resolves_to_v1(ec2, refused):
    """If enforcement is on and the resolved HttpTokens is not required, the launch fails [UG-opts; UG-tsl]."""
    ec2.modify_instance_metadata_defaults(HttpTokensEnforced="enabled")
    error = refused("UnsupportedOperation", launched, ec2)
    assert "httpTokensEnforced" in str(error)
    assert launched(ec2, "flagged")["HttpTokens"] == "required"


def test_a_bad_value_at_launch_is_refused(ec2, refused):
    refused("InvalidParameterValue", launched, ec2, MetadataOptions={"HttpTokens": "banana"})


def test_a_missing_key_means_no_preference(ec2):
    """Response enums have no "no-preference": a missing key means no preference [BC]."""
    assert ec2.get_instance_metadata_defaults()["AccountLevel"] == {"ManagedBy": "account"}


def test_no_preference_takes_a_default_away(ec2):
    """Hop 1-64 or -1 for no preference; `no-preference` for the rest [BC]."""
    ec2.modify_instance_metadata_defaults(
        HttpTokens="required", HttpPutResponseHopLimit=2, HttpTokensEnforced="enabled"
    )
    level = ec2.get_instance_metadata_defaults()["AccountLevel"]
    assert (level["HttpTokens"], level["HttpPutResponseHopLimit"], level["HttpTokensEnforced"]) == (
        "required",
        2,
        "enabled",
    )
    ec2.modify_instance_metadata_defaults(
        HttpTokens="no-preference", HttpPutResponseHopLimit=-1, HttpTokensEnforced="no-preference"
    )
    assert ec2.get_instance_metadata_defaults()["AccountLevel"] == {"ManagedBy": "account"}


@pytest.mark.parametrize(
    "bad", [{"HttpPutResponseHopLimit": 65}, {"HttpPutResponseHopLimit": 0}, {"HttpTokens": "no_preference"}]
)
def test_a_bad_default_is_refused(ec2, refused, bad):
    """Underscore in policy, hyphen in API [ORG-syn; BC]."""
    refused("InvalidParameterValue", ec2.modify_instance_metadata_defaults, **bad)


def test_a_declarative_policy_forbids_changing_the_defaults(own, refused):
    """While attached, the account cannot change those settings; failing calls show the custom message [ORG-decl]."""
    ireland = own("ec2", "eu-west-1")
    level = ireland.get_instance_metadata_defaults()["AccountLevel"]
    assert (level["ManagedBy"], level["ManagedExceptionMessage"]) == ("declarative-policy", "Ask us.")
    error = refused("OperationNotPermitted", ireland.modify_instance_metadata_defaults, HttpTokens="optional")
    assert "Ask us." in str(error)


def test_defaults_are_of_one_region_and_of_new_launches(ec2):
    """Account defaults act only on new launches and only in that Region [UG-new]."""
    before = ec2.run_instances(ImageId=image(ec2, "plain"), MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    ec2.modify_instance_metadata_defaults(HttpTokens="required")
    found = ec2.describe_instances(InstanceIds=[before])["Reservations"][0]["Instances"][0]
    assert found["MetadataOptions"]["HttpTokens"] == "optional"


def test_imds_support_is_shown_and_set(ec2, refused):
    """`ImdsSupport` has one value, v2.0; one-way [BC; UG-new]."""
    plain = image(ec2, "plain")
    made = ec2.register_image(Name="new", ImdsSupport="v2.0")["ImageId"]
    assert ec2.describe_images(ImageIds=[made])["Images"][0]["ImdsSupport"] == "v2.0"
    assert "ImdsSupport" not in ec2.describe_images(ImageIds=[plain])["Images"][0]
    ec2.modify_image_attribute(ImageId=plain, ImdsSupport={"Value": "v2.0"})
    assert ec2.describe_image_attribute(ImageId=plain, Attribute="imdsSupport")["ImdsSupport"] == {"Value": "v2.0"}
    refused("InvalidParameterValue", ec2.modify_image_attribute, ImageId=plain, ImdsSupport={"Value": "v1.0"})


def test_a_template_version_inherits_from_its_source_only(ec2):
    """`SourceVersion` inherits and overrides; if omitted, the new version contains only what you send [BC]."""
    data = {"ImageId": image(ec2, "plain"), "InstanceType": "t3.micro"}
    ec2.create_launch_template(LaunchTemplateName="tpl", LaunchTemplateData=data)
    tokens = {"MetadataOptions": {"HttpTokens": "required"}}
    new = ec2.create_launch_template_version(LaunchTemplateName="tpl", SourceVersion="1", LaunchTemplateData=tokens)
    assert new["LaunchTemplateVersion"]["LaunchTemplateData"] == {**data, **tokens}
    bare = ec2.create_launch_template_version(LaunchTemplateName="tpl", LaunchTemplateData=tokens)
    assert bare["LaunchTemplateVersion"]["LaunchTemplateData"] == tokens


def test_versions_of_all_templates_are_listed_without_an_id(ec2, refused):
    """With no template ID and Versions=['$Default','$Latest'] it returns those versions for all templates [BC]."""
    for name in ("aaa", "bbb"):
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": image(ec2, "plain")})
    ec2.create_launch_template_version(LaunchTemplateName="bbb", LaunchTemplateData={"InstanceType": "t3.nano"})
    found = ec2.describe_launch_template_versions(Versions=["$Default", "$Latest"])["LaunchTemplateVersions"]
    assert sorted((v["LaunchTemplateName"], v["VersionNumber"]) for v in found) == [("aaa", 1), ("bbb", 1), ("bbb", 2)]
    refused("MissingParameter", ec2.describe_launch_template_versions, Versions=["1"])


def test_a_launch_from_a_template_takes_its_options(ec2):
    """(1) value in the launch request or launch template [UG-opts]."""
    data = {"ImageId": image(ec2, "plain"), "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 3}}
    ec2.create_launch_template(LaunchTemplateName="tpl", LaunchTemplateData=data)
    ask = {"MinCount": 1, "MaxCount": 1, "LaunchTemplate": {"LaunchTemplateName": "tpl"}}
    got = ec2.run_instances(**ask)["Instances"][0]["MetadataOptions"]
    assert (got["HttpTokens"], got["HttpPutResponseHopLimit"]) == ("required", 3)
    over = ec2.run_instances(**ask, MetadataOptions={"HttpPutResponseHopLimit": 1})["Instances"][0]["MetadataOptions"]
    assert (over["HttpTokens"], over["HttpPutResponseHopLimit"]) == ("required", 1)


def test_members_of_a_group_take_the_templates_options(sandbox, clients):
    """A new template version changes nothing on instances already in the group [UG-trans; BC]."""
    ec2, autoscaling = clients("ec2"), clients("autoscaling")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="fresh", MinSize=2, MaxSize=4, LaunchTemplate={"LaunchTemplateName": "web"}
    )
    group = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["fresh"])["AutoScalingGroups"][0]
    members = [i["InstanceId"] for i in group["Instances"]]
    found = ec2.describe_instances(InstanceIds=members)["Reservations"][0]["Instances"]
    assert [i["MetadataOptions"]["HttpTokens"] for i in found] == ["required"] * 2
    assert {t["Value"] for i in found for t in i["Tags"] if t["Key"] == "aws:autoscaling:groupName"} == {"fresh"}
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="fresh", ForceDelete=True)
