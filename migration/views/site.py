"""The theme, and the two probes."""

from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from migration.domain.schedule import Pulse, pulse
from migration.forms import safe_next
from migration.queries import health
from migration.views.context import THEME_COOKIE, THEMES

YEAR = 365 * 24 * 3600


@require_POST
@login_not_required
def theme(request: HttpRequest) -> HttpResponse:
    """A cookie, so that the server draws the right colours at once."""
    answer = redirect(
        safe_next(request.POST, host=request.get_host(), secure=request.is_secure(), default=reverse("overview"))
    )
    chosen = request.POST.get("theme", "auto")
    answer.set_cookie(
        THEME_COOKIE,
        chosen if chosen in THEMES else "auto",
        max_age=YEAR,
        samesite="Lax",
        secure=request.is_secure(),
        httponly=True,
    )
    return answer


@require_GET
@login_not_required
def livez(_request: HttpRequest) -> JsonResponse:
    """The process answers. Nothing else is asked, so that a slow database restarts nothing."""
    return JsonResponse({"status": "ok"})


@require_GET
@login_not_required
def readyz(_request: HttpRequest) -> JsonResponse:
    """Is the machinery alive, check by check, each with a sentence? For a monitor, without a name or number of AWS.

    503: the database does not answer, has not our tables, or the timetable has stopped, so nothing here is going on.
    200 with `"stale": true`: all of that works, and some reading is late, or a worker was lost. A load balancer asks
    /livez: a dead timetable is no reason to hide the pages that say so.
    """
    now = timezone.now()
    if not health.database_answers():
        return _probed({"database": _check("The database does not answer.", ok=False)})
    checks = {"database": _check("The database answers.")}
    if not health.migrations_applied():
        return _probed(checks | {"migrations": _check("Its tables are not those of this version.", ok=False)})
    checks["migrations"] = _check("Its tables are those of this version.")
    checks["timetable"] = _timetable(now)
    checks["sweeps"] = _sweeps(now)
    checks["leases"] = _leases(now)
    return _probed(checks)


NEEDED = ("database", "migrations", "timetable")


def _probed(checks: dict[str, dict[str, Any]]) -> JsonResponse:
    ready = all(check["ok"] for name, check in checks.items() if name in NEEDED)
    starting = checks.get("timetable", {}).get("pulse") == Pulse.STARTING
    stale = not all(check["ok"] for name, check in checks.items() if name not in NEEDED)
    status = "unready" if not ready else "starting" if starting else "stale" if stale else "ok"
    return JsonResponse({"status": status, "stale": stale, "checks": checks}, status=200 if ready else 503)


def _check(says: str, *, ok: bool = True, **more: Any) -> dict[str, Any]:
    return {"ok": ok, "says": says, **more}


def _timetable(now: datetime) -> dict[str, Any]:
    """The dead-man's switch: it is silence that alarms."""
    tick = health.last_tick()
    found = pulse(tick, since=health.installed_at(), now=now)
    age = None if tick is None else round((now - tick).total_seconds())
    says = {
        Pulse.ALIVE: "The timetable ticks.",
        Pulse.STARTING: "Starting: the first tick of the timetable is still to come.",
        Pulse.STOPPED: "The timetable has stopped: check that beat and the workers run.",
    }[found]
    return _check(says, ok=found != Pulse.STOPPED, pulse=found, last_tick_seconds=age)


def _sweeps(now: datetime) -> dict[str, Any]:
    found = health.sweeps(now=now, every=health.cadences())
    age = None if found.oldest_at is None else round((now - found.oldest_at).total_seconds())
    says = (
        f"{found.overdue} of {found.scopes} account-Regions are overdue: the Data quality page says why."
        if found.overdue
        else "No account-Region is overdue."
    )
    return _check(says, ok=not found.overdue, overdue=found.overdue, oldest_seconds=age)


def _leases(now: datetime) -> dict[str, Any]:
    lost = health.lost_leases(now)
    says = (
        f"{lost} pieces of work were left by their worker and not taken over: check that the workers run."
        if lost
        else "Every piece of work begun is in somebody's hands."
    )
    return _check(says, ok=not lost, lost=lost)
