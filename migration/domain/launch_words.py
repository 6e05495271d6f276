"""A judgement on a launch source in words: why it is so, what to change, and what else to know. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from migration.domain.facts import DefaultsFact
from migration.domain.launch import V2, Resolution
from migration.domain.launch_facts import GroupFact, ImageFact, LaunchOptions, TemplateFact
from migration.enums import LaunchAnswer, Level

# A tag that a service puts on what it makes -> the service, and where its metadata options are set.
PROVIDERS: Mapping[str, tuple[str, str]] = {
    "eks:nodegroup-name": (
        "Amazon EKS",
        "Give the managed node group a launch template of your own with HttpTokens=required, or update the node group.",
    ),
    "elasticbeanstalk:environment-name": (
        "AWS Elastic Beanstalk",
        "Set DisableIMDSv1 (aws:autoscaling:launchconfiguration) on the environment.",
    ),
    "aws:elasticmapreduce:job-flow-id": (
        "Amazon EMR",
        (
            "Set MinimumInstanceMetadataServiceVersion to 2 in the security configuration of new clusters. Releases "
            "before 5.32 and 6.2, but for 5.23.1 and 5.27.1, do not start with tokens required."
        ),
    ),
    "AWSBatchServiceTag": (
        "AWS Batch",
        "Give the compute environment a launch template of your own with HttpTokens=required.",
    ),
    "parallelcluster:cluster-name": (
        "AWS ParallelCluster",
        "Set Imds/ImdsSupport to v2.0 in the cluster's configuration; a live cluster cannot be changed.",
    ),
    "karpenter.k8s.aws/cluster": ("Karpenter", "Set metadataOptions.httpTokens to required in the EC2NodeClass."),
}
ADVICE_BY_PROVIDER = dict(PROVIDERS.values())


@dataclass(frozen=True, slots=True)
class Way:
    """One launch that a source may make. `options` None: not read, and `unread` says why."""

    label: str
    options: LaunchOptions | None
    image_id: str = ""
    template_id: str = ""
    template_name: str = ""
    number: int | None = None
    alias: str = ""  # $Latest, $Default
    pinned: bool = False  # a group names the number itself
    unread: str = ""
    counts: bool = True
    configured: bool = False  # by a launch configuration
    unconfirmed: bool = False  # what its silence means is not known

    @property
    def version(self) -> str:
        if self.number is None:
            return ""
        return f"{self.alias} = {self.number}" if self.alias else f"version {self.number}"

    def aside(self) -> "Way":
        return replace(self, counts=False)

    def overridden(self, *, image_id: str, instance_type: str) -> "Way":
        """The same launch with an override's own AMI."""
        if not image_id:
            return self
        shown = f"{self.label}, with {image_id}{f' for {instance_type}' if instance_type else ''}"
        return replace(self, image_id=image_id, label=shown)


@dataclass(frozen=True, slots=True)
class Told:
    """The launch that decides, and what it was resolved from."""

    way: Way
    found: Resolution
    image: ImageFact | None
    defaults: DefaultsFact | None
    region: str

    @property
    def silent(self) -> bool:
        """It states no tokens, so another level decides."""
        return self.found.tokens.level is not Level.LAUNCH

    @property
    def ami(self) -> str:
        if self.image is not None and self.image.name:
            return f"{self.image.name} ({self.image.image_id})"
        return self.way.image_id


def provider_of(tags: Iterable[str]) -> str:
    """The service that keeps a resource, by the keys of its tags; empty when it is the account's own."""
    keys = set(tags)
    return next((name for key, (name, _) in PROVIDERS.items() if key in keys), "")


def taken_for_optional(options: LaunchOptions) -> LaunchOptions:
    return replace(options, http_tokens="optional")


def numbers(template: TemplateFact) -> str:
    if template.default_version == template.latest_version:
        return f"default and latest {template.latest_version}"
    return f"default {template.default_version}, latest {template.latest_version}"


# --- why -----------------------------------------------------------------------------------------------------


def reason(told: Told, *, of: int = 1) -> str:
    """Why the launch comes out as it does. `of`: how many launches the source may make, of which this is the worst."""
    first = f"The worst of {of} ways to launch. " if of > 1 else ""
    return f"{first}{_tokens(told)}{_ending(told)}"


def _tokens(told: Told) -> str:
    """Which level decides, or cannot be read."""
    label, tokens = told.way.label, told.found.tokens
    silent = f"{label} states no HttpTokens"
    match tokens.level, tokens.value:
        case Level.LAUNCH, None:
            return told.way.unread
        case Level.LAUNCH, _ if told.way.unconfirmed:
            return (
                f"{silent}, which AWS's API text calls optional. Whether the account default wins over that is not "
                "confirmed, so the worse is taken."
            )
        case Level.LAUNCH, "required":
            return f"{label} states HttpTokens=required."
        case Level.LAUNCH, value:
            return f"{label} states HttpTokens={value}, which wins over every default."
        case Level.ACCOUNT, None:
            return f"{silent}, and the account default in {told.region} was not read."
        case Level.ACCOUNT, "required":
            return f"{silent}; the account default in {told.region} is required."
        case Level.ACCOUNT, value:
            flagged = told.image is not None and told.image.imds_support == V2
            over = f", which wins over the v2.0 of AMI {told.ami}" if flagged else ""
            return f"{silent}; the account default in {told.region} is {value}{over}."
        case Level.IMAGE, None:
            return f"{silent}, nor does the account default in {told.region}, so the AMI decides. {_unread(told)}"
        case Level.IMAGE, _:
            return f"{silent}, nor does the account default in {told.region}; AMI {told.ami} has ImdsSupport v2.0."
        case _:
            return (
                f"{silent}, nor does the account default in {told.region}, and AMI {told.ami} has no ImdsSupport: "
                "EC2's base value is optional."
            )


