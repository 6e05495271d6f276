"""AWS's request token buckets, per account, Region and operation."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

_MUTATING: Final = (100.0, 5.0)
LIMITS: Final[dict[str, tuple[float, float]]] = {
    "ModifyInstanceMetadataOptions": _MUTATING,
    "ModifyInstanceMetadataDefaults": (2.0, 2.0),
    "CreateLaunchTemplateVersion": _MUTATING,
    "ModifyLaunchTemplate": _MUTATING,
    "ModifyImageAttribute": _MUTATING,
    "RunInstances": (5.0, 2.0),
    "StartInstances": (5.0, 2.0),
}
_READING: Final = (100.0, 20.0)
_UNPAGED_DESCRIBE: Final = (50.0, 10.0)


def limit_of(operation: str, *, unpaged: bool) -> tuple[float, float] | None:
    """Burst and refill per second of an EC2 operation."""
    if operation == "DescribeInstances" and unpaged:
        return _UNPAGED_DESCRIBE
    if operation in LIMITS:
        return LIMITS[operation]
    return _READING if operation.startswith(("Describe", "Get")) else None


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """Token buckets, made full when first touched."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}
        self._lock = threading.Lock()

    def take(self, key: tuple[str, str, str], burst: float, refill: float) -> bool:
        """Take one token if there is one."""
        now = time.time()
        with self._lock:
            bucket = self._buckets.setdefault(key, _Bucket(burst, now))
            bucket.tokens = min(burst, bucket.tokens + (now - bucket.at) * refill)
            bucket.at = now
            if bucket.tokens < 1:
                return False
            bucket.tokens -= 1
            return True
