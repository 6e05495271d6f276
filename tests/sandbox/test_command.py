"""`manage.py sandbox`, its state file, and the pages under /_sandbox/."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox import state
from sandbox.fleet.read import build
from sandbox.testing import dump
from tests.sandbox.clients import Clients

ROOT = Path(__file__).parents[2]
RUN = """
import sys
from django.conf import settings
settings.configure(INSTALLED_APPS=["sandbox"], SECRET_KEY="x")
import django
django.setup()
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "sandbox", *sys.argv[1:]])
"""
FLEET = {"accounts": [{"id": "123456789012", "instances": [{"count": 3, "usage": "steady"}]}]}


class Process:
    def __init__(self, url, process):
        self.url, self.process = url, process


def begin(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *map(str, arguments)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@contextmanager
def serving(*arguments):
    process = begin("--port", 0, *arguments)
    try:
        ready, _, _ = select.select([process.stdout], [], [], 60)
        line = process.stdout.readline() if ready else ""
        assert line.startswith("Pretend AWS at http://127.0.0.1:"), line
        yield Process(line.split()[3], process)
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")


def ask(url, method="GET", body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data, method=method)) as answer:
        return json.load(answer)


def test_it_serves_the_demo_and_ends_on_sigterm():
    with serving() as running:
        assert ask(f"{running.url}/_sandbox/healthz") == {"status": "ok"}
        assert ask(f"{running.url}/_sandbox/fleet")["accounts"] == 12


def test_a_second_start_goes_on_with_the_same_world(tmp_path):
    fleet, kept = dump(FLEET, tmp_path / "fleet.json"), tmp_path / "state" / "kept.jsonl"
    with serving("--fleet", fleet, "--state", kept) as running:
        ec2 = Clients(running)("ec2")
        first = ec2.describe_instances()["Reservations"]
        mine = first[0]["Instances"][0]["InstanceId"]
        ec2.modify_instance_metadata_options(InstanceId=mine, HttpTokens="required")
        ec2.modify_instance_metadata_defaults(HttpTokens="required")
        ec2.stop_instances(InstanceIds=[first[1]["Instances"][0]["InstanceId"]])
        anchor = ask(f"{running.url}/_sandbox/fleet")["anchor"]
    with serving("--fleet", fleet, "--state", kept) as running:
        ec2 = Clients(running)("ec2")
        now = {i["InstanceId"]: i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]}
        assert [i["Instances"][0]["InstanceId"] for i in first] == list(now)
        assert now[mine]["MetadataOptions"]["HttpTokens"] == "required"
        assert [i["State"]["Name"] for i in now.values()] == ["running", "stopped", "running"]
        assert ec2.get_instance_metadata_defaults()["AccountLevel"]["HttpTokens"] == "required"
        assert ask(f"{running.url}/_sandbox/fleet")["anchor"] == anchor


def test_a_state_file_cut_short_by_a_kill_is_still_good(tmp_path):
    world = build(FLEET, seed=4)
    path = tmp_path / "kept.jsonl"
    state.Recorder(path, world, fresh=True).close()
    path.write_text(path.read_text() + '{"at": 1, "eve')
    kept = state.read(path)
    assert kept is not None
    assert (kept.seed, kept.events) == (4, ())
    state.Recorder(path, world, fresh=False).close()
    assert path.read_text().count("\n") == 1


def failing(*arguments):
    process = begin(*arguments)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in errors
    return errors.strip()


def test_a_taken_port_is_named_in_a_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = failing("--port", port)
    assert message == (
        f"CommandError: Port {port} on 127.0.0.1 cannot be used: Address already in use. "
        "Give another with --port (0 takes a free one)."
    )


def test_a_fleet_file_with_a_mistake_is_one_sentence(tmp_path):
    bad = {"accounts": [{"id": "123456789012", "instances": [{"http_tokens": "banana"}]}]}
    message = failing("--fleet", dump(bad, tmp_path / "bad.json"))
    assert message == 'CommandError: accounts[0].instances[0].http_tokens: "banana" is not one of optional, required'


def test_faults_and_barriers_are_set_over_http(sandbox, clients):
    rules = {"rules": [{"kind": "throttle", "operation": "DescribeRegions"}]}
    assert ask(f"{sandbox.url}/_sandbox/faults", "POST", rules) == {"rules": 1}
    assert ask(f"{sandbox.url}/_sandbox/faults")["rules"][0]["kind"] == "throttle"
    with pytest.raises(Exception, match="RequestLimitExceeded"):
        clients("ec2").describe_regions()
    assert ask(f"{sandbox.url}/_sandbox/calls?operation=DescribeRegions")["calls"][0]["status"] == 503
    ask(f"{sandbox.url}/_sandbox/faults", "DELETE")
    ask(f"{sandbox.url}/_sandbox/calls", "DELETE")
    assert ask(f"{sandbox.url}/_sandbox/calls") == {"calls": []}
    assert ask(f"{sandbox.url}/_sandbox/barriers") == {"waiting": []}
    assert ask(f"{sandbox.url}/_sandbox/barriers/none/release", "POST", {"action": "drop"}) == {"released": 0}


def test_a_rule_with_a_mistake_is_told_over_http(sandbox):
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(f"{sandbox.url}/_sandbox/faults", "POST", {"rules": [{"kind": "x"}]})
    with caught.value:
        assert caught.value.code == 400
        assert json.load(caught.value)["error"].startswith('rules[0].kind: "x" is not one of')


def test_the_world_can_be_looked_at(sandbox):
    seen = ask(f"{sandbox.url}/_sandbox/instances/111122223333/us-east-1")["instances"]
    assert {"web-01", "off"} <= {one["name"] for one in seen}
