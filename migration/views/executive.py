from datetime import UTC

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from migration import charts
from migration.domain.permissions import Action
from migration.queries import fleet, usage, waivers
from migration.queries.access import visible_accounts
from migration.queries.progress import Mix
from migration.views.access import SignedIn, allowed
from migration.views.overview import TREND_DAYS, calls_chart, left_chart, pace

MONTH = 30


def verdict(mix: Mix, trend: charts.Trend) -> str:
    """The page in one sentence, for somebody who reads nothing else."""
    if not mix.ours:
        return "There is nothing to report yet: no instance has been collected."
    if not mix.left:
        return f"Every one of the {mix.ours:,} instances that are ours to change is safe: IMDSv1 is off."
    if trend.change is None:
        return f"{mix.left:,} of {mix.ours:,} instances still accept IMDSv1."
    way = "falling" if trend.change < -0.02 else "rising" if trend.change > 0.02 else "level"  # noqa: PLR2004
    return f"{mix.left:,} of {mix.ours:,} instances still accept IMDSv1; its use is {way}."


@require_GET
@allowed(Action.VIEW)
def executive(request: SignedIn) -> HttpResponse:
    today, accounts = timezone.now().astimezone(UTC).date(), visible_accounts(request.user)
    days = usage.days(accounts, today=today, count=TREND_DAYS)
    mix = fleet.mix(accounts)
    calls = usage.calls_by_account(accounts, today=today, count=MONTH)
    trend = charts.trend(days=[day.day for day in days], calls=[day.v1_calls for day in days], today=today)
    context = {
        "mix": mix,
        "verdict": verdict(mix, trend),
        "trend": trend,
        "yesterday": days[-2],
        "usage_chart": calls_chart(days, today=today, key="calls", height="s"),
        "left_chart": left_chart(days, today=today, key="left", height="s"),
        "pace": pace(days, today=today),
        "waivers": waivers.summary(accounts, today=today),
        "units": fleet.units(accounts),
        "blockers": fleet.blockers(accounts, calls={key: usage.total(value) for key, value in calls.items()}),
    }
    return render(request, "migration/executive.html", context)
