"""A server that answers as AWS would, from recorded pages and with almost no CPU: what is measured is the client.

    python -m benchmarks.replay --port 0 --instances 100000 [--accounts 20] [--regions 3] [--latency 0.05]
        [--usage quiet|mixed] [--required-share 0.4] [--from EPOCH] [--until EPOCH]

It listens on 127.0.0.1 and prints one line with its URL. It knows the read calls a collector makes and refuses all
others. An account is entered by AssumeRole on any role of it: the key it hands out names the account; any other key
is the first account's. Signatures are not checked. `GET /_replay/calls` tells what was asked and given, by operation
and by place; `DELETE` forgets it.
"""

import asyncio
import json
import re
import signal
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from benchmarks import recorded
from benchmarks.recorded import ALWAYS, MOST_POINTS, NAMESPACE, REJECTED, V1, Fleet, Series, Span

HOST = "127.0.0.1"
CREDENTIAL = re.compile(r"Credential=([A-Z0-9]+)/\d{8}/([a-z0-9-]+)/")
HANDED_OUT = re.compile(r"ASIA(\d{12})RPLY")  # the account is in the key
ROLE = re.compile(r"arn:aws:iam::(\d{12}):role/.+")
LARGEST_PAGE, SMALLEST_PAGE = 1000, 5  # DescribeInstances
MOST_QUERIES = 500  # GetMetricData
METRICS_A_PAGE = 500  # ListMetrics
ACCOUNTS_A_PAGE = 20  # ListAccounts
ROOT = "r-rply"
UNITS = {"ou-rply-11111111": "Workloads", "ou-rply-22222222": "Platform"}
REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found"}


class Refused(Exception):
    """Answered as an AWS error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read."""

    operation: str
    account_id: str
    region: str
    asked: Mapping[str, Any]
    json: bool  # the protocol; else Query or EC2

    @property
    def place(self) -> str:
        return f"{self.account_id}/{self.region}"


@dataclass
class Tally:
    """What was asked of an operation, and what was given."""

    calls: int = 0
    first_pages: int = 0  # those without a token
    items: int = 0  # instances, points, metrics or accounts given
    queries: int = 0  # asked, on first pages
    windows: Counter[Span] = field(default_factory=Counter)  # queries by window, as far as points are recorded of it

    def told(self) -> dict[str, Any]:
        every = {name: getattr(self, name) for name in ("calls", "first_pages", "items", "queries")}
        every["windows"] = [
            {"start": span.first, "end": span.end, "queries": queries} for span, queries in self.windows.items()
        ]
        return {name: value for name, value in every.items() if value}


