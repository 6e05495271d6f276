"""`python -m tests.on_postgres`: the tests that touch tables, once more, on PostgreSQL."""

import os
import subprocess
import sys

import pytest

from tests import services

FOLDERS = ["tests/actions", "tests/queries", "tests/tasks"]


def main() -> int:
    try:
        with services.postgres() as database:
            print("The tests that touch tables, on PostgreSQL:", flush=True)
            workers = ["-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"]
            words = [sys.executable, "-m", "pytest", *workers, *FOLDERS, *sys.argv[1:]]
            return subprocess.run(words, env=os.environ | {"DATABASE_URL": database}, check=False).returncode
    except pytest.skip.Exception as absent:
        print(f"SKIPPED: {absent}", flush=True)
        return 0
    except pytest.fail.Exception as absent:
        print(f"FAILED: {absent}", flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
