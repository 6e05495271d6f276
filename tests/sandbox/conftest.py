"""One sandbox for the folder. With `-m live` the fixture `any_aws` is real AWS, by the ambient credentials."""

from __future__ import annotations

import os

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.testing import start
from tests.sandbox import fleets
from tests.sandbox.clients import Clients


def pytest_collection_modifyitems(config, items):
    """Real AWS is asked only when `-m live` says so; otherwise those tests are not there, rather than skipped."""
    if "live" in (config.getoption("-m") or ""):
        return
    live = [item for item in items if item.get_closest_marker("live")]
    if live:
        config.hook.pytest_deselected(items=live)
        items[:] = [item for item in items if item not in live]


@pytest.fixture(scope="session")
def shared():
    with start(fleets.every_kind()) as running:
        yield running


@pytest.fixture
def sandbox(shared):
    """The shared sandbox, behaving well, its journal empty. Who changes the world makes his own instances."""
    shared.clear_faults()
    shared.clear_calls()
    return shared


@pytest.fixture
def clients(sandbox):
    return Clients(sandbox)


@pytest.fixture
def ec2(clients):
    return clients("ec2")


@pytest.fixture
def cloudwatch(clients):
    return clients("cloudwatch")


@pytest.fixture
def launch(ec2):
    """Launch an instance of one's own, so that a test may change it."""

    def launch(**more):
        image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["plain"]}])["Images"][0]["ImageId"]
        return ec2.run_instances(**{"ImageId": image, "MinCount": 1, "MaxCount": 1, **more})["Instances"][0]

    return launch


@pytest.fixture
def refused():
    """`refused(code, call, ...)`: the call must fail with this AWS error code; the error is returned."""

    def refused(code, call, *args, **kwargs):
        with pytest.raises(ClientError) as caught:
            call(*args, **kwargs)
        assert caught.value.response["Error"]["Code"] == code
        return caught.value

    return refused


@pytest.fixture(params=["sandbox", pytest.param("live", marks=pytest.mark.live)])
def any_aws(request):
    """A function that makes clients: of the sandbox, or with `-m live` of real AWS (read-only tests only)."""
    if request.param == "live":
        request.getfixturevalue("socket_enabled")
        if not os.environ.get("AWS_PROFILE") and not os.environ.get("AWS_ACCESS_KEY_ID"):
            pytest.skip("-m live needs AWS credentials in the environment")
        return boto3.client
    return Clients(request.getfixturevalue("sandbox"))
