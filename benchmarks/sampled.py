"""`python -m benchmarks.sampled REPORT COMMAND ...`: run a `manage.py` command and write where its CPU time went.

A thread looks at all others every few milliseconds and charges the CPU time each has used since to the function it
is in, C code to the Python function that called it. Unlike cProfile it costs a few per cent, sees every thread, and
does not make code of many small functions look dearer than it is.
"""

import gc
import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from django.core.management import execute_from_command_line

EVERY = 0.002  # seconds between two looks
SWITCH = 0.0005  # seconds after which a thread that computes lets another one in
OURS = ("migration.", "imdsdash.")
TOP = 25


class Sampler(threading.Thread):
    """CPU seconds by module, by function, and by the innermost function of ours that was at work."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.collecting = 0.0  # CPU seconds of the garbage collector, which are in the functions' own too
        self.began_collecting = 0.0
        self.used: dict[int, float] = {}
        self.modules: defaultdict[str, float] = defaultdict(float)
        self.functions: defaultdict[str, float] = defaultdict(float)
        self.ours: defaultdict[str, float] = defaultdict(float)

    def run(self) -> None:
        while not self.ended.wait(EVERY):
            for ident, frame in sys._current_frames().items():  # noqa: SLF001 -- there is no other door
                if ident != self.ident:
                    self._charge(ident, frame)

    def _charge(self, ident: int, frame: FrameType) -> None:
        try:
            now = time.clock_gettime(time.pthread_getcpuclockid(ident))
        except (OSError, OverflowError):
            return  # the thread has just ended
        spent = now - self.used.get(ident, 0.0)
        self.used[ident] = now
        if spent <= 0:
            return
        if frame.f_code is Sampler.collected.__code__ and frame.f_back is not None:
            frame = frame.f_back
        module = module_of(frame)
        self.modules[module] += spent
        self.functions[f"{module}.{frame.f_code.co_qualname}"] += spent
        self.ours[innermost(frame)] += spent

    def collected(self, phase: str, _: dict[str, int]) -> None:
        """What `gc` calls before and after each collection, in the thread that set it off."""
        if phase == "start":
            self.began_collecting = time.thread_time()
        else:
            self.collecting += time.thread_time() - self.began_collecting

    def told(self) -> dict[str, object]:
        total = sum(self.modules.values())
        return {
            "cpu_seconds": round(total, 2),
            "garbage_collector_seconds": round(self.collecting, 2),
            "garbage_collector_share": round(self.collecting / total, 3),
            "by_module": shares(self.modules, total),
            "by_function": shares(self.functions, total),
            "by_our_function": shares(self.ours, total),
        }


def module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "?"))


def innermost(frame: FrameType | None) -> str:
    """The deepest function of ours on the stack, or what there is instead."""
    while frame is not None:
        module = module_of(frame)
        if module.startswith(OURS):
            return f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return "(start, imports, Django's own)"


def shares(found: Mapping[str, float], total: float) -> list[dict[str, object]]:
    """The most expensive, with their share of all CPU seconds."""
    return [
        {"name": name, "cpu_seconds": round(spent, 3), "share": round(spent / total, 3)}
        for name, spent in sorted(found.items(), key=lambda pair: -pair[1])[:TOP]
    ]


def main(report: str, *words: str) -> None:
    sys.setswitchinterval(SWITCH)
    sampler = Sampler()
    gc.callbacks.append(sampler.collected)
    sampler.start()
    try:
        execute_from_command_line(["manage.py", *words])
    finally:
        sampler.ended.set()
        sampler.join()
        Path(report).write_text(json.dumps(sampler.told()))


if __name__ == "__main__":
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imdsdash.settings")
    main(*sys.argv[1:])
