"""One POST to an address that an administrator gave. No redirect is followed, and the answer's words are not kept."""

import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from migration.notify.errors import NotDelivered

SILENCE = 5.0  # seconds the other side may be silent
LONGEST = 15.0  # seconds the whole may take, however lively the other side is
ANSWER = 65536  # bytes of an answer that are read, to be polite; the rest is cut off
OK, REDIRECT, SERVER_ERROR = 2, 3, 5  # hundreds
BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


def post(url: str, body: bytes, headers: Mapping[str, str], *, who: str) -> None:
    """Send it. `who` names the receiver in sentences. Raises NotDelivered unless the answer is 2xx."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NotDelivered(f"The address of {who} is neither http nor https.", permanent=True)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=SILENCE)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        status = _exchange(connection, path, body, headers)
    except ssl.SSLError as error:
        raise NotDelivered(f"{who} could not be trusted: {error.reason or 'TLS failed'}.", rest=True) from None
    except TimeoutError:
        raise NotDelivered(f"{who} did not answer in time.", rest=True) from None
    except (OSError, HTTPException) as error:
        why = getattr(error, "strerror", None) or "no answer that is HTTP"
        raise NotDelivered(f"{who} could not be reached: {why}.", rest=True) from None
    finally:
        connection.close()
    _judge(status, who)


def _exchange(connection: HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The answer's status. One that drips is cut off: each byte of it would start the wait for silence anew."""
    over = threading.Event()
    cut = threading.Timer(LONGEST, _cut_off, [connection, over])
    cut.daemon = True
    cut.start()
    try:
        connection.request("POST", path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        answer.read(ANSWER)
    finally:
        cut.cancel()
    if over.is_set():  # to us it looks like the end of the headers
        raise TimeoutError
    return answer.status


def _cut_off(connection: HTTPConnection, over: threading.Event) -> None:
    over.set()
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)


def _judge(status: int, who: str) -> None:
    family = status // 100
    if family == OK:
        return
    if family == REDIRECT:
        raise NotDelivered(f"{who} answered {status}, a redirect, which is not followed: set the final address.")
    raise NotDelivered(f"{who} answered {status}.", rest=family == SERVER_ERROR or status in BUSY)
