"""What each text does not do, with the page of AWS or of the tool that says so."""

from collections.abc import Iterator
from dataclasses import dataclass

from migration.domain.policies.wanted import DENIALS, TEMPLATES, Attach, Kind, Wanted

_EC2 = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide"
_ORG = "https://docs.aws.amazon.com/organizations/latest/userguide"
NEW = f"{_EC2}/configuring-IMDS-new-instances.html"
EXISTING = f"{_EC2}/configuring-IMDS-existing-instances.html"
PRECEDENCE = f"{_EC2}/configuring-instance-metadata-options.html"
TRANSITION = f"{_EC2}/instance-metadata-transition-to-version-2.html"
SAMPLES = f"{_EC2}/ExamplePolicies_EC2.html#iam-example-instance-metadata"
VERSIONS = f"{_EC2}/manage-launch-template-versions.html"
KEYS = "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html"
SYNTAX = f"{_ORG}/orgs_manage_policies_declarative_syntax.html"
DECLARATIVE = f"{_ORG}/orgs_manage_policies_declarative.html"
SCP = f"{_ORG}/orgs_manage_policies_scps.html"
GOVCLOUD = "https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-organizations.html"
API = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceMetadataOptions.html"
API_DEFAULTS = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceMetadataDefaults.html"
PROVIDER = "https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources"
CFN = "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference"
ABSENT = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html"


@dataclass(frozen=True, slots=True)
class Note:
    text: str
    source: str


def notes(kind: Kind, wanted: Wanted) -> list[Note]:
    """The most surprising first."""
    if kind in DENIALS:
        return [*_DENIALS[kind](wanted), *_attached(wanted), *_exempt(kind, wanted)]
    return [*_OTHERS[kind](wanted), *_common(kind, wanted)]


# --- defaults ----------------------------------------------------------------------------------------------


def _terraform_defaults(wanted: Wanted) -> Iterator[Note]:
    page = f"{PROVIDER}/ec2_instance_metadata_defaults"
    yield Note(
        "The resource sets all four defaults of the Region: what it leaves out (http_endpoint, instance_metadata_tags"
        + ("" if wanted.hop_limit is not None else ", http_put_response_hop_limit")
        + ") becomes “no preference”, whatever stood there. Destroying it sets all four to “no preference”, and does "
        "not bring back what was.",
        page,
    )
    yield Note(
        "It cannot enforce: the provider has no argument for HttpTokensEnforced (hashicorp/aws 5.100.0). The AWS CLI "
        "and a declarative policy have one.",
        page,
    )
    yield from _defaults(wanted)


def _cli_defaults(wanted: Wanted) -> Iterator[Note]:
    yield Note(
        "One account and one Region a command. A default that shall go back to “no preference” is sent as "
        "no-preference, and the hop limit as -1: what a command leaves out stays as it is.",
        API_DEFAULTS,
    )
    yield from _defaults(wanted)


def _declarative(wanted: Wanted) -> Iterator[Note]:
    yield Note(
        "It holds for every Region of every account below what it is attached to, those that join later and "
        "service-linked roles included. The accounts cannot change these settings while it is attached.",
        DECLARATIVE,
    )
    yield Note("Detaching it brings back what each account had before, not what the policy said.", DECLARATIVE)
    if wanted.partition == "aws-us-gov":
        yield Note(
            "GovCloud does not list declarative policies among those its organizations have. Use the AWS CLI there.",
            GOVCLOUD,
        )
    elif wanted.partition != "aws":
        yield Note(
            "Whether this partition has declarative policies is not said in the pages that were read. Look in "
            "Organizations → Policies first; the AWS CLI text does the same account by account.",
            GOVCLOUD,
        )
    yield Note(
        "Written with an underscore, no_preference, and numbers as strings: the API's own spelling is refused.", SYNTAX
    )
    yield from _defaults(wanted)


