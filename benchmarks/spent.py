"""`python -S spent.py REPORT COMMAND ...`: run a command and write what it cost to the report, as JSON.

A process of its own, and a small one: on Linux the peak memory of a child counts from its parent's at the fork, so
a measurement must not be the parent.

`peak_mib` is what the kernel says: all that was resident, pages of mapped files (an SQLite database, libraries)
included. `peak_own_mib` is without those, as seen every few milliseconds.
"""

import json
import os
import sys
import time
from pathlib import Path

EVERY = 0.02  # seconds between two looks


def main(report: str, *words: str) -> int:
    began = time.monotonic()
    child = os.posix_spawn(words[0], words, os.environ)
    own = 0
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        own = max(own, own_kib(child))
        time.sleep(EVERY)
    told = {
        "seconds": time.monotonic() - began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,  # Linux says KiB
        "peak_own_mib": own / 1024,
    }
    Path(report).write_text(json.dumps(told))
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def own_kib(child: int) -> int:
    """Resident memory that is no file's; 0 when it is not told."""
    try:
        lines = Path(f"/proc/{child}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon:")), 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
