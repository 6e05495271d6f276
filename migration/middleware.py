"""The Content-Security-Policy header, from Django 6's setting name, until Django 6 brings its own."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


class ContentSecurityPolicy:
    """One constant header: no page has inline script or style, so no nonce is needed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.header = "; ".join(f"{name} {' '.join(values)}" for name, values in settings.SECURE_CSP.items())

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers["Content-Security-Policy"] = self.header
        response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
        return response
