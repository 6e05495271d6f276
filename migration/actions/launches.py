"""What launches instances becomes rows; and each source of launches is judged from them, once a pass."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import models, transaction

from migration.actions import bulk
from migration.actions.collection import ScopeClaim, cadence, hold
from migration.domain import sources
from migration.domain.launch_facts import (
    ConfigurationFact,
    GroupFact,
    ImageFact,
    LaunchOptions,
    SpotFact,
    TemplateFact,
    VersionFact,
)
from migration.domain.launch_words import Way
from migration.domain.sources import NOBODY, Judged, Shelf, Source
from migration.enums import GapKind, LaunchAnswer, LaunchSourceKind, ResourceKind
from migration.models import (
    AutoScalingGroup,
    Image,
    LaunchConfiguration,
    LaunchReading,
    LaunchSource,
    LaunchTemplate,
    LaunchTemplateVersion,
    RegionDefaults,
    SpotRequest,
)
from migration.queries import shelf
from migration.queries.shelf import Place

LATELY = timedelta(days=30)  # instances launched since then are counted
KEPT = timedelta(days=90)  # a source that is gone stays so long


class Kind(StrEnum):
    """What is read by itself, and may fail by itself. The words are shown."""

    TEMPLATES = "launch templates"
    GROUPS = "Auto Scaling groups"
    CONFIGURATIONS = "launch configurations"
    SPOT = "Spot requests"
    IMAGES = "AMIs"


MODELS: Mapping[Kind, type[models.Model]] = {
    Kind.TEMPLATES: LaunchTemplate,
    Kind.GROUPS: AutoScalingGroup,
    Kind.CONFIGURATIONS: LaunchConfiguration,
    Kind.SPOT: SpotRequest,
    Kind.IMAGES: Image,
}
# By which reading a source is known. An AMI as a source comes from the inventory itself.
KNOWN_BY = {
    LaunchSourceKind.GROUP: Kind.GROUPS,
    LaunchSourceKind.TEMPLATE: Kind.TEMPLATES,
    LaunchSourceKind.CONFIGURATION: Kind.CONFIGURATIONS,
    LaunchSourceKind.SPOT: Kind.SPOT,
}


@dataclass(frozen=True, slots=True)
class Gap:
    """A kind that was not read whole, in AWS's own words."""

    kind: Kind
    gap: GapKind
    message: str


def place_of(claim: ScopeClaim) -> Place:
    return Place(claim.account_pk, claim.region)


def remember(*, account_pk: int, region: str, kind: ResourceKind, after: Mapping[str, Any], now: datetime) -> None:
    """What a change of ours was read back as, so that the page need not wait for the next pass. Region defaults only:
    what templates and groups launch is judged when they are read whole.
    """
    if kind is not ResourceKind.DEFAULTS:
        return
    RegionDefaults.objects.filter(scope__account_id=account_pk, scope__region=region).update(
        http_tokens=after.get("HttpTokens"),
        http_put_response_hop_limit=after.get("HttpPutResponseHopLimit"),
        http_tokens_enforced=after.get("HttpTokensEnforced"),
        read_at=now,
    )


# --- facts into rows ---------------------------------------------------------------------------------------

OPTIONS = (
    "http_tokens",
    "http_put_response_hop_limit",
    "http_endpoint",
    "http_protocol_ipv6",
    "instance_metadata_tags",
)


def store_templates(*, claim: ScopeClaim, facts: Sequence[TemplateFact], seen_at: datetime) -> None:
    """A page of templates. Raises LeaseLost, as all of these."""
    columns = ("template_id", "name", "default_version", "latest_version", "provider")
    _store(claim, LaunchTemplate, columns, [_values(fact, columns) for fact in facts], seen_at, key="template_id")


def store_versions(*, claim: ScopeClaim, facts: Sequence[VersionFact], seen_at: datetime) -> None:
    columns = ("template_id", "number", *OPTIONS, "image_id", "deleted")
    rows = [
        [
            fact.template_id,
            fact.number,
            *_stated(fact.options or LaunchOptions()),
            fact.image_id,
            fact.options is None,
        ]
        for fact in facts
    ]
    _store(claim, LaunchTemplateVersion, columns, rows, seen_at, key=("template_id", "number"))


def store_groups(*, claim: ScopeClaim, facts: Sequence[GroupFact], seen_at: datetime) -> None:
    plain = ("name", "launch_configuration", "mixed", "desired", "members", "warm", "provider")
    columns = (*plain, "uses", "configured", "specification")
    rows = [
        [*_values(fact, plain), [asdict(use) for use in fact.uses], dict(fact.configured), dict(fact.specification)]
        for fact in facts
    ]
    _store(claim, AutoScalingGroup, columns, rows, seen_at, key="name")


def store_configurations(*, claim: ScopeClaim, facts: Sequence[ConfigurationFact], seen_at: datetime) -> None:
    rows = [[fact.name, *_stated(fact.options), fact.image_id] for fact in facts]
    _store(claim, LaunchConfiguration, ("name", *OPTIONS, "image_id"), rows, seen_at, key="name")


