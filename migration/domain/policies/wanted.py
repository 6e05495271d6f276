"""What a guardrail shall say, the same for every text, and which part of it a text can say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from migration.domain.onboarding import PARTITIONS

NO_PREFERENCE = "no-preference"  # as the API spells it; a declarative policy writes no_preference
NO_LIMIT = -1  # the hop limit that stands for no preference
HOPS = range(1, 65)  # ModifyInstanceMetadataOptions, HttpPutResponseHopLimit
TOKENS = ("required", "optional", NO_PREFERENCE)

REGION = re.compile(r"[a-z]{2,5}(-[a-z]+)+-\d{1,2}")
INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")
NAME = re.compile(r"[a-zA-Z0-9(][a-zA-Z0-9().\-/_]{0,124}")  # a launch template's; an instance's is free text
STACK = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,127}")
ROLE = re.compile(r"[\w+=,.@-]{1,64}(/[\w+=,.@-]{1,64}){0,8}", re.ASCII)  # a role's name, with its path before it
TAG_KEY = re.compile(r"(?!aws:)[\w .:/=+@-]{1,128}", re.ASCII)
TAG_VALUE = re.compile(r"[\w .:/=+@-]{0,256}", re.ASCII)


class Kind(StrEnum):
    TERRAFORM_DEFAULTS = "terraform-defaults"
    TERRAFORM_TEMPLATE = "terraform-template"
    TERRAFORM_INSTANCE = "terraform-instance"
    CLOUDFORMATION_TEMPLATE = "cloudformation-template"
    CLOUDFORMATION_INSTANCE = "cloudformation-instance"
    CLI_DEFAULTS = "cli-defaults"
    CLI_INSTANCE = "cli-instance"
    DECLARATIVE = "declarative"
    DENY_LAUNCH = "deny-launch"
    DENY_OPT_OUT = "deny-opt-out"
    DENY_V1_CREDENTIALS = "deny-v1-credentials"


class Attach(StrEnum):
    """Where statements that deny are attached."""

    SCP = "scp"
    IAM = "iam"


DEFAULTS = frozenset({Kind.TERRAFORM_DEFAULTS, Kind.CLI_DEFAULTS, Kind.DECLARATIVE})
TEMPLATES = frozenset({Kind.TERRAFORM_TEMPLATE, Kind.CLOUDFORMATION_TEMPLATE})
INSTANCES = frozenset({Kind.TERRAFORM_INSTANCE, Kind.CLOUDFORMATION_INSTANCE, Kind.CLI_INSTANCE})
DENIALS = frozenset({Kind.DENY_LAUNCH, Kind.DENY_OPT_OUT, Kind.DENY_V1_CREDENTIALS})

# Which of the options a text can say.
_DENIED = frozenset({"regions", "exempt_tag", "role", "attach", "partition"})
FIELDS: Mapping[Kind, frozenset[str]] = {
    # The provider has no argument for HttpTokensEnforced (hashicorp/aws 5.100.0).
    Kind.TERRAFORM_DEFAULTS: frozenset({"tokens", "hop_limit", "regions"}),
    Kind.TERRAFORM_TEMPLATE: frozenset({"tokens", "hop_limit", "name"}),
    Kind.TERRAFORM_INSTANCE: frozenset({"tokens", "hop_limit", "name"}),
    Kind.CLOUDFORMATION_TEMPLATE: frozenset({"tokens", "hop_limit", "name", "stack"}),
    Kind.CLOUDFORMATION_INSTANCE: frozenset({"tokens", "hop_limit", "name", "stack"}),
    Kind.CLI_DEFAULTS: frozenset({"tokens", "hop_limit", "enforced", "regions"}),
    Kind.CLI_INSTANCE: frozenset({"tokens", "hop_limit", "name", "regions"}),
    Kind.DECLARATIVE: frozenset({"tokens", "hop_limit", "enforced", "partition"}),
    Kind.DENY_LAUNCH: _DENIED | {"hop_limit"},
    Kind.DENY_OPT_OUT: _DENIED | {"enforced"},
    Kind.DENY_V1_CREDENTIALS: _DENIED,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted. `hop_limit` None: not said, so it stays as it is; -1: no preference. `regions` empty: all."""

    tokens: str = "required"
    hop_limit: int | None = None
    enforced: bool = False  # HttpTokensEnforced=enabled; False: not said
    regions: tuple[str, ...] = ()
    partition: str = "aws"
    exempt_tag: tuple[str, str] | None = None  # key and value
    role: str = ""  # exempt from what is denied, with its path
    attach: Attach = Attach.SCP
    name: str = ""  # of the instance or template
    stack: str = ""

    @property
    def region(self) -> str:
        """The one Region of a text that names one."""
        return self.regions[0] if self.regions else PARTITIONS.get(self.partition, ("", "us-east-1"))[1]

    def of(self, kind: Kind) -> "Wanted":
        """Without what the text cannot say."""
        plain = Wanted()
        dropped = {name: getattr(plain, name) for name in _ALL - FIELDS[kind] - {"partition"}}
        if kind in DENIALS:
            dropped["tokens"] = "required"
        return replace(self, **dropped)