def _defaults(wanted: Wanted) -> Iterator[Note]:
    yield Note("Instances that are there keep their options. Defaults are for new launches only.", NEW)
    yield Note(
        "A value in the launch or its template wins over the default, option by option; the default wins over the AMI.",
        PRECEDENCE,
    )
    if wanted.enforced:
        yield Note(
            "Enforcement makes launches fail that come out with IMDSv1 allowed, and refuses to turn IMDSv1 on again on "
            "any instance. To roll one back, enforcement has to be lifted first.",
            EXISTING,
        )
    if wanted.enforced and wanted.tokens != "required":
        yield Note(
            "Enforced without a default of required: every launch that says nothing of the tokens fails, unless its "
            "AMI asks for them. AWS's order is instances, default required, enforcement.",
            TRANSITION,
        )
    if wanted.tokens == "required" and wanted.hop_limit == 1:
        yield Note(
            "With tokens required and a hop limit of 1, containers on new instances cannot use IMDS, on AMIs marked "
            "v2.0 as well. The guide suggests 2 where containers run.",
            NEW,
        )
    elif wanted.tokens == "required" and (wanted.hop_limit or 0) < 1:
        yield Note(
            "Without a hop limit, launches from AMIs that are not marked v2.0 get a hop limit of 1, which containers "
            "cannot cross. The guide suggests 2 where containers run.",
            NEW,
        )


# --- templates and instances ----------------------------------------------------------------------------------


def _terraform_template(_wanted: Wanted) -> Iterator[Note]:
    yield _plan("launch_template")


def _terraform_instance(_wanted: Wanted) -> Iterator[Note]:
    yield _plan("instance")
    yield Note(
        "Where Terraform owns the instance, change it there: its next apply takes back what was changed by hand.",
        f"{PROVIDER}/instance",
    )


def _plan(resource: str) -> Note:
    return Note(
        "Read the plan before you apply it: http_endpoint must not change. Terraform keeps the block in its state, and "
        "IMDS that is off would be opened.",
        f"{PROVIDER}/{resource}",
    )


def _cloudformation_template(_wanted: Wanted) -> Iterator[Note]:
    yield Note(
        "CloudFormation makes a new version of the template. A group that names the version by GetAtt "
        "LatestVersionNumber takes it; one with a fixed number does not.",
        f"{CFN}/aws-resource-ec2-launchtemplate.html",
    )


def _cloudformation_instance(_wanted: Wanted) -> Iterator[Note]:
    yield Note(
        "An update of MetadataOptions needs no interruption. Read the change set: “Replacement” must be False.",
        f"{CFN}/aws-properties-ec2-instance-metadataoptions.html",
    )


def _cli_instance(_wanted: Wanted) -> Iterator[Note]:
    yield Note(
        "HttpEndpoint is never sent: what is left out keeps its value, and sending “enabled” would open IMDS that is "
        "off. Older instructions say to send it.",
        API,
    )
    yield Note(
        "An answer of 200 is not the end: the option holds when State is applied, on a stopped instance after its next "
        "start. Credentials that were fetched before go on working for hours, so breakage may come late.",
        TRANSITION,
    )
    yield Note("The undo is refused while HttpTokensEnforced is on, and under a policy that denies opt-out.", EXISTING)


def _common(kind: Kind, wanted: Wanted) -> Iterator[Note]:
    if kind in TEMPLATES:
        yield Note(
            "Instances that run keep their options, and a group that pins a version keeps launching from it until the "
            "group is changed.",
            VERSIONS,
        )
    elif wanted.tokens == "required" and kind in {Kind.TERRAFORM_INSTANCE, Kind.CLOUDFORMATION_INSTANCE}:
        yield Note(
            "It acts at once, without a restart. Whatever still calls IMDSv1 is refused from then on.", TRANSITION
        )


# --- statements that deny ---------------------------------------------------------------------------------------


