"""The measure of the databases runs, on a few rows, and knows every read that there is."""

import importlib
import inspect
import pkgutil

import pytest

from benchmarks import database
from migration import queries
from tests.services import absent

# What asks no table, or a row or two by their key.
NO_READS = {
    "access.can",
    "access.can_everywhere",
    "access.roles",
    "access.visible_accounts",
    "access.among",
    "access.everything",
    "accounts.busiest",
    "accounts.ordered",
    "asking.beginning",
    "asking.history_slice",
    "asking.known",  # a part of asking.usage
    "evidence.owes",
    "evidence.rejected_hours",
    "evidence.subject",
    "evidence.v1_hours",
    "fleet.business_unit",
    "health.cadences",
    "health.database_answers",
    "health.overdue",
    "needs.needs",
    "notifications.address",
    "notifications.channels",
    "notifications.notice_of",
    "notifications.parked",  # with notifications.outbox
    "onboarding.discovery",
    "onboarding.tested",
    "onboarding.usual_way",
    "planning.closed_regions",
    "planning.options_of",
    "planning.stale_because",
    "plans.decidable",
    "probes.probe_of",
    "runs.fingerprint",
    "runs.is_over",
    "runs.progresses",  # with runs.visible
    "usage.total",
    "waivers.covered",
    "waivers.decidable",
    "waivers.reaches",  # with waivers.rows
    "waivers.visible",  # with waivers.waiting
    "waivers.waiting_renewal",
}


@pytest.fixture(scope="module")
def told():
    return database.measure(quick=True)


def test_a_day_is_written_and_every_read_is_timed_on_sqlite(told):
    one = told["sqlite"]

    assert one["rows"] | {"ApiDay": 0} == {
        "Account": 2, "ApiDay": 0, "Instance": 400, "InstanceDay": 8000, "Scope": 34, "ScopeDay": 680,
    }  # fmt: skip
    assert one["one_days_pass"].keys() == {"bulk_create", "bulk_create_again", "upsert", "upsert_again"}
    assert all(read["median_ms"] >= 0 and read["statements"] >= 0 for read in one["reads"].values())
    assert one["slow"].keys() <= one["reads"].keys()
    assert {"instance", "instanceday", "scopeday", "apiday", "database"} == one["bytes"].keys()


def test_postgresql_is_measured_by_the_same_reads(told):
    if "is not on this machine" in told["postgresql"].get("not_measured", ""):
        absent("PostgreSQL", told["postgresql"]["not_measured"])

    assert told["postgresql"]["rows"] == told["sqlite"]["rows"]
    assert told["postgresql"]["reads"].keys() == told["sqlite"]["reads"].keys()
    assert "fsync=on" in told["postgresql"]["writes"]


def test_no_read_of_the_pages_is_left_out(told):
    timed = {name.split(",")[0].split()[0] for name in told["sqlite"]["reads"]}

    assert public() - NO_READS - timed == set(), "a new read is timed in benchmarks/reads.py, or named in NO_READS"
    assert public() >= NO_READS


def public() -> set[str]:
    """Every public function of `migration.queries`."""
    found = set()
    for one in pkgutil.iter_modules(queries.__path__):
        module = importlib.import_module(f"migration.queries.{one.name}")
        found |= {
            f"{one.name}.{name}"
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
        }
    return found
