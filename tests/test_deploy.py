"""The roles under deploy/: JSON, CloudFormation and Terraform agree, and allow what the code calls and nothing else."""

import ast
import importlib
import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore import xform_name

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
AWS = ROOT / "migration" / "aws"
TEMPLATES = sorted(DEPLOY.glob("*.yaml"))
MODULES = sorted((DEPLOY / "terraform").rglob("*.tf"))
Statement = dict[str, Any]

# name: JSON file, (template, resource, and which of its policies), (Terraform module, document)
POLICIES: dict[str, tuple[str, tuple[str, str, int], tuple[str, str]]] = {
    "reader": ("reader-role.json", ("roles.yaml", "ReaderRole", 0), ("account", "reader")),
    "enforcer": ("enforcer-role.json", ("roles.yaml", "EnforcerRole", 0), ("account", "enforcer")),
    "enforcer templates": (
        "enforcer-templates.json",
        ("roles.yaml", "EnforcerRole", 1),
        ("account", "enforcer_templates"),
    ),
    "enforcer defaults": (
        "enforcer-defaults.json",
        ("roles.yaml", "EnforcerRole", 2),
        ("account", "enforcer_defaults"),
    ),
    "enforcer images": ("enforcer-images.json", ("roles.yaml", "EnforcerRole", 3), ("account", "enforcer_images")),
    "enforcer off": ("enforcer-off.json", ("roles.yaml", "EnforcerRole", 4), ("account", "enforcer_off")),
    "monitoring": ("monitoring-role.json", ("monitoring.yaml", "MonitoringRole", 0), ("monitoring", "monitoring")),
    "user data": ("user-data-role.json", ("user-data.yaml", "UserDataRole", 0), ("user-data", "user_data")),
    "central": ("central-policy.json", ("central.yaml", "CentralPolicy", 0), ("central", "central")),
}
TRUSTS = [
    (("roles.yaml", "ReaderRole"), "account"),
    (("roles.yaml", "EnforcerRole"), "account"),
    (("monitoring.yaml", "MonitoringRole"), "monitoring"),
    (("user-data.yaml", "UserDataRole"), "user-data"),
]


# --- the three forms, each as plain statements ----------------------------------------------------------


def from_json(name: str) -> list[Statement]:
    return [plain(one) for one in json.loads((DEPLOY / name).read_text())["Statement"]]


def template(name: str) -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / name).read_text())


def from_template(name: str, resource: str, which: int) -> list[Statement]:
    found = template(name)
    defaults = {key: one["Default"] for key, one in found["Parameters"].items() if "Default" in one}
    properties = found["Resources"][resource]["Properties"]
    document = properties.get("PolicyDocument") or resolved(properties["Policies"][which], defaults)["PolicyDocument"]
    return [plain(resolved(one, defaults)) for one in document["Statement"]]


def resolved(value: Any, defaults: dict[str, str]) -> Any:
    """CloudFormation's functions carried out, as in an organization and with every parameter's default."""
    if isinstance(value, list):
        return [resolved(one, defaults) for one in value]
    if not isinstance(value, dict):
        return value
    if "Fn::Sub" in value:
        return re.sub(r"\$\{(\w+)\}", lambda found: defaults[found[1]], value["Fn::Sub"])
    if "Fn::If" in value:
        return resolved(value["Fn::If"][1], defaults)
    if "Ref" in value:
        return value["Ref"]
    return {key: resolved(one, defaults) for key, one in value.items()}


@pytest.fixture(scope="module")
def hcl2() -> Any:
    """A reader of Terraform's language; terraform itself is only on some machines."""
    try:
        return importlib.import_module("hcl2")
    except ModuleNotFoundError:
        if os.environ.get("CI") == "true":
            pytest.fail("python-hcl2 is not installed, though it is in the development group.")
        pytest.skip("TERRAFORM TESTS SKIPPED: python-hcl2 is not installed; `make venv` brings it.")


