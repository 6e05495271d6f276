"""What every page carries: the theme, the clock, and the way around."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from migration.domain.permissions import Action
from migration.queries import health, plans, policies, waivers
from migration.queries.access import can, can_everywhere, roles, visible_accounts
from migration.views import confirming

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "theme"
FRESHNESS = "_imdsdash_freshness"
BRAKE = "_imdsdash_brake"


@dataclass(frozen=True)
class Link:
    label: str
    url: str
    icon: str
    here: bool
    count: int = 0


PAGES = (
    # label, url name, icon, action, url names that belong to it
    ("Overview", "overview", "grid-1x2", Action.VIEW, {"overview"}),
    ("Executive", "executive", "file-earmark-text", Action.VIEW, {"executive"}),
    ("Accounts", "accounts", "clouds", Action.VIEW, {"accounts", "account", "connect"}),
    ("Instances", "instances", "hdd-stack", Action.VIEW, {"instances", "instance"}),
    ("Callers", "callers", "person-circle", Action.VIEW, {"callers"}),
    ("Launch sources", "launch_sources", "play-circle-fill", Action.VIEW, {"launch_sources"}),
    ("Guardrails", "guardrails", "shield-check", Action.VIEW, {"guardrails"}),
    ("Approvals", "approvals", "check2-square", Action.VIEW, {"approvals", "plan"}),
    ("Waves", "waves", "clock-history", Action.VIEW, {"waves", "wave", "new_wave"}),
    ("Waivers", "waivers", "pause-circle-fill", Action.VIEW, {"waivers", "waiver", "new_waiver"}),
    ("Runs", "runs", "rocket-takeoff", Action.VIEW, {"runs", "run"}),
    ("Policies", "policies", "gear-fill", Action.ADMINISTER, {"policies", "policy", "new_policy"}),
    ("Data quality", "data_quality", "bar-chart-line", Action.VIEW, {"data_quality"}),
    ("Audit", "audit", "journal-text", Action.DECIDE, {"audit"}),
)

# What waits for the person, as a number beside the word.
COUNTED = {"approvals": plans.waiting_for, "waivers": waivers.waiting_for, "policies": policies.waiting_for}


def theme(request: HttpRequest) -> str:
    chosen = request.COOKIES.get(THEME_COOKIE, "auto")
    return chosen if chosen in THEMES else "auto"


def navigation(request: HttpRequest) -> list[Link]:
    """The pages this person may open. An error page has no match, and still has its menu."""
    match = request.resolver_match
    here = match.url_name if match else None
    return [
        Link(
            label=label,
            url=reverse(name),
            icon=icon,
            here=here in members,
            count=COUNTED[name](request.user) if name in COUNTED else 0,
        )
        for label, name, icon, action, members in PAGES
        if can(request.user, action)
    ]


def freshness(request: HttpRequest) -> health.Freshness:
    """How fresh the picture of this person's accounts is: asked once a request, and only when something shows it."""
    found: health.Freshness | None = getattr(request, FRESHNESS, None)
    if found is None:
        found = health.freshness(visible_accounts(request.user), now=timezone.now(), every=health.cadences())
        setattr(request, FRESHNESS, found)
    return found


@dataclass(frozen=True)
class Stopped:
    """The brake while it is on, as every page tells it."""

    by: str
    at: datetime | None
    reason: str
    may_release: bool
    asks_password: bool


def brake(request: HttpRequest) -> Stopped | None:
    """One query a request, and only where a whole page is drawn for somebody who has a role here."""
    if not hasattr(request, BRAKE):
        pulled = policies.brake() if can(request.user, Action.VIEW) else None
        may = can_everywhere(request.user, Action.RELEASE)
        stopped = pulled and Stopped(
            policies.pulled_by(pulled), pulled.at, pulled.reason, may, confirming.needs_password(request)
        )
        setattr(request, BRAKE, stopped)
    found: Stopped | None = getattr(request, BRAKE)
    return found


def site(request: HttpRequest) -> dict[str, Any]:
    """Lazily what costs a query: a fragment draws no menu and must not pay for one."""
    return {
        "theme": theme(request),
        "themes": THEMES,
        "now": timezone.now(),
        "window_days": settings.IMDSDASH_WINDOW_DAYS,
        "on_data_quality": bool(request.resolver_match and request.resolver_match.url_name == "data_quality"),
        "collection": lambda: freshness(request),
        "collect_hours": settings.IMDSDASH_COLLECT_EVERY_HOURS,
        "usage_hours": settings.IMDSDASH_USAGE_EVERY_HOURS,
        "navigation": lambda: navigation(request),
        "brake": lambda: brake(request),
        "may_pull_brake": lambda: can(request.user, Action.BRAKE),
        "my_roles": lambda: sorted(role.label for role in roles(request.user)),
    }