def _unread(told: Told) -> str:
    image_id = told.way.image_id
    if not image_id:
        return "The AMI is named at launch, so it is not known which."
    if image_id.startswith("resolve:"):
        return f"It is taken from {image_id} at launch, so it is not known which."
    return (
        f"AMI {image_id} could not be read: it is deregistered, not shared with the account, or the call was refused."
    )


def _ending(told: Told) -> str:
    found = told.found
    if found.tokens.value == "required":
        return ""
    if found.answer_now is LaunchAnswer.FAILS:
        return " HttpTokensEnforced is on: the launch fails."
    if found.imds_off and found.enforced is not None:
        return " The endpoint is disabled, so no version of IMDS answers; enforcement asks for the tokens all the same."
    if found.tokens.value is not None and found.enforced is None:
        return " Whether HttpTokensEnforced is on, so that the launch fails, was not read."
    return ""


# --- what to change ------------------------------------------------------------------------------------------


def advice(told: Told, *, provider: str = "", grouped: bool = False) -> str:
    """What to change so that it is safe and stays so."""
    if provider:
        return f"{provider} keeps it: it is not ours to change. {ADVICE_BY_PROVIDER.get(provider, '')}".strip()
    found, way = told.found, told.way
    if found.answer_now is LaunchAnswer.SAFE:
        return _kept(told)
    if found.tokens.value is None and found.tokens.level is Level.LAUNCH:
        return "Find out what it launches, or let the reader role read it; the policy is deploy/reader-role.json."
    if way.configured:
        return (
            "Replace the launch configuration, which cannot be edited, by a launch template with HttpTokens=required."
        )
    if way.number is not None:
        also = f" Or {_lower(_default(told))}" if told.silent else ""
        return f"{_new_version(way, grouped=grouped)}{also}"
    ami = ""
    if found.tokens.level is Level.BASE and told.image is not None:
        ami = (
            " Or give the AMI ImdsSupport=v2.0 (RegisterImage, ModifyImageAttribute), which can never be taken back, "
            "or launch by a template with HttpTokens=required."
        )
    return f"{_default(told)}{ami}"


def _kept(told: Told) -> str:
    """Of what is safe now."""
    if told.found.imds_off and told.found.tokens.value != "required":
        return "State HttpTokens=required as well, before HttpTokensEnforced is switched on."
    if told.found.tokens.level is Level.ACCOUNT:
        return "Nothing to change. It is safe as long as the account default stays required."
    if told.found.tokens.level is Level.IMAGE:
        return "Nothing to change. It is safe as long as its AMIs have v2.0 and no default says optional."
    return "Nothing to change."


def _new_version(way: Way, *, grouped: bool) -> str:
    if way.pinned and grouped:
        follow = "point the group to it"
    elif way.alias == "$Latest" and grouped:
        follow = "the group, on $Latest, takes it by itself"
    else:
        follow = "make it the default version"
    return (
        f"Make a new version of {way.template_name} with HttpTokens=required, and HttpPutResponseHopLimit=2 where "
        f"containers run, from version {way.number} (SourceVersion={way.number}, or it holds nothing but what is "
        f"sent); then {follow}. Running instances keep their options until changed in place or replaced."
    )


def _default(told: Told) -> str:
    if told.defaults is not None and told.defaults.managed_by == "declarative-policy":
        told_by = told.defaults.managed_exception_message
        says = f" It says: {told_by}" if told_by else ""
        return f"Have the declarative policy that sets the account default in {told.region} say required.{says}"
    return (
        f"Set the account default in {told.region} to required (ModifyInstanceMetadataDefaults), which serves every "
        "launch there that states nothing."
    )


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


# --- what else to know ---------------------------------------------------------------------------------------


def notes(counted: Iterable[Resolution]) -> tuple[str, ...]:
    """What does not change the answer and is worth a line."""
    if any(one.starves_containers for one in counted):
        return ("Tokens required with a hop limit of 1: containers do not reach IMDS.",)
    return ()


def other_versions(
    versions: Mapping[tuple[str, int], int], *, wanted: Iterable[tuple[str, int | None]], names: Mapping[str, str]
) -> tuple[str, ...]:
    """Members that run another version than the group launches now."""
    total, current = sum(versions.values()), set(wanted)
    return tuple(
        f"{count} of {total} instances still run version {number} of {names.get(template_id, template_id)}; "
        "a new version changes nothing on them."
        for (template_id, number), count in sorted(versions.items())
        if (template_id, number) not in current
    )


def other_configurations(group: GroupFact) -> tuple[str, ...]:
    total = group.members
    return tuple(
        f"{count} of {total} instances were launched by {name}."
        for name, count in sorted(group.configured.items())
        if name != group.launch_configuration
    )


def warm_pool(group: GroupFact) -> tuple[str, ...]:
    if not group.warm:
        return ()
    return (f"{group.warm} of {group.members} members wait in the warm pool: options act when they next start.",)


def through_groups(used_by: int) -> tuple[str, ...]:
    if not used_by:
        return ()
    return (f"Used by {'1 group' if used_by == 1 else f'{used_by} groups'}, whose instances are counted there.",)
