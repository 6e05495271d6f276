"""The texts somebody copies to connect accounts, filled with what is known: commands, parameters, policies, Terraform.

Pure: the templates and policies come in as they stand under deploy/.
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# partition: what people call it, and a Region of it that every account there may use (IAM is global, so any will do)
PARTITIONS = {
    "aws": ("AWS", "us-east-1"),
    "aws-cn": ("China", "cn-north-1"),
    "aws-us-gov": ("GovCloud (US)", "us-gov-west-1"),
    "aws-eusc": ("European Sovereign Cloud", "eusc-de-east-1"),
    "aws-iso": ("ISO (US)", "us-iso-east-1"),
    "aws-iso-b": ("ISOB (US)", "us-isob-east-1"),
    "aws-iso-e": ("ISOE (Europe)", "eu-isoe-west-1"),
    "aws-iso-f": ("ISOF", "us-isof-south-1"),
}
EXTERNAL_ID = "YOUR_EXTERNAL_ID"
ORGANIZATION_ID = "YOUR_ORGANIZATION_ID"
CENTRAL_ACCOUNT = "YOUR_CENTRAL_ACCOUNT"
CENTRAL_ROLE = "YOUR_CENTRAL_ROLE"
STACK = "imdsdash-roles"
SAY_YES = (
    "With AllowTemplates, AllowDefaults, AllowImages or AllowOff (allow_templates and so on in Terraform) it may also "
    "change what new instances get, and switch IMDS off: deploy/README.md says what each gives."
)
ASSUMED = re.compile(r"arn:(?P<partition>aws[\w-]*):sts::(?P<account>\d{12}):assumed-role/(?P<name>[\w+=,.@-]+)/")


class Way(StrEnum):
    """How accounts come to imdsdash."""

    ORGANIZATION = "organization"
    HAND = "hand"
    HERE = "here"


@dataclass(frozen=True, slots=True)
class Filled:
    """What the texts are filled with. Empty where it is not known: then a placeholder stands there."""

    partition: str = "aws"
    central_role_arn: str = ""
    central_account: str = ""
    organization_id: str = ""
    external_id: str = ""
    reader_role: str = "imdsdash-reader"  # with its path
    enforcer_role: str = "imdsdash-enforcer"

    @property
    def central(self) -> str:
        account = self.central_account or CENTRAL_ACCOUNT
        return self.central_role_arn or f"arn:{self.partition}:iam::{account}:role/{CENTRAL_ROLE}"

    @property
    def central_role_name(self) -> str:
        """Without its path."""
        return self.central.rsplit("/", 1)[-1]

    @property
    def region(self) -> str:
        return PARTITIONS.get(self.partition, ("", "YOUR_REGION"))[1]

    @property
    def path(self) -> str:
        """The path of the roles, as IAM writes it: / or /team/."""
        folder = self.reader_role.rpartition("/")[0].strip("/")
        return f"/{folder}/" if folder else "/"


@dataclass(frozen=True, slots=True)
class Block:
    """One text to copy."""

    key: str
    title: str
    text: str
    long: bool = False  # opened only when asked for


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several forms of the same step."""

    label: str
    hint: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    text: str
    blocks: tuple[Block, ...] = ()
    choices: tuple[Choice, ...] = ()


def role_of(identity: str) -> str:
    """The role of an assumed-role ARN, as far as it tells: a path is not in it. "" for a user or the root."""
    found = ASSUMED.match(identity)
    return f"arn:{found['partition']}:iam::{found['account']}:role/{found['name']}" if found else ""


def steps(way: Way, files: Mapping[str, str], filled: Filled) -> list[Step]:
    """What to do, in order. `files`: the texts of deploy/ by their names."""
    if way is Way.HERE:
        return [_own_policy(files, filled), _test("")]
    first = _central(files, filled)
    if way is Way.HAND:
        return [first, _roles(files, filled), _add(), _test(" 123456789012")]
    return [first, _stack_set(files, filled), _discover(), _test("")]


# --- the steps -----------------------------------------------------------------------------------------


