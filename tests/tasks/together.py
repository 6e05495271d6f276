"""A pretend organization with a monitoring account, and what one worker's turn does with it."""

from collections import Counter
from datetime import datetime, timedelta

from django.utils import timezone

from migration.actions import collection as rows
from migration.enums import Outcome
from migration.models import Scope
from migration.tasks import collection, edges, linked
from migration.tasks import scope as scopes
from migration.tasks.scope import asked_until
from tests import fleets

REGION = "us-east-1"
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
CALLS = {"profile": "steady", "calls_per_hour": 9}
FIVE = (
    {"count": 3, "name_prefix": "quiet", **fleets.QUIET},
    {"count": 2, "name_prefix": "caller", "launched_days_ago": 40, "usage": CALLS},
)


def member(number: int) -> str:
    return f"{700_000_000_000 + number}"


def organization(*groups: dict, count: int = 3, linked_: int | None = None, **monitoring) -> dict:
    """The central account watches `linked_` of `count` members, each with the same instances."""
    roles = {"roles": fleets.ROLES, "regions": [REGION]}
    members = [
        {"id": member(n), "name": f"member-{n}", **roles, "instances": list(groups or FIVE)} for n in range(count)
    ]
    sources = [member(n) for n in range(count if linked_ is None else linked_)]
    return {
        "monitoring": {"account": fleets.CENTRAL, "linked": sources, **monitoring},
        "accounts": [{"id": fleets.CENTRAL, "name": "central", "regions": [REGION]}, *members],
    }


def read_together() -> dict[str, scopes.Passed]:
    """One turn of a worker, by account id."""
    return {one.account_id: one for one in linked.collect_together(edges.reader(), REGION, seconds=60)}


def read_apart() -> None:
    """What is due, as the timetable does it without a monitoring account."""
    for scope in collection._due(timezone.now()).select_related("account"):
        collection.collect_if_due(edges.reader(), scope, seconds=60)


def asked(sandbox, **filters) -> list[int]:
    """The number of metrics of each GetMetricData."""
    return [int(call["params"]["MetricDataQueries.#"]) for call in sandbox.calls(operation="GetMetricData", **filters)]


def calls(sandbox) -> dict[str, int]:
    return dict(Counter(call["operation"] for call in sandbox.calls()))


def of(number: int) -> Scope:
    return Scope.objects.select_related("account").get(account__account_id=member(number))


def known_until() -> datetime:
    return asked_until(timezone.now())


def read_yesterday(fleet: dict) -> None:
    """Every member is read by its own role, up to an hour of yesterday, and found linked; now its usage is due."""
    edge, until = edges.reader(), known_until() - DAY
    for account_id in (one["id"] for one in fleet["accounts"][1:]):
        role = f"arn:aws:iam::{account_id}:role/imdsdash-reader"
        account = rows.remember_account(account_id=account_id, reader_role_arn=role, external_id=fleets.EXTERNAL_ID)
        for scope in collection.open_account(edge, account, now=timezone.now()):
            assert collection.collect_scope(edge, scope, until=until).outcome is Outcome.COMPLETE
    linked.read_links(edge, now=until - HOUR)
    Scope.objects.update(usage_due_at=timezone.now() - MINUTE, next_due_at=timezone.now() - MINUTE)
