"""What somebody else does in the demo after the first look: one instance is optional again, a default is taken back."""

from __future__ import annotations

from typing import Final

import boto3
from botocore.config import Config

from sandbox.demo import ACCESS_KEY_ID, SECRET_ACCESS_KEY

REGION: Final = "us-east-1"
NAME: Final = "sso-bridge"


def meddle(url: str) -> None:
    """In the management account, as its administrator. Twice is as once."""
    ec2 = boto3.client(
        "ec2",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        config=Config(connect_timeout=5, read_timeout=10),
    )
    found = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": [NAME]}])
    for reservation in found["Reservations"]:
        for instance in reservation["Instances"]:
            ec2.modify_instance_metadata_options(InstanceId=instance["InstanceId"], HttpTokens="optional")
    ec2.modify_instance_metadata_defaults(HttpTokens="no-preference")