def blocks(hcl2: Any, module: str) -> dict[str, Any]:
    """Every block of a module by its address, such as data.aws_iam_policy_document.reader."""
    found = {}
    for path in (DEPLOY / "terraform" / module).glob("*.tf"):
        for kind, entries in bare(hcl2.loads(path.read_text())).items():
            if kind not in {"data", "variable"}:
                continue
            for entry in entries:
                for first, body in entry.items():
                    if kind == "variable":
                        found[f"var.{first}"] = body
                    else:
                        found |= {f"data.{first}.{second}": one for second, one in body.items() if second[0] != "_"}
    return found


def bare(value: Any) -> Any:
    """Without the quotation marks python-hcl2 leaves on strings and labels, and without its own notes."""
    if isinstance(value, list):
        return [bare(one) for one in value]
    if isinstance(value, dict):
        return {bare(key): bare(one) for key, one in value.items() if not key.startswith("__")}
    return value[1:-1] if isinstance(value, str) and value[:1] == value[-1:] == '"' else value


def from_terraform(hcl2: Any, module: str, document: str) -> list[Statement]:
    found = blocks(hcl2, module)
    text = json.dumps(found[f"data.aws_iam_policy_document.{document}"])
    for address, body in found.items():
        if address.startswith("var.") and isinstance(body.get("default"), str):
            text = text.replace(f"${{{address}}}", body["default"])
    return [plain(as_statement(one)) for one in json.loads(text)["statement"]]


def as_statement(block: dict[str, Any]) -> Statement:
    """A `statement` block as the JSON it becomes."""
    made: Statement = {"Sid": block["sid"], "Effect": block.get("effect", "Allow"), "Action": block["actions"]}
    if "resources" in block:
        made["Resource"] = block["resources"]
    for one in block.get("principals", []):
        made["Principal"] = {one["type"]: one["identifiers"]}
    conditions = list(block.get("condition", []))
    for dynamic in block.get("dynamic", []):
        (inner,) = dynamic["condition"]["content"]
        conditions.append(inner | {"values": [dynamic["condition"]["for_each"]]})
    if conditions:
        made["Condition"] = {}
    for one in conditions:
        made["Condition"].setdefault(one["test"], {})[one["variable"]] = one["values"]
    return made


def plain(statement: Statement) -> Statement:
    """The same spelling for what means the same: lists for single values, one word for partition and account."""
    spelt = json.dumps(
        {key: listed(value) if key in {"Action", "Resource"} else value for key, value in statement.items()}
    )
    partition = r"\$\{AWS::Partition\}|\$\{data\.aws_partition\.current\.partition\}|aws(?=:(?:iam|ec2|autoscaling):)"
    spelt = re.sub(partition, "PARTITION", spelt)
    account = (
        r"\$\{AWS::AccountId\}|\$\{data\.aws_caller_identity\.current\.account_id\}"
        r"|(?<=:ec2:\*:)\*(?=:(?:instance|launch-template))"
        r"|(?<=:autoscaling:\*:)\*(?=:autoScalingGroup)|(?<=:iam::)\*(?=:role/\*)"
    )
    made: Statement = json.loads(re.sub(account, "ACCOUNT", spelt))
    for keys in made.get("Condition", {}).values():
        keys.update({key: listed(value) for key, value in keys.items()})
    if "Principal" in made:
        made["Principal"] = {kind: listed(value) for kind, value in made["Principal"].items()}
    return made


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# --- the forms agree -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", POLICIES)
def test_the_template_says_what_the_json_says(name: str):
    file, (in_template, resource, which), _ = POLICIES[name]

    assert from_template(in_template, resource, which) == from_json(file)


@pytest.mark.parametrize("name", POLICIES)
def test_the_terraform_module_says_what_the_json_says(hcl2, name: str):
    file, _, (module, document) = POLICIES[name]

    assert from_terraform(hcl2, module, document) == from_json(file)


def trust(central: str, external_id: str, organization: str) -> list[Statement]:
    """The trust policy of the JSON file with its placeholders filled in."""
    text = (DEPLOY / "trust-policy.json").read_text()
    for placeholder, value in (("CENTRAL_ROLE_ARN", central), ("EXTERNAL_ID", external_id)):
        text = text.replace(f'"{placeholder}"', f'"{value}"')
    return [plain(one) for one in json.loads(text.replace("ORGANIZATION_ID", organization))["Statement"]]


