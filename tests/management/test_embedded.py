"""`manage.py up`: one process that also is worker and beat."""

import time
from pathlib import Path

from tests import fleets
from tests.processes import house


def test_the_account_of_the_credentials_is_collected_by_the_timetable_alone(tmp_path: Path):
    """Nobody runs `collect`: beat nudges, and a worker listens to the queue it nudges in."""
    with house(tmp_path, fleets.alone({"count": 2, **fleets.QUIET})) as (one, _):
        process, _ = one.up()
        until = time.monotonic() + 60
        while time.monotonic() < until and not collected(one):
            time.sleep(0.2)

        assert collected(one) == 1, process.log.read_text()


def collected(one) -> int:
    return one.value("SELECT count(*) FROM migration_scope WHERE outcome = 'complete'")
