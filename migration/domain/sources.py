"""The launches a source may make, and what it is by the worst of them. Pure: what was read in, a judgement out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from migration.domain import launch_words as words
from migration.domain.facts import DefaultsFact
from migration.domain.launch import WORST, Resolution, resolve, worst
from migration.domain.launch_facts import (
    NOTHING_STATED,
    ConfigurationFact,
    GroupFact,
    ImageFact,
    SpotFact,
    TemplateFact,
    TemplateUse,
    VersionFact,
)
from migration.domain.launch_words import Told, Way
from migration.enums import LaunchAnswer, LaunchSourceKind

DEFAULT, LATEST = "$Default", "$Latest"


@dataclass(frozen=True, slots=True)
class Shelf:
    """What was read of one account in one Region. `defaults` None: not read."""

    region: str
    defaults: DefaultsFact | None
    templates: Mapping[str, TemplateFact] = field(default_factory=dict)
    versions: Mapping[tuple[str, int], VersionFact] = field(default_factory=dict)
    configurations: Mapping[str, ConfigurationFact] = field(default_factory=dict)
    images: Mapping[str, ImageFact] = field(default_factory=dict)

    def template(self, use: TemplateUse) -> TemplateFact | None:
        """By its id; by its name where a group tells no id."""
        if use.template_id:
            return self.templates.get(use.template_id)
        return next((one for one in self.templates.values() if one.name == use.name), None)


@dataclass(frozen=True, slots=True)
class Born:
    """What a source has launched: living instances by template version, and all of the last 30 days."""

    live: int = 0
    recent: int = 0
    versions: Mapping[tuple[str, int], int] = field(default_factory=dict)


NOBODY = Born()


@dataclass(frozen=True, slots=True)
class Source:
    """One thing that launches instances, with every launch it may make."""

    kind: LaunchSourceKind
    source_id: str
    name: str
    ways: tuple[Way, ...]
    version: str = ""
    provider: str = ""
    notes: tuple[str, ...] = ()
    used_by: int = 0  # groups that launch through it
    born: Born = NOBODY


@dataclass(frozen=True, slots=True)
class Judged:
    """A source's answers, and the words for them. `resolution`: every launch, option by option, as it is stored."""

    answer_now: LaunchAnswer
    answer_enforced: LaunchAnswer
    reason: str
    advice: str
    notes: tuple[str, ...]
    image_id: str
    decided: str  # the level of its tokens, empty where that level could not be read
    resolution: list[dict[str, Any]]


# --- what launches there are -------------------------------------------------------------------------------


def of_group(shelf: Shelf, group: GroupFact, born: Born = NOBODY) -> Source:
    """A group, by every template version it may launch from: `$Latest` and `$Default` as the numbers they mean now."""
    ways = _ways(shelf, group)
    if group.launch_configuration:
        notes = words.other_configurations(group)
    else:
        notes = words.other_versions(
            born.versions,
            wanted={(way.template_id, way.number) for way in ways},
            names={key: one.name for key, one in shelf.templates.items()},
        )
    return Source(
        kind=LaunchSourceKind.GROUP,
        source_id=group.name,
        name=group.name,
        ways=ways,
        version=ways[0].version if len(ways) == 1 else f"{len(ways)} ways to launch",
        provider=group.provider,
        notes=(*notes, *words.warm_pool(group)),
        born=born,
    )


def of_template(shelf: Shelf, template: TemplateFact, *, used_by: int = 0, born: Born = NOBODY) -> Source:
    """A template, by its default version and those that instances were launched from directly. `$Latest` is shown,
    and counts only where something launches from it.
    """
    wanted = {template.default_version, *(number for _, number in born.versions)}
    ways = []
    for number in sorted({*wanted, template.latest_version}, reverse=True):
        marks = {template.latest_version: LATEST, template.default_version: DEFAULT}
        way = _way(shelf, template, number, alias=marks.get(number, ""))
        ways.append(way if number in wanted else way.aside())
    return Source(
        kind=LaunchSourceKind.TEMPLATE,
        source_id=template.template_id,
        name=template.name,
        ways=tuple(ways),
        version=words.numbers(template),
        provider=template.provider,
        notes=words.through_groups(used_by),
        used_by=used_by,
        born=born,
    )


def of_configuration(configuration: ConfigurationFact, *, used_by: int = 0) -> Source:
    return Source(
        kind=LaunchSourceKind.CONFIGURATION,
        source_id=configuration.name,
        name=configuration.name,
        ways=(_configured(configuration, configuration.name),),
        notes=words.through_groups(used_by),
        used_by=used_by,
    )


def of_spot(request: SpotFact, born: Born = NOBODY) -> Source:
    """A Spot request's launch specification has no member for metadata options: it states nothing."""
    return Source(
        kind=LaunchSourceKind.SPOT,
        source_id=request.request_id,
        name=request.request_id,
        ways=(Way("The Spot request", NOTHING_STATED, image_id=request.image_id),),
        version=f"{request.kind}, {request.state}",
        born=born,
    )


