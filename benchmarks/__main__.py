"""`python -m benchmarks [NAME ...] [--quick]`: run all measurements, or the named ones, and print them as one object.

It also goes to `var/bench/<time>.json` and `var/bench/latest.json`. One that fails is told, with the others' results
kept; the exit code is then 1.
"""

import importlib
import json
import os
import platform
import signal
import sys
import time
import traceback
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.installation import NotMeasured

FOLDER = Path(__file__).resolve().parent.parent / "var" / "bench"
TERMINATED = 128 + signal.SIGTERM
# Each is a module with `measure(*, quick: bool) -> dict`, in the order they run.
MEASURES = ("calls", "memory", "client_cost", "scale_out", "resume", "side_by_side", "database", "judging", "rollout")


def run(names: Iterable[str], *, quick: bool, find: Callable[[str], Any] = importlib.import_module) -> dict[str, Any]:
    """The results by name; `not_measured` instead of a result says why there is none."""
    told: dict[str, Any] = {}
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            told[name] = find(f"benchmarks.{name}").measure(quick=quick)
        except NotMeasured as why:
            told[name] = {"not_measured": str(why)}
        except Exception as error:  # noqa: BLE001 -- one measure's mistake must not lose the others' results
            traceback.print_exc()
            told[name] = {"not_measured": f"{type(error).__name__}: {error}"}
        told[name]["measured_in_seconds"] = round(time.monotonic() - began, 1)
    return told


def machine() -> dict[str, Any]:
    """What the seconds depend on. The counts do not."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def write(told: dict[str, Any], at: datetime, folder: Path = FOLDER) -> str:
    """Keep the results under their time and as the latest; the text that was kept."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(told, indent=2)
    for name in (f"{at:%Y%m%dT%H%M%SZ}", "latest"):
        (folder / f"{name}.json").write_text(f"{text}\n")
    return text


def main(words: list[str] | None = None) -> int:
    parser = ArgumentParser("python -m benchmarks", description="Measure, and print the results as one JSON object.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="small fleets: shows that it runs, and no figure to quote")
    given = parser.parse_args(words)
    if unknown := [name for name in given.names if name not in MEASURES]:
        parser.error(f"there is no measure {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # so that what was started is ended
    at = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 -- no Django here to ask
    told: dict[str, Any] = {"at": at.isoformat(), "quick": given.quick, "machine": machine()}
    told |= run(given.names or MEASURES, quick=given.quick)
    print(write(told, at))
    return 1 if any("not_measured" in told[name] for name in given.names or MEASURES) else 0


if __name__ == "__main__":
    sys.exit(main())
