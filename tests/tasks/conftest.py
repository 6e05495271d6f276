import pytest

from migration.aws import retry
from migration.aws.pace import Pace
from migration.aws.sessions import Limits
from migration.tasks import edges
from migration.tasks import enforcement as tasks


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
