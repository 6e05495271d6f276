"""`python -m benchmarks.stock URL INSTANCES START END`: what botocore as it comes needs for the replay server's pages.

Prints one JSON object of CPU seconds for DescribeInstances (`inventory`) and GetMetricData (`points`): `client`, calls
of a boto3 client whose answers are dropped; `parser`, its parsers alone on the same bytes; `bare`, the parsers of
Python's library beneath them (ElementTree, json). The start of the process is in none of them.
"""

import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import boto3
import botocore.session
from botocore.parsers import create_parser

from benchmarks import recorded
from benchmarks.recorded import HOUR, NAMESPACE, REGIONS, V1
from benchmarks.replay import LARGEST_PAGE, MOST_QUERIES

TARGET = "GraniteServiceVersion20100801.GetMetricData"


@dataclass
class Clock:
    """CPU seconds of this process, by what they were spent on."""

    spent: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def charging(self, what: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.spent[what] += time.process_time() - began


@dataclass(frozen=True, slots=True)
class Asking:
    """What is read: the whole fleet, and hourly points of a window, epoch seconds."""

    url: str
    instances: int
    start: int
    end: int

    def queries(self) -> Iterator[list[dict[str, Any]]]:
        """The MetricDataQueries of each call."""
        for first in range(0, self.instances, MOST_QUERIES):
            numbers = range(first, min(first + MOST_QUERIES, self.instances))
            yield [_query(f"m{number}", recorded.instance_id(number)) for number in numbers]


def by_client(asking: Asking) -> dict[str, float]:
    """A boto3 client's calls, all of them: building, signing, sending, receiving, parsing."""
    session = boto3.Session(region_name=REGIONS[0])
    clients: dict[str, Any] = {name: session.client(name, endpoint_url=asking.url) for name in ("ec2", "cloudwatch")}
    clients["ec2"].describe_instances(MaxResults=5)  # what is made at the first call is not the pages' cost
    clock = Clock()
    token: dict[str, str] = {}
    while True:
        with clock.charging("inventory"):
            answer = clients["ec2"].describe_instances(MaxResults=LARGEST_PAGE, **token)
        following = answer.get("NextToken")
        del answer  # one page at a time in memory, to the client's favour
        if not following:
            break
        token = {"NextToken": following}
    window = {
        "StartTime": datetime.fromtimestamp(asking.start, UTC),
        "EndTime": datetime.fromtimestamp(asking.end, UTC),
    }
    for queries in asking.queries():
        with clock.charging("points"):
            clients["cloudwatch"].get_metric_data(MetricDataQueries=queries, ScanBy="TimestampAscending", **window)
    return dict(clock.spent)


def by_parsers(asking: Asking) -> tuple[dict[str, float], dict[str, float], Counter[str]]:
    """The parsers' time on the bytes of the pages: botocore's own and the bare ones; and how many bytes there were."""
    session = botocore.session.get_session()
    ec2, cloudwatch = session.get_service_model("ec2"), session.get_service_model("cloudwatch")
    stock, bare, size = Clock(), Clock(), Counter[str]()
    for kind, model, operation, pages in (
        ("inventory", ec2, "DescribeInstances", inventory_bytes(asking)),
        ("points", cloudwatch, "GetMetricData", points_bytes(asking)),
    ):
        protocol = "json" if kind == "points" else "ec2"
        parser, shape = create_parser(protocol), model.operation_model(operation).output_shape
        for body in pages:
            size[kind] += len(body)
            assert shape is not None  # noqa: S101 -- for the type checker: both operations have an answer
            with stock.charging(kind):
                parser.parse({"body": body, "headers": {}, "status_code": 200}, shape)
            with bare.charging(kind):
                json.loads(body) if kind == "points" else ET.fromstring(body)  # noqa: S314 -- our own server's
    return dict(stock.spent), dict(bare.spent), size


def inventory_bytes(asking: Asking) -> Iterator[bytes]:
    for first in range(0, asking.instances, LARGEST_PAGE):
        body = urlencode({"Action": "DescribeInstances", "MaxResults": LARGEST_PAGE, "NextToken": first})
        yield _post(asking.url, body.encode(), {})


def points_bytes(asking: Asking) -> Iterator[bytes]:
    for queries in asking.queries():
        told = {
            "MetricDataQueries": queries,
            "StartTime": asking.start,
            "EndTime": asking.end,
            "ScanBy": "TimestampAscending",
        }
        yield _post(asking.url, json.dumps(told).encode(), {"X-Amz-Target": TARGET})


def _post(url: str, body: bytes, headers: dict[str, str]) -> bytes:
    connection = HTTPConnection(url.removeprefix("http://"))
    try:
        connection.request("POST", "/", body, headers)
        return connection.getresponse().read()
    finally:
        connection.close()


def _query(name: str, instance_id: str) -> dict[str, Any]:
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": NAMESPACE,
                "MetricName": V1,
                "Dimensions": [{"Name": "InstanceId", "Value": instance_id}],
            },
            "Period": HOUR,
            "Stat": "Sum",
        },
        "ReturnData": True,
    }


def main(url: str, instances: str, start: str, end: str) -> None:
    asking = Asking(url, int(instances), int(start), int(end))
    parser, bare, size = by_parsers(asking)
    told = {"client": by_client(asking), "parser": parser, "bare": bare, "bytes": dict(size)}
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
