"""Is anybody told? `notify test` sends one message by each way that is configured. Exit 1 when one failed."""

import sys
import uuid
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from migration.domain.notices import Notice
from migration.enums import Channel, Severity
from migration.management.house import HouseCommand
from migration.notify.errors import NotDelivered
from migration.queries import notifications as outbox
from migration.tasks.notification import WAYS


class Command(HouseCommand):
    help = "Send a test message by mail, Slack and webhook, as far as they are configured."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("verb", choices=["test"])

    def handle(self, **_: Any) -> None:
        channels = outbox.channels()
        if not channels:
            raise CommandError(
                "Nobody is told of anything: set IMDSDASH_MAIL_TO and EMAIL_URL, IMDSDASH_SLACK_WEBHOOK_URL, or "
                "IMDSDASH_WEBHOOK_URL and IMDSDASH_WEBHOOK_SECRET. Nothing was sent."
            )
        notice = example(now=timezone.now())
        outcomes = [self._try(channel, notice) for channel in channels]
        if not all(outcomes):
            sys.exit(1)

    def _try(self, channel: Channel, notice: Notice) -> bool:
        try:
            WAYS[channel](notice, now=timezone.now())
        except NotDelivered as error:
            self.stderr.write(f"{channel.label}: not delivered. {error}")
            return False
        self.stdout.write(f"{channel.label}: delivered.")
        return True


def example(*, now: datetime) -> Notice:
    """What a receiver gets; its key differs each time, so that no receiver takes the second test for a copy."""
    return Notice(
        key=f"test:{uuid.uuid4().hex}",
        kind="test",
        severity=Severity.INFO,
        subject="A test message of imdsdash",
        lines=("Somebody ran `manage.py notify test`. If you can read this, messages arrive.",),
        url=outbox.address("/collection/"),
        account_id="",
        at=now,
    )