def test_a_role_is_entered_by_the_central_role_only_from_the_organization_and_with_the_external_id():
    """SetSourceIdentity stands apart: a key the action does not know would refuse the whole call."""
    enter, name = trust("R", "X", "O")

    assert enter == {
        "Sid": "EnterWithTheExternalId",
        "Effect": "Allow",
        "Principal": {"AWS": ["R"]},
        "Action": ["sts:AssumeRole"],
        "Condition": {"StringEquals": {"sts:ExternalId": ["X"], "aws:PrincipalOrgID": ["O"]}},
    }
    assert name == {
        "Sid": "NameTheRun",
        "Effect": "Allow",
        "Principal": {"AWS": ["R"]},
        "Action": ["sts:SetSourceIdentity"],
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": ["O"]}},
    }


@pytest.mark.parametrize(("in_template", "_module"), TRUSTS)
def test_every_role_of_a_template_has_that_trust(in_template: tuple[str, str], _module: str):
    name, resource = in_template
    document = template(name)["Resources"][resource]["Properties"]["AssumeRolePolicyDocument"]

    found = [plain(resolved(one, {})) for one in document["Statement"]]

    assert found == trust("CentralRoleArn", "ExternalId", "OrganizationId")


@pytest.mark.parametrize("module", ["account", "monitoring", "user-data"])
def test_every_role_of_terraform_has_that_trust(hcl2, module: str):
    organization = "${compact([var.organization_id])}"

    found = from_terraform(hcl2, module, "trust")

    assert found == trust("${var.central_role_arn}", "${var.external_id}", organization)


# --- and they allow what the code calls ------------------------------------------------------------------


@cache
def operations(service: str) -> dict[str, str]:
    """AWS's name of each operation of a service by boto3's name for it."""
    names = botocore.session.Session().get_service_model(service).operation_names
    return {xform_name(name): name for name in names}


SERVICES = frozenset({"autoscaling", "cloudtrail", "cloudwatch", "ec2", "oam", "organizations", "sts"})


def called(folder: Path) -> set[str]:
    """The operations the modules of a folder name, as IAM spells them, by the services the same module names."""
    found = set()
    for path in folder.glob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        words = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        services = SERVICES & {word.partition(":")[0] for word in words}
        found |= {
            f"{service}:{operations(service)[word]}"
            for service in services
            for word in words & operations(service).keys()
        }
    return found - {"sts:GetCallerIdentity"}  # needs no permission


def allowed(name: str) -> set[str]:
    statements = from_json(POLICIES[name][0])
    return {action for one in statements if one["Effect"] == "Allow" for action in one["Action"]}


def test_the_reader_may_do_what_the_reading_code_calls_and_nothing_else():
    wanted = {
        action for action in called(AWS) if action.startswith(("ec2:", "cloudwatch:", "autoscaling:", "cloudtrail:"))
    }

    assert wanted > {"ec2:DescribeInstances", "cloudwatch:GetMetricData"}
    assert allowed("reader") == wanted - allowed("user data")


def test_user_data_is_read_with_a_role_of_its_own_and_by_no_other():
    assert allowed("user data") == {"ec2:DescribeInstanceAttribute"}
    assert not [name for name in POLICIES if name != "user data" and allowed("user data") & allowed(name)]


def test_the_monitoring_role_may_read_metrics_and_links_and_nothing_else():
    links = {"oam:ListSinks", "oam:ListAttachedLinks"}

    assert {action for action in called(AWS) if action.startswith("oam:")} == links
    assert allowed("monitoring") == {"cloudwatch:GetMetricData", "cloudwatch:ListMetrics"} | links


def test_the_central_role_may_do_what_discovery_calls_and_enter_the_roles():
    enter, discover = from_json("central-policy.json")

    assert set(discover["Action"]) == {action for action in called(AWS) if action.startswith("organizations:")}
    assert enter["Action"] == ["sts:AssumeRole", "sts:SetSourceIdentity"]
    assert {action for action in called(AWS) if action.startswith("sts:")} <= set(enter["Action"])
    assert [arn.rsplit("/", 1)[1] for arn in enter["Resource"]] == [
        "imdsdash-reader",
        "imdsdash-enforcer",
        "imdsdash-monitoring",
        "imdsdash-userdata",
    ]


