"""`manage.py collect` as a person meets it: exact calls, exit codes, one sentence for what goes wrong."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests import fleets
from tests.processes import MANAGE, ROOT, House, Sandbox, house
from tests.services import free_port

CALLS_1000 = {
    "DescribeAutoScalingGroups": 3,
    "DescribeImages": 3,  # one AMI a Region; a filter takes 200
    "DescribeInstances": 3,  # 334, 333 and 333 instances: one page a Region
    "DescribeLaunchConfigurations": 3,
    "DescribeLaunchTemplates": 3,  # there is none, so no version is asked for
    "DescribeRegions": 1,
    "DescribeSpotInstanceRequests": 3,
    "GetCallerIdentity": 1,
    "GetInstanceMetadataDefaults": 3,
}


def fewest_metric_calls(asked: list[dict]) -> int:
    """AWS gives at most 100,800 datapoints a page and takes 500 queries a call (domain.md 5.2).

    A page holds whole queries only, so that one failed call loses whole series: the hours asked for grow through the
    day, and at some hours a fraction of a query is left over on each page.
    """
    queries: Counter[tuple[str, int]] = Counter()
    for call in asked:
        if "NextToken" not in call["params"]:
            hours = round((float(call["params"]["EndTime"]) - float(call["params"]["StartTime"])) / 3600)
            queries[call["region"], hours] += int(call["params"]["MetricDataQueries.#"])
    return sum(-(-many // min(500, 100_800 // hours)) for (_, hours), many in queries.items())


def test_a_thousand_instances_in_three_regions_take_the_fewest_calls_there_are(tmp_path: Path):
    with house(tmp_path, fleets.thousand(), IMDSDASH_BACKFILL_DAYS="63") as (one, sandbox):
        told = json.loads(one.manage("collect", "--json").strip().splitlines()[-1])
        made = Counter(call["operation"] for call in sandbox.calls())
        asked = sandbox.calls(operation="GetMetricData")

    assert told["scopes"] == {"complete": 3, "incomplete": 0, "denied": 0}
    assert told["instances"] == 1000
    assert told["by_status"] == {"in_use": 333, "ready": 667}
    assert told["metric_queries"] == 1000
    assert told["api_calls"] == dict(made), "what we say we sent is what the journal saw"
    assert {name: made[name] for name in CALLS_1000} == CALLS_1000
    assert made["GetMetricData"] == fewest_metric_calls(asked)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory):
    fleet = fleets.alone({"count": 2, "name_prefix": "web", **fleets.QUIET})
    fleet["credentials"] = [
        {
            "access_key_id": "AKIAIOSFODNN7EXAMPLE",
            "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "account_id": fleets.CENTRAL,
        }
    ]
    with house(tmp_path_factory.mktemp("house"), fleet) as (made, sandbox):
        made.manage("collect")  # so that every test, in whatever order, finds the account known
        yield made, sandbox


def run(one: tuple[House, Sandbox], *words: str, **changed: str) -> subprocess.CompletedProcess[str]:
    environment = one[0].environment | changed
    return subprocess.run(
        [sys.executable, MANAGE, *words],
        env={name: value for name, value in environment.items() if value},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What the person is told, once it is sure that it is not a traceback."""
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_a_complete_pass_ends_with_0_and_one_json_object(one):
    done = run(one, "collect", "--json")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert set(told) == {"scopes", "instances", "by_status", "api_calls", "metric_queries", "seconds"}
    assert told["instances"] == 2


def test_without_json_a_person_gets_a_sentence(one):
    done = run(one, "collect")

    assert done.stdout.startswith("1 account-Regions complete, 0 incomplete, 0 denied; 2 instances (2 ready)")


