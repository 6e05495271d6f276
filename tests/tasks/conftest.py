from datetime import UTC, datetime

import pytest
import time_machine

from migration.aws import retry
from migration.aws.pace import Pace
from migration.aws.sessions import Limits
from migration.tasks import edges
from migration.tasks import enforcement as tasks
from tests import fleets
from tests.tasks import together


@pytest.fixture
def quick(settings, monkeypatch):
    """Little time between looks, and no pause between writes: the sandbox has no owners to leave room to."""
    settings.IMDSDASH_WRITES_PER_SECOND = 1000
    monkeypatch.setattr(tasks, "LOOK", 0.05)
    monkeypatch.setattr(tasks, "IDLE_ROUNDS", 100)
    monkeypatch.setattr(tasks, "nudge", lambda task, *ids: task(*ids))


@pytest.fixture
def hasty(monkeypatch):
    """No pause before a second try, no waiting for the pace, and little patience: a test of what is asked, not when."""
    monkeypatch.setattr(retry, "pause", lambda *_, **__: None)
    monkeypatch.setattr(edges, "pace", lambda: Pace(sleep=lambda _: None))
    monkeypatch.setattr(edges, "limits", lambda: Limits(connect_timeout=2, read_timeout=0.5))


@pytest.fixture
def yesterday(aws, settings):
    """An organization whose members were read yesterday, with a monitoring account: `sandbox = yesterday(fleet)`.

    Our clock and the pretend AWS's begin at twenty past, so that all passes of a test ask up to the same hour.
    """
    settings.IMDSDASH_MONITORING_ACCOUNT = fleets.CENTRAL
    settings.IMDSDASH_BACKFILL_DAYS = settings.IMDSDASH_HISTORY_DAYS = 20

    def begin(fleet, *, faults=()):
        sandbox = aws(fleet)
        together.read_yesterday(fleet)
        sandbox.clear_calls()
        sandbox.set_faults(faults)
        return sandbox

    with time_machine.travel(datetime(2026, 11, 20, 12, 20, tzinfo=UTC)):
        yield begin
