"""Both databases with a large fleet in them: what a row takes, how long a day's pass is written, and every read.

100,000 instances of 500 accounts in 17 Regions, 90 days of each; SQLite as `manage.py up` has it, PostgreSQL as Debian
does (fsync on). Nothing is asked of AWS. `benchmarks.tables` is what runs inside.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.installation import ROOT, NotMeasured
from benchmarks.services import create_database, postgres

SIZE = (100_000, 90, 5)  # instances, days, how often each read is timed
QUICK = (400, 20, 1)
SLOW = 300.0  # milliseconds that a page may take for one read


def measure(*, quick: bool) -> dict[str, Any]:
    """By database: `{"rows", "bytes", "one_days_pass", "reads", "slow"}`; `not_measured` where there is none."""
    size = QUICK if quick else SIZE
    told: dict[str, Any] = {"instances": size[0], "days": size[1], "slow_is_over_ms": SLOW}
    with tempfile.TemporaryDirectory(prefix="imdsdash-tables-") as name:
        folder = Path(name)
        told["sqlite"] = inside(f"sqlite:///{folder / 'fleet.sqlite3'}", folder, size)
        told["sqlite"]["writes"] = "journal_mode=WAL, synchronous=NORMAL: a commit survives a killed process"
        try:
            with postgres(folder) as server:
                told["postgresql"] = inside(create_database(server, "fleet"), folder, size)
                told["postgresql"]["writes"] = "fsync=on, synchronous_commit=on, shared_buffers=128MB: as Debian has it"
        except NotMeasured as why:
            told["postgresql"] = {"not_measured": str(why)}
    return told


def inside(address: str, folder: Path, size: tuple[int, int, int]) -> dict[str, Any]:
    """Run `benchmarks.tables` on an empty database; what it printed, and which reads are slow."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "IMDSDASH_"))}
    environment |= {
        "DATABASE_URL": address,
        "IMDSDASH_DATA_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "imdsdash.settings",
        "SECRET_KEY": "a-key-for-measuring-that-is-long-enough",
        "IMDSDASH_LOG_FORMAT": "console",
        "REDIS_URL": "",
    }
    words = [sys.executable, "-m", "benchmarks.tables", *map(str, size)]
    done = subprocess.run(  # noqa: S603 -- ourselves
        words, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise NotMeasured(f"{' '.join(words)} ended with {done.returncode}.")
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    told["slow"] = {name: one["median_ms"] for name, one in told["reads"].items() if one["median_ms"] > SLOW}
    return told