_ALL = frozenset({"tokens", "hop_limit", "enforced", "regions", "exempt_tag", "role", "attach", "name", "stack"})


def problem(kind: Kind, wanted: Wanted) -> str:
    """What is wrong with it, in a sentence; empty when nothing is."""
    problems = (
        _tokens(kind, wanted),
        _hop_limit(kind, wanted),
        *(f"“{one}” is not a Region, such as eu-west-1." for one in wanted.regions if not REGION.fullmatch(one)),
        "" if wanted.partition in PARTITIONS else f"“{wanted.partition}” is not a partition of AWS.",
        _names(kind, wanted),
        _exempt(wanted),
    )
    return next((one for one in problems if one), "")


def _tokens(kind: Kind, wanted: Wanted) -> str:
    if wanted.tokens not in TOKENS:
        return "Tokens are required, optional, or no preference."
    if wanted.tokens == NO_PREFERENCE and kind not in DEFAULTS:
        return "“No preference” exists for defaults only. Choose required or optional."
    return ""


def _hop_limit(kind: Kind, wanted: Wanted) -> str:
    if wanted.hop_limit is None or wanted.hop_limit in HOPS:
        return ""
    if wanted.hop_limit == NO_LIMIT:
        return "" if kind in DEFAULTS else "A hop limit of -1, no preference, exists for defaults only."
    return "A hop limit is a number from 1 to 64."


def _names(kind: Kind, wanted: Wanted) -> str:
    if kind == Kind.CLI_INSTANCE and wanted.name and not INSTANCE.fullmatch(wanted.name):
        return f"“{wanted.name}” is not the id of an instance, such as i-0123456789abcdef0."
    if kind in TEMPLATES and wanted.name and (not NAME.fullmatch(wanted.name) or len(wanted.name) < len("web")):
        return "The name of a launch template has 3 to 125 letters, digits and ( ) . - / _"
    if wanted.stack and not STACK.fullmatch(wanted.stack):
        return "The name of a stack begins with a letter; letters, digits and hyphens follow."
    return ""


def _exempt(wanted: Wanted) -> str:
    if wanted.role and not ROLE.fullmatch(wanted.role):
        return "The exempt role is named by its name or path, such as break-glass or ops/break-glass, not by its ARN."
    if wanted.exempt_tag is not None:
        key, value = wanted.exempt_tag
        if not TAG_KEY.fullmatch(key) or not TAG_VALUE.fullmatch(value):
            return "The exempt tag is written Key=Value, such as imds-exempt=true."
    return ""


@dataclass(frozen=True, slots=True)
class Before:
    """The options of an instance, or the defaults of a Region, as they were read. None: AWS did not say a value; of
    defaults that is no preference.
    """

    http_tokens: str | None = None
    hop_limit: int | None = None
    enforced: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the place the text is for. Empty: of no place in particular."""

    account_id: str = ""
    defaults: Mapping[str, Before] = field(default_factory=dict)  # by Region
    instance: Before | None = None


NOTHING = Known()