def _own_policy(files: Mapping[str, str], filled: Filled) -> Step:
    return Step(
        "Allow the credentials to read",
        "imdsdash collects the account its own credentials belong to. Attach the first policy to them, and the second "
        "if it shall enforce as well. The others are for what is beyond instances: attach those you want, or none.",
        blocks=(
            Block("here-reader", "Reader policy", policy(files["reader-role.json"], filled.partition)),
            Block("here-enforcer", "Enforcer policy", policy(files["enforcer-role.json"], filled.partition), long=True),
            *_beyond("here", files, filled),
        ),
    )


def _beyond(way: str, files: Mapping[str, str], filled: Filled) -> tuple[Block, ...]:
    """The enforcer's policies for what is beyond instances; it has none of them unless somebody says so."""
    titles = {
        "templates": "Enforcer, launch templates and Auto Scaling groups (optional)",
        "defaults": "Enforcer, launch defaults and HttpTokensEnforced (optional)",
        "images": "Enforcer, AMIs: what it does can never be taken back (optional)",
        "off": "Enforcer, switching IMDS off on instances named one by one (optional)",
    }
    return tuple(
        Block(f"{way}-{name}", title, policy(files[f"enforcer-{name}.json"], filled.partition), long=True)
        for name, title in titles.items()
    )


def _central(files: Mapping[str, str], filled: Filled) -> Step:
    stack = command(
        "aws cloudformation create-stack --stack-name imdsdash-central",
        "--template-body file://central.yaml --capabilities CAPABILITY_IAM",
        "--parameters file://central-parameters.json",
    )
    given = parameters(
        CentralRoleName=filled.central_role_name,
        **_unless(ReaderRoleName=(filled.reader_role, "imdsdash-reader")),
        **_unless(EnforcerRoleName=(filled.enforcer_role, "imdsdash-enforcer")),
    )
    return Step(
        "Let the central role enter the accounts",
        "The role imdsdash itself runs as. It may do nothing but enter the roles below and list the organization. It "
        "must exist first: IAM refuses to trust a role that is not there.",
        choices=(
            Choice(
                "CloudFormation",
                "A plain stack in the central account.",
                (
                    Block("central-parameters", "central-parameters.json", given),
                    Block("central-stack", "In the central account", stack),
                    Block("central-template", "central.yaml", files["central.yaml"], long=True),
                ),
            ),
            Choice(
                "Terraform",
                "With credentials of the central account.",
                (Block("central-terraform", "main.tf of the central account", _central_module(filled)),),
            ),
            Choice(
                "IAM JSON",
                "As an inline policy of the role.",
                (
                    Block(
                        "central-json",
                        "Policy of the central role",
                        central_policy(files["central-policy.json"], filled),
                    ),
                ),
            ),
        ),
    )


def _roles(files: Mapping[str, str], filled: Filled) -> Step:
    return Step(
        "Make the two roles in each account",
        "The reader looks. The enforcer sets HttpTokens and hop limits on instances of approved plans, and can do "
        f"nothing else. {SAY_YES} Both are entered by the central role only, with your ExternalId.",
        choices=(
            Choice(
                "CloudFormation",
                "A plain stack, with credentials of that account.",
                (
                    Block("roles-parameters", "parameters.json", roles_parameters(filled)),
                    Block("roles-stack", "In each account", _plain_stack()),
                    Block("roles-template", "roles.yaml", files["roles.yaml"], long=True),
                ),
            ),
            Choice(
                "Terraform",
                "With credentials of that account.",
                (Block("roles-terraform", "main.tf of each account", _account_module(filled)),),
            ),
            Choice(
                "IAM JSON",
                "By hand: two roles with the same trust policy.",
                (
                    Block("trust-json", "Trust policy of both roles", trust_policy(files["trust-policy.json"], filled)),
                    Block(
                        "reader-json",
                        f"Policy of {filled.reader_role}",
                        policy(files["reader-role.json"], filled.partition),
                    ),
                    Block(
                        "enforcer-json",
                        f"Policy of {filled.enforcer_role}",
                        policy(files["enforcer-role.json"], filled.partition),
                    ),
                    *_beyond("roles", files, filled),
                ),
            ),
        ),
    )


