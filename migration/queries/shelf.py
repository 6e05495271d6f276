"""What is stored of an account-Region's launch sources, as the values the rules judge."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Coalesce

from migration.domain.facts import DefaultsFact
from migration.domain.launch_facts import (
    ConfigurationFact,
    GroupFact,
    ImageFact,
    LaunchOptions,
    SpotFact,
    TemplateFact,
    TemplateUse,
    VersionFact,
)
from migration.domain.sources import Born
from migration.models import (
    AutoScalingGroup,
    Image,
    Instance,
    LaunchConfiguration,
    LaunchTemplate,
    LaunchTemplateVersion,
    RegionDefaults,
    SpotRequest,
)
from migration.models.launches import Stated

AMI = "ami-"


@dataclass(frozen=True, slots=True)
class Place:
    """One account in one Region."""

    account_pk: int
    region: str

    @property
    def here(self) -> dict[str, Any]:
        return {"account_id": self.account_pk, "region": self.region}


def defaults(scope_pk: int, *, since: datetime) -> DefaultsFact | None:
    """The Region's defaults, if they were read since then. An older reading says nothing of now."""
    row = RegionDefaults.objects.filter(scope_id=scope_pk, read_at__gte=since).first()
    if row is None:
        return None
    return DefaultsFact(
        http_tokens=row.http_tokens,
        http_put_response_hop_limit=row.http_put_response_hop_limit,
        http_endpoint=row.http_endpoint,
        instance_metadata_tags=row.instance_metadata_tags,
        http_tokens_enforced=row.http_tokens_enforced,
        managed_by=row.managed_by,
        managed_exception_message=row.managed_exception_message,
    )


def _stated(row: Stated) -> LaunchOptions:
    return LaunchOptions(
        http_tokens=row.http_tokens,
        http_put_response_hop_limit=row.http_put_response_hop_limit,
        http_endpoint=row.http_endpoint,
        http_protocol_ipv6=row.http_protocol_ipv6,
        instance_metadata_tags=row.instance_metadata_tags,
    )


def templates(place: Place) -> Iterator[tuple[TemplateFact, datetime]]:
    """Each with when it was last listed, as the others below."""
    for row in LaunchTemplate.objects.filter(**place.here):
        yield (
            TemplateFact(row.template_id, row.name, row.default_version, row.latest_version, row.provider),
            row.seen_at,
        )


def versions(place: Place) -> dict[tuple[str, int], VersionFact]:
    return {
        (row.template_id, row.number): VersionFact(
            row.template_id, row.number, None if row.deleted else _stated(row), row.image_id
        )
        for row in LaunchTemplateVersion.objects.filter(**place.here)
    }


def groups(place: Place) -> Iterator[tuple[GroupFact, datetime]]:
    for row in AutoScalingGroup.objects.filter(**place.here):
        fact = GroupFact(
            name=row.name,
            uses=tuple(TemplateUse(**use) for use in row.uses),
            launch_configuration=row.launch_configuration,
            mixed=row.mixed,
            desired=row.desired,
            configured=row.configured,
            members=row.members,
            warm=row.warm,
            provider=row.provider,
            specification=row.specification,
        )
        yield fact, row.seen_at


def configurations(place: Place) -> Iterator[tuple[ConfigurationFact, datetime]]:
    for row in LaunchConfiguration.objects.filter(**place.here):
        yield ConfigurationFact(row.name, _stated(row), row.image_id), row.seen_at


def spot_requests(place: Place) -> Iterator[tuple[SpotFact, datetime]]:
    """Those of which it is not known that their instance came from a template or a group."""
    rows = list(SpotRequest.objects.filter(**place.here))
    launched = [row.instance_id for row in rows if row.instance_id]
    otherwise = set(
        Instance.objects.filter(**place.here, instance_id__in=launched)
        .exclude(asg_name="", launch_template_id="")
        .values_list("instance_id", flat=True)
    )
    for row in rows:
        if row.instance_id not in otherwise:
            yield SpotFact(row.request_id, row.kind, row.state, row.image_id, row.instance_id), row.seen_at


def images(place: Place) -> dict[str, ImageFact]:
    return {
        row.image_id: ImageFact(row.image_id, row.readable, row.imds_support, row.name, row.owner)
        for row in Image.objects.filter(**place.here)
    }


