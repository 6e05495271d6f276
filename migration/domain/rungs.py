"""Plans above the single instance: what would make new launches safe, what cannot be planned, and why. Pure.

Every item is as `domain.ladder` describes its kind; the words are for whoever approves.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from migration.domain import ladder
from migration.domain.facts import DefaultsFact
from migration.domain.launch import resolve
from migration.domain.launch_facts import GroupFact, ImageFact, LaunchOptions, TemplateFact, VersionFact
from migration.domain.sources import DEFAULT, LATEST, Shelf
from migration.domain.words import inner
from migration.enums import LaunchAnswer, Status

Item = dict[str, Any]
FINE = frozenset({Status.READY, Status.ENFORCED, Status.IMDS_OFF, Status.PENDING, Status.GONE, Status.MANAGED})
BY_POLICY = "declarative-policy"
IRREVERSIBLE = "ImdsSupport can never be taken back (EC2 API, ModifyImageAttribute): a copy of the AMI is the only way."


@dataclass(frozen=True, slots=True)
class Home:
    """An account in one Region, as last collected. `complete`: every kind of launch source was read whole, lately."""

    region: str
    account_id: str
    shelf: Shelf
    groups: Sequence[GroupFact] = ()
    complete: bool = True
    by_template: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # living instances by status
    by_image: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    everything: Mapping[str, int] = field(default_factory=dict)
    unsafe: Mapping[str, int] = field(default_factory=dict)  # launch sources by their answer under enforcement


@dataclass(slots=True)
class Drawn:
    """What a rung comes to in one Region."""

    items: list[Item] = field(default_factory=list)
    excluded: list[Item] = field(default_factory=list)

    def leave(self, region: str, resource_id: str, name: str, reason: str, status: str = "unknown") -> None:
        self.excluded.append(
            {"instance_id": resource_id, "region": region, "name": name, "status": status, "reason": reason}
        )


# --- launch templates and groups --------------------------------------------------------------------------


def templates(home: Home) -> Drawn:
    """A new version of each template whose launches are not safe, its default moved, and groups that pin the old
    version moved along. One version of a template at most; nobody is moved to a version made from another one, for
    that may differ in more than IMDS.
    """
    drawn = Drawn()
    if not home.complete:
        drawn.leave(
            home.region, home.region, "", "What launches instances here was not read whole; nothing is planned."
        )
        return drawn
    for template in sorted(home.shelf.templates.values(), key=lambda one: one.template_id):
        _template(home, template, drawn)
    for group in home.groups:
        if group.launch_configuration:
            reason = "A launch configuration cannot be edited; move the group to a launch template (AWS's advice)."
            drawn.leave(home.region, group.name, "", reason, "managed")
    return drawn


def _template(home: Home, template: TemplateFact, drawn: Drawn) -> None:
    users = [group for group in home.groups if any(template.template_id == use for use in _used(home, group))]
    source = _source(home, template, users)
    if source is None:
        return
    reason, status = _against(home, template, users, source)
    if reason:
        drawn.leave(home.region, template.template_id, template.name, reason, status)
        return
    fact = home.shelf.versions[template.template_id, source]
    stated = as_aws(fact.options or LaunchOptions())
    version = _item(
        ladder.TEMPLATE_VERSION,
        home.region,
        template.template_id,
        template.name,
        before={"SourceVersion": source, "MetadataOptions": stated},
        send={"MetadataOptions": {**stated, ladder.TOKENS: "required"}},
        reason=f"A new version made from version {source}; nothing else in it changes.",
        warnings=[*_unseen(home.by_template.get(template.template_id, {})), *_starving(home, fact)],
    )
    drawn.items.append(version)
    needs = [ladder.TEMPLATE_VERSION, home.region, template.template_id]
    waiting = {ladder.MADE_BY: template.template_id}
    if source == template.default_version:
        drawn.items.append(
            _item(
                ladder.TEMPLATE_DEFAULT,
                home.region,
                template.template_id,
                template.name,
                before={"DefaultVersion": source},
                send={"DefaultVersion": waiting},
                reason=f"Launches that name no version get the new one. Version {source} stays, to go back to.",
            )
            | {"needs": needs}
        )
    for group in users:
        _group(home, group, template, source, needs, drawn)


def _source(home: Home, template: TemplateFact, users: Sequence[GroupFact]) -> int | None:
    """The version a new one is made from: the default where that is not safe, else the newest of those in use that
    are not. None: all in use are safe.
    """
    wanted = [template.default_version, *sorted(_pinned(home, template, users), reverse=True)]
    return next((number for number in wanted if _unsafe(home, template, number)), None)


def _pinned(home: Home, template: TemplateFact, users: Sequence[GroupFact]) -> set[int]:
    """The version numbers that groups launch from: pinned ones, and what $Latest is now."""
    found = set()
    for group in users:
        for version in _versions(home, group, template):
            if version.isdecimal():
                found.add(int(version))
            elif version == LATEST:
                found.add(template.latest_version)
    return found


def _unsafe(home: Home, template: TemplateFact, number: int) -> bool:
    """Would a launch from it allow IMDSv1, or fail once launches that allow it are refused?"""
    fact = home.shelf.versions.get((template.template_id, number))
    if fact is None or fact.options is None:
        return False
    found = resolve(fact.options, home.shelf.defaults, home.shelf.images.get(fact.image_id))
    return found.answer_now is LaunchAnswer.V1_ALLOWED or found.answer_enforced is not LaunchAnswer.SAFE


def _against(home: Home, template: TemplateFact, users: Sequence[GroupFact], source: int) -> tuple[str, str]:
    """Why no version of this template is planned, and the word for it."""
    if template.provider:
        return f"{template.provider} keeps this template; change it there.", "managed"
    running = _not_ready(home.by_template.get(template.template_id, {}))
    if running:
        return f"What it launches may still need IMDSv1: {running}.", "in_use"
    follows = [group.name for group in users if LATEST in _versions(home, group, template)]
    if follows and source != template.latest_version:
        return (
            f"{follows[0]} launches from $Latest, version {template.latest_version}; a new version made from {source} "
            "would become $Latest. Make the new version by hand, or pin the group first."
        ), "conflict"
    return "", ""


def _group(  # noqa: PLR0917 -- told in the order of the sentence
    home: Home, group: GroupFact, template: TemplateFact, source: int, needs: list[str], drawn: Drawn
) -> None:
    """A group that pins the old version is moved; one that follows $Default or $Latest follows by itself."""
    pinned = {int(version) for version in _versions(home, group, template) if version.isdecimal()}
    bad = {number for number in pinned if _unsafe(home, template, number)}
    if not bad:
        return
    others = {one for one in _used(home, group) if one != template.template_id}
    reason = ""
    if group.provider:
        reason = f"{group.provider} keeps this group; change it there."
    elif bad != {source}:
        told = ", ".join(str(number) for number in sorted(bad - {source}))
        reason = f"It pins version {told} of {template.name}, and the new version is made from {source}: not moved."
    elif not group.specification:
        reason = "What it launches from was not read in full yet; it is after the next collection."
    elif others:
        reason = "It launches from several templates; move it by hand once each has its new version."
    if reason:
        status = "managed" if group.provider else "conflict"
        drawn.leave(home.region, group.name, "", reason, status)
        return
    before = copy.deepcopy(dict(group.specification))
    drawn.items.append(
        _item(
            ladder.GROUP,
            home.region,
            group.name,
            group.name,
            before=before,
            send=_moved(before, source, template.template_id),
            reason=f"It pins version {source}. Running instances stay; an instance refresh would replace them.",
            warnings=["New instances of the group get the new version from the next launch on."],
        )
        | {"needs": needs}
    )


def _moved(specification: Mapping[str, Any], source: int, template_id: str) -> dict[str, Any]:
    """The specification with every mention of the old version waiting for the new one."""
    moved: dict[str, Any] = copy.deepcopy(dict(specification))
    for spec in _specifications(moved):
        if spec.get("Version") == str(source):
            spec["Version"] = {ladder.MADE_BY: template_id}
    return moved


def _specifications(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "LaunchTemplateId" in value or "LaunchTemplateName" in value:
            yield value
        for inner in value.values():
            yield from _specifications(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _specifications(inner)


def _used(home: Home, group: GroupFact) -> set[str]:
    return {found.template_id for use in group.uses if (found := home.shelf.template(use))}


def _versions(home: Home, group: GroupFact, template: TemplateFact) -> set[str]:
    """The versions of a template that a group names: numbers, $Latest, $Default."""
    return {
        use.version or DEFAULT
        for use in group.uses
        if (found := home.shelf.template(use)) and found.template_id == template.template_id
    }


# --- AMIs -------------------------------------------------------------------------------------------------


def images(home: Home) -> Drawn:
    """ImdsSupport=v2.0 on the account's own AMIs that are in use and say nothing yet."""
    drawn = Drawn()
    for image in sorted(home.shelf.images.values(), key=lambda one: one.image_id):
        if not image.readable or image.imds_support is not None:
            continue
        reason = _against_image(home, image)
        if reason:
            drawn.leave(home.region, image.image_id, image.name, reason, "managed" if image.owner else "unknown")
            continue
        drawn.items.append(
            _item(
                ladder.IMAGE,
                home.region,
                image.image_id,
                image.name,
                before={"ImdsSupport": None},
                send={"ImdsSupport": "v2.0"},
                reason="Launches from it that say nothing else require IMDSv2, with hop limit 2.",
                warnings=[IRREVERSIBLE],
            )
        )
    return drawn


