from collections.abc import Sequence
from datetime import UTC, date

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from migration import charts
from migration.domain.permissions import Action
from migration.queries import accounts as account_rows
from migration.queries import fleet, needs, plans, runs, standing, usage, waivers
from migration.queries.access import can, visible_accounts
from migration.views.access import SignedIn, allowed

TREND_DAYS = 60
LOST = 6  # lines


def calls_chart(days: Sequence[usage.UsageDay], *, today: date, key: str, height: str = "m") -> charts.Chart:
    return charts.calls_per_day(
        key=key,
        title="IMDSv1 calls per day",
        days=[day.day for day in days],
        calls=[day.v1_calls for day in days],
        measured=[day.measured for day in days],
        expected=[day.expected for day in days],
        today=today,
        strip="count",
        height=height,
    )


def left_chart(days: Sequence[usage.UsageDay], *, today: date, key: str, height: str = "m") -> charts.Chart | None:
    """None until there are two daily counts: one point is no line."""
    if sum(day.left is not None for day in days) < 2:  # noqa: PLR2004
        return None
    return charts.instances_left(
        key=key,
        title="Instances left to enforce",
        days=[day.day for day in days],
        left=[day.left for day in days],
        done=[day.done for day in days],
        known_in=[day.scopes_known for day in days],
        today=today,
        height=height,
    )


def pace(days: Sequence[usage.UsageDay], *, today: date) -> charts.Pace:
    return charts.pace(days=[day.day for day in days], left=[day.left for day in days], today=today)


@require_GET
@allowed(Action.VIEW)
def overview(request: SignedIn) -> HttpResponse:
    today, accounts = timezone.now().astimezone(UTC).date(), visible_accounts(request.user)
    days = usage.days(accounts, today=today, count=TREND_DAYS)
    rows = account_rows.rows(accounts, today=today)
    recent = list(runs.visible(request.user)[:3])
    progress = runs.progresses(recent)
    context = {
        "mix": fleet.mix(accounts),
        "usage_chart": calls_chart(days, today=today, key="calls"),
        "left_chart": left_chart(days, today=today, key="left"),
        "pace": pace(days, today=today),
        "lost": standing.lost(accounts)[:LOST],
        "needs": needs.needs(
            rows,
            inbox=plans.inbox(request.user),
            paused=runs.paused(request.user),
            waivers=waivers.waiting(request.user).mine,
        ),
        "busiest": account_rows.busiest(rows),
        "may_connect": can(request.user, Action.CONNECT),
        "runs": [(run, progress[run.pk]) for run in recent],
    }
    return render(request, "migration/overview.html", context)
