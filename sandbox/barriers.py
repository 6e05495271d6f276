"""Places where a call waits until a test lets it go on, or cuts it off."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Final

LONGEST_WAIT: Final = 300.0


@dataclass(slots=True)
class _Waiter:
    name: str
    point: str
    facts: dict[str, Any]
    released: threading.Event = field(default_factory=threading.Event)
    action: str = "continue"


class Barriers:
    """The calls that wait now."""

    def __init__(self) -> None:
        self._waiting: list[_Waiter] = []
        self._lock = threading.Lock()

    def wait(self, name: str, point: str, facts: dict[str, Any]) -> str:
        """Block until released; the answer is `continue` or `drop`."""
        waiter = _Waiter(name, point, facts)
        with self._lock:
            self._waiting.append(waiter)
        if not waiter.released.wait(LONGEST_WAIT):
            waiter.action = "drop"
        with self._lock:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
        return waiter.action

    def waiting(self) -> list[dict[str, Any]]:
        """Which calls wait, and where."""
        with self._lock:
            return [{"name": w.name, "point": w.point, **w.facts} for w in self._waiting]

    def release(self, name: str | None, action: str) -> int:
        """Let the calls at this barrier (None: at any) go; how many there were."""
        with self._lock:
            going = [w for w in self._waiting if name is None or w.name == name]
            for waiter in going:
                self._waiting.remove(waiter)
                waiter.action = action
                waiter.released.set()
        return len(going)