BAD = {
    "a wrong secret": (
        ["collect"],
        {"AWS_SECRET_ACCESS_KEY": "not-the-secret"},
        "SignatureDoesNotMatch",
    ),
    "an unknown key": (["collect"], {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWNEXAMPLE00"}, "InvalidClientTokenId"),
    "no credentials": (
        ["collect"],
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
        "No AWS credentials were found",
    ),
    "a profile that is not there": (["collect"], {"AWS_PROFILE": "nobody"}, "nobody"),
    "an endpoint where nothing listens": (
        ["collect"],
        {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}", "AWS_MAX_ATTEMPTS": "1"},
        "got no answer",
    ),
    "a Region that is not enabled": (["collect", "--region", "me-south-1"], {}, "Region me-south-1 is not enabled"),
    "an account that is not ours": (["collect", "--account", "999999999999"], {}, "999999999999"),
    "an account id of 3 digits": (["collect", "--account", "123"], {}, "it has 12 digits"),
    "a database address of nonsense": (["collect"], {"DATABASE_URL": "nonsense"}, "DATABASE_URL"),
    "a database of another kind": (
        ["collect"],
        {"DATABASE_URL": "mysql://u@127.0.0.1/x"},
        "neither sqlite nor postgres",
    ),
    "a database that does not answer": (
        ["collect"],
        {"DATABASE_URL": f"postgres://u:p@127.0.0.1:{free_port()}/x"},
        "the database cannot be used",
    ),
    "a database folder that is not there": (["collect"], {"DATABASE_URL": "sqlite:////no/such/x.db"}, "does not exist"),
    "a Region name of nonsense": (["collect"], {"IMDSDASH_REGIONS": "moon"}, "IMDSDASH_REGIONS"),
    "a window that is no number": (["collect"], {"IMDSDASH_WINDOW_DAYS": "many"}, "IMDSDASH_WINDOW_DAYS"),
    "Redis without a shared secret": (
        ["collect"],
        {"REDIS_URL": "redis://127.0.0.1:1/0", "SECRET_KEY": ""},
        "SECRET_KEY",
    ),
    "a fleet file with a mistake": (["sandbox", "--port", "0", "--fleet", "BAD_FLEET"], {}, "http_tokens"),
    "a fleet file that is not there": (["sandbox", "--port", "0", "--fleet", "/no/such.json"], {}, "cannot be read"),
}


@pytest.mark.parametrize(("words", "changed", "part"), BAD.values(), ids=BAD.keys())
def test_what_goes_wrong_is_one_sentence_a_non_zero_exit_and_no_half_written_row(one, tmp_path, words, changed, part):
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({"accounts": [{"id": fleets.CENTRAL, "instances": [{"http_tokens": "banana"}]}]}))
    before = count_rows(one)

    done = run(one, *[str(bad) if word == "BAD_FLEET" else word for word in words], **changed)

    assert done.returncode not in {0, None}
    assert part in sentence(done)
    assert count_rows(one) == before


def count_rows(one: tuple[House, Sandbox]) -> list[int]:
    done = one[0].ask(
        "print(json.dumps([m.objects.count() for m in (Account, Scope, Instance, InstanceDay, ScopeDay)]))"
    )
    return list(done)


def test_an_untouched_database_says_what_to_run(one, tmp_path):
    done = run(one, "collect", DATABASE_URL=f"sqlite:///{tmp_path}/new.sqlite3")

    assert done.returncode != 0
    assert "run `manage.py migrate` first" in sentence(done)


def test_a_partial_sweep_ends_with_3_and_names_the_gap(one):
    house_, sandbox = one
    house_.manage("collect")
    sandbox.faults({"kind": "access_denied", "operation": "GetMetricData"})
    try:
        done = run(one, "collect", "--json")
    finally:
        sandbox.faults()

    assert done.returncode == 3
    assert "GetMetricData in 111122223333/us-east-1" in done.stderr
    assert json.loads(done.stdout.strip().splitlines()[-1])["scopes"] == {"complete": 0, "incomplete": 1, "denied": 0}


def test_a_denied_account_keeps_its_instances(one):
    house_, sandbox = one
    house_.manage("collect")
    sandbox.faults({"kind": "access_denied", "operation": "DescribeInstances"})
    try:
        done = run(one, "collect", "--json")
    finally:
        sandbox.faults()

    assert done.returncode == 1
    assert "Nothing was collected." in sentence(done)
    assert house_.ask("print(json.dumps(Instance.objects.filter(gone_at=None).count()))") == 2


def test_a_taken_port_is_named_before_anything_starts(one):
    port = int(one[1].url.rsplit(":", 1)[1])

    done = run(one, "up", "--port", str(port))

    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 cannot be used" in sentence(done)


def test_a_second_process_on_the_same_data_is_refused(one):
    process, _ = one[0].up()
    try:
        done = run(one, "up", "--port", str(free_port()))
    finally:
        process.end()

    assert done.returncode == 1
    assert "already runs on the data in" in sentence(done)


def test_nothing_of_aws_is_needed_to_start_the_settings():
    done = subprocess.run(
        [sys.executable, MANAGE, "check"], cwd=ROOT, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