def _against_image(home: Home, image: ImageFact) -> str:
    if image.owner != home.account_id:
        return f"It belongs to {image.owner or 'another account'}, which alone can change it."
    running = _not_ready(home.by_image.get(image.image_id, {}))
    return f"What runs from it may still need IMDSv1: {running}." if running else ""


# --- Region defaults and enforcement ----------------------------------------------------------------------


def defaults(home: Home, *, hop_limit: int | None = None) -> Drawn:
    """HttpTokens=required for launches that say nothing, and a hop limit where one is chosen."""
    drawn = Drawn()
    now = _own(home, drawn)
    if now is None:
        return drawn
    send: dict[str, Any] = {}
    if now.http_tokens != "required":
        send[ladder.TOKENS] = "required"
    if hop_limit is not None and now.http_put_response_hop_limit != hop_limit:
        send[ladder.HOP_LIMIT] = hop_limit
    if not send:
        return drawn
    running = _not_ready(home.everything)
    warnings = [f"Some that run here may still need IMDSv1, and their successors would not get it: {running}."]
    drawn.items.append(
        _of_region(
            home,
            now,
            send,
            reason="Launches that say nothing of tokens require IMDSv2. What a template or an AMI says goes first.",
            warnings=warnings if running else [],
        )
    )
    return drawn


