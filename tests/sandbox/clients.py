"""boto3 clients of a sandbox."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from tests.sandbox import fleets

if TYPE_CHECKING:
    from sandbox.testing import RunningSandbox


@lru_cache(maxsize=32)
def _session(key_id, secret, token):
    """A Session reads the service models, which takes longer than most tests."""
    return boto3.Session(key_id, secret, token, region_name=fleets.REGION)


class Clients:
    """boto3 clients that never retry, for a sandbox."""

    def __init__(self, running: RunningSandbox, key_id=fleets.KEY_ID, secret=fleets.SECRET, token=None) -> None:
        self.running = running
        self.session = _session(key_id, secret, token)

    def __call__(self, service, region=fleets.REGION, **config):
        made = Config(**{"retries": {"mode": "standard", "total_max_attempts": 1}, **config})
        return self.session.client(service, region_name=region, endpoint_url=self.running.url, config=made)

    def assuming(self, role=fleets.READER, account=fleets.CENTRAL, **more) -> Clients:
        more = {"ExternalId": fleets.EXTERNAL_ID, "RoleSessionName": "test", **more}
        given = self("sts").assume_role(RoleArn=f"arn:aws:iam::{account}:role/{role}", **more)["Credentials"]
        return Clients(self.running, given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
