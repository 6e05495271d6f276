"""A real Chromium against a real server."""

import os
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.browser.seed import Organisation, organisation


@pytest.fixture(scope="session")
def pictures() -> Path | None:
    """Where screenshots go. None, and none is taken, unless IMDSDASH_PICTURES names a folder: a person looks at them,
    and no test does.
    """
    kept = os.environ.get("IMDSDASH_PICTURES")
    if not kept:
        return None
    folder = Path(kept)
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