def test_the_roles_names_are_the_settings_own(settings):
    parameters = template("roles.yaml")["Parameters"]

    assert parameters["ReaderRoleName"]["Default"] == settings.IMDSDASH_READER_ROLE
    assert parameters["EnforcerRoleName"]["Default"] == settings.IMDSDASH_ENFORCER_ROLE


BEYOND = ("enforcer templates", "enforcer defaults", "enforcer images", "enforcer off")
# A template that a group is to launch is checked as a launch by who says so (Auto Scaling user guide, API permissions).
CHECKED = {"ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"}


def test_the_enforcers_policies_together_allow_what_the_writing_code_calls_and_what_aws_checks_with_it():
    every = set().union(*(allowed(name) for name in ("enforcer", *BEYOND)))

    assert every == called(AWS / "enforcer") | CHECKED


def test_each_policy_beyond_the_instance_allows_its_own_and_no_other_does():
    assert allowed("enforcer defaults") == {"ec2:ModifyInstanceMetadataDefaults"}
    assert allowed("enforcer images") == {"ec2:ModifyImageAttribute"}
    assert allowed("enforcer templates") == CHECKED | {
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:UpdateAutoScalingGroup",
        "ec2:CreateLaunchTemplateVersion",
        "ec2:DescribeLaunchTemplateVersions",
        "ec2:ModifyLaunchTemplate",
    }


def test_what_aws_checks_with_it_is_not_allowed_at_large():
    """Launches by a launch template only, tags at a launch only, roles to EC2 only."""
    found = {one["Action"][0]: one.get("Condition") for one in from_json("enforcer-templates.json")[:-1]}

    assert {action: found[action] for action in CHECKED} == {
        "ec2:RunInstances": {"ArnLike": {"ec2:LaunchTemplate": ["arn:PARTITION:ec2:*:ACCOUNT:launch-template/*"]}},
        "ec2:CreateTags": {"StringEquals": {"ec2:CreateAction": ["RunInstances"]}},
        "iam:PassRole": {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}},
    }


def test_the_endpoint_travels_alone_or_not_at_all():
    """Beside tokens or a hop limit it is denied; without AllowOff nothing allows it (HttpEndpoint re-opens IMDS where
    it is off).
    """
    key = "ec2:Attribute/{}".format
    denied = [one["Condition"] for one in from_json("enforcer-role.json")[-2:]]
    off = from_json("enforcer-off.json")[0]

    assert denied == [
        {"Null": {key("HttpEndpoint"): ["false"], key(beside): ["false"]}}
        for beside in ("HttpTokens", "HttpPutResponseHopLimit")
    ]
    for one in from_json("enforcer-role.json")[:2]:
        asked = one["Condition"].get("Null", {})
        assert asked.get(key("HttpEndpoint"), ["true"]) == ["true"]
    assert off["Condition"]["Null"] == {
        key("HttpEndpoint"): ["false"], key("HttpTokens"): ["true"], key("HttpPutResponseHopLimit"): ["true"],
    }  # fmt: skip


def test_an_image_can_be_flagged_and_not_shared():
    """ModifyImageAttribute shares AMIs as well; such a call does not carry the key."""
    flag, _ = from_json("enforcer-images.json")

    assert flag["Condition"] == {"StringEquals": {"ec2:Attribute/ImdsSupport": ["v2.0"]}}


def test_what_is_exempt_is_denied_in_every_policy_whose_resources_have_tags():
    exempt = {"StringEquals": {"aws:ResourceTag/imds-exempt": ["true"]}}
    for name in ("enforcer", "enforcer templates", "enforcer images", "enforcer off"):
        statements = from_json(POLICIES[name][0])
        denied = {
            action
            for one in statements
            if one["Effect"] == "Deny" and one["Condition"] == exempt
            for action in one["Action"]
        }
        writes = {action for action in allowed(name) - CHECKED if ":Describe" not in action}
        assert denied == writes, name