@dataclass
class Replay:
    """The fleet, what is recorded of it, and what was asked."""

    fleet: Fleet
    recorded: Span = ALWAYS
    operations: dict[str, Tally] = field(default_factory=dict)
    places: dict[str, dict[str, Tally]] = field(default_factory=dict)

    def answer(self, call: Call) -> bytes:
        """The body of the answer. Raises Refused."""
        answering = ANSWERS.get(call.operation)
        if answering is None:
            raise Refused("InvalidAction", f"The replay does not answer {call.operation or 'this'}.")
        body, given = answering(self, call)
        for tally in self._tallies(call):
            tally.calls += 1
            tally.first_pages += "NextToken" not in call.asked
            tally.items += given
        return body

    def _tallies(self, call: Call) -> tuple[Tally, Tally]:
        at_place = self.places.setdefault(call.place, {})
        return (
            self.operations.setdefault(call.operation, Tally()),
            at_place.setdefault(call.operation, Tally()),
        )

    def told(self) -> dict[str, Any]:
        return {
            "operations": {name: tally.told() for name, tally in self.operations.items()},
            "places": {
                place: {name: tally.told() for name, tally in tallies.items()} for place, tallies in self.places.items()
            },
            "cpu_seconds": round(time.process_time(), 3),
        }

    def forget(self) -> None:
        self.operations.clear()
        self.places.clear()

    # --- EC2 ---

    def describe_instances(self, call: Call) -> tuple[bytes, int]:
        """A page of the caller's share; NextToken is the number of its first instance within the share."""
        if any(name.startswith(("Filter.", "InstanceId.")) for name in call.asked):
            raise Refused("InvalidParameterValue", "The replay has no filters: it gives every instance.")
        size = int(call.asked.get("MaxResults", LARGEST_PAGE))
        if not SMALLEST_PAGE <= size <= LARGEST_PAGE:
            raise Refused("InvalidParameterValue", f"MaxResults is {size}, and must be from 5 to 1000.")
        share = self.fleet.share(call.account_id, call.region)
        first = self._from(call)
        token = f"{first + size}" if first + size < len(share) else ""
        page = share[first : first + size]
        return recorded.describe_instances(self.fleet, call.account_id, call.region, page, token), len(page)

    def describe_regions(self, _: Call) -> tuple[bytes, int]:
        items = "".join(
            f"<item><regionName>{name}</regionName><regionEndpoint>ec2.{name}.amazonaws.com</regionEndpoint>"
            "<optInStatus>opt-in-not-required</optInStatus></item>"
            for name in self.fleet.region_names
        )
        return _ec2("DescribeRegions", f"<regionInfo>{items}</regionInfo>"), self.fleet.regions

    def metadata_defaults(self, _: Call) -> tuple[bytes, int]:
        told = "<accountLevel><httpTokens>optional</httpTokens><managedBy>account</managedBy></accountLevel>"
        return _ec2("GetInstanceMetadataDefaults", told), 1

    # What launches instances: the fleet of the replay has no group and no template, and one AMI.

    def launch_templates(self, _: Call) -> tuple[bytes, int]:
        return _ec2("DescribeLaunchTemplates", "<launchTemplates/>"), 0

    def launch_template_versions(self, _: Call) -> tuple[bytes, int]:
        return _ec2("DescribeLaunchTemplateVersions", "<launchTemplateVersionSet/>"), 0

    def spot_requests(self, _: Call) -> tuple[bytes, int]:
        return _ec2("DescribeSpotInstanceRequests", "<spotInstanceRequestSet/>"), 0

    def events(self, _: Call) -> tuple[bytes, int]:
        """CloudTrail has nothing to tell."""
        return _compact({"Events": []}), 0

    def images(self, call: Call) -> tuple[bytes, int]:
        """Those the filter `image-id` names, each with ImdsSupport."""
        ids = [value for name, value in call.asked.items() if name.startswith("Filter.1.Value.")]
        items = "".join(f"<item><imageId>{one}</imageId><imdsSupport>v2.0</imdsSupport></item>" for one in ids)
        return _ec2("DescribeImages", f"<imagesSet>{items}</imagesSet>"), len(ids)

    # --- CloudWatch ---

    def get_metric_data(self, call: Call) -> tuple[bytes, int]:
        """Every query in its order, 100,800 points a page; NextToken is the place of the next point."""
        queries = call.asked["MetricDataQueries"]
        if len(queries) > MOST_QUERIES:
            raise Refused("ValidationError", f"{len(queries)} queries; the most is {MOST_QUERIES}.")
        span = recorded.asked_span(float(call.asked["StartTime"]), float(call.asked["EndTime"])).within(self.recorded)
        index, begin = (int(part) for part in str(call.asked.get("NextToken", "0-0")).split("-"))
        wanted = [self._series(call, query, span) for query in queries]
        results, given, index, begin = recorded.metric_page(
            wanted,
            span,
            index=index,
            begin=begin,
            most=min(MOST_POINTS, int(call.asked.get("MaxDatapoints", MOST_POINTS))),
            newest_first=call.asked.get("ScanBy") != "TimestampAscending",
        )
        for tally in self._tallies(call):
            asked_now = 0 if "NextToken" in call.asked else len(queries)
            tally.queries += asked_now
            tally.windows[span] += asked_now
        more = b',"NextToken":"%d-%d"' % (index, begin) if index < len(wanted) else b""
        return b'{"MetricDataResults":[%s],"Messages":[]%s}' % (results, more), given

    def _series(self, call: Call, query: Mapping[str, Any], span: Span) -> Series:
        """Hourly Sums of the metric that the instance's setting lets count; of all else AWS has no points."""
        stat = query.get("MetricStat", {})
        metric = stat.get("Metric", {})
        if stat.get("Period") != recorded.HOUR or stat.get("Stat") != "Sum":
            raise Refused("ValidationError", "The replay has hourly sums only.")
        dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions", ())}
        number = recorded.number_of(dimensions.get("InstanceId", ""))
        share = self.fleet.share(call.account_id, call.region)
        known = number is not None and number in share and metric.get("Namespace") == NAMESPACE
        counts = number is not None and metric.get("MetricName") == (REJECTED if self.fleet.required(number) else V1)
        points = span.hours if known and counts else 0
        return Series(str(query["Id"]), points, calls_v1=number is not None and self.fleet.calls_v1(number))

    def list_metrics(self, call: Call) -> tuple[bytes, int]:
        """The metric of every instance, 500 a page."""
        share = self.fleet.share(call.account_id, call.region)
        if call.asked.get("Namespace", NAMESPACE) != NAMESPACE:
            share = range(0)
        named = call.asked.get("MetricName")
        numbers = [number for number in share if named in {None, REJECTED if self.fleet.required(number) else V1}]
        first = self._from(call)
        page = numbers[first : first + METRICS_A_PAGE]
        metrics = [
            {
                "Namespace": NAMESPACE,
                "MetricName": REJECTED if self.fleet.required(number) else V1,
                "Dimensions": [{"Name": "InstanceId", "Value": recorded.instance_id(number)}],
            }
            for number in page
        ]
        told: dict[str, Any] = {"Metrics": metrics}
        if first + METRICS_A_PAGE < len(numbers):
            told["NextToken"] = f"{first + METRICS_A_PAGE}"
        return _compact(told), len(page)

    # --- Auto Scaling, STS, Organizations ---

    def scaling_activities(self, _: Call) -> tuple[bytes, int]:
        return _query("DescribeScalingActivities", "<Activities/>", "autoscaling", "2011-01-01"), 0

    def auto_scaling_groups(self, _: Call) -> tuple[bytes, int]:
        return _query("DescribeAutoScalingGroups", "<AutoScalingGroups/>", "autoscaling", "2011-01-01"), 0

    def launch_configurations(self, _: Call) -> tuple[bytes, int]:
        return _query("DescribeLaunchConfigurations", "<LaunchConfigurations/>", "autoscaling", "2011-01-01"), 0

    def caller_identity(self, call: Call) -> tuple[bytes, int]:
        arn = f"arn:aws:iam::{call.account_id}:user/replay"
        told = f"<Arn>{arn}</Arn><UserId>AIDAREPLAY</UserId><Account>{call.account_id}</Account>"
        return _query("GetCallerIdentity", told, "sts", "2011-06-15"), 1

    def assume_role(self, call: Call) -> tuple[bytes, int]:
        """Credentials for one hour whose key names the account."""
        found = ROLE.fullmatch(call.asked.get("RoleArn", ""))
        if found is None or found[1] not in self.fleet.account_ids:
            raise Refused("AccessDenied", f"{call.asked.get('RoleArn')} is no role of the fleet.")
        until = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251 -- a server has a clock of its own
        arn = f"arn:aws:sts::{found[1]}:assumed-role/replay/{call.asked.get('RoleSessionName')}"
        told = (
            f"<Credentials><AccessKeyId>ASIA{found[1]}RPLY</AccessKeyId><SecretAccessKey>replay</SecretAccessKey>"
            f"<SessionToken>replay</SessionToken><Expiration>{until:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>"
            f"<AssumedRoleUser><AssumedRoleId>AROAREPLAY:x</AssumedRoleId><Arn>{arn}</Arn></AssumedRoleUser>"
        )
        return _query("AssumeRole", told, "sts", "2011-06-15"), 1

    def describe_organization(self, _: Call) -> tuple[bytes, int]:
        """The first account manages it."""
        manager = self.fleet.account_ids[0]
        arn = f"arn:aws:organizations::{manager}"
        told = {
            "Id": "o-replay",
            "Arn": f"{arn}:organization/o-replay",
            "FeatureSet": "ALL",
            "MasterAccountId": manager,
            "MasterAccountArn": f"{arn}:account/o-replay/{manager}",
            "MasterAccountEmail": f"aws+{manager}@example.com",
        }
        return _compact({"Organization": told}), 1

    def list_accounts(self, call: Call) -> tuple[bytes, int]:
        first = self._from(call)
        every = self.fleet.account_ids
        page = every[first : first + ACCOUNTS_A_PAGE]
        unit = next(iter(UNITS))
        told: dict[str, Any] = {
            "Accounts": [
                {
                    "Id": account_id,
                    "Arn": f"arn:aws:organizations::{every[0]}:account/o-replay/{account_id}",
                    "Email": f"aws+{account_id}@example.com",
                    "Name": f"replay-{account_id[-4:]}",
                    "Status": "ACTIVE",
                    "State": "ACTIVE",
                    "Paths": [f"o-replay/{ROOT}/{unit}/{account_id}/"],
                    "JoinedMethod": "CREATED",
                    "JoinedTimestamp": 1700000000.0,
                }
                for account_id in page
            ]
        }
        if first + ACCOUNTS_A_PAGE < len(every):
            told["NextToken"] = f"{first + ACCOUNTS_A_PAGE}"
        return _compact(told), len(page)

    def list_roots(self, call: Call) -> tuple[bytes, int]:
        arn = f"arn:aws:organizations::{call.account_id}:root/o-replay/{ROOT}"
        return _compact({"Roots": [{"Id": ROOT, "Arn": arn, "Name": "Root", "PolicyTypes": []}]}), 1

    def list_units(self, call: Call) -> tuple[bytes, int]:
        here = UNITS if call.asked.get("ParentId") == ROOT else {}
        arn = f"arn:aws:organizations::{call.account_id}:ou/o-replay"
        units = [{"Id": one, "Arn": f"{arn}/{one}", "Name": name} for one, name in here.items()]
        return _compact({"OrganizationalUnits": units}), len(units)

    def list_tags(self, call: Call) -> tuple[bytes, int]:
        tags = [{"Key": "Owner", "Value": f"team-{str(call.asked.get('ResourceId', ''))[-4:]}"}]
        return _compact({"Tags": tags}), 1

    def _from(self, call: Call) -> int:
        token = str(call.asked.get("NextToken", "0"))
        if not token.isdigit():
            raise Refused("InvalidNextToken", f"{token!r} is no token of the replay.")
        return int(token)


