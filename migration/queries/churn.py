"""Instances that came and went: what the dead of the last days called, and which group, template or image made them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, Max, Q, QuerySet, Sum

from migration.enums import Attribution
from migration.models import Account, Instance, InstanceDay


@dataclass(frozen=True)
class Workload:
    """The dead of one group; without one, of one launch template or image; else those nothing is known of."""

    region: str
    asg_name: str
    launch_template_id: str
    image_id: str
    by: str  # Attribution
    instances: int
    calling: int
    v1_calls: int | None
    last_gone_at: datetime
    live: int  # members of the group that are listed now

    @property
    def name(self) -> str:
        return self.asg_name or self.launch_template_id or self.image_id

    @property
    def kind(self) -> str:
        if self.asg_name:
            return "Auto Scaling group"
        if self.launch_template_id:
            return "Launch template"
        return "AMI" if self.image_id else ""

    @property
    def how(self) -> str:
        """By what it is known, in words."""
        return Attribution(self.by).label if self.by else ""


def workloads(account: Account, *, today: date, days: int) -> list[Workload]:
    """Measured instances that are gone, of the last `days` UTC days, the loudest workload first."""
    since = today - timedelta(days=days)
    begin = datetime.combine(since, time(0), UTC)
    rows = (
        InstanceDay.objects.filter(instance__account=account, instance__gone_at__gte=begin, day__gte=since)
        .order_by()
        .values(
            "instance__region",
            "instance__asg_name",
            "instance__launch_template_id",
            "instance__image_id",
        )
        .annotate(
            by=Max("instance__attributed_by"),
            instances=Count("instance", distinct=True),
            calling=Count("instance", distinct=True, filter=Q(v1_calls__gt=0)),
            calls=Sum("v1_calls"),
            last=Max("instance__gone_at"),
        )
    )
    live = _live(account)
    found: dict[tuple[str, str], Workload] = {}
    for row in rows:
        region, group = row["instance__region"], row["instance__asg_name"]
        one = Workload(
            region=region,
            asg_name=group,
            launch_template_id="" if group else row["instance__launch_template_id"],
            image_id="" if group or row["instance__launch_template_id"] else row["instance__image_id"],
            by=row["by"],
            instances=row["instances"],
            calling=row["calling"],
            v1_calls=row["calls"],
            last_gone_at=row["last"],
            live=live.get((region, group), 0),
        )
        known = found.get((region, one.name))
        found[region, one.name] = one if known is None else _together(known, one)
    return sorted(found.values(), key=lambda one: (-(one.v1_calls or 0), -one.instances, one.name))


def calling(accounts: QuerySet[Account], *, today: date, days: int) -> dict[int, tuple[int, int]]:
    """By account (its primary key) how many of the dead of the last `days` UTC days called IMDSv1, and how often."""
    since = today - timedelta(days=days)
    begin = datetime.combine(since, time(0), UTC)
    rows = (
        InstanceDay.objects.filter(instance__account__in=accounts, instance__gone_at__gte=begin, day__gte=since)
        .order_by()
        .values_list("instance__account")
        .annotate(calling=Count("instance", distinct=True, filter=Q(v1_calls__gt=0)), calls=Sum("v1_calls"))
    )
    return {account: (count, calls or 0) for account, count, calls in rows}


def _live(account: Account) -> dict[tuple[str, str], int]:
    listed = Instance.objects.filter(account=account, gone_at__isnull=True).exclude(asg_name="").order_by()
    return {
        (region, group): count
        for region, group, count in listed.values_list("region", "asg_name").annotate(Count("pk"))
    }


def _together(one: Workload, other: Workload) -> Workload:
    """A group that launched from several templates or images is still one workload."""
    calls = [count for count in (one.v1_calls, other.v1_calls) if count is not None]
    return Workload(
        region=one.region,
        asg_name=one.asg_name,
        launch_template_id=one.launch_template_id,
        image_id=one.image_id,
        by=max(one.by, other.by),
        instances=one.instances + other.instances,
        calling=one.calling + other.calling,
        v1_calls=sum(calls) if calls else None,
        last_gone_at=max(one.last_gone_at, other.last_gone_at),
        live=one.live,
    )