def _stack_set(files: Mapping[str, str], filled: Filled) -> Step:
    make = "\n".join(
        (
            "aws cloudformation activate-organizations-access",
            command(
                f"aws cloudformation create-stack-set --stack-set-name {STACK}",
                "--template-body file://roles.yaml --parameters file://parameters.json",
                "--capabilities CAPABILITY_NAMED_IAM --permission-model SERVICE_MANAGED",
                "--auto-deployment Enabled=true,RetainStacksOnAccountRemoval=false",
            ),
            command(
                f"aws cloudformation create-stack-instances --stack-set-name {STACK} --regions {filled.region}",
                "--deployment-targets OrganizationalUnitIds=r-EXAMPLE",
                "--operation-preferences FailureTolerancePercentage=100,MaxConcurrentPercentage=25",
            ),
        )
    )
    return Step(
        "Roll out the two roles with a StackSet",
        "In the management account, or in a delegated administrator of StackSets (then add --call-as DELEGATED_ADMIN). "
        "IAM is global, so one Region is enough; accounts that join later get the roles by themselves. r-EXAMPLE is "
        f"the root's id, which “aws organizations list-roots” tells, or the ids of some units. {SAY_YES}",
        choices=(
            Choice(
                "CloudFormation",
                "A service-managed StackSet, and a plain stack where StackSets do not reach: the management account.",
                (
                    Block("set-parameters", "parameters.json", roles_parameters(filled)),
                    Block("set-make", "Every member account", make),
                    Block("set-management", "The management account", _plain_stack()),
                    Block("set-template", "roles.yaml", files["roles.yaml"], long=True),
                ),
            ),
            Choice(
                "Terraform",
                "The same StackSet, and the roles of the management account.",
                (Block("set-terraform", "main.tf of the organization", _organization_module(filled)),),
            ),
        ),
    )


def _add() -> Step:
    listed = "account_id,name,owner,contact,ou_path\n123456789012,payments,Ada,ada@example.com,Payments/Prod\n"
    return Step(
        "Name the accounts to imdsdash",
        "One by one, or a list: all of it is taken over or nothing, and every bad line is named. Beside these columns "
        "there are partition, reader_role_arn, enforcer_role_arn and external_id; plain ids one a line do as well.",
        blocks=(
            Block("add-one", "One account", "manage.py accounts add 123456789012 --name payments --owner Ada"),
            Block("add-list", "accounts.csv", listed),
            Block("add-many", "All of the list", "manage.py accounts add --file accounts.csv"),
        ),
    )


def _discover() -> Step:
    return Step(
        "Discover the accounts",
        "Once by hand; from then on once a day by itself. Accounts that close or leave are kept with what is known "
        "of them, and not asked any more. The account's tags “owner” and “contact” say who looks after it.",
        blocks=(
            Block("discover-dry", "What would change", "manage.py accounts discover --dry-run"),
            Block("discover", "Take it over", "manage.py accounts discover"),
        ),
    )


def _test(account: str) -> Step:
    return Step(
        "Test every role",
        "Who answers, which Regions there are, and each permission by one small read. What is refused is told in AWS's "
        "words, here below as well.",
        blocks=(Block("test", "Try the roles", f"manage.py accounts test{account}"),),
    )


# --- the texts -----------------------------------------------------------------------------------------


def policy(text: str, partition: str) -> str:
    """A policy's JSON with its ARNs in another partition."""
    return text.replace('"arn:aws:', f'"arn:{partition}:').strip()


def central_policy(text: str, filled: Filled) -> str:
    named = text.replace("role/imdsdash-reader", f"role/{filled.reader_role}")
    named = named.replace("role/imdsdash-enforcer", f"role/{filled.enforcer_role}")
    return policy(named, filled.partition)


