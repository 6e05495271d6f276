"""The reads of launch sources, of one instance, of callers and of guardrails, as their pages and a pass ask them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from migration.domain.policies.wanted import Kind, Wanted
from migration.domain.workload import key_of_row
from migration.enums import FoundBy, LaunchAnswer, LaunchSourceKind, Standing
from migration.models import Account, Caller, Instance, LaunchSource, Scope, Workload
from migration.queries import (
    asking,
    callers,
    findings,
    fleet,
    guardrails,
    instance,
    launches,
    links,
    shelf,
    standing,
)

PAGE = 50
LATELY = timedelta(days=30)
Read = Callable[[], Any]


def seed(now: datetime) -> None:
    """A source, a workload and a caller of each of two hundred accounts."""
    some = list(Account.objects.order_by("account_id")[:200])
    LaunchSource.objects.bulk_create(
        LaunchSource(
            account=one, region="us-east-1", kind=LaunchSourceKind.GROUP, source_id="web", name="web", seen_at=now,
            answer_now=LaunchAnswer.V1_ALLOWED, answer_enforced=LaunchAnswer.FAILS, severity=1, reason="", advice="",
        )
        for one in some
    )  # fmt: skip
    Workload.objects.bulk_create(
        Workload(account=one, region="us-east-1", kind="asg", name="web", standing=Standing.IN_USE, judged_at=now)
        for one in some
    )
    Caller.objects.bulk_create(
        Caller(
            account=one, region="us-east-1", user_agent="aws-cli/1.16.102", last_seen=now, found_by=FoundBy.ATHENA,
            key=f"{number:064d}", known="aws-cli-1", calls=number,
        )
        for number, one in enumerate(some)
    )  # fmt: skip


def of_the_fleet(every: QuerySet[Account]) -> dict[str, Read]:
    """What Launch sources, Callers, Instances, Guardrails and Overview ask."""
    place = guardrails.Place(every)
    return {
        "launches.living": lambda: launches.living(every).count(),
        "launches.matching": lambda: list(launches.matching(every, launches.LaunchFilters())[:PAGE]),
        "launches.counts": lambda: launches.counts(every),
        "launches.answers_by_account": lambda: launches.answers_by_account(every),
        "launches.readings": lambda: launches.readings(every),
        "launches.regions": lambda: launches.regions(every),
        "launches.rows": lambda: launches.rows(launches.matching(every, launches.LaunchFilters())[:PAGE]),
        "callers.matching": lambda: list(callers.matching(every, callers.CallerFilters())[:PAGE]),
        "callers.rows": lambda: callers.rows(callers.matching(every, callers.CallerFilters())[:PAGE]),
        "callers.totals": lambda: callers.totals(every),
        "standing.lost": lambda: standing.lost(every),
        "standing.instances": lambda: list(standing.instances(every, standing.FleetFilters())[:PAGE]),
        "guardrails.regions": lambda: guardrails.regions(every),
        "guardrails.partition": lambda: guardrails.partition(every),
        "guardrails.fleet": lambda: guardrails.fleet(Kind.DECLARATIVE, place),
        "guardrails.named": lambda: guardrails.named(Kind.DECLARATIVE, Wanted(), every, None),
    }


def of_an_account(here: Account) -> dict[str, Read]:
    alone = Account.objects.filter(pk=here.pk)
    one = Instance.objects.filter(account=here).select_related("account").order_by("pk")[0]
    key = key_of_row(one)
    return {
        "standing.of_account": lambda: standing.of_account(here, mix=fleet.mix(alone), dead=[]),
        "standing.workloads": lambda: standing.workloads(here),
        "instance.visible": lambda: instance.visible(alone).filter(pk=one.pk).first(),
        "instance.days": lambda: instance.days(one, today=one.last_seen_at.date(), count=14),
        "instance.history": lambda: instance.history(one),
        "instance.workload": lambda: instance.workload(one),
        "instance.members": lambda: key and instance.members(one.account_id, one.region, key).count(),
        "instance.siblings": lambda: instance.siblings(one),
        "instance.regressions": lambda: instance.regressions(one),
        "instance.source": lambda: instance.source(one),
        "instance.image": lambda: instance.image(one),
        "instance.factors": lambda: instance.factors(one),
        "findings.of_instance": lambda: findings.of_instance(one),
        "callers.of_instance": lambda: callers.of_instance(one),
        "callers.expected": lambda: callers.expected(one, image_name="amazon-eks-node"),
    }


def of_a_pass(scope: Scope, some: list[int], *, now: datetime) -> dict[str, Read]:
    """What a pass over one account-Region reads besides: what launches there, what is around its instances."""
    place, since, until = shelf.Place(scope.account_id, scope.region), now - LATELY, now.replace(minute=0)
    rows = list(Instance.objects.filter(pk__in=some))
    return {
        "launches.comes_back": lambda: launches.comes_back(scope.account_id, scope.region),
        "findings.calls_of a chunk": lambda: findings.calls_of(some),
        "findings.due": lambda: findings.due(scope).count(),
        "callers.v1_credentials of a chunk": lambda: callers.v1_credentials(rows),
        "links.is_shown": lambda: links.is_shown(scope),
        "links.is_left": lambda: links.is_left(scope, now=now),
        "links.left": lambda: Scope.objects.filter(links.left(now)).count(),
        "links.only_left": lambda: Scope.objects.filter(links.only_left(now)).count(),
        "asking.known_together": lambda: list(asking.known_together([(scope, True)], until=until)),
        "asking.gone_together": lambda: list(asking.gone_together([scope], until=until)),
        "shelf.defaults": lambda: shelf.defaults(scope.pk, since=since),
        "shelf.templates": lambda: list(shelf.templates(place)),
        "shelf.versions": lambda: shelf.versions(place),
        "shelf.groups": lambda: list(shelf.groups(place)),
        "shelf.configurations": lambda: list(shelf.configurations(place)),
        "shelf.spot_requests": lambda: list(shelf.spot_requests(place)),
        "shelf.images": lambda: shelf.images(place),
        "shelf.births": lambda: shelf.births(place, since=since, apart=set()),
        "shelf.births_of": lambda: shelf.births_of(place, {"i-0"}, since=since),
        "shelf.image_ids": lambda: shelf.image_ids(place, since=since),
        "shelf.versions_wanted": lambda: shelf.versions_wanted(place, since=since),
        "shelf.versions_in_use": lambda: shelf.versions_in_use(place, since=since),
    }
