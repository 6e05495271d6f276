"""The demo organisation: a fleet one would believe, in `demo.json`, in the notation of the fleet file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sandbox.fleet.read import load

SEED: Final = 20
MANAGEMENT: Final = "111122223333"
EXTERNAL_ID: Final = "imdsdash-demo"
READER: Final = "imdsdash-reader"
ENFORCER: Final = "imdsdash-enforcer"
ACCESS_KEY_ID: Final = "AKIAIOSFODNN7EXAMPLE"
SECRET_ACCESS_KEY: Final = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105 - AWS's documented example, no secret
DEMO_FILE: Final = Path(__file__).with_name("demo.json")


def demo_fleet() -> dict[str, Any]:
    """Twelve accounts in three Regions, about six hundred instances of every status."""
    return load(DEMO_FILE)
