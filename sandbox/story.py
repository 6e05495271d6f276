"""What the demo's people have done before somebody looks: they use the pages as anybody does, and know nothing else."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar
from typing import Final

PATIENCE: Final = 20  # seconds for a page
KEPT: Final = 409  # the page says no and keeps what was typed


@dataclass(frozen=True)
class Waived:
    """A waiver of the demo. `name`: the group, or the Name of an instance, whose id is looked up on a page."""

    account: str
    kind: str
    name: str
    days: int
    reason: str
    answer: str = ""  # of the approver; empty: it still waits


WAIVERS: Final = (
    Waived(
        "666677778888",
        "asg",
        "image-resizer",
        86,
        "The imaging SDK reads its credentials through IMDSv1; release 7 in January reads them through IMDSv2.",
        "Agreed until release 7 is out. They are not reachable from outside.",
    ),
    Waived(
        "222233334444",
        "instance",
        "jenkins",
        10,
        "The plug-in for credentials is older than IMDSv2; this server is switched off at the end of the month.",
        "Once. Not again.",
    ),
    Waived(
        "222233334444",
        "asg",
        "ci-runners",
        60,
        "Build jobs of other teams call IMDSv1 in their own scripts; we ask them one after the other.",
    ),
)


LOOKED_UP: Final = 6  # instances in use that CloudTrail is asked about


class Visitor:
    """Somebody with a browser that draws nothing."""

    def __init__(self, url: str, name: str, password: str) -> None:
        self.url = url
        self.cookies = CookieJar()
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies)
        )
        self.get("/login/")
        self.post("/login/", username=name, password=password)

    def get(self, path: str) -> str:
        with self.opener.open(f"{self.url}{path}", timeout=PATIENCE) as page:
            text: str = page.read().decode()
        return text

    def post(self, path: str, **fields: str) -> str:
        """Where it led to, or "" when the page said no."""
        token = next((cookie.value for cookie in self.cookies if cookie.name == "csrftoken"), "") or ""
        body = urllib.parse.urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
        try:
            with self.opener.open(f"{self.url}{path}", data=body, timeout=PATIENCE) as page:
                return str(urllib.parse.urlsplit(page.geturl()).path)
        except urllib.error.HTTPError as answer:
            if answer.code == KEPT:
                return ""
            raise


def tell(url: str, password: str) -> int:
    """The engineer asks, the approver answers; once, for a demo that was started before goes on with what it kept.
    Returns how many waivers are new. Raises OSError when the pages do not answer.
    """
    engineer = Visitor(url, "engineer", password)
    if re.search(r"/waivers/\d+/", engineer.get("/waivers/?show=all")):
        return 0
    asked = [(one, ask(engineer, one)) for one in WAIVERS]
    approver = Visitor(url, "approver", password)
    for one, path in asked:
        if path and one.answer:
            approver.post(f"{path}approve/", comment=one.answer, version="0")
    for number in re.findall(r"/instances/(\d+)/", engineer.get("/instances/?status=in_use"))[: LOOKED_UP * 2 : 2]:
        engineer.post(f"/instances/{number}/ask-cloudtrail/")
    return sum(bool(path) for _, path in asked)


def ask(engineer: Visitor, one: Waived) -> str:
    target = one.name
    if one.kind == "instance":
        found = re.search(r"\bi-[0-9a-f]{17}\b", engineer.get(f"/accounts/{one.account}/?q={one.name}"))
        if found is None:
            return ""
        target = found[0]
    until = datetime.fromtimestamp(time.time(), UTC).date() + timedelta(days=one.days)
    return engineer.post(
        "/waivers/new/",
        account=one.account,
        kind=one.kind,
        target=target,
        region="",
        reason=one.reason,
        expires_on=until.isoformat(),
    )
