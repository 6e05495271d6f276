"""A replay server for the folder, and boto3 clients that talk to it."""

from typing import Any

import boto3
import pytest

from benchmarks.installation import Server, replay

FIRST, SECOND = "111122223333", "111122223334"


class Clients:
    """boto3 as it comes, as the first account or by the keys of another one's role. A client is made once."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.session: Any = boto3.Session()
        self.made: dict[tuple[str, str, str], Any] = {}

    def __call__(self, service: str, region: str = "us-east-1", account: str = FIRST) -> Any:
        key = (service, region, account)
        if key not in self.made:
            keys = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "any"}
            if account != FIRST:
                role = f"arn:aws:iam::{account}:role/imdsdash-reader"
                given = self("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
                keys = {"aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"]}
            self.made[key] = self.session.client(service, region, endpoint_url=self.server.url, **keys)
        return self.made[key]


@pytest.fixture(scope="session")
def mixed():
    """608 instances, 40 of each 100 enforced: 152 in each of two Regions of two accounts."""
    with replay(instances=608, accounts=2, regions=2, usage="mixed", required_share=0.4) as server:
        yield server


@pytest.fixture(scope="session")
def made(mixed):
    return Clients(mixed)


@pytest.fixture
def clients(made):
    made.server.calls(forget=True)
    return made
