"""The runner, and what it measures with."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from django.utils import timezone

from benchmarks import __main__ as runner
from benchmarks import resume, side_by_side, statistics_door
from benchmarks.installation import ROOT, SPENT, Installation, NotMeasured, bare_environment
from sandbox.calls import OPERATIONS
from sandbox.testing import start


def measures(**results):
    """Modules by name: a mapping is measured, an exception is raised."""

    def find(name: str):
        result = results[name.removeprefix("benchmarks.")]

        def measure(*, quick: bool):
            if isinstance(result, Exception):
                raise result
            return {**result, "quick": quick}

        return SimpleNamespace(measure=measure)

    return find


def test_a_measure_that_fails_is_told_and_the_others_are_kept(capsys: pytest.CaptureFixture):
    find = measures(one=ValueError("a mistake"), two={"figure": 1}, three=NotMeasured("There is no Redis."))

    told = runner.run(["one", "two", "three"], quick=True, find=find)

    for one in told.values():
        assert one.pop("measured_in_seconds") >= 0
    assert told == {
        "one": {"not_measured": "ValueError: a mistake"},
        "two": {"figure": 1, "quick": True},
        "three": {"not_measured": "There is no Redis."},
    }
    assert "a mistake" in capsys.readouterr().err


def test_results_are_kept_under_their_time_and_as_the_latest(tmp_path: Path):
    text = runner.write({"figure": 1}, timezone.now().replace(year=2026, month=1, day=2), tmp_path / "bench")

    kept = sorted((tmp_path / "bench").iterdir())
    assert [path.name[:8] for path in kept] == ["20260102", "latest.j"]
    assert [path.read_text() for path in kept] == [f"{text}\n"] * 2
    assert json.loads(text) == {"figure": 1}


def test_a_measure_that_does_not_exist_ends_the_command_with_the_names_that_do(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as ended:
        runner.main(["calls", "speed"])

    assert ended.value.code == 2
    assert "there is no measure speed; there are calls, memory," in capsys.readouterr().err


def test_a_runner_that_is_told_to_end_ends_what_it_has_started():
    words = [sys.executable, "-m", "benchmarks", "calls", "--quick"]
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        started = wait_for(lambda: children(process.pid))
        process.terminate()
        code = process.wait(30)

    assert code == 143
    assert wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def wait_for(found: Callable[[], Any]) -> Any:
    until = time.monotonic() + 20
    while not (told := found()) and time.monotonic() < until:
        time.sleep(0.05)
    return told


def test_every_measure_can_be_found():
    for name in runner.MEASURES:
        assert callable(__import__(f"benchmarks.{name}", fromlist=["measure"]).measure)


def test_what_a_command_cost_is_written_with_its_exit_code(tmp_path: Path):
    report = tmp_path / "spent.json"
    worker = "import sys; held = bytearray(60_000_000); sum(range(3_000_000)); sys.exit(7)"

    done = subprocess.run([sys.executable, "-S", SPENT, str(report), sys.executable, "-c", worker], check=False)

    told = json.loads(report.read_text())
    assert done.returncode == 7
    assert 60 < told["peak_mib"] < 120
    assert told["cpu_seconds"] > 0
    assert told["seconds"] > 0


def test_the_memory_of_the_measuring_process_is_not_counted(tmp_path: Path):
    held = bytearray(300_000_000)
    spent = Installation(tmp_path, dict(os.environ)).run(sys.executable, "-c", "print('done')")

    assert spent.out == "done\n"
    assert spent.peak_mib < 100 < len(held) / 2**20


def test_a_command_that_fails_is_not_measured_and_its_own_words_say_why(tmp_path: Path):
    with pytest.raises(NotMeasured, match=r"ended with 1: .*the reason"):
        Installation(tmp_path, dict(os.environ)).run(sys.executable, "-c", "import sys; sys.exit('the reason')")


def test_nothing_of_this_machines_aws_reaches_an_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")

    environment = bare_environment(tmp_path, AWS_ENDPOINT_URL="http://127.0.0.1:1")

    assert environment.keys() & {"AWS_PROFILE", "HTTPS_PROXY"} == set()
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environment["AWS_CONFIG_FILE"] == os.devnull


# --- comparing rows ------------------------------------------------------------------------------------


def database(path: Path, first_id: int, **changed: object) -> Path:
    """Two instances with a day each; their ids are whatever the order of writing made them."""
    with sqlite3.connect(path) as made:
        made.executescript("""
            CREATE TABLE migration_account (id INTEGER PRIMARY KEY, account_id TEXT);
            CREATE TABLE migration_instance (
                id INTEGER PRIMARY KEY, account_id REFERENCES migration_account (id), instance_id TEXT,
                http_tokens TEXT, launched_at TEXT, last_seen_at TEXT);
            CREATE TABLE migration_instanceday (
                id INTEGER PRIMARY KEY, instance_id REFERENCES migration_instance (id), day TEXT, v1_calls INTEGER);
            CREATE TABLE migration_collectionrun (id INTEGER PRIMARY KEY, result TEXT);
        """)
        made.execute("INSERT INTO migration_account VALUES (?, '111122223333')", (first_id,))
        for number, name in enumerate(("i-a", "i-b")):
            row = {"http_tokens": "optional", "launched_at": "2026-01-01", "last_seen_at": str(first_id), "v1_calls": 5}
            row |= changed if name == "i-b" else {}
            told = (first_id + number, first_id, name, row["http_tokens"], row["launched_at"], row["last_seen_at"])
            made.execute("INSERT INTO migration_instance VALUES (?, ?, ?, ?, ?, ?)", told)
            day = (number, first_id + number, "2026-02-03", row["v1_calls"])
            made.execute("INSERT INTO migration_instanceday VALUES (?, ?, ?, ?)", day)
        made.execute("INSERT INTO migration_collectionrun VALUES (?, 'its own')", (first_id,))
    made.close()
    return path


def test_rows_are_the_same_whatever_their_ids_and_the_times_of_writing(tmp_path: Path):
    compared = resume.compare(database(tmp_path / "one", 1), database(tmp_path / "two", 70))

    assert compared == {
        "rows": {"migration_account": 1, "migration_instance": 2, "migration_instanceday": 2},
        "same_rows": True,
        "differing": {},
    }


@pytest.mark.parametrize(
    ("changed", "table"),
    [
        ({"http_tokens": "required"}, "migration_instance"),
        ({"launched_at": "2026-01-02"}, "migration_instance"),
        ({"v1_calls": None}, "migration_instanceday"),
    ],
)
def test_a_row_that_differs_is_shown(tmp_path: Path, changed: dict, table: str):
    compared = resume.compare(database(tmp_path / "one", 1), database(tmp_path / "two", 70, **changed))

    assert not compared["same_rows"]
    assert {name: (one["missing"], one["extra"]) for name, one in compared["differing"].items()} == {table: (1, 1)}
    assert [one["instance_id"] for one in compared["differing"][table]["for_example"]] == ["i-b", "i-b"]


def test_a_row_that_is_missing_is_shown(tmp_path: Path):
    one, two = database(tmp_path / "one", 1), database(tmp_path / "two", 1)
    with sqlite3.connect(two) as changing:
        changing.execute("DELETE FROM migration_instanceday WHERE id = 0")
    changing.close()

    compared = resume.compare(one, two)

    assert {name: (each["missing"], each["extra"]) for name, each in compared["differing"].items()} == {
        "migration_instanceday": (1, 0)
    }


# --- side by side --------------------------------------------------------------------------------------


def test_the_fleet_that_is_compared_on_has_1000_instances_in_three_regions():
    groups = side_by_side.fleet(1)["accounts"][0]["instances"]
    by_region = {
        region: sum(group["count"] for group in groups if group["region"] == region) for region in side_by_side.SHARES
    }

    assert sum(by_region.values()) == 1000
    assert sum(group["count"] for group in groups if group["name_prefix"].startswith("burst")) == 115
    assert [round(size, -1) for size in by_region.values()] == [500, 300, 200]


def test_an_answer_is_judged_by_what_it_misses_and_what_it_names_wrongly():
    aws = side_by_side.Aws("", Path(), {"i-1": "steady", "i-2": "burst5", "i-3": "quiet", "i-4": "silent"})

    assert aws.judged(["i-1", "i-4", "i-9"], side_by_side.USED_V1) == {
        "right": 1,
        "of": 2,
        "missed": {"burst5": 1},
        "wrong": {"silent": 1, "unheard of": 1},
    }


def test_a_tool_that_cannot_be_installed_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(side_by_side.venv, "create", lambda *_, **__: None)
    monkeypatch.setattr(
        side_by_side.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1, stderr="no such package")
    )
    aws = side_by_side.Aws("", tmp_path, {})

    assert side_by_side.attempt("Cloud Custodian", side_by_side.cloud_custodian, aws) == {
        "tool": "Cloud Custodian",
        "not_measured": "c7n could not be installed from PyPI: no such package",
    }


@pytest.fixture(scope="module")
def statistics():
    """GetMetricStatistics of a fleet of three: who calls, who does not, and who has no datapoint."""
    OPERATIONS.setdefault(("cloudwatch", "GetMetricStatistics"), statistics_door.get_metric_statistics)
    groups = [
        {"name": name, "instance_id": f"i-0000000000000000{number}", **side_by_side.OLD, **side_by_side.GROUPS[name][1]}
        for number, name in enumerate(("steady", "quiet", "silent"))
    ]
    with start({"accounts": [{"id": side_by_side.ACCOUNT, "instances": groups}]}) as sandbox:
        made = sandbox.env()
        client = boto3.client(
            "cloudwatch",
            region_name="us-east-1",
            endpoint_url=made["AWS_ENDPOINT_URL"],
            aws_access_key_id=made["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=made["AWS_SECRET_ACCESS_KEY"],
        )
        yield lambda number, period: client.get_metric_statistics(
            Namespace="AWS/EC2",
            MetricName="MetadataNoToken",
            Dimensions=[{"Name": "InstanceId", "Value": f"i-0000000000000000{number}"}],
            StartTime=timezone.now() - timezone.timedelta(days=14),
            EndTime=timezone.now(),
            Period=period,
            Statistics=["Sum"],
        )["Datapoints"]
    OPERATIONS.pop(("cloudwatch", "GetMetricStatistics"))


def test_a_period_as_long_as_the_window_has_one_sum(statistics):
    steady, quiet = statistics(0, 14 * 86400), statistics(1, 14 * 86400)

    assert (len(steady), len(quiet)) == (1, 1)
    assert (steady[0]["Sum"] > 0, quiet[0]["Sum"]) == (True, 0)


def test_shorter_periods_have_a_sum_each(statistics):
    assert len(statistics(0, 86400)) == 14


def test_no_datapoint_is_not_a_sum_of_zero(statistics):
    assert statistics(2, 14 * 86400) == []