ANSWERS: dict[str, Callable[[Replay, Call], tuple[bytes, int]]] = {
    "DescribeInstances": Replay.describe_instances,
    "DescribeRegions": Replay.describe_regions,
    "GetInstanceMetadataDefaults": Replay.metadata_defaults,
    "GetMetricData": Replay.get_metric_data,
    "ListMetrics": Replay.list_metrics,
    "DescribeScalingActivities": Replay.scaling_activities,
    "DescribeAutoScalingGroups": Replay.auto_scaling_groups,
    "DescribeImages": Replay.images,
    "DescribeLaunchConfigurations": Replay.launch_configurations,
    "DescribeLaunchTemplateVersions": Replay.launch_template_versions,
    "DescribeLaunchTemplates": Replay.launch_templates,
    "DescribeSpotInstanceRequests": Replay.spot_requests,
    "LookupEvents": Replay.events,
    "GetCallerIdentity": Replay.caller_identity,
    "AssumeRole": Replay.assume_role,
    "DescribeOrganization": Replay.describe_organization,
    "ListAccounts": Replay.list_accounts,
    "ListRoots": Replay.list_roots,
    "ListOrganizationalUnitsForParent": Replay.list_units,
    "ListTagsForResource": Replay.list_tags,
}


def _compact(told: Any) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()


