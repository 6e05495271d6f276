"""Sending what is in the outbox. The queue is its own: a receiver that hangs keeps only messages waiting."""

from collections.abc import Callable

import structlog
from celery import shared_task
from django.utils import timezone

from migration.actions import notifications
from migration.enums import Channel
from migration.notify import mail, slack, webhook
from migration.notify.errors import NotDelivered
from migration.queries import notifications as outbox
from migration.tasks import edges
from migration.tasks.publish import nudge

log = structlog.get_logger(__name__)

EVERY = 30.0  # seconds: a nudge of the tick before is worth nothing, the next one sends another
WAKE_UPS = 100  # messages begun in one tick
WAYS: dict[Channel, Callable[..., None]] = {
    Channel.MAIL: mail.deliver,
    Channel.SLACK: slack.deliver,
    Channel.WEBHOOK: webhook.deliver,
}


def wake() -> None:
    """Have the outbox looked into as soon as the caller's transaction is committed, rather than at the next tick."""
    nudge(dispatch)


@shared_task(name="migration.tasks.notification.dispatch")
def dispatch() -> None:
    """Every half minute: wake a worker for each message that is due. Harmless twice: one sends, the others go home."""
    for pk in outbox.due(timezone.now()).values_list("pk", flat=True)[:WAKE_UPS]:
        nudge(send_one, pk, expires=EVERY)


@shared_task(name="migration.tasks.notification.send_one")
def send_one(pk: int) -> None:
    """Send one message, if it is due and nobody else has it."""
    claim = notifications.claim(pk=pk, owner=edges.me(), now=timezone.now())
    if claim is None:
        return
    try:
        WAYS[claim.channel](claim.notice, now=timezone.now())
    except NotDelivered as error:
        log.warning("not_delivered", channel=claim.channel, key=claim.notice.key, error=str(error))
        if error.permanent:
            notifications.give_up(claim=claim, error=str(error))
        else:
            notifications.record_failed(claim=claim, error=str(error), rest=error.rest, now=timezone.now())
        return
    notifications.record_sent(claim=claim, now=timezone.now())