def _deny_launch(wanted: Wanted) -> Iterator[Note]:
    yield Note(
        "It does not stop Auto Scaling. Groups launch with a service-linked role; the caller's permission is looked at "
        "only when a group is made or its template changed, and with $Latest or $Default not even then.",
        SAMPLES,
    )
    yield Note(
        "Only RunInstances is named. StartInstances knows ec2:MetadataHttpTokens too: under it, stopped instances that "
        "allow IMDSv1 could not start any more.",
        KEYS,
    )
    yield Note(
        "It denies, and sets nothing: a launch has to state HttpTokens=required. Whether one passes that leaves it to "
        "the account's default or the AMI is not said in AWS's pages; try it before you attach this widely.",
        SAMPLES,
    )
    if wanted.hop_limit is not None:
        yield Note(
            "The hop limit acts on the answer to a token request only. It is no fence against IMDSv1.", PRECEDENCE
        )


def _deny_opt_out(wanted: Wanted) -> Iterator[Note]:
    yield Note(
        "It blocks every rollback, your own tools' too, but for the exempt role"
        + ("." if wanted.role else ": and none is named."),
        SAMPLES,
    )
    yield Note(
        "Instances that allow IMDSv1 today go on. Calls that say nothing of the tokens, such as a new hop limit, pass: "
        "the condition holds only where the key is in the call.",
        SAMPLES,
    )
    yield Note("It does not cover launches, launch templates or AMIs. Another of these texts denies launches.", KEYS)


def _deny_v1_credentials(wanted: Wanted) -> Iterator[Note]:
    yield Note(
        "This is no gentle audit. Every call to AWS with credentials that were delivered by IMDSv1 is refused at once, "
        "those an instance holds already included, until it fetches new ones by IMDSv2.",
        TRANSITION,
    )
    yield Note(
        "It does not see calls of IMDSv1 that fetch anything else, such as the instance id, nor calls that are not "
        "signed with an instance's credentials.",
        SAMPLES,
    )
    if wanted.regions:
        yield Note("Calls to global services such as IAM count for one Region, usually us-east-1.", ABSENT)


def _attached(wanted: Wanted) -> Iterator[Note]:
    if wanted.attach is Attach.SCP:
        yield Note(
            "A service control policy does not bind the management account, nor service-linked roles. It allows "
            "nothing by itself.",
            SCP,
        )
    else:
        yield Note(
            "An IAM policy binds only the users and roles it is attached to, and never service-linked roles. Whoever "
            "may detach it is not bound by it.",
            SAMPLES,
        )


def _exempt(kind: Kind, wanted: Wanted) -> Iterator[Note]:
    if wanted.exempt_tag is not None:
        key, value = wanted.exempt_tag
        whose = {
            Kind.DENY_LAUNCH: "Whoever may tag at launch may set it",
            Kind.DENY_OPT_OUT: "It is the instance's tag, and whoever may tag an instance may set it",
            Kind.DENY_V1_CREDENTIALS: "It is the role's tag, not the instance's; whoever may tag a role may set it",
        }[kind]
        yield Note(f"The tag {key}={value} exempts. {whose}: keep that right narrow.", ABSENT)
    if not wanted.role:
        yield Note("No role is exempt. In an incident the policy itself has to be detached first.", SCP)


_OTHERS = {
    Kind.TERRAFORM_DEFAULTS: _terraform_defaults,
    Kind.CLI_DEFAULTS: _cli_defaults,
    Kind.DECLARATIVE: _declarative,
    Kind.TERRAFORM_TEMPLATE: _terraform_template,
    Kind.TERRAFORM_INSTANCE: _terraform_instance,
    Kind.CLOUDFORMATION_TEMPLATE: _cloudformation_template,
    Kind.CLOUDFORMATION_INSTANCE: _cloudformation_instance,
    Kind.CLI_INSTANCE: _cli_instance,
}
_DENIALS = {
    Kind.DENY_LAUNCH: _deny_launch,
    Kind.DENY_OPT_OUT: _deny_opt_out,
    Kind.DENY_V1_CREDENTIALS: _deny_v1_credentials,
}