def enforcement(home: Home) -> Drawn:
    """HttpTokensEnforced, last of all: it refuses every launch that allows IMDSv1, and takes rollback away."""
    drawn = Drawn()
    now = _own(home, drawn)
    if now is None or now.http_tokens_enforced == "enabled":
        return drawn
    reason = not_clean(home)
    if reason:
        drawn.leave(home.region, home.region, "", reason, "locked")
        return drawn
    drawn.items.append(
        _of_region(
            home,
            now,
            {ladder.ENFORCED: "enabled"},
            reason="The simulation of every launch source here is clean, and every instance requires IMDSv2.",
            warnings=["AWS then refuses HttpTokens=optional: no instance can be put back until this is lifted."],
        )
    )
    return drawn


def not_clean(home: Home) -> str:
    """Why HttpTokensEnforced would do harm here, or might, in a sentence; "" when the simulation is clean."""
    if not home.complete:
        return "What launches instances here was not read whole lately, so its launches cannot be simulated."
    if home.unsafe:
        told = ", ".join(
            f"{count} {inner(LaunchAnswer(answer).label)}" for answer, count in sorted(home.unsafe.items())
        )
        return f"Not every launch source here is safe under enforcement: {told}."
    left = {
        status: count
        for status, count in home.everything.items()
        if status not in {Status.ENFORCED, Status.IMDS_OFF, Status.GONE, Status.MANAGED} and count
    }
    if left:
        return f"Not every instance here requires IMDSv2: {_told(left)}. Enforcement takes their rollback away."
    return ""


