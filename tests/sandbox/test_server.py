"""The server under many connections at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from sandbox import protocol
from tests.sandbox import fleets

STUCK, AT_ONCE = 30, 100


def test_a_hundred_connections_are_served_while_others_hang(sandbox, clients):
    sandbox.set_faults([{"kind": "barrier", "name": "stuck", "region": fleets.OTHER_REGION}])
    hanging = clients("ec2", fleets.OTHER_REGION, max_pool_connections=STUCK)
    going = clients("ec2", max_pool_connections=AT_ONCE)
    with ThreadPoolExecutor(STUCK + AT_ONCE) as pool:
        stuck = [pool.submit(hanging.describe_regions) for _ in range(STUCK)]
        sandbox.wait_for("stuck", STUCK)
        answers = [one.result() for one in [pool.submit(going.describe_regions) for _ in range(AT_ONCE)]]
        assert sandbox.release("stuck") == STUCK
        answers += [one.result() for one in stuck]
    assert [answer["ResponseMetadata"]["HTTPStatusCode"] for answer in answers] == [200] * (STUCK + AT_ONCE)
    assert len(sandbox.calls(operation="DescribeRegions")) == STUCK + AT_ONCE


def test_a_service_model_is_read_by_one_call_while_the_others_wait(monkeypatch):
    """EC2's model takes a good part of a second to read: a hundred first calls must not read it a hundred times."""
    reading, most = [], []
    both_could_be_in = threading.Event()

    def read(service):
        reading.append(service)
        most.append(len(reading))
        both_could_be_in.wait(0.05)
        reading.pop()
        return read_model(service)

    read_model = protocol.get_service_model
    monkeypatch.setattr(protocol, "get_service_model", read)
    protocol._operation_model.cache_clear()
    operations = ["DescribeImages", "DescribeRegions", "DescribeInstances", "DescribeInstanceStatus"]
    with ThreadPoolExecutor(len(operations)) as pool:
        list(pool.map(lambda name: protocol._operation_model("ec2", name), operations))
    assert most == [1] * len(operations)