def of_image(image: ImageFact, born: Born) -> Source:
    """An AMI from which instances were launched with no template and no group: by what a launch gets that states
    nothing.
    """
    return Source(
        kind=LaunchSourceKind.IMAGE,
        source_id=image.image_id,
        name=image.name or image.image_id,
        ways=(Way("A launch without a template", NOTHING_STATED, image_id=image.image_id),),
        born=born,
    )


def _ways(shelf: Shelf, group: GroupFact) -> tuple[Way, ...]:
    """Every launch the group may make, each once: overrides that differ in the instance type alone are one."""
    if group.launch_configuration:
        return (_configured(shelf.configurations.get(group.launch_configuration), group.launch_configuration),)
    if not group.uses:
        return (Way("The group", None, unread="The group names neither a launch template nor a configuration."),)
    return tuple(dict.fromkeys(_used(shelf, use) for use in group.uses))


def _used(shelf: Shelf, use: TemplateUse) -> Way:
    """The launch that one template and version, as a group names them, stand for."""
    template, shown = shelf.template(use), use.name or use.template_id
    if template is None:
        label = f"Template {shown}"
        return Way(label, None, image_id=use.image_id, unread=f"{label} is deleted, or launch templates were not read.")
    numbers = {LATEST: template.latest_version, DEFAULT: template.default_version, "": template.default_version}
    number = numbers.get(use.version) or (int(use.version) if use.version.isdecimal() else 0)
    alias = use.version if use.version in numbers else ""
    way = _way(shelf, template, number, alias=alias or ("" if use.version else DEFAULT), pinned=not alias)
    return way.overridden(image_id=use.image_id, instance_type=use.instance_type)


def _way(shelf: Shelf, template: TemplateFact, number: int, *, alias: str = "", pinned: bool = False) -> Way:
    version = shelf.versions.get((template.template_id, number))
    label = f"Version {number}{f' ({alias})' if alias else ''} of {template.name}"
    unread = ""
    if version is None:
        unread = f"{label} was not read."
    elif version.options is None:
        unread = f"{label} does not exist any more: a launch from it fails."
    return Way(
        label,
        version.options if version else None,
        image_id=version.image_id if version else "",
        template_id=template.template_id,
        template_name=template.name,
        number=number,
        alias=alias,
        pinned=pinned,
        unread=unread,
    )


def _configured(configuration: ConfigurationFact | None, name: str) -> Way:
    """A launch configuration that states no tokens is taken for `optional`, as the API's text calls it. Whether it
    sends that, and so wins over the account's default, AWS does not say: the worse is taken until it is known.
    """
    label = f"Launch configuration {name}"
    if configuration is None:
        return Way(label, None, unread=f"{label} is deleted, or launch configurations were not read.", configured=True)
    options, silent = configuration.options, configuration.options.http_tokens is None
    if silent:
        options = words.taken_for_optional(options)
    return Way(label, options, image_id=configuration.image_id, configured=True, unconfirmed=silent)


# --- and what they come to ---------------------------------------------------------------------------------


def judge(source: Source, shelf: Shelf) -> Judged:
    """The worst of the launches that count; the words are those of that one."""
    resolved = [(way, _resolved(way, shelf)) for way in source.ways]
    counted = [(way, found) for way, found in resolved if way.counts]
    way, found = min(counted, key=lambda one: _badness(one[1]))
    told = Told(way, found, shelf.images.get(way.image_id), shelf.defaults, shelf.region)
    return Judged(
        answer_now=worst(one.answer_now for _, one in counted),
        answer_enforced=worst(one.answer_enforced for _, one in counted),
        reason=words.reason(told, of=len(counted)),
        advice=words.advice(told, provider=source.provider, grouped=source.kind == LaunchSourceKind.GROUP),
        notes=(*source.notes, *words.notes(one for _, one in counted)),
        image_id=way.image_id,
        decided="" if found.tokens.value is None else found.tokens.level.value,
        resolution=[_stored(way, found) for way, found in resolved],
    )


def _resolved(way: Way, shelf: Shelf) -> Resolution:
    return resolve(way.options, shelf.defaults, shelf.images.get(way.image_id))


def _badness(found: Resolution) -> tuple[int, int]:
    return WORST.index(found.answer_now), WORST.index(found.answer_enforced)


def _stored(way: Way, found: Resolution) -> dict[str, Any]:
    decided = {name: getattr(found, name) for name in ("tokens", "hop_limit", "endpoint", "ipv6", "tags")}
    return {
        "label": way.label,
        "template_id": way.template_id,
        "version": way.number,
        "image_id": way.image_id,
        "counts": way.counts,
        "now": found.answer_now.value,
        "enforced": found.answer_enforced.value,
        "unread": way.unread,
        "options": {name: {"value": one.value, "level": one.level.value} for name, one in decided.items()},
    }


def templates_used(shelf: Shelf, groups: Iterable[GroupFact]) -> dict[str, int]:
    """By template, how many groups may launch from it."""
    counted: dict[str, int] = {}
    for group in groups:
        for template_id in {found.template_id for use in group.uses if (found := shelf.template(use))}:
            counted[template_id] = counted.get(template_id, 0) + 1
    return counted
