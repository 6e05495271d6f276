"""What every test gets: shut sockets, no AWS of the outside, and an audit log whose triggers let a flush through."""

import os

import hypothesis
import pytest
from django.db import connection

from tests.chromium import chromium

__all__ = ["chromium"]

# Nothing of this machine's AWS set-up may reach a test, and no test may reach AWS.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ |= {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


# A loaded machine is no finding: no property is judged by how long it takes.
hypothesis.settings.register_profile(
    "house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("house")

# Where the time goes, the longest first.
LONG = (
    "tests/stateful/",
    "tests/chaos/test_services_fail.py",
    "tests/browser/test_pages.py",
    "tests/benchmarks/test_measures.py",
    "tests/browser/",
    "tests/chaos/",
    "tests/journeys/",
    "tests/management/",
    "tests/actions/test_upgrade.py",
    "tests/tasks/test_isolation.py",
    "tests/tasks/test_enforcement",
    "tests/tasks/test_linked",
    "tests/tasks/",
    "tests/benchmarks/",
    "tests/actions/test_usage.py",
    "tests/views/test_permissions.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]):
    """What takes long begins first; begun last, it would leave one worker alone with it. With --no-loadscope-reorder:
    xdist by itself begins with the files that have most tests, and the longest have few.
    """
    items.sort(key=lambda item: next((place for place, name in enumerate(LONG) if item.nodeid.startswith(name)), 99))


@pytest.fixture(autouse=True)
def _canary(request: pytest.FixtureRequest, settings):
    """Tests of the canary say how long it is watched; no other waits half an hour."""
    if request.path.parent.name != "tests":  # those of the settings want them as they are
        settings.IMDSDASH_CANARY_MINUTES = 0


@pytest.fixture(autouse=True)
def _flushable_audit_log(request: pytest.FixtureRequest):
    """Tests with real transactions end with a flush, and a flush is just what the triggers refuse."""
    real = {"transactional_db", "live_server", "django_db_serialized_rollback"} & set(request.fixturenames)
    marker = request.node.get_closest_marker("django_db")
    if not real and not (marker and marker.kwargs.get("transaction")):
        yield
        return
    request.getfixturevalue("transactional_db")
    triggers("on")
    yield
    triggers("off")


def triggers(switch: str) -> None:
    """Take the audit triggers off for the flush that ends a test, and put them (and the head row) back before one."""
    from importlib import import_module

    from migration.models import AuditHead

    engine = "POSTGRES" if connection.vendor == "postgresql" else "SQLITE"
    names = ("0002_audit_is_append_only", "0016_audit_truncate")
    first, second = (vars(import_module(f"migration.migrations.{name}")) for name in names)
    off = [*second[f"{engine}_OFF"], *first[f"{engine}_OFF"]]
    on = [*first[engine], *second[engine]] if switch == "on" else []
    with connection.cursor() as cursor:
        for statement in [*off, *on]:
            cursor.execute(statement)
    if switch == "on":
        AuditHead.objects.get_or_create(pk=1)


@pytest.fixture(autouse=True)
def _no_anchors_of_this_machine(settings, tmp_path_factory: pytest.TempPathFactory):
    """Those of the installation in var/ say nothing about the log of a test."""
    settings.AUDIT_ANCHOR_FILE = tmp_path_factory.getbasetemp() / "no-anchors-here.jsonl"


@pytest.fixture(autouse=True)
def _no_edge_outlives_its_test():
    """Sessions and clients are kept per process; the next test has another pretend AWS."""
    from migration.tasks import edges

    edges._edge.cache_clear()
    yield
    edges._edge.cache_clear()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch):
    """Start a pretend AWS and point boto3 at it: `sandbox = aws(fleet)`."""
    from sandbox.testing import start

    running = []

    def begin(fleet, **options):
        sandbox = start(fleet, **options)
        running.append(sandbox)
        for name, value in sandbox.env().items():
            monkeypatch.setenv(name, value)
        return sandbox

    yield begin
    for sandbox in running:
        sandbox.stop()
