"""The threaded HTTP server, on loopback only."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from sandbox.application import Application
from sandbox.faults import Faults

if TYPE_CHECKING:
    from sandbox.world import World

HOST = "127.0.0.1"


class _Handler(WSGIRequestHandler):
    """A handler that writes no access log: the journal is the log. Date is the application's to give."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's signature
        """Say only what went wrong."""
        if type == "error":
            super().log(type, message, *args)

    def send_response(self, code: int, message: str | None = None) -> None:
        """The status line and nothing else: http.server would add a Date of its own beside the application's."""
        self.send_response_only(code, message)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


class Server:
    """A pretend AWS that listens."""

    def __init__(self, world: World, port: int = 0) -> None:
        _forget_moto()
        self.application = Application(world, Faults(world.seed))
        # werkzeug ends the process when a port is taken; a socket of our own raises OSError, which can be told.
        with _listening(port) as listener:
            self._http = ThreadedWSGIServer(HOST, port, self.application, handler=_Handler, fd=listener.fileno())
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self._http.port}"

    def serve(self) -> None:
        """Serve until closed."""
        self._http.serve_forever(poll_interval=0.02)

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._thread = threading.Thread(target=self.serve, name="sandbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving; calls that wait at a barrier are cut off."""
        self.application.faults.barriers.release(None, "drop")
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener


def _forget_moto() -> None:
    """Moto keeps its backends in the process; each sandbox starts with none."""
    from moto.core.base_backend import BackendDict  # noqa: PLC0415 - moto is slow to import, and only a server needs it
    from moto.core.model_instances import reset_model_data  # noqa: PLC0415

    BackendDict.reset()
    reset_model_data()
