"""Debian's Chromium, started once in a test process.

Without it the tests that need it are skipped loudly, and under CI=true they fail. The fixture is made known in
`tests/conftest.py` and nowhere else: one per folder would start Playwright's event loop twice in a process that runs
both folders, which Playwright refuses.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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
