"""Run every measurement, write `var/bench/<time>.json` and `var/bench/latest.json`, print the same object."""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import collection, judging

FOLDER = Path(__file__).resolve().parent.parent / "var" / "bench"


def main() -> None:
    at = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 -- no Django here to ask
    told: dict[str, Any] = {"at": at.isoformat(), "machine": machine()}
    for name, measure in (("collection", collection.measure), ("judging", judging.measure)):
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        told[name] = measure()
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = json.dumps(told, indent=2)
    for name in (f"{at:%Y%m%dT%H%M%SZ}", "latest"):
        (FOLDER / f"{name}.json").write_text(f"{text}\n")
    print(text)


def machine() -> dict[str, Any]:
    """What the seconds depend on. The call counts do not."""
    return {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}


if __name__ == "__main__":
    main()
