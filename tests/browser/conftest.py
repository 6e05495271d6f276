"""A real Chromium against a real server. Without one the tests are skipped loudly, and under CI=true they fail."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.browser.seed import Organisation, organisation

CHROMIUM = os.environ.get("IMDSDASH_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Playwright's sync API runs an event loop in this thread; Django would refuse the ORM beside it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    if not Path(CHROMIUM).exists():
        why = f"{CHROMIUM} is not there: install Debian's chromium, or name another in IMDSDASH_CHROMIUM."
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(f"BROWSER TESTS SKIPPED: {why}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go; IMDSDASH_PICTURES keeps them."""
    kept = os.environ.get("IMDSDASH_PICTURES")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def visit(chromium, live_server, client, pictures):
    """Open a window for a person (or for nobody): `visit(person, DESK)`."""
    from tests.browser.visitor import DESK, Look, Visitor

    opened: list[Visitor] = []

    def begin(person: User | None, look: Look = DESK) -> Visitor:
        session = None
        if person is not None:
            client.force_login(person)
            session = client.cookies["sessionid"].value
        visitor = Visitor(chromium, base=live_server.url, session=session, look=look, pictures=pictures)
        opened.append(visitor)
        return visitor

    yield begin
    for visitor in opened:
        visitor.context.close()


@pytest.fixture
def org(transactional_db) -> Organisation:
    return organisation(timezone.now())