def store_spot_requests(*, claim: ScopeClaim, facts: Sequence[SpotFact], seen_at: datetime) -> None:
    columns = ("request_id", "kind", "state", "image_id", "instance_id")
    _store(claim, SpotRequest, columns, [_values(fact, columns) for fact in facts], seen_at, key="request_id")


def store_images(*, claim: ScopeClaim, facts: Sequence[ImageFact], seen_at: datetime) -> None:
    columns = ("image_id", "readable", "imds_support", "name", "owner")
    _store(claim, Image, columns, [_values(fact, columns) for fact in facts], seen_at, key="image_id")


def _values(fact: Any, names: Iterable[str]) -> list[Any]:
    return [getattr(fact, name) for name in names]


def _stated(options: LaunchOptions) -> list[Any]:
    return _values(options, OPTIONS)


def _store(
    claim: ScopeClaim,
    model: type[models.Model],
    columns: tuple[str, ...],
    rows: Sequence[Sequence[Any]],
    seen_at: datetime,
    *,
    key: str | tuple[str, ...],
) -> None:
    if not rows:
        return
    unique = ("account_id", "region", *([key] if isinstance(key, str) else key))
    named = ("account_id", "region", *columns, "seen_at")
    with transaction.atomic():
        hold(claim=claim)
        bulk.upsert(
            model,
            ([claim.account_pk, claim.region, *row, seen_at] for row in rows),
            columns=named,
            unique=unique,
            update=[name for name in named if name not in unique],
        )


def forget(*, claim: ScopeClaim, kind: Kind, seen_at: datetime) -> None:
    """After a WHOLE reading of a kind: what was not in it is not there any more. Raises LeaseLost."""
    with transaction.atomic():
        hold(claim=claim)
        here = place_of(claim).here
        MODELS[kind]._default_manager.filter(**here, seen_at__lt=seen_at).delete()  # noqa: SLF001 -- of any model
        if kind is Kind.TEMPLATES:
            _forget_versions(claim, seen_at)


def _forget_versions(claim: ScopeClaim, seen_at: datetime) -> None:
    """Versions that nothing launches from any more."""
    place = place_of(claim)
    used = shelf.versions_in_use(place, since=seen_at - LATELY)
    unused = [
        pk
        for pk, template, number in LaunchTemplateVersion.objects.filter(**place.here).values_list(
            "pk", "template_id", "number"
        )
        if number not in used.get(template, ())
    ]
    LaunchTemplateVersion.objects.filter(pk__in=unused).delete()


def record(*, claim: ScopeClaim, whole: Iterable[Kind], gaps: Sequence[Gap], now: datetime) -> None:
    """How the reading of the kinds went. Raises LeaseLost."""
    with transaction.atomic():
        hold(claim=claim)
        row = LaunchReading.objects.filter(scope_id=claim.scope_id).first() or LaunchReading(scope_id=claim.scope_id)
        row.tried_at = now
        row.kinds = row.kinds | {kind.value: now.astimezone(UTC).isoformat() for kind in whole}
        row.gaps = [{"kind": gap.kind.value, "gap": gap.gap.value, "message": gap.message} for gap in gaps]
        if not gaps:
            row.read_at = now
        row.save()


# --- rows into judged sources ------------------------------------------------------------------------------

UNIQUE = ("account_id", "region", "kind", "source_id")
COLUMNS = (
    *UNIQUE,
    "name",
    "version",
    "provider",
    "answer_now",
    "answer_enforced",
    "severity",
    "decided",
    "reason",
    "advice",
    "notes",
    "resolution",
    "image_id",
    "instances_live",
    "instances_30d",
    "seen_at",
    "gone_at",
)
# Now, and under enforcement: the worst first. What a service keeps stands after all of our own.
SEVERITY = (
    (LaunchAnswer.FAILS, LaunchAnswer.FAILS),
    (LaunchAnswer.V1_ALLOWED, LaunchAnswer.FAILS),
    (LaunchAnswer.UNKNOWN, LaunchAnswer.FAILS),
    (LaunchAnswer.UNKNOWN, LaunchAnswer.UNKNOWN),
    (LaunchAnswer.SAFE, LaunchAnswer.FAILS),
    (LaunchAnswer.SAFE, LaunchAnswer.UNKNOWN),
    (LaunchAnswer.SAFE, LaunchAnswer.SAFE),
)
KEPT_BY_A_SERVICE = 10
Seen = tuple[Source, datetime]  # and when AWS last listed it


