"""What was found in user data, and whose is still to be looked into."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import F, Q, QuerySet

from migration.domain.userdata import Kind
from migration.models import Finding, Instance, Scope

CALLS = (Kind.V1_CALL,)


def due(scope: Scope) -> QuerySet[Instance]:
    """Living instances that allow IMDSv1 and were not looked into since their last start: user data can be changed
    only while an instance is stopped (EC2 User Guide, user data).
    """
    never = Q(user_data_read_at__isnull=True) | Q(launched_at__gt=F("user_data_read_at"))
    here = Instance.objects.filter(
        never, account_id=scope.account_id, region=scope.region, gone_at__isnull=True, operator_managed=False
    )
    return here.exclude(http_tokens="required").exclude(http_endpoint="disabled").order_by("pk")


@dataclass(slots=True)
class Places:
    """Where an instance's user data calls IMDSv1, in words: "line 12"."""

    certain: list[str] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)


def calls_of(pks: Iterable[int]) -> dict[int, Places]:
    """Of a chunk of instances. One query."""
    found: dict[int, Places] = {}
    rows = Finding.objects.filter(instance__in=list(pks)).order_by("part", "line")
    for pk, line, certain, kind in rows.values_list("instance_id", "line", "certain", "kind"):
        places = found.setdefault(pk, Places())
        where = f"line {line}" if line else "a part that could not be read"
        if certain and kind in CALLS:
            places.certain.append(where)
        else:
            places.uncertain.append(where)
    return found


def of_instance(instance: Instance) -> list[Finding]:
    return list(Finding.objects.filter(instance=instance))
