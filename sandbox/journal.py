"""Every HTTP attempt, in order."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEPT: Final = 200_000


@dataclass(slots=True)
class Entry:
    """One attempt. `applied` says that it changed something, whether or not the client was told."""

    seq: int
    at: float
    service: str
    operation: str
    region: str
    request_id: str
    params: dict[str, str] = field(default_factory=dict)
    account_id: str | None = None
    principal_arn: str | None = None
    role_name: str | None = None
    session_name: str | None = None
    source_identity: str | None = None
    external_id: str | None = None
    status: int | None = None
    error_code: str | None = None
    applied: bool = False


class Journal:
    """The attempts, oldest first; the oldest go when there are too many."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def open(self, at: float, service: str, operation: str, region: str, request_id: str) -> Entry:
        """Note an attempt as it comes in; what comes of it is filled in later."""
        with self._lock:
            entry = Entry(next(self._numbers), at, service, operation, region, request_id)
            self._entries.append(entry)
            return entry

    def read(self, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """Entries whose fields equal the filters; `since` gives those after a number."""
        since = int(filters.get("since", "0"))
        wanted = {key: value for key, value in filters.items() if key != "since"}
        with self._lock:
            entries = list(self._entries)
        return [
            asdict(entry)
            for entry in entries
            if entry.seq > since and all(str(getattr(entry, key, None)) == value for key, value in wanted.items())
        ]

    def clear(self) -> None:
        """Forget the attempts; numbers go on."""
        with self._lock:
            self._entries.clear()