@dataclass(frozen=True, slots=True)
class Births:
    """The instances of a place by what launched them: a group, else a template, else an AMI alone."""

    groups: dict[str, Born]
    templates: dict[str, Born]
    images: dict[str, Born]


def _lately(place: Place, since: datetime) -> QuerySet[Instance]:
    """Instances that live, and those that were first launched since then, gone or not."""
    return (
        Instance.objects.filter(**place.here)
        .annotate(born_at=Coalesce("first_launched_at", F("first_seen_at")))
        .filter(Q(gone_at__isnull=True) | Q(born_at__gte=since))
        .order_by()
    )


def births(place: Place, *, since: datetime, apart: set[str]) -> Births:
    """Counted in one query. `apart`: instances that a Spot request launches, which have no AMI as their source."""
    rows = (
        _lately(place, since)
        .exclude(instance_id__in=apart)
        .values_list("asg_name", "launch_template_id", "launch_template_version", "image_id", "operator_managed")
        .annotate(live=Count("pk", filter=Q(gone_at__isnull=True)), recent=Count("pk", filter=Q(born_at__gte=since)))
    )
    kept: dict[str, dict[str, _Tally]] = {kind: defaultdict(_Tally) for kind in ("groups", "templates", "images")}
    for group, template, version, image, managed, live, recent in rows:
        kind, key = ("groups", group) if group else ("templates", template) if template else ("images", image)
        if key and not (kind == "images" and managed):
            kept[kind][key].add(template, version, live, recent)
    return Births(**{kind: {key: tally.born() for key, tally in found.items()} for kind, found in kept.items()})


def births_of(place: Place, ids: set[str], *, since: datetime) -> dict[str, Born]:
    """Some instances, each as what its own source has launched."""
    if not ids:
        return {}
    rows = _lately(place, since).filter(instance_id__in=ids)
    return {
        row.instance_id: Born(row.gone_at is None, (row.first_launched_at or row.first_seen_at) >= since)
        for row in rows.only("instance_id", "gone_at", "first_launched_at", "first_seen_at")
    }


class _Tally:
    def __init__(self) -> None:
        self.live = self.recent = 0
        self.versions: dict[tuple[str, int], int] = {}

    def add(self, template: str, version: str, live: int, recent: int) -> None:
        self.live += live
        self.recent += recent
        if template and version.isdecimal():
            key = (template, int(version))
            self.versions[key] = self.versions.get(key, 0) + live

    def born(self) -> Born:
        return Born(self.live, self.recent, dict(self.versions))


def image_ids(place: Place, *, since: datetime) -> set[str]:
    """The AMIs that sources name or instances run from. Aliases and parameters of AMIs are not among them."""
    found = set(_lately(place, since).values_list("image_id", flat=True).distinct())
    for model in (LaunchTemplateVersion, LaunchConfiguration, SpotRequest):
        found |= set(model.objects.filter(**place.here).values_list("image_id", flat=True))
    for uses in AutoScalingGroup.objects.filter(**place.here).values_list("uses", flat=True):
        found |= {use["image_id"] for use in uses}
    return {image_id for image_id in found if image_id.startswith(AMI)}


def versions_wanted(place: Place, *, since: datetime) -> dict[str, set[int]]:
    """The numbered versions, by template, that groups name or instances were launched from and that are not known."""
    known = set(LaunchTemplateVersion.objects.filter(**place.here).values_list("template_id", "number"))
    return {
        template: numbers
        for template, named in versions_in_use(place, since=since).items()
        if (numbers := {number for number in named if (template, number) not in known})
    }


def versions_in_use(place: Place, *, since: datetime) -> dict[str, set[int]]:
    """By template that is there: its default and latest version, those groups name, those of instances."""
    found: dict[str, set[int]] = {}
    names: dict[str, str] = {}
    for fact, _ in templates(place):
        found[fact.template_id] = {fact.default_version, fact.latest_version}
        names[fact.name] = fact.template_id
    named = [
        (use["template_id"] or names.get(use["name"], ""), use["version"])
        for uses in AutoScalingGroup.objects.filter(**place.here).values_list("uses", flat=True)
        for use in uses
    ]
    launched = _lately(place, since).values_list("launch_template_id", "launch_template_version").distinct()
    for template, version in [*named, *launched]:
        if template in found and version.isdecimal():
            found[template].add(int(version))
    return found
