"""A JSON object to an address of the customer's own, signed so that it can be told from a forged one."""

import hashlib
import hmac
import json
from datetime import UTC, datetime

from django.conf import settings

from migration.domain.notices import Notice
from migration.notify import http
from migration.notify.errors import NotDelivered

WHO = "The webhook"


def body(notice: Notice) -> bytes:
    """The same bytes for every copy of a notice."""
    told = {
        "id": notice.key,
        "kind": notice.kind,
        "severity": notice.severity,
        "subject": notice.subject,
        "lines": list(notice.lines),
        "url": notice.url,
        "account_id": notice.account_id,
        "at": notice.at.astimezone(UTC).isoformat(timespec="seconds"),
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def headers(notice: Notice, content: bytes, *, secret: str, now: datetime) -> dict[str, str]:
    """`X-Imdsdash-Signature` is `v1=` and the HMAC-SHA256, in hexadecimal, of timestamp, a dot and the body; the
    receiver refuses a timestamp (Unix seconds) that is old. `Idempotency-Key` is the same for every copy.
    """
    at = str(int(now.timestamp()))
    return {
        "Content-Type": "application/json",
        "User-Agent": "imdsdash",
        "Idempotency-Key": notice.key.encode("ascii", "replace").decode(),
        "X-Imdsdash-Timestamp": at,
        "X-Imdsdash-Signature": f"v1={sign(secret, at, content)}",
    }


def sign(secret: str, timestamp: str, content: bytes) -> str:
    return hmac.new(secret.encode(), timestamp.encode() + b"." + content, hashlib.sha256).hexdigest()


def deliver(notice: Notice, *, now: datetime) -> None:
    """Raises NotDelivered."""
    if not settings.IMDSDASH_WEBHOOK_URL:
        raise NotDelivered("No webhook is configured any more.", permanent=True)
    content = body(notice)
    signed = headers(notice, content, secret=settings.IMDSDASH_WEBHOOK_SECRET, now=now)
    http.post(settings.IMDSDASH_WEBHOOK_URL, content, signed, who=WHO)
