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
    "account.refuses",
    "access.among",
    "access.can",
    "access.can_everywhere",
    "access.can_in",
    "access.everything",
    "access.roles",
    "access.visible_accounts",
    "access.who_may",
    "accounts.busiest",
    "accounts.ordered",
    "anchors.contradictions",
    "anchors.kept",
    "anchors.malformed",
    "anchors.standing",  # a file, and the events it names by their key
    "asking.beginning",
    "asking.history_slice",
    "asking.known",  # a part of asking.usage
    "churn.calling",  # with standing.of_accounts
    "decisions.asked",
    "decisions.barred_because",
    "decisions.may_use_emergency",
    "decisions.not_by",  # with plans.inbox
    "decisions.one_click",
    "decisions.policy_carries",
    "decisions.standing",
    "decisions.still_missing",
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
    "planning.in_scope",  # with planning.candidates
    "planning.locked_regions",
    "planning.options_of",
    "planning.stale_because",
    "planning.strangers",
    "plans.as_text",
    "plans.batch_of",
    "plans.decidable",
    "plans.edits",
    "plans.given_by",
    "plans.window_opens",
    "policies.active_at",
    "policies.brake",
    "policies.brake_reason",
    "policies.decidable",
    "policies.defaults",
    "policies.difference",
    "policies.held_before",
    "policies.may_administer",
    "policies.moved_on",
    "policies.place",
    "policies.pulled_by",
    "policies.terms_of",
    "policies.told",
    "policies.visible",  # with policies.holding
    "policies.waiting_for",
    "probes.probe_of",
    "rungs.enforcement_harms",  # one of rungs.homes
    "rungs.home",  # with rungs.homes
    "rungs.next_rung",
    "runs.fingerprint",
    "runs.is_over",
    "runs.noun",
    "runs.progresses",  # with runs.visible
    "runs.refused_calls",  # with runs.told
    "runs.rollbacks",
    "runs.taken_over",  # of runs.sent_after
    "usage.total",
    "waivers.covered",
    "waivers.decidable",
    "waivers.reaches",  # with waivers.rows
    "waivers.visible",  # with waivers.waiting
    "waivers.waiting_renewal",
    "waves.begins",
    "waves.is_late",
    "waves.may",
    "waves.visible",  # with waves.rows
    "waves.with_today",
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
