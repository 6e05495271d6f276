"""What AWS lists becomes rows: instances, launch defaults, and those that published a metric and are gone."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Min, Q, QuerySet

from migration.actions import bulk, history, regressions
from migration.actions.collection import ScopeClaim, hold
from migration.domain.facts import Activity, DefaultsFact, InstanceFact
from migration.enums import Attribution, Status
from migration.models import Instance, RegionDefaults

FACT_FIELDS = (
    "instance_state",
    "name",
    "instance_type",
    "platform_details",
    "lifecycle",
    "image_id",
    "instance_profile_arn",
    "asg_name",
    "launch_template_id",
    "launch_template_version",
    "public",
    "operator_managed",
    "operator_principal",
    "launched_at",
    "first_launched_at",
    "stopped_at",
    "ended_at",
)
OPTION_FIELDS = (
    "http_tokens",
    "http_put_response_hop_limit",
    "http_endpoint",
    "http_protocol_ipv6",
    "instance_metadata_tags",
)
SEEN_FIELDS = (*FACT_FIELDS, *OPTION_FIELDS, "options_state", "tags", "last_seen_at", "gone_at")
KEY = ("account_id", "region", "instance_id")
# Until the pass ends with its verdict, what is new is unknown.
NEW = (*KEY, *SEEN_FIELDS, "first_seen_at", "status", "status_reason")


def store_page(*, claim: ScopeClaim, facts: Sequence[InstanceFact], seen_at: datetime) -> None:
    """Upsert one page of instances. A known one keeps its verdict until the pass ends. Raises LeaseLost."""
    here = [_row(claim, fact, seen_at, gone=False) for fact in facts if fact.instance_state != "terminated"]
    gone = [_row(claim, fact, seen_at, gone=True) for fact in facts if fact.instance_state == "terminated"]
    with transaction.atomic():
        hold(claim=claim)
        _remember_options(claim, facts, seen_at)
        bulk.upsert(Instance, here, columns=NEW, unique=KEY, update=SEEN_FIELDS)
        bulk.upsert(Instance, gone, columns=NEW, unique=KEY, update=(*SEEN_FIELDS, "status", "status_reason"))


def _remember_options(claim: ScopeClaim, facts: Sequence[InstanceFact], seen_at: datetime) -> None:
    """What of their options is not as it was stored goes into their history."""
    told = {fact.instance_id: fact.options for fact in facts if fact.instance_state != "terminated"}
    here = Instance.objects.filter(account_id=claim.account_pk, region=claim.region)
    stored = here.filter(instance_id__in=list(told)).values_list("pk", "instance_id", *OPTION_FIELDS)
    moved = {
        pk: told[name]
        for pk, name, *options in stored
        if options != [getattr(told[name], field) for field in OPTION_FIELDS]
    }
    if moved:
        history.remember(list(Instance.objects.filter(pk__in=list(moved))), moved, at=seen_at)


def _row(claim: ScopeClaim, fact: InstanceFact, seen_at: datetime, *, gone: bool) -> list[Any]:
    """The values of NEW."""
    options = fact.options
    return [
        claim.account_pk,
        claim.region,
        fact.instance_id,
        *[getattr(fact, name) for name in FACT_FIELDS],
        *[getattr(options, name) for name in OPTION_FIELDS],
        options.state,
        dict(fact.tags),
        seen_at,
        seen_at if gone else None,
        seen_at,
        Status.GONE.value if gone else Status.UNKNOWN.value,
        "Terminated." if gone else "Not judged yet.",
    ]


def mark_gone(*, claim: ScopeClaim, seen_at: datetime) -> int:
    """After a COMPLETE inventory: what was not in it is gone. Kept for its history, never deleted. Raises LeaseLost.

    What its tags said of its group and template in earlier passes stays, and is how its calls are attributed.
    """
    with transaction.atomic():
        hold(claim=claim)
        lost = Instance.objects.filter(
            account_id=claim.account_pk, region=claim.region, gone_at__isnull=True, last_seen_at__lt=seen_at
        )
        lost.exclude(asg_name="", launch_template_id="").update(attributed_by=Attribution.TAGS)
        return lost.update(
            gone_at=seen_at,
            status=Status.GONE,
            status_reason="No longer in AWS's inventory.",
            status_since=seen_at,
            instance_state="terminated",
        )


def store_defaults(*, claim: ScopeClaim, fact: DefaultsFact, now: datetime) -> None:
    """The Region's launch defaults as read; NULL is "no preference". Raises LeaseLost."""
    read = {
        "http_tokens": fact.http_tokens,
        "http_put_response_hop_limit": fact.http_put_response_hop_limit,
        "http_endpoint": fact.http_endpoint,
        "instance_metadata_tags": fact.instance_metadata_tags,
        "http_tokens_enforced": fact.http_tokens_enforced,
        "managed_by": fact.managed_by,
        "managed_exception_message": fact.managed_exception_message,
        "read_at": now,
    }
    with transaction.atomic():
        hold(claim=claim)
        before = RegionDefaults.objects.filter(scope_id=claim.scope_id).first()
        RegionDefaults.objects.update_or_create(scope_id=claim.scope_id, defaults=read)
        regressions.of_defaults(
            account_pk=claim.account_pk,
            region=claim.region,
            before=None if before is None else _defaults_of(before),
            after=fact,
            now=now,
        )