def _ec2(operation: str, inner: str) -> bytes:
    return (
        f'<{operation}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>replay</requestId>'
        f"{inner}</{operation}Response>"
    ).encode()


def _query(operation: str, inner: str, service: str, version: str) -> bytes:
    return (
        f'<{operation}Response xmlns="https://{service}.amazonaws.com/doc/{version}/"><{operation}Result>{inner}'
        f"</{operation}Result><ResponseMetadata><RequestId>replay</RequestId></ResponseMetadata></{operation}Response>"
    ).encode()


# --- HTTP ----------------------------------------------------------------------------------------------


def read_call(headers: Mapping[str, str], body: bytes, fleet: Fleet) -> Call:
    """The request as boto3 sent it: operation and parameters by protocol, caller and Region by the signature."""
    signed = CREDENTIAL.search(headers.get("authorization", ""))
    key, region = signed.groups() if signed else ("", fleet.region_names[0])
    handed_out = HANDED_OUT.fullmatch(key)
    account_id = handed_out[1] if handed_out else fleet.account_ids[0]
    target = headers.get("x-amz-target", "")
    if target:
        return Call(target.rpartition(".")[2], account_id, region, json.loads(body or b"{}"), json=True)
    asked = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return Call(asked.get("Action", ""), account_id, region, asked, json=False)


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as much of it as a client that awaits each answer needs."""

    def __init__(self, replay: Replay, latency: float) -> None:
        self.replay = replay
        self.latency = latency
        self.got = bytearray()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 -- for the type checker: TCP gives this one
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data
        while (end := self.got.find(b"\r\n\r\n")) >= 0:
            first, *lines = bytes(self.got[:end]).decode("latin-1").split("\r\n")
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            total = end + 4 + int(headers.get("content-length", 0))
            if len(self.got) < total:
                return
            body = bytes(self.got[end + 4 : total])
            del self.got[:total]
            self._answer(first, headers, body)

    def _answer(self, first: str, headers: Mapping[str, str], body: bytes) -> None:
        method, path, _ = first.split(" ", 2)
        if path.startswith("/_replay/"):
            self.transport.write(self._counters(method, path))
            return
        whole = self._aws(headers, body)
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self.transport.write, whole)
        else:
            self.transport.write(whole)

    def _counters(self, method: str, path: str) -> bytes:
        if path != "/_replay/calls" or method not in {"GET", "DELETE"}:
            return _http(404, b"{}", "application/json")
        told = _compact(self.replay.told())
        if method == "DELETE":
            self.replay.forget()
        return _http(200, told, "application/json")

    def _aws(self, headers: Mapping[str, str], body: bytes) -> bytes:
        call = read_call(headers, body, self.replay.fleet)
        kind = "application/x-amz-json-1.1" if call.json else "text/xml;charset=UTF-8"
        try:
            return _http(200, self.replay.answer(call), kind)
        except Refused as refused:
            return _http(400, _error(refused, as_json=call.json), kind)


def _error(refused: Refused, *, as_json: bool) -> bytes:
    if as_json:
        return _compact({"__type": refused.code, "message": str(refused)})
    # One form that both the EC2 and the Query parsers of botocore read.
    inner = f"<Error><Code>{refused.code}</Code><Message>{refused}</Message></Error>"
    return f"<Response><Errors>{inner}</Errors>{inner}<RequestID>replay</RequestID></Response>".encode()


def _http(status: int, body: bytes, kind: str) -> bytes:
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "x-amzn-RequestId: replay\r\n\r\n"
    )
    return head.encode() + body


async def serve(replay: Replay, port: int, latency: float) -> None:
    """Until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, ended.set)
    server = await loop.create_server(lambda: Connection(replay, latency), HOST, port)
    print(f"http://{HOST}:{server.sockets[0].getsockname()[1]} is ready", flush=True)
    await ended.wait()
    server.close()


def options(words: list[str] | None = None) -> Namespace:
    parser = ArgumentParser("python -m benchmarks.replay", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--accounts", type=int, default=1)
    parser.add_argument("--regions", type=int, default=1, help=f"1 to {len(recorded.REGIONS)}")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--usage", choices=("quiet", "mixed"), default="quiet", help="mixed: 30 %% call v1 every hour")
    parser.add_argument("--required-share", type=float, default=0.0, help="share with HttpTokens=required, 0 to 1")
    parser.add_argument("--from", dest="since", type=int, default=ALWAYS.first, help="no points before (epoch seconds)")
    parser.add_argument("--until", type=int, default=ALWAYS.end, help="no points from then on (epoch seconds)")
    return parser.parse_args(words)


def main() -> None:
    given = options()
    fleet = Fleet(
        instances=given.instances,
        accounts=given.accounts,
        regions=given.regions,
        usage=given.usage,
        required_share=given.required_share,
        launched_at=recorded.launched(datetime.now(UTC)),  # noqa: TID251 -- a server has a clock of its own
    )
    asyncio.run(serve(Replay(fleet, Span(given.since, given.until)), given.port, given.latency))


if __name__ == "__main__":
    main()
