"""Publishing a nudge. The row is committed first; a broker that is away costs a delay, never an error page."""

from typing import Any

import structlog
from django.db import transaction
from kombu.exceptions import KombuError

log = structlog.get_logger(__name__)


def nudge(task: Any, *ids: int | str, expires: float | None = None) -> None:
    """Send `task(*ids)` once the transaction is committed. A failure is logged; the sweeper finds the row anyway.

    `expires`: seconds after which the message is worth nothing, because another one has taken its place.
    """

    def send() -> None:
        try:
            task.apply_async(args=ids, retry=False, expires=expires)
        except (KombuError, OSError) as error:
            log.warning("broker_unreachable", task=task.name, error=str(error))

    transaction.on_commit(send)