def judge(*, claim: ScopeClaim, now: datetime) -> int:
    """Write an answer for every source of the scope from what is stored; sources that are not there any more are
    gone. Returns how many there are. Raises LeaseLost.
    """
    stored = _stored(claim, now)
    judged = [_row(claim, source, sources.judge(source, stored.shelf), seen_at) for source, seen_at in _sources(stored)]
    with transaction.atomic():
        hold(claim=claim)
        bulk.upsert(LaunchSource, judged, columns=COLUMNS, unique=UNIQUE, update=COLUMNS[len(UNIQUE) :])
        _bury(stored, {(row[2], row[3]) for row in judged})
    return len(judged)


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of a scope. A kind that was read whole too long ago says nothing of now."""

    place: Place
    now: datetime
    read_at: Mapping[Kind, datetime]
    since: datetime
    shelf: Shelf
    templates: list[tuple[TemplateFact, datetime]]
    configurations: list[tuple[ConfigurationFact, datetime]]

    def fresh(self, kind: Kind) -> bool:
        return kind in self.read_at and self.read_at[kind] >= self.since


def _stored(claim: ScopeClaim, now: datetime) -> Stored:
    place, since = place_of(claim), now - 2 * cadence("inventory")
    row = LaunchReading.objects.filter(scope_id=claim.scope_id).first()
    read_at = {Kind(kind): datetime.fromisoformat(at) for kind, at in (row.kinds if row else {}).items()}
    fresh = {kind for kind, at in read_at.items() if at >= since}
    templates, configurations = list(shelf.templates(place)), list(shelf.configurations(place))
    read = Shelf(
        region=claim.region,
        defaults=shelf.defaults(claim.scope_id, since=since),
        templates={fact.template_id: fact for fact, _ in templates},
        versions=shelf.versions(place) if Kind.TEMPLATES in fresh else {},
        configurations={fact.name: fact for fact, _ in configurations} if Kind.CONFIGURATIONS in fresh else {},
        images=shelf.images(place) if Kind.IMAGES in fresh else {},
    )
    return Stored(place, now, read_at, since, read, templates, configurations)


def _sources(stored: Stored) -> Iterator[Seen]:
    """Every source there is."""
    place, read = stored.place, stored.shelf
    groups, spot = list(shelf.groups(place)), list(shelf.spot_requests(place))
    apart = {request.instance_id for request, _ in spot}
    births = shelf.births(place, since=stored.now - LATELY, apart=apart)
    requested = shelf.births_of(place, apart, since=stored.now - LATELY)
    through = sources.templates_used(read, [group for group, _ in groups])
    configured = Counter(group.launch_configuration for group, _ in groups)
    found: list[Seen] = [
        (sources.of_group(read, group, births.groups.get(group.name, NOBODY)), at) for group, at in groups
    ]
    for template, at in stored.templates:
        key = template.template_id
        born = births.templates.get(key, NOBODY)
        found.append((sources.of_template(read, template, used_by=through.get(key, 0), born=born), at))
    for one, at in stored.configurations:
        found.append((sources.of_configuration(one, used_by=configured[one.name]), at))
    found += [(sources.of_spot(request, requested.get(request.instance_id, NOBODY)), at) for request, at in spot]
    for source, at in found:
        yield _as_read(stored, source), at
    for image_id, born in births.images.items():
        image = read.images.get(image_id) or ImageFact(image_id, readable=False)
        yield sources.of_image(image, born), stored.now


def _as_read(stored: Stored, source: Source) -> Source:
    """A source whose own kind was not read lately may be another by now."""
    kind = KNOWN_BY[source.kind]
    if stored.fresh(kind):
        return source
    at = stored.read_at.get(kind)
    when = f"were last read whole on {at:%Y-%m-%d %H:%M} UTC" if at else "have never been read whole"
    unread = f"{kind.value[0].upper()}{kind.value[1:]} {when}."
    return replace(source, ways=(Way(source.name, None, unread=unread),), notes=())


def _row(claim: ScopeClaim, source: Source, judged: Judged, seen_at: datetime) -> list[Any]:
    """The values of COLUMNS."""
    severity = SEVERITY.index((judged.answer_now, judged.answer_enforced))
    return [
        claim.account_pk,
        claim.region,
        source.kind.value,
        source.source_id,
        source.name,
        source.version[:80],
        source.provider,
        judged.answer_now.value,
        judged.answer_enforced.value,
        severity + (KEPT_BY_A_SERVICE if source.provider else 0),
        judged.decided,
        judged.reason,
        judged.advice,
        list(judged.notes),
        judged.resolution,
        judged.image_id,
        source.born.live,
        source.born.recent,
        seen_at,
        None,
    ]


def _bury(stored: Stored, here: set[tuple[str, str]]) -> None:
    """Sources whose row is not there any more, which only a whole reading takes away; after a time, their graves."""
    rows = LaunchSource.objects.filter(**stored.place.here)
    living = rows.filter(gone_at__isnull=True).values_list("pk", "kind", "source_id")
    gone = [pk for pk, kind, source_id in living if (kind, source_id) not in here]
    rows.filter(pk__in=gone).update(gone_at=stored.now)
    rows.filter(gone_at__lt=stored.now - KEPT).delete()