def _defaults_of(row: RegionDefaults) -> DefaultsFact:
    return DefaultsFact(http_tokens=row.http_tokens, http_tokens_enforced=row.http_tokens_enforced)


def remember_published(*, claim: ScopeClaim, ids: Iterable[str], seen_at: datetime) -> int:
    """Ids that published a metric within two weeks, a page of them: those not in the inventory become `gone` rows, to
    be measured. Returns how many there are of these. Raises LeaseLost.

    Called after a complete inventory. An instance launched since then may be among them; the next inventory finds it.
    """
    wanted = set(ids)
    with transaction.atomic():
        hold(claim=claim)
        here = Instance.objects.filter(account_id=claim.account_pk, region=claim.region, instance_id__in=wanted)
        known = dict(here.values_list("instance_id", "gone_at"))
        new = sorted(wanted - known.keys())
        Instance.objects.bulk_create([_published(claim, instance_id, seen_at) for instance_id in new])
        here.filter(gone_at__isnull=False).exclude(published_at=seen_at).update(published_at=seen_at)
    return len(new) + sum(gone_at is not None for gone_at in known.values())


def _published(claim: ScopeClaim, instance_id: str, seen_at: datetime) -> Instance:
    """An instance of which nothing is known but that it lived and published."""
    return Instance(
        account_id=claim.account_pk,
        region=claim.region,
        instance_id=instance_id,
        instance_state="terminated",
        first_seen_at=seen_at,
        last_seen_at=seen_at,
        published_at=seen_at,
        gone_at=seen_at,
        status=Status.GONE,
        status_reason="It published IMDS metrics within two weeks and is not in AWS's inventory.",
        status_since=seen_at,
    )


def unattributed(*, claim: ScopeClaim) -> set[str]:
    """Ids of gone instances whose group or template nothing has told yet, or whose launch nothing has."""
    rows = Instance.objects.filter(
        Q(attributed_by=Attribution.NONE, asg_name="", launch_template_id="") | LAUNCH_NOT_TOLD,
        account_id=claim.account_pk,
        region=claim.region,
        published_at__isnull=False,
    )
    return set(rows.values_list("instance_id", flat=True))


# Activities come newest first: the page that tells of an end may be read before the one that tells of the launch.
LAUNCH_NOT_TOLD = Q(attributed_by=Attribution.ACTIVITY, first_launched_at__isnull=True)


def attribute(*, claim: ScopeClaim, activities: Sequence[Activity]) -> int:
    """Gone instances take their group from scaling activities, and from the group what it launched at that time.

    Returns how many were found. Raises LeaseLost.
    """
    told = {one.instance_id: one for one in activities if one.launched_at is None}
    told |= {one.instance_id: one for one in activities if one.launched_at is not None}
    ends = {one.instance_id: one.ended_at for one in activities if one.ended_at is not None}
    with transaction.atomic():
        hold(claim=claim)
        here = Instance.objects.filter(account_id=claim.account_pk, region=claim.region)
        nameless = here.filter(Q(asg_name="") | LAUNCH_NOT_TOLD, gone_at__isnull=False)
        lost = list(nameless.filter(instance_id__in=list(told)))
        launches = _launches(here.filter(asg_name__in={told[row.instance_id].asg_name for row in lost}))
        for row in lost:
            one = told[row.instance_id]
            row.asg_name, row.attributed_by = one.asg_name[:256], Attribution.ACTIVITY
            row.first_launched_at = one.launched_at or row.first_launched_at
            row.ended_at = ends.get(row.instance_id, row.ended_at)
            source = _source_at(launches.get(one.asg_name, []), row.first_launched_at)
            if source is not None:
                row.launch_template_id, row.launch_template_version, row.image_id = source
        Instance.objects.bulk_update(lost, ATTRIBUTED_FIELDS, batch_size=500)
    return len(lost)


ATTRIBUTED_FIELDS = (
    "asg_name",
    "attributed_by",
    "first_launched_at",
    "ended_at",
    "launch_template_id",
    "launch_template_version",
    "image_id",
)
Source = tuple[str, str, str]  # launch template id, its version, AMI


def _launches(members: QuerySet[Instance]) -> dict[str, list[tuple[datetime, Source]]]:
    """By group: since when it launched from which template version and AMI, oldest first, as far as is known."""
    rows = (
        members.exclude(image_id="")
        .filter(first_launched_at__isnull=False)
        .order_by()
        .values_list("asg_name", "launch_template_id", "launch_template_version", "image_id")
        .annotate(since=Min("first_launched_at"))
    )
    found: dict[str, list[tuple[datetime, Source]]] = {}
    for group, template, version, image, since in rows:
        found.setdefault(group, []).append((since, (template, version, image)))
    for launches in found.values():
        launches.sort()
    return found


def _source_at(launches: Sequence[tuple[datetime, Source]], at: datetime | None) -> Source | None:
    """What the group launched from then: the newest source begun by that time; not known before the first."""
    if at is None:
        return launches[-1][1] if len(launches) == 1 else None
    begun = [source for since, source in launches if since <= at]
    return begun[-1] if begun else None
