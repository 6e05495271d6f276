"""One address, two answers: the whole page, or the one fragment htmx asked for."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from migration.views.access import SignedIn


def wants_fragment(request: SignedIn) -> bool:
    """Not when htmx fills the window anew after the back button: that needs the whole page."""
    return bool(request.htmx) and not request.htmx.history_restore_request


def answer(request: SignedIn, template: str, fragment: str, context: dict[str, Any]) -> HttpResponse:
    """The two must not be taken for each other by a cache, the browser's own included."""
    response = render(request, f"{template}#{fragment}" if wants_fragment(request) else template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response
