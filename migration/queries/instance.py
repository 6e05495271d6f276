"""One instance: its hours, the history of its options, its siblings, and what was lost on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import QuerySet

from migration.domain import risk
from migration.domain.readiness import NOTHING, Hours
from migration.domain.workload import Key, key_of_row
from migration.enums import WorkloadKind
from migration.models import Account, Image, Instance, InstanceDay, OptionChange, Regression, Workload
from migration.queries import evidence, launches
from migration.queries.planning import options_of

SIBLINGS = 12
CHANGES = 20


@dataclass(frozen=True)
class Day:
    """One UTC day of an instance, hour by hour; None is an hour without a datapoint."""

    day: date
    v1: Hours
    rejected: Hours
    calls: int | None  # the sum, also where the hours are no longer kept


def visible(accounts: QuerySet[Account]) -> QuerySet[Instance]:
    return Instance.objects.filter(account__in=accounts).select_related("account")


def days(instance: Instance, *, today: date, count: int) -> list[Day]:
    """The last `count` UTC days, today last. One query."""
    first = today - timedelta(days=count - 1)
    rows = {row.day: row for row in InstanceDay.objects.filter(instance=instance, day__gte=first)}
    found = []
    for place in range(count):
        day = first + timedelta(days=place)
        row = rows.get(day)
        if row is None:
            found.append(Day(day, NOTHING, NOTHING, None))
        else:
            found.append(Day(day, evidence.v1_hours(row), evidence.rejected_hours(row), row.v1_calls))
    return found


def history(instance: Instance) -> list[OptionChange]:
    """How its options changed, the newest first, with the run and the people behind a change of ours."""
    rows = OptionChange.objects.filter(instance=instance).select_related(
        "change__run__request__requested_by", "change__run__request__decided_by"
    )
    return list(rows[:CHANGES])


def workload(instance: Instance) -> Workload | None:
    key = key_of_row(instance)
    if key is None:
        return None
    here = Workload.objects.filter(account_id=instance.account_id, region=instance.region)
    return here.filter(kind=key.kind, name=key.name).select_related("account").first()


def members(account_pk: int, region: str, key: Key) -> QuerySet[Instance]:
    """The instances of a workload, those that are gone included."""
    here = Instance.objects.filter(account_id=account_pk, region=region)
    if key.kind == WorkloadKind.ASG:
        return here.filter(asg_name=key.name)
    template, _, profile = key.name.partition(" with ")
    found = here.filter(asg_name="", launch_template_id=template)
    return (
        found.filter(instance_profile_arn__endswith=f"/{profile}") if profile else found.filter(instance_profile_arn="")
    )


def siblings(instance: Instance) -> list[Instance]:
    """Other members of its workload, the living and the loudest first."""
    key = key_of_row(instance)
    if key is None:
        return []
    others = members(instance.account_id, instance.region, key).exclude(pk=instance.pk)
    return list(others.order_by("gone_at", "-v1_calls_window", "name", "pk")[:SIBLINGS])


def regressions(instance: Instance) -> list[Regression]:
    return list(Regression.objects.filter(instance=instance)[:CHANGES])


def source(instance: Instance) -> launches.Comeback | None:
    """What would launch its successor."""
    found = launches.comes_back(instance.account_id, instance.region)
    return found.of(instance.asg_name, instance.launch_template_id, instance.launch_template_version)


def image(instance: Instance) -> Image | None:
    return Image.objects.filter(
        account_id=instance.account_id, region=instance.region, image_id=instance.image_id
    ).first()


def factors(instance: Instance) -> Sequence[risk.Factor]:
    """Why it is as risky as it is."""
    return risk.factors(
        options=options_of(instance),
        public=instance.public,
        has_role=bool(instance.instance_profile_arn),
        v1_calls=instance.v1_calls_window,
        fully_measured=instance.measured_days >= instance.window_days > 0,
    )
