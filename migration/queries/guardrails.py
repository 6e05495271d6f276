"""What a guardrail is for: the launches, instances and defaults of some accounts, as `domain.breaks` takes them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from migration.domain.breaks import Chosen, Fleet, Launch, Usage, Way
from migration.domain.launch import Decided
from migration.domain.policies.wanted import (
    DEFAULTS,
    INSTANCES,
    NOTHING,
    TEMPLATES,
    Before,
    Kind,
    Known,
    Wanted,
)
from migration.enums import DONE, FoundBy, LaunchAnswer, LaunchSourceKind, Level, Status
from migration.models import Account, Caller, Instance, LaunchTemplate, RegionDefaults, Scope
from migration.queries import launches
from migration.queries.access import among
from migration.queries.fleet import UNREADABLE

SIMULATED = 5000  # launch sources on one page, the worst first
STATES = Count("pk")


@dataclass(frozen=True)
class Place:
    """The accounts and Regions a guardrail is for. No Region: all of them."""

    accounts: QuerySet[Account]
    regions: Collection[str] = ()

    def here(self) -> Q:
        condition = among(self.accounts, "account")
        return condition & Q(region__in=self.regions) if self.regions else condition


def regions(accounts: QuerySet[Account]) -> tuple[str, ...]:
    """Those that are collected."""
    rows = Scope.objects.filter(among(accounts, "account"), enabled=True, account__enabled=True)
    return tuple(rows.order_by("region").values_list("region", flat=True).distinct())


def partition(accounts: QuerySet[Account]) -> str:
    """The one most of the accounts are in."""
    counted = accounts.order_by().values_list("partition").annotate(count=Count("pk")).order_by("-count", "partition")
    found = counted.first()
    return found[0] if found else "aws"


# --- what would break ------------------------------------------------------------------------------------------


def fleet(kind: Kind, place: Place) -> Fleet:
    """As much as the kind of guardrail is judged by."""
    read = _READ.get(kind, _of_instances)
    return Fleet(**read(place), unreadable=_unreadable(place.accounts))


def _unreadable(accounts: QuerySet[Account]) -> int:
    seen = Exists(Scope.objects.filter(account=OuterRef("pk"), inventory_at__isnull=False))
    return accounts.filter(Q(role_state__in=UNREADABLE) | ~seen, enabled=True).count()


def _statuses(place: Place) -> dict[str, Any]:
    rows = _living(place).order_by().values_list("status").annotate(STATES)
    return {"by_status": dict(rows)}


def _of_defaults(place: Place) -> dict[str, Any]:
    return _statuses(place) | _sources(place)


def _of_launches(place: Place) -> dict[str, Any]:
    stopped = _living(place).filter(instance_state="stopped", http_tokens="optional").exclude(http_endpoint="disabled")
    return _sources(place) | {"stopped_v1": stopped.count()}


def _of_credentials(place: Place) -> dict[str, Any]:
    """`delivered_v1` True: CloudTrail told of such credentials. That it told of none is not known to mean none."""
    told = Caller.objects.filter(place.here()).exclude(found_by=FoundBy.ANALYZER).exists()
    return {
        "with_role": _usage(_living(place).exclude(instance_profile_arn="")),
        "delivered_v1": True if told else None,
    }


def _of_instances(place: Place) -> dict[str, Any]:
    return {"usage": _usage(_living(place))}


def _usage(rows: QuerySet[Instance]) -> Usage:
    """By what was measured, for a status may stand for something else: a waived instance that calls is waived."""
    open_ = ~Q(status__in=DONE)
    quiet = Q(v1_calls_window=0, window_days__gt=0, measured_days__gte=F("window_days"))
    counted = rows.exclude(status=Status.MANAGED).aggregate(
        total=Count("pk"),
        refusing=Count("pk", filter=~open_),
        calling=Count("pk", filter=open_ & Q(v1_calls_window__gt=0)),
        quiet=Count("pk", filter=open_ & quiet),
    )
    known = {name: counted[name] for name in ("refusing", "calling", "quiet")}
    return Usage(**known, undecided=counted["total"] - sum(known.values()))


_READ: Mapping[Kind, Callable[[Place], dict[str, Any]]] = {
    **dict.fromkeys(DEFAULTS, _of_defaults),
    Kind.DENY_LAUNCH: _of_launches,
    Kind.DENY_OPT_OUT: _statuses,
    Kind.DENY_V1_CREDENTIALS: _of_credentials,
}


def _living(place: Place) -> QuerySet[Instance]:
    return Instance.objects.filter(place.here(), gone_at__isnull=True)


def _sources(place: Place) -> dict[str, Any]:
    """Launch sources with what is set in their Regions, and how far both were read."""
    scopes = Scope.objects.filter(place.here(), enabled=True, account__enabled=True).order_by()
    counted = scopes.aggregate(
        scopes=Count("pk"),
        whole=Count("pk", filter=launches.WHOLE),
        never=Count("pk", filter=Q(launch_reading__isnull=True)),
    )
    defaults = {
        (account, region): (enforced == "enabled", managed_by, endpoint)
        for account, region, enforced, managed_by, endpoint in RegionDefaults.objects.filter(
            scope__in=scopes
        ).values_list("scope__account_id", "scope__region", "http_tokens_enforced", "managed_by", "http_endpoint")
    }
    living = launches.living(place.accounts).filter(place.here())
    rows = living.order_by("severity", "-instances_30d", "pk").values_list(
        "account_id",
        "account__account_id",
        "account__name",
        "account__management",
        "region",
        "kind",
        "name",
        "instances_30d",
        "answer_now",
        "resolution",
    )[:SIMULATED]
    found = [_launch(row, defaults) for row in rows]
    return {
        "launches": found if found or counted["never"] < counted["scopes"] else None,
        "unsimulated": living.count() - SIMULATED if len(found) == SIMULATED else 0,
        "scopes": counted["scopes"],
        "unread": counted["scopes"] - counted["whole"],
        "managed_defaults": sum(managed_by == "declarative-policy" for _, managed_by, _ in defaults.values()),
        "closed_defaults": sum(endpoint == "disabled" for _, _, endpoint in defaults.values()),
    }


def _launch(row: Sequence[Any], defaults: Mapping[tuple[int, str], tuple[bool, str | None, str | None]]) -> Launch:
    account_pk, account_id, account, management, region, kind, name, recent, now, resolution = row
    enforced, *_ = defaults.get((account_pk, region), (None,))
    return Launch(
        kind=LaunchSourceKind(kind),
        name=name,
        account_id=account_id,
        region=region,
        recent=recent,
        now=LaunchAnswer(now),
        ways=tuple(_way(stored["options"]) for stored in resolution if stored["counts"]),
        enforced=enforced,
        management=management,
        place=account,
    )


def _way(options: Mapping[str, Mapping[str, Any]]) -> Way:
    return Way(*(_decided(options[name]) for name in ("tokens", "hop_limit", "endpoint")))


def _decided(stored: Mapping[str, Any]) -> Decided:
    return Decided(stored["value"], Level(stored["level"]))


# --- what a text names -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Named:
    """What is known of the place and the thing a text names."""

    chosen: Chosen | None = None
    known: Known = NOTHING
    region: str = ""  # of the one instance


def named(kind: Kind, wanted: Wanted, accounts: QuerySet[Account], account: Account | None) -> Named:
    """`account`: the only one it is for."""
    if kind is Kind.CLI_DEFAULTS and account is not None:
        return Named(known=Known(account.account_id, _defaults(account)))
    if kind in TEMPLATES and wanted.name:
        return Named(_template(wanted.name, accounts))
    if kind in INSTANCES and wanted.name:
        return _instance(wanted.name, accounts)
    return Named()


def _defaults(account: Account) -> dict[str, Before]:
    rows = RegionDefaults.objects.filter(scope__account=account).values_list(
        "scope__region", "http_tokens", "http_put_response_hop_limit", "http_tokens_enforced"
    )
    return {region: Before(tokens, hop_limit, enforced) for region, tokens, hop_limit, enforced in rows}


def _template(name: str, accounts: QuerySet[Account]) -> Chosen:
    ids = list(
        LaunchTemplate.objects.filter(among(accounts, "account"), name=name).values_list("template_id", flat=True)
    )
    launched = Instance.objects.filter(among(accounts, "account"), launch_template_id__in=ids, gone_at__isnull=True)
    return Chosen(name, found=True, usage=_usage(launched)) if ids else Chosen(name, found=False)


def _instance(name: str, accounts: QuerySet[Account]) -> Named:
    """By its id or its Name tag, which several may share."""
    here = Instance.objects.filter(among(accounts, "account"), gone_at__isnull=True)
    rows = here.filter(Q(instance_id=name) | Q(name=name))
    found = list(rows.select_related("account").order_by("pk")[:2])
    if not found:
        return Named(Chosen(name, found=False))
    usage = _usage(rows)
    if len(found) > 1:
        return Named(Chosen(name, found=True, usage=usage))
    (row,) = found
    chosen = Chosen(name, found=True, usage=usage, reason=row.status_reason)
    before = Before(row.http_tokens, row.http_put_response_hop_limit)
    return Named(chosen, Known(row.account.account_id, instance=before), row.region)
