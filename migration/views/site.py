"""The theme, and the two probes."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

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
    """The database answers and knows our tables; and how long ago the timetable last did anything."""
    if not health.database_answers():
        return JsonResponse({"status": "unready", "database": False}, status=503)
    if not health.migrations_applied():
        return JsonResponse({"status": "unready", "database": True, "migrations": False}, status=503)
    tick = health.last_tick()
    age = None if tick is None else round((timezone.now() - tick).total_seconds())
    return JsonResponse({"status": "ok", "database": True, "migrations": True, "last_tick_seconds": age})
