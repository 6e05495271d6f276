"""`python -S spent.py REPORT COMMAND ...`: run a command and write what it cost to the report, as JSON.

A process of its own, and a small one: on Linux the peak memory of a child counts from its parent's at the fork, so
a measurement must not be the parent.
"""

import json
import os
import sys
import time
from pathlib import Path


def main(report: str, *words: str) -> int:
    began = time.monotonic()
    child = os.posix_spawn(words[0], words, os.environ)
    _, status, usage = os.wait4(child, 0)
    told = {
        "seconds": time.monotonic() - began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,  # Linux says KiB
    }
    Path(report).write_text(json.dumps(told))
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