def trust_policy(text: str, filled: Filled) -> str:
    """Without an organization the condition that names one would keep everybody out, so then it is left out."""
    document = json.loads(text)
    for statement in document["Statement"]:
        statement["Principal"]["AWS"] = filled.central
        keys = statement["Condition"]["StringEquals"]
        if "sts:ExternalId" in keys:
            keys["sts:ExternalId"] = filled.external_id or EXTERNAL_ID
        if filled.organization_id:
            keys["aws:PrincipalOrgID"] = filled.organization_id
        else:
            del keys["aws:PrincipalOrgID"]
        if not keys:
            del statement["Condition"]
    return json.dumps(document, indent=2)


def roles_parameters(filled: Filled) -> str:
    names = {"ReaderRoleName": filled.reader_role, "EnforcerRoleName": filled.enforcer_role}
    plain = {key: name.rsplit("/", 1)[-1] for key, name in names.items()}
    return parameters(
        CentralRoleArn=filled.central,
        ExternalId=filled.external_id or EXTERNAL_ID,
        OrganizationId=filled.organization_id,
        **_unless(ReaderRoleName=(plain["ReaderRoleName"], "imdsdash-reader")),
        **_unless(EnforcerRoleName=(plain["EnforcerRoleName"], "imdsdash-enforcer")),
        **_unless(RolePath=(filled.path, "/")),
    )


def parameters(**values: str) -> str:
    """CloudFormation's parameters as JSON: the command line's short form trips over commas."""
    lines = [json.dumps({"ParameterKey": key, "ParameterValue": value}) for key, value in values.items()]
    return "[\n  " + ",\n  ".join(lines) + "\n]"


def command(first: str, *more: str) -> str:
    """A shell command over several lines."""
    return " \\\n  ".join((first, *more))


def _unless(**pairs: tuple[str, str]) -> dict[str, str]:
    """Only what differs from the template's own default."""
    return {name: value for name, (value, default) in pairs.items() if value != default}


def _plain_stack() -> str:
    return command(
        f"aws cloudformation create-stack --stack-name {STACK}",
        "--template-body file://roles.yaml --parameters file://parameters.json",
        "--capabilities CAPABILITY_NAMED_IAM",
    )


def _module(name: str, folder: str, **inputs: str) -> str:
    """A call of a module, as `terraform fmt` would have it."""
    width = max(len(key) for key in inputs)
    lines = [f'  source = "./imdsdash/deploy/terraform/{folder}" # where the repository was cloned to', ""]
    lines += [f"  {key:{width}} = {value}" for key, value in inputs.items()]
    return f'module "{name}" {{\n' + "\n".join(lines) + "\n}"


def _secret(filled: Filled) -> str:
    variable = 'variable "external_id" {\n  type      = string\n  sensitive = true\n}\n\n'
    said = shlex.quote(filled.external_id or EXTERNAL_ID)
    return f"# TF_VAR_external_id={said}\n{variable}"


def _inputs(filled: Filled) -> dict[str, str]:
    inputs = {"central_role_arn": json.dumps(filled.central), "external_id": "var.external_id"}
    if filled.organization_id:
        inputs["organization_id"] = json.dumps(filled.organization_id)
    changed = _unless(
        reader_role_name=(filled.reader_role.rsplit("/", 1)[-1], "imdsdash-reader"),
        enforcer_role_name=(filled.enforcer_role.rsplit("/", 1)[-1], "imdsdash-enforcer"),
        role_path=(filled.path, "/"),
    )
    return inputs | {name: json.dumps(value) for name, value in changed.items()}


def _account_module(filled: Filled) -> str:
    return _secret(filled) + _module("imdsdash", "account", **_inputs(filled))


def _organization_module(filled: Filled) -> str:
    inputs = {name: value for name, value in _inputs(filled).items() if name != "organization_id"}
    return _secret(filled) + _module("imdsdash", "organization", **inputs)


def _central_module(filled: Filled) -> str:
    changed = _unless(
        reader_role_name=(filled.reader_role, "imdsdash-reader"),
        enforcer_role_name=(filled.enforcer_role, "imdsdash-enforcer"),
    )
    inputs = {"central_role_name": filled.central_role_name} | changed
    return _module("imdsdash_central", "central", **{name: json.dumps(value) for name, value in inputs.items()})
