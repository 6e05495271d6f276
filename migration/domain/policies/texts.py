"""The one door: a kind of guardrail and what is wanted in, its text with undo and notes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from migration.domain.policies import cli, cloudformation, documents, terraform
from migration.domain.policies.notes import Note, notes
from migration.domain.policies.wanted import NOTHING, Kind, Known, Wanted, problem

# What is offered, in the order of the page: group -> kind -> what it is called.
OFFERED: Mapping[str, Mapping[Kind, str]] = {
    "Defaults for new launches": {
        Kind.DECLARATIVE: "Declarative policy of the organization",
        Kind.CLI_DEFAULTS: "AWS CLI: default of account and Region",
        Kind.TERRAFORM_DEFAULTS: "Terraform: default of account and Region",
    },
    "Launch templates": {
        Kind.TERRAFORM_TEMPLATE: "Terraform: launch template",
        Kind.CLOUDFORMATION_TEMPLATE: "CloudFormation: launch template",
    },
    "Instances that are there": {
        Kind.CLI_INSTANCE: "AWS CLI: one instance",
        Kind.TERRAFORM_INSTANCE: "Terraform: instance",
        Kind.CLOUDFORMATION_INSTANCE: "CloudFormation: instance",
    },
    "Statements that deny (SCP or IAM)": {
        Kind.DENY_LAUNCH: "Deny launches that allow IMDSv1",
        Kind.DENY_OPT_OUT: "Deny turning IMDSv1 on again",
        Kind.DENY_V1_CREDENTIALS: "Deny calls with credentials of IMDSv1",
    },
}
TITLES: Mapping[Kind, str] = {kind: title for kinds in OFFERED.values() for kind, title in kinds.items()}

FILES: Mapping[Kind, str] = {
    Kind.TERRAFORM_DEFAULTS: "defaults.tf",
    Kind.TERRAFORM_TEMPLATE: "template.tf",
    Kind.TERRAFORM_INSTANCE: "instance.tf",
    Kind.CLOUDFORMATION_TEMPLATE: "template.yaml",
    Kind.CLOUDFORMATION_INSTANCE: "instance.yaml",
    Kind.CLI_DEFAULTS: "defaults.sh",
    Kind.CLI_INSTANCE: "instance.sh",
    Kind.DECLARATIVE: "declarative-policy.json",
    Kind.DENY_LAUNCH: "deny-launch.json",
    Kind.DENY_OPT_OUT: "deny-opt-out.json",
    Kind.DENY_V1_CREDENTIALS: "deny-v1-credentials.json",
}
_WRITTEN: Mapping[Kind, Callable[[Wanted], str]] = {
    Kind.TERRAFORM_DEFAULTS: terraform.defaults,
    Kind.TERRAFORM_TEMPLATE: terraform.template,
    Kind.TERRAFORM_INSTANCE: terraform.instance,
    Kind.CLOUDFORMATION_TEMPLATE: cloudformation.template,
    Kind.CLOUDFORMATION_INSTANCE: cloudformation.instance,
    Kind.DECLARATIVE: documents.declarative,
    Kind.DENY_LAUNCH: documents.deny_launch,
    Kind.DENY_OPT_OUT: documents.deny_opt_out,
    Kind.DENY_V1_CREDENTIALS: documents.deny_v1_credentials,
}
_COMMANDS: Mapping[Kind, tuple[Callable[[Wanted, Known], str], Callable[[Wanted, Known], str]]] = {
    Kind.CLI_DEFAULTS: (cli.defaults, cli.undo_defaults),
    Kind.CLI_INSTANCE: (cli.instance, cli.undo_instance),
}


@dataclass(frozen=True, slots=True)
class Guardrail:
    kind: Kind
    title: str
    file: str
    text: str
    undo: str  # commands; empty where there is none
    notes: list[Note]


def guardrail(kind: Kind, wanted: Wanted, known: Known = NOTHING) -> Guardrail:
    """Raises ValueError with a sentence when that cannot be said."""
    wanted = wanted.of(kind)
    if wrong := problem(kind, wanted):
        raise ValueError(wrong)
    if kind in _COMMANDS:
        write, take_back = _COMMANDS[kind]
        text, undo = write(wanted, known), take_back(wanted, known)
    else:
        text, undo = _WRITTEN[kind](wanted), ""
    return Guardrail(kind, TITLES[kind], FILES[kind], text, undo, notes(kind, wanted))
