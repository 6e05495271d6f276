"""The state file: a first line that fixes the world's date and seed, then one line a change."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TextIO

from sandbox.checks import Mistake
from sandbox.instances import UNTIL_START, MetadataOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandbox.world import World

_FORM: Final = "imdsdash-sandbox-1"


@dataclass(frozen=True, slots=True)
class State:
    """What a state file says."""

    seed: int
    anchor: float
    events: tuple[Mapping[str, Any], ...]


def read(path: Path) -> State | None:
    """The file's state; None when there is no file yet. A last line cut short by a kill is left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Mistake(str(path), f"cannot be read: {error}") from error
    records = [_record(path, line, number, last=number == len(lines)) for number, line in enumerate(lines, 1)]
    known = [record for record in records if record is not None]
    if not known:
        return None
    head = known[0]
    if head.get("form") != _FORM:
        raise Mistake(str(path), "is not a state file of this sandbox; name another or remove it")
    return State(int(head["seed"]), float(head["anchor"]), tuple(known[1:]))


def _record(path: Path, line: str, number: int, *, last: bool) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError as error:
        if last:
            return None
        raise Mistake(str(path), f"line {number} is not JSON; the file is damaged, remove it") from error
    return record if isinstance(record, dict) else None


def replay(world: World, state: State) -> None:
    """Make the world as it was; what is no longer in the fleet is passed over."""
    for event in state.events:
        match event.get("event"):
            case "options":
                _replay_options(world, event)
            case "state":
                _replay_state(world, event)
            case "defaults":
                _replay_defaults(world, event)
            case _:
                pass


def _replay_options(world: World, event: Mapping[str, Any]) -> None:
    instance = world.instances.get(event["instance_id"])
    if instance is None:
        return
    at = float(event["at"])
    settles = at + world.settings.apply_seconds if instance.state == "running" else UNTIL_START
    instance.change_options(MetadataOptions(**event["options"]), at, settles)


def _replay_state(world: World, event: Mapping[str, Any]) -> None:
    instance = world.instances.get(event["instance_id"])
    if instance is None:
        return
    if event["state"] == "running":
        instance.start(float(event["at"]))
    else:
        instance.stop(float(event["at"]), str(event["state"]))


def _replay_defaults(world: World, event: Mapping[str, Any]) -> None:
    account = world.accounts.get(event["account_id"])
    region = account.regions.get(event["region"]) if account else None
    if region is not None:
        for field, value in event["changes"].items():
            setattr(region.defaults, field, value)


class Recorder:
    """Writes every change of a world to its file, each before the client is told."""

    def __init__(self, path: Path, world: World, *, fresh: bool) -> None:
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not fresh:
                _mend_last_line(path)
            self._file: TextIO = path.open("w" if fresh else "a", encoding="utf-8")
        except OSError as error:
            raise Mistake(str(path), f"cannot be written: {error.strerror}") from error
        if fresh:
            self({"form": _FORM, "seed": world.seed, "anchor": world.anchor})
        world.listeners.append(self)

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Write one line."""
        with self._lock:
            self._file.write(json.dumps(event) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _mend_last_line(path: Path) -> None:
    """Drop a last line that a kill cut short, so that the next one does not run into it."""
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        path.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
