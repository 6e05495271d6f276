"""kill -9 of the worker at three points: the story that the embedded and the production set-up both must survive."""

import time
from collections import Counter
from typing import Any

from tests import fleets
from tests.processes import House, Process, Sandbox

POINTS = ["before the call", "applied, not recorded", "recorded"]
WRITE = "ModifyInstanceMetadataOptions"
SIZE = 4
FLEET = fleets.alone({"count": SIZE, "name_prefix": "web", **fleets.QUIET}, settings={"apply_seconds": 1.5})
APPROVE = """
from django.contrib.auth.models import User
from migration.actions import requests
ellen, adam = User.objects.create_user("ellen"), User.objects.create_user("adam")
Grant.objects.create(user=ellen, role="engineer")
Grant.objects.create(user=adam, role="approver")
draft = requests.draft_plan(account=Account.objects.get(), by=ellen, now=timezone.now())
waiting = requests.submit(request=draft, by=ellen, reason="", version=draft.version, now=timezone.now())
run = requests.approve(request=waiting, by=adam, comment="", version=waiting.version, now=timezone.now())
print(json.dumps(run.changes.count()))
"""
OUTCOME = """
run = Run.objects.get()
changes = list(run.changes.values("state", "reason", "writes", "after", "resource_id"))
print(json.dumps({"run": run.state, "why": run.state_reason, "changes": changes}))
"""


def staff(one: House) -> list[Process]:
    """The processes that do the work."""
    if "REDIS_URL" in one.environment:
        return [one.worker(), one.beat()]
    return [one.up()[0]]


def prepare(one: House) -> None:
    one.manage("collect")
    assert one.ask(APPROVE) == SIZE


def settle(one: House) -> dict[str, Any]:
    """Wait for the run's end."""
    until = time.monotonic() + 90
    while time.monotonic() < until:
        if one.value("SELECT state FROM migration_run") not in {"queued", "running"}:
            return dict(one.ask(OUTCOME))
        time.sleep(0.2)
    logs = "\n".join(process.log.read_text()[-1500:] for process in one.processes[1:])
    raise AssertionError(f"the run did not end: {one.ask(OUTCOME)}\n{logs}")


def wait_for_state(one: House, state: str) -> None:
    until = time.monotonic() + 40
    while time.monotonic() < until:
        if one.value(f"SELECT count(*) FROM migration_change WHERE state = '{state}'"):
            return
        time.sleep(0.05)
    raise TimeoutError(f"no change became {state}")


def kill_and_settle(one: House, sandbox: Sandbox, point: str) -> None:
    """Run, kill every worker at the point, start others, and see that all is done once and recorded once."""
    prepare(one)
    if point == "before the call":
        sandbox.faults({"kind": "barrier", "name": "kill", "point": "before", "operation": WRITE, "times": 1})
    elif point == "applied, not recorded":
        sandbox.faults({"kind": "barrier", "name": "kill", "point": "after", "operation": WRITE, "times": 1})
    else:
        sandbox.faults({"kind": "pending", "operation": WRITE, "seconds": 8, "times": 1})
    workers = staff(one)
    if point == "recorded":
        wait_for_state(one, "applied")
    else:
        sandbox.wait_for_barrier()
    for worker in workers:
        worker.kill()
    sandbox.faults()
    if point != "recorded":
        sandbox.release("kill", "drop")

    staff(one)
    told = settle(one)

    assert told["run"] == "done", told
    assert Counter(change["state"] for change in told["changes"]) == {"verified": SIZE}
    assert all(change["after"]["HttpTokens"] == "required" for change in told["changes"])
    applied = Counter(call["params"]["InstanceId"] for call in sandbox.calls(operation=WRITE) if call["applied"])
    sent = Counter(call["params"]["InstanceId"] for call in sandbox.calls(operation=WRITE))
    assert set(applied.values()) == {1}, "no instance is changed twice"
    assert max(sent.values()) == (2 if point == "before the call" else 1)
    assert "the chain holds" in one.manage("audit", "verify")