def lift(home: Home) -> Drawn:
    """HttpTokensEnforced taken off: launches may allow IMDSv1 again, and instances can be put back."""
    drawn = Drawn()
    now = _own(home, drawn)
    if now is None or now.http_tokens_enforced != "enabled":
        return drawn
    drawn.items.append(
        _of_region(
            home,
            now,
            {ladder.ENFORCED: "disabled"},
            reason="So that instances can be put back, or launches that allow IMDSv1 work again.",
            warnings=["This loosens security: launches that allow IMDSv1 are no longer refused."],
        )
    )
    return drawn


def _own(home: Home, drawn: Drawn) -> DefaultsFact | None:
    """The Region's defaults, when they are known and ours to change."""
    now = home.shelf.defaults
    if now is None:
        drawn.leave(home.region, home.region, "", "Its launch defaults were not read lately.")
    elif now.managed_by == BY_POLICY:
        said = f" It says: {now.managed_exception_message}" if now.managed_exception_message else ""
        reason = f"A declarative policy of the organization holds these defaults; change them there.{said}"
        drawn.leave(home.region, home.region, "", reason, "locked")
    else:
        return now
    return None


def _of_region(home: Home, now: DefaultsFact, send: dict[str, Any], *, reason: str, warnings: list[str]) -> Item:
    before = {
        ladder.TOKENS: now.http_tokens,
        ladder.HOP_LIMIT: now.http_put_response_hop_limit,
        "HttpEndpoint": now.http_endpoint,
        "InstanceMetadataTags": now.instance_metadata_tags,
        ladder.ENFORCED: now.http_tokens_enforced,
    }
    return _item(
        ladder.REGION_DEFAULTS, home.region, home.region, "", before=before, send=send, reason=reason, warnings=warnings
    )


# --- what they share --------------------------------------------------------------------------------------


def as_aws(stated: LaunchOptions) -> dict[str, Any]:
    """The options a version states, under AWS's names; what it leaves out is left out."""
    told = {
        ladder.TOKENS: stated.http_tokens,
        ladder.HOP_LIMIT: stated.http_put_response_hop_limit,
        "HttpEndpoint": stated.http_endpoint,
        "HttpProtocolIpv6": stated.http_protocol_ipv6,
        "InstanceMetadataTags": stated.instance_metadata_tags,
    }
    return {name: value for name, value in told.items() if value is not None}


def _item(
    kind: str,
    region: str,
    resource_id: str,
    name: str,
    *,
    before: dict[str, Any],
    send: dict[str, Any],
    reason: str,
    warnings: Iterable[str] = (),
) -> Item:
    return {
        "kind": kind,
        "region": region,
        "resource_id": resource_id,
        "name": name,
        "before": before,
        "send": send,
        "reason": reason,
        "warnings": list(warnings),
    }


def _not_ready(statuses: Mapping[str, int]) -> str:
    """Those that may still call IMDSv1, in words; "" when none does."""
    return _told({status: count for status, count in statuses.items() if Status(status) not in FINE and count})


def _starving(home: Home, fact: VersionFact) -> list[str]:
    """With tokens required, what a launch of it would get for containers."""
    required = replace(fact.options or LaunchOptions(), http_tokens="required")
    found = resolve(required, home.shelf.defaults, home.shelf.images.get(fact.image_id))
    if not found.starves_containers:
        return []
    return ["Its launches get hop limit 1: a container on them, unless it shares the host's network, gets no token."]


def _unseen(statuses: Mapping[str, int]) -> list[str]:
    if any(statuses.values()):
        return []
    return ["No instance launched from it lives now, so nothing is known of what it would run."]


def _told(statuses: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {inner(Status(status).label)}" for status, count in sorted(statuses.items()))
