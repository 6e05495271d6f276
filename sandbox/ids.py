"""Ids that look like AWS's and follow from a seed, so that a second start has the same world."""

from __future__ import annotations

import hashlib
import uuid


def digest(*parts: object) -> str:
    """64 hex digits that follow from the parts."""
    text = "\x1f".join(str(part) for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def aws_id(prefix: str, *parts: object) -> str:
    """An EC2 style id: the prefix and 17 hex digits."""
    return f"{prefix}-{digest(prefix, *parts)[:17]}"


def uuid_of(*parts: object) -> str:
    """A UUID that follows from the parts."""
    return str(uuid.UUID(digest(*parts)[:32]))


def number(*parts: object) -> int:
    """A 60-bit number that follows from the parts."""
    return int(digest(*parts)[:15], 16)


def fraction(*parts: object) -> float:
    """A number in [0, 1) that follows from the parts."""
    return number(*parts) / float(1 << 60)


def request_id() -> str:
    """A new request id, as in x-amzn-RequestId."""
    return str(uuid.uuid4())
