"""kill -9 of worker and beat: PostgreSQL and Redis."""

import time
from pathlib import Path

import psycopg
import pytest

from tests import services
from tests.chaos.story import FLEET, POINTS, kill_and_settle
from tests.processes import house


@pytest.mark.chaos
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_worker_loses_nothing_and_writes_nothing_a_third_time(tmp_path: Path, point: str):
    with services.postgres() as database, services.redis() as redis:
        name = f"chaos_{time.time_ns()}"
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        address = database.rsplit("/", 1)[0] + f"/{name}"
        with house(tmp_path, FLEET, DATABASE_URL=address, REDIS_URL=redis) as (one, sandbox):
            kill_and_settle(one, sandbox, point)
