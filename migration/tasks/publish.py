"""Publishing a nudge. The row is committed first; a broker that is away costs a delay, never an error page."""

from typing import Any

import structlog
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)


def nudge(task: Any, *ids: int) -> None:
    """Send `task(*ids)` once the transaction is committed. A failure is logged; the sweeper finds the row anyway."""

    def send() -> None:
        try:
            task.apply_async(args=ids, retry=False)
        except (OperationalError, OSError) as error:
            log.warning("broker_unreachable", task=task.name, error=str(error))

    transaction.on_commit(send)
