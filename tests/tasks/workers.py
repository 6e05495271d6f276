"""Workers in threads, who take nudges as Celery's would: many at once, in any order, on connections of their own."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from migration.tasks import collection, linked

PATIENCE = 120.0  # seconds until a test that waits for something gives up


class Workers:
    def __init__(self, pool: ThreadPoolExecutor, *, copies: int = 1) -> None:
        self.pool = pool
        self.copies = copies  # of every message
        self.copied: set[tuple[str, tuple[int | str, ...]]] = set()
        self.taken: list[Future[None]] = []

    def nudge(self, task: Any, *ids: int | str, **_: Any) -> None:
        """In place of `publish.nudge`. A message that copies of one message send is copied only once, or there would
        be no end.
        """
        copies = 1 if (task.name, ids) in self.copied else self.copies
        self.copied.add((task.name, ids))
        self.taken += [self.pool.submit(self._work, task, ids) for _ in range(copies)]

    def _work(self, task: Any, ids: tuple[int | str, ...]) -> None:
        try:
            task(*ids)
        finally:
            connections.close_all()

    def idle(self) -> None:
        """Wait until nobody has anything to do any more. What failed in a worker fails here."""
        for done in self.taken:  # it grows while it is walked: workers nudge each other
            done.result(PATIENCE)
        self.taken = []


@contextmanager
def hired(monkeypatch: pytest.MonkeyPatch, count: int, *, copies: int = 1) -> Iterator[Workers]:
    """So many workers; every message comes in so many copies."""
    with ThreadPoolExecutor(count) as pool:
        workers = Workers(pool, copies=copies)
        for module in (collection, linked):
            monkeypatch.setattr(module, "nudge", workers.nudge)
        yield workers


def until(what: Callable[[], bool]) -> None:
    """Wait for something that other threads bring about."""
    give_up = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.05)
