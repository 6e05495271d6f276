"""The texts somebody copies: filled with what is known, in the right partition, and readable by what they are for."""

import json
import shutil
import subprocess
from pathlib import Path

import boto3
import pytest

from migration.domain import onboarding
from migration.domain.onboarding import Filled, Way

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
FILES = {path.name: path.read_text() for path in DEPLOY.iterdir() if path.suffix in {".json", ".yaml"}}
KNOWN = Filled(
    partition="aws-us-gov",
    central_role_arn="arn:aws-us-gov:iam::111122223333:role/ops/imdsdash",
    organization_id="o-a1b2c3d4e5",
    external_id="a,long=and:random/text",
    reader_role="team/reads",
    enforcer_role="team/writes",
)


def blocks(way: Way, filled: Filled = KNOWN) -> dict[str, str]:
    """Every text of a way by its key."""
    found = {}
    for step in onboarding.steps(way, FILES, filled):
        for block in (*step.blocks, *(one for choice in step.choices for one in choice.blocks)):
            assert block.key not in found
            found[block.key] = block.text
    return found


def given(text: str) -> dict[str, str]:
    """CloudFormation's parameters."""
    return {one["ParameterKey"]: one["ParameterValue"] for one in json.loads(text)}


def test_every_partition_has_a_name_and_a_region_of_its_own():
    session = boto3.Session()

    assert set(onboarding.PARTITIONS) == set(session.get_available_partitions())
    assert {session.get_partition_for_region(region) for _, region in onboarding.PARTITIONS.values()} == set(
        onboarding.PARTITIONS
    )


@pytest.mark.parametrize("way", Way)
def test_no_text_is_of_another_partition(way):
    outside = {key: text for key, text in blocks(way).items() if not key.endswith("template")}

    assert [key for key, text in outside.items() if "arn:aws:" in text] == []


def test_the_parameters_of_the_roles_are_those_of_their_template():
    parameters = given(blocks(Way.HAND)["roles-parameters"])

    assert parameters == {
        "CentralRoleArn": "arn:aws-us-gov:iam::111122223333:role/ops/imdsdash",
        "ExternalId": "a,long=and:random/text",
        "OrganizationId": "o-a1b2c3d4e5",
        "ReaderRoleName": "reads",
        "EnforcerRoleName": "writes",
        "RolePath": "/team/",
    }
    for name in parameters:
        assert f"\n  {name}:\n" in FILES["roles.yaml"]


def test_what_is_the_templates_own_default_is_not_said():
    assert set(given(blocks(Way.ORGANIZATION, Filled())["set-parameters"])) == {
        "CentralRoleArn",
        "ExternalId",
        "OrganizationId",
    }


def test_the_parameters_of_the_central_policy_are_those_of_its_template():
    parameters = given(blocks(Way.HAND)["central-parameters"])

    assert parameters == {
        "CentralRoleName": "imdsdash",
        "ReaderRoleName": "team/reads",
        "EnforcerRoleName": "team/writes",
    }
    for name in parameters:
        assert f"\n  {name}:\n" in FILES["central.yaml"]


def test_the_trust_policy_names_role_external_id_and_organization():
    enter, name = json.loads(blocks(Way.HAND)["trust-json"])["Statement"]

    assert enter["Principal"] == name["Principal"] == {"AWS": KNOWN.central_role_arn}
    assert enter["Condition"]["StringEquals"] == {
        "sts:ExternalId": "a,long=and:random/text",
        "aws:PrincipalOrgID": "o-a1b2c3d4e5",
    }
    assert name["Condition"]["StringEquals"] == {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}


def test_without_an_organization_the_trust_policy_does_not_ask_for_one():
    enter, name = json.loads(blocks(Way.HAND, Filled())["trust-json"])["Statement"]

    assert enter["Condition"] == {"StringEquals": {"sts:ExternalId": "YOUR_EXTERNAL_ID"}}
    assert "Condition" not in name


def test_the_central_policy_enters_the_roles_by_their_configured_names():
    enter, _ = json.loads(blocks(Way.HAND)["central-json"])["Statement"]

    assert enter["Resource"] == [
        "arn:aws-us-gov:iam::*:role/team/reads",
        "arn:aws-us-gov:iam::*:role/team/writes",
        "arn:aws-us-gov:iam::*:role/imdsdash-monitoring",
        "arn:aws-us-gov:iam::*:role/imdsdash-userdata",
    ]


