"""A text to Slack's incoming webhook."""

import json
from datetime import datetime

from django.conf import settings

from migration.domain.notices import Notice
from migration.notify import http
from migration.notify.errors import NotDelivered

WHO = "Slack"


def escaped(text: str) -> str:
    """Slack's three signs of its own: without them no name can become a link or call the whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def text(notice: Notice) -> str:
    """The subject in bold, the lines, and where to go."""
    parts = [f"*{escaped(notice.subject)}*", *(escaped(line) for line in notice.lines)]
    if notice.url:
        absolute = notice.url.startswith("http")
        parts.append(f"<{escaped(notice.url)}|Open in imdsdash>" if absolute else f"In imdsdash: {escaped(notice.url)}")
    return "\n".join(parts)


def body(notice: Notice) -> bytes:
    return json.dumps({"text": text(notice), "unfurl_links": False, "unfurl_media": False}).encode()


def deliver(notice: Notice, *, now: datetime) -> None:  # noqa: ARG001 -- as the other ways
    """Raises NotDelivered."""
    if not settings.IMDSDASH_SLACK_WEBHOOK_URL:
        raise NotDelivered("Slack is not configured any more.", permanent=True)
    headers = {"Content-Type": "application/json", "User-Agent": "imdsdash"}
    http.post(settings.IMDSDASH_SLACK_WEBHOOK_URL, body(notice), headers, who=WHO)
