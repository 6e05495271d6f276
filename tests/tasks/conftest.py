import pytest

from migration.tasks import enforcement as tasks


@pytest.fixture
def quick(settings, monkeypatch):
    """Little time between looks, and no pause between writes: the sandbox has no owners to leave room to."""
    settings.IMDSDASH_WRITES_PER_SECOND = 1000
    monkeypatch.setattr(tasks, "LOOK", 0.05)
    monkeypatch.setattr(tasks, "IDLE_ROUNDS", 100)
    monkeypatch.setattr(tasks, "nudge", lambda task, *ids: task(*ids))
