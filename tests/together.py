"""Several people at the same moment, each on a connection of their own."""

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from django.contrib.auth.models import User
from django.db import connections

from migration.actions.errors import Refused

Row = TypeVar("Row")
Done = TypeVar("Done")


def at_once(
    people: Iterable[User], look: Callable[[], Row], act: Callable[[Row, User], Done]
) -> tuple[list[Done], list[Refused]]:
    """Each has looked before the first one acts. What was done, and what was refused, in no order."""
    everybody = list(people)
    gate = threading.Barrier(len(everybody))
    done: list[Done] = []
    refused: list[Refused] = []

    def go(person: User) -> None:
        try:
            seen = look()
            gate.wait(10)
            done.append(act(seen, person))
        except Refused as refusal:
            refused.append(refusal)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go, args=(person,)) for person in everybody]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done, refused
