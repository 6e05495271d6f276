"""One process that is everything: web server, Celery worker and beat, with messages in memory.

The tables are the queue, so what is lost with the memory is a delay, not work: the sweeper finds it. Because two
such processes would each have their own beat and their own memory, a file lock lets only one start.
"""

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from celery import current_app
from celery.beat import EmbeddedService, Scheduler
from celery.worker import WorkController
from django.core.management.base import CommandError
from django.core.wsgi import get_wsgi_application
from gunicorn.app.base import BaseApplication

from migration.tasks import enforcement

log = structlog.get_logger(__name__)
# Three pools, so that neither a long collection nor a receiver that hangs makes an enforcement, or the sweeper, wait.
POOLS = {"collect": 4, "enforce,celery": 4, "notify": 2}  # queues: threads
WEB_THREADS = 8
GRACE = 1.5  # seconds
LISTENS_WITHIN = 10  # seconds a worker may take until it listens to its queues
_alive: list[Any] = []  # what must not be collected as garbage while its thread runs


class Web(BaseApplication):
    """Gunicorn with one worker process that also carries the Celery threads.

    Should that process die, gunicorn starts another one, and the work goes on from the tables.
    """

    def __init__(self, *, host: str, port: int, ready: Callable[[], None]) -> None:
        self.host, self.port, self.ready = host, port, ready
        super().__init__()  # type: ignore[no-untyped-call]

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": f"{self.host}:{self.port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": WEB_THREADS,
            "timeout": 120,
            "graceful_timeout": 5,
            "control_socket_disable": True,
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108 -- a heartbeat file
            "loglevel": "warning",
            "proc_name": "imdsdash",
            "post_worker_init": self._started,
            "worker_exit": _ended,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)  # type: ignore[union-attr]

    def load(self) -> Any:
        return get_wsgi_application()

    def _started(self, _worker: Any) -> None:
        start_threads()
        self.ready()


def _ended(_server: Any, _worker: Any) -> None:
    """The server ends: begin nothing new, give a call in flight a moment, and do not wait for threads that sleep.

    Whatever is cut off here is found by the next process in the tables; what must not happen is that this one
    lingers on and keeps the lock of the data folder.
    """
    enforcement.stopping.set()
    time.sleep(GRACE)
    os._exit(0)


def start_threads() -> None:
    """Start the worker and beat of this process, and let what is due begin at once."""
    app: Any = current_app
    app = app._get_current_object()  # noqa: SLF001 -- Celery's own way to the app behind the proxy
    workers = [_working(app, queues, threads) for queues, threads in POOLS.items()]
    beat: Any = EmbeddedService(app, thread=True, scheduler_cls=Scheduler)
    beat.daemon = True
    _alive[:] = [*workers, beat]
    beat.start()
    for name in ("migration.tasks.enforcement.sweep", "migration.tasks.collection.dispatch_due"):
        current_app.send_task(name)


def _working(app: Any, queues: str, threads: int) -> Any:
    """A worker that listens to its queues. Which queues are listened to is kept with the app and not with the worker,
    so the next one must not be made before this one has taken them: both would listen to the next one's.
    """
    worker = _worker(app, queues, threads)
    threading.Thread(target=worker.start, name="celery-worker", daemon=True).start()
    until = time.monotonic() + LISTENS_WITHIN
    while getattr(worker.consumer, "task_consumer", None) is None and time.monotonic() < until:
        time.sleep(0.01)
    return worker


def _worker(app: Any, queues: str, threads: int) -> Any:
    name = queues.split(",", 1)[0]
    return WorkController(
        app=app,
        pool_cls="threads",
        concurrency=threads,
        queues=queues,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        hostname=f"{name}-{os.getpid()}@{socket.gethostname()}",
        loglevel="WARNING",
    )


def lock_out_others(folder: Path) -> Any:
    """Hold the data folder for this process and its children. Raises CommandError when another has it."""
    path = folder / "embedded.lock"
    handle = path.open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        handle.seek(0)
        holder = handle.read().strip() or "unknown"
        raise CommandError(
            f"Another imdsdash (process {holder}) already runs on the data in {folder}. Stop that one, or set "
            "IMDSDASH_DATA_DIR to another folder. Nothing was started."
        ) from error
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    os.set_inheritable(handle.fileno(), True)  # noqa: FBT003 -- the worker process keeps the lock alive
    return handle


def refuse_taken_port(host: str, port: int) -> None:
    """Raise CommandError when the port cannot be listened on, before anything else is begun."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or "a port is a number up to 65535"
            raise CommandError(
                f"Port {port} on {host} cannot be used ({why}): another program listens there, or it is not "
                f"allowed. Stop it, or choose another with --port. Nothing was started."
            ) from error
