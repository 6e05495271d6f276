"""`manage.py demo`: ready, kept over a second start, ended whole by Ctrl-C, and clear about a taken port."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from sandbox.story import Visitor
from tests.processes import MANAGE, ROOT
from tests.services import HOST, free_port

pytestmark = pytest.mark.chaos


class Demo:
    """One start of the demo, as `make demo` starts it."""

    def __init__(self, folder: Path, port: int, sandbox_port: int) -> None:
        self.port, self.sandbox_port = port, sandbox_port
        self.log = folder / f"demo-{time.time_ns()}.log"
        environment = {"PATH": os.environ["PATH"], "IMDSDASH_DATA_DIR": str(folder)}
        with self.log.open("wb") as out:
            self.child = subprocess.Popen(
                [sys.executable, MANAGE, "demo", "--port", str(port), "--sandbox-port", str(sandbox_port)],
                env=environment, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def ready(self) -> str:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            said = self.log.read_text()
            if "imdsdash is ready" in said:
                return said
            assert self.child.poll() is None, said
            time.sleep(0.2)
        raise TimeoutError(self.log.read_text())

    def interrupt(self) -> int:
        """Ctrl-C."""
        self.child.send_signal(signal.SIGINT)
        return self.child.wait(30)

    def listens(self) -> list[bool]:
        found = []
        for port in (self.port, self.sandbox_port):
            with socket.socket() as probe:
                probe.settimeout(1)
                found.append(probe.connect_ex((HOST, port)) == 0)
        return found


def instances(said: str) -> str:
    found = re.search(r"(\d+) instances \(", said)
    assert found is not None
    return found[1]


def waivers(demo: Demo) -> int:
    """How many there are; two were granted, and one waits."""
    viewer = Visitor(f"http://{HOST}:{demo.port}", "viewer", "imdsdash-demo")
    assert "2, what ends first on top" in viewer.get("/waivers/")
    return len(set(re.findall(r"/waivers/\d+/", viewer.get("/waivers/?show=all"))))


def test_the_demo_gets_ready_ends_whole_and_goes_on_with_its_data(tmp_path: Path):
    first = Demo(tmp_path, free_port(), free_port())
    said = first.ready()
    assert all(f"{name:9} / imdsdash-demo" in said for name in ("viewer", "engineer", "approver"))
    with urllib.request.urlopen(f"http://{HOST}:{first.port}/login/", timeout=10) as page:
        assert page.status == 200
    assert waivers(first) == 3

    rival = subprocess.run(
        [sys.executable, MANAGE, "demo", "--port", str(first.port), "--sandbox-port", str(free_port())],
        env={"PATH": os.environ["PATH"], "IMDSDASH_DATA_DIR": str(tmp_path / "rival")},
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert rival.returncode == 1
    assert f"Port {first.port} on 127.0.0.1 cannot be used" in rival.stderr
    assert "Traceback" not in rival.stderr

    assert first.interrupt() == 0
    assert first.listens() == [False, False]

    second = Demo(tmp_path, free_port(), free_port())
    again = second.ready()
    assert instances(again) == instances(said)
    assert waivers(second) == 3, "its people do not ask again"
    assert second.interrupt() == 0