def test_the_account_alone_needs_the_readers_policy_and_no_role():
    texts = blocks(Way.HERE)

    assert set(texts) == {
        "here-reader",
        "here-enforcer",
        "here-templates",
        "here-defaults",
        "here-images",
        "here-off",
        "test",
    }
    allow = json.loads(texts["here-enforcer"])["Statement"][0]
    assert allow["Resource"] == "arn:aws-us-gov:ec2:*:*:instance/*"


@pytest.mark.parametrize(("way", "prefix"), [(Way.HERE, "here"), (Way.HAND, "roles")])
def test_the_policies_beyond_instances_are_there_in_the_partition(way, prefix):
    texts = blocks(way)

    templates, defaults, images = (
        json.loads(texts[f"{prefix}-{name}"])["Statement"] for name in ("templates", "defaults", "images")
    )

    launch = next(one for one in templates if one["Action"] == "ec2:RunInstances")
    assert launch["Condition"] == {"ArnLike": {"ec2:LaunchTemplate": "arn:aws-us-gov:ec2:*:*:launch-template/*"}}
    assert defaults[0]["Action"] == "ec2:ModifyInstanceMetadataDefaults"
    assert images[0]["Resource"] == "arn:aws-us-gov:ec2:*::image/*"


@pytest.mark.parametrize(("way", "title"), [(Way.HAND, "Make the two"), (Way.ORGANIZATION, "Roll out the two")])
def test_the_parameters_named_in_words_are_the_templates_own(way, title):
    (step,) = [one for one in onboarding.steps(way, FILES, KNOWN) if one.title.startswith(title)]
    variables = (DEPLOY / "terraform/account/variables.tf").read_text()

    for name in ("AllowTemplates", "AllowDefaults", "AllowImages", "AllowOff"):
        assert name in step.text
        assert f"\n  {name}:\n" in FILES["roles.yaml"]
        assert f'variable "allow_{name.removeprefix("Allow").lower()}"' in variables


def test_the_stack_set_goes_to_one_region_of_the_partition_and_leaves_the_management_account_to_a_stack():
    texts = blocks(Way.ORGANIZATION)

    assert "--regions us-gov-west-1 " in texts["set-make"]
    assert "--permission-model SERVICE_MANAGED" in texts["set-make"]
    assert "--auto-deployment Enabled=true," in texts["set-make"]
    assert texts["set-management"].startswith("aws cloudformation create-stack --stack-name imdsdash-roles ")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash reads the commands")
@pytest.mark.parametrize("way", Way)
def test_the_commands_are_commands(way):
    for text in blocks(way).values():
        if text.startswith(("aws ", "manage.py ")):
            done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("key", "way", "folder", "inputs"),
    [
        ("roles-terraform", Way.HAND, "account", {"central_role_arn", "external_id", "organization_id"}),
        ("set-terraform", Way.ORGANIZATION, "organization", {"central_role_arn", "external_id"}),
        ("central-terraform", Way.HAND, "central", {"central_role_name"}),
    ],
)
def test_a_terraform_text_calls_a_module_with_inputs_it_has(key, way, folder, inputs):
    lines = blocks(way)[key].partition('module "')[2].splitlines()
    said = {line.split("=")[0].strip() for line in lines if " = " in line} - {"source"}
    module = DEPLOY / "terraform" / folder
    variables = (module / "variables.tf").read_text()

    assert f'source = "./imdsdash/deploy/terraform/{folder}"' in blocks(way)[key]
    assert said >= inputs
    assert [name for name in said if f'variable "{name}"' not in variables] == []


@pytest.mark.parametrize(
    ("identity", "role"),
    [
        ("arn:aws-cn:sts::111122223333:assumed-role/imdsdash/i-0abc", "arn:aws-cn:iam::111122223333:role/imdsdash"),
        ("arn:aws:iam::111122223333:user/ada", ""),
        ("arn:aws:iam::111122223333:root", ""),
        ("", ""),
    ],
)
def test_a_role_is_read_from_the_arn_of_its_session(identity, role):
    assert onboarding.role_of(identity) == role
