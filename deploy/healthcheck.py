# ruff: noqa: INP001 -- run by its path; deploy/ is no package
"""Is this container alive? `python deploy/healthcheck.py web`, or `file PATH SECONDS` for a file that must be young.

Web: /livez answers. Worker and beat: each touches a file while it works; `celery inspect ping` would start a whole
Python with Django every few seconds only to ask.
"""

import http.client
import os
import sys
import time

PORT = 8000


def host() -> str:
    """A name the installation answers to; under any other Django refuses the request."""
    first = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip()
    return "localhost" if first in {"", "*"} else first.lstrip("*.")


def web() -> str:
    """What is wrong with the web server, or ""."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=4)
    try:
        connection.request("GET", "/livez", headers={"Host": host()})
        status = connection.getresponse().status
    except OSError as error:
        return f"/livez does not answer: {error}"
    return "" if status == http.client.OK else f"/livez answers {status}"


def file(path: str, seconds: float) -> str:
    """What is wrong with a file's age, or ""."""
    try:
        age = time.time() - os.stat(path).st_mtime  # noqa: PTH116 -- without pathlib it starts in half the time
    except OSError:
        return f"{path} is not there"
    return "" if age <= seconds else f"{path} was touched {age:.0f} s ago"


def main(words: list[str]) -> str:
    if words == ["web"]:
        return web()
    if len(words) == 3 and words[0] == "file":  # noqa: PLR2004
        return file(words[1], float(words[2]))
    return "say `web`, or `file PATH SECONDS`"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) or None)
