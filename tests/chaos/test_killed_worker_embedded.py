"""kill -9 of the embedded process: SQLite, messages in memory."""

from pathlib import Path

import pytest

from tests.chaos.story import FLEET, POINTS, kill_and_settle
from tests.processes import house


@pytest.mark.chaos
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_process_loses_nothing_and_writes_nothing_a_third_time(tmp_path: Path, point: str):
    with house(tmp_path, FLEET) as (one, sandbox):
        kill_and_settle(one, sandbox, point)