def test_nothing_beyond_instances_is_allowed_unless_somebody_says_so(hcl2):
    parameters = template("roles.yaml")["Parameters"]
    conditions = template("roles.yaml")["Conditions"]
    given = template("roles.yaml")["Resources"]["EnforcerRole"]["Properties"]["Policies"][1:]

    for name, policy in zip(("Templates", "Defaults", "Images", "Off"), given, strict=True):
        assert parameters[f"Allow{name}"]["Default"] == "no"
        assert conditions[f"With{name}"] == {"Fn::Equals": [{"Ref": f"Allow{name}"}, "yes"]}
        assert policy["Fn::If"][0] == f"With{name}"
        assert policy["Fn::If"][2] == {"Ref": "AWS::NoValue"}
        for module in ("account", "organization"):
            assert blocks(hcl2, module)[f"var.allow_{name.lower()}"]["default"] is False


def test_the_organizations_module_passes_on_every_parameter_of_the_template():
    text = (DEPLOY / "terraform/organization/main.tf").read_text()

    said = re.findall(r"^    ([A-Z]\w+) += ", text, re.MULTILINE)

    assert set(said) == set(template("roles.yaml")["Parameters"])


def test_the_enforcers_own_policy_sets_tokens_and_hop_limits_and_nothing_else():
    found = from_json("enforcer-role.json")
    granted = [one for one in found if one["Effect"] == "Allow"]
    denied = [one["Condition"] for one in found if one["Effect"] == "Deny"]

    assert [(one["Action"], one["Condition"]) for one in granted] == [
        (
            ["ec2:ModifyInstanceMetadataOptions"],
            {"StringEquals": {"ec2:Attribute/HttpTokens": ["required", "optional"]}},
        ),
        (
            ["ec2:ModifyInstanceMetadataOptions"],
            {
                "Null": {
                    "ec2:Attribute/HttpPutResponseHopLimit": ["false"],
                    "ec2:Attribute/HttpTokens": ["true"],
                    "ec2:Attribute/HttpEndpoint": ["true"],
                }
            },
        ),
    ]
    assert denied == [
        {"StringEquals": {"aws:ResourceTag/imds-exempt": ["true"]}},
        {"Null": {"ec2:Attribute/HttpEndpoint": ["false"], "ec2:Attribute/HttpTokens": ["false"]}},
        {"Null": {"ec2:Attribute/HttpEndpoint": ["false"], "ec2:Attribute/HttpPutResponseHopLimit": ["false"]}},
    ]


# --- and they are well formed ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_takes_a_partition_for_granted(path: Path):
    outside = re.sub(r"Description:.*|AllowedPattern:.*", "", path.read_text())

    assert "arn:aws" not in outside


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_terraform_file_can_be_read(hcl2, path: Path):
    assert hcl2.loads(path.read_text())


EVERYTHING = """
module "one_account"  {
  source      = "./deploy/terraform/examples/one-account"
  external_id = "0123456789abcdef"
}
module "organization" {
  source           = "./deploy/terraform/organization"
  external_id      = "0123456789abcdef"
  central_role_arn = "arn:aws-us-gov:iam::111122223333:role/imdsdash"
}
module "central" {
  source            = "./deploy/terraform/central"
  central_role_name = "imdsdash"
}
module "monitoring" {
  source           = "./deploy/terraform/monitoring"
  external_id      = "0123456789abcdef"
  central_role_arn = "arn:aws:iam::111122223333:role/imdsdash"
}
"""


def test_terraform_itself_finds_the_modules_and_examples_valid(tmp_path: Path):
    """Where there is a terraform that gets its AWS provider. Without a network, TF_CLI_ARGS_init=-plugin-dir=FOLDER
    names a folder that has it.
    """
    if shutil.which("terraform") is None:
        pytest.skip("TERRAFORM VALIDATE SKIPPED: terraform is not on this machine.")
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    (tmp_path / "main.tf").write_text(EVERYTHING)
    begun = terraform(tmp_path, "init", "-backend=false", "-input=false")
    if begun.returncode:
        pytest.skip(f"TERRAFORM VALIDATE SKIPPED: it cannot get its AWS provider. {begun.stderr.strip()[:300]}")

    done = terraform(tmp_path, "validate")

    assert done.returncode == 0, done.stdout + done.stderr


def terraform(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["terraform", *words, "-no-color"], cwd=folder, capture_output=True, text=True, timeout=250, check=False
    )
