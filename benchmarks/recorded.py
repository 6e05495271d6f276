"""What the replay server answers: members as rich as EC2's own and hourly points, written once as bytes.

Only what differs between two instances (id, address, number) is put into the bytes when a page is asked for, so a
page of 1,000 members costs the server a few milliseconds, and what is measured is the client.

Members follow the shape `Instance` of botocore's EC2 model, indented as EC2 indents; the values are made up.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

FIRST_ACCOUNT = 111122223333
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2", "us-west-2", "eu-central-1", "ap-northeast-1", "ca-central-1")
NAMESPACE = "AWS/EC2"
V1, REJECTED = "MetadataNoToken", "MetadataNoTokenRejected"
HOUR = 3600  # seconds
MOST_POINTS = 100_800  # of one GetMetricData page
MIXED_CALLERS = 3  # of ten instances, in a mixed fleet
LAUNCHED = timedelta(days=100)  # before the server's start
# An odd factor is invertible modulo 2**64: ids are scattered as AWS's are, unique, and lead back to the number.
FACTOR = 0x9E3779B97F4A7C15
UNDO = pow(FACTOR, -1, 2**64)
ROUND = 2**64
SLOT = re.compile(rb"@(tail|dotted|dashed|number)@")


@dataclass(frozen=True, slots=True)
class Fleet:
    """The instances, numbered from 0; each account and Region has a share of them, the first ones one more."""

    instances: int
    accounts: int = 1
    regions: int = 1
    usage: str = "quiet"  # or mixed
    required_share: float = 0.0  # of the instances, with HttpTokens=required
    launched_at: str = "2026-01-05T08:00:00.000Z"

    @property
    def account_ids(self) -> list[str]:
        return [f"{FIRST_ACCOUNT + position}" for position in range(self.accounts)]

    @property
    def region_names(self) -> Sequence[str]:
        return REGIONS[: self.regions]

    def share(self, account_id: str, region: str) -> range:
        """The numbers of the instances of one account in one Region; none for a place the fleet does not have."""
        if account_id not in self.account_ids or region not in self.region_names:
            return range(0)
        places = self.accounts * self.regions
        place = self.account_ids.index(account_id) * self.regions + self.region_names.index(region)
        size, more = divmod(self.instances, places)
        first = place * size + min(place, more)
        return range(first, first + size + (place < more))

    def required(self, number: int) -> bool:
        return number % 100 < self.required_share * 100

    def calls_v1(self, number: int) -> bool:
        return self.usage == "mixed" and number % 10 < MIXED_CALLERS


def instance_id(number: int) -> str:
    return f"i-0{(number + 1) * FACTOR % ROUND:016x}"


def number_of(wanted: str) -> int | None:
    """The number an instance id leads back to, whether or not the fleet is that large."""
    if not re.fullmatch(r"i-0[0-9a-f]{16}", wanted):
        return None
    return (int(wanted[3:], 16) * UNDO - 1) % ROUND


def launched(now: datetime) -> str:
    return f"{(now - LAUNCHED).astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"


# --- DescribeInstances ---------------------------------------------------------------------------------


def describe_instances(fleet: Fleet, account_id: str, region: str, numbers: range, token: str) -> bytes:
    """One page, ready to send."""
    pieces = [HEAD]
    for number in numbers:
        pieces += _reservation(fleet, account_id, region, number)
    pieces.append(b"    </reservationSet>\n")
    if token:
        pieces.append(f"    <nextToken>{token}</nextToken>\n".encode())
    pieces.append(b"</DescribeInstancesResponse>")
    return b"".join(pieces)


HEAD = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">\n'
    b"    <requestId>8f7724cf-496f-496e-8fe3-example0replay</requestId>\n"
    b"    <reservationSet>\n"
)


def _reservation(fleet: Fleet, account_id: str, region: str, number: int) -> Iterator[bytes]:
    template = _template(account_id, region, fleet.launched_at, number % len(KINDS), fleet.required(number))
    low, middle = number & 0xFF, number >> 8 & 0xFF
    high = number >> 16 & 0xFF
    filling = {
        b"tail": instance_id(number)[2:].encode(),
        b"dotted": b"10.%d.%d.%d" % (high, middle, low),
        b"dashed": b"10-%d-%d-%d" % (high, middle, low),
        b"number": b"%07d" % number,
    }
    # The pattern has one group, so text and slot names alternate.
    return (filling[piece] if position % 2 else piece for position, piece in enumerate(template))


@cache
def _template(account_id: str, region: str, launched_at: str, kind: int, required: bool) -> list[bytes]:  # noqa: FBT001 -- a cache key
    member = _member(account_id, region, launched_at, KINDS[kind], "required" if required else "optional")
    reservation = {
        "reservationId": "r-@tail@",
        "ownerId": account_id,
        "groupSet": [],
        "instancesSet": [member],
        "requesterId": "940372691376",
    }
    return SLOT.split(_item(reservation, indent=8).encode())


def _item(value: Mapping[str, Any], *, indent: int) -> str:
    return _xml("item", value, indent)


def _xml(name: str, value: Any, indent: int) -> str:
    """A mapping is a structure, a list has its members as `item`, all else is text."""
    room = " " * indent
    if isinstance(value, Mapping):
        inner = "".join(_xml(key, one, indent + 4) for key, one in value.items())
    elif isinstance(value, list):
        inner = "".join(_xml("item", one, indent + 4) for one in value)
    else:
        return f"{room}<{name}>{value}</{name}>\n"
    return f"{room}<{name}>\n{inner}{room}</{name}>\n" if inner else f"{room}<{name}/>\n"


# What an organization's fleet is mostly made of: web and batch groups, databases by hand, container hosts.
KINDS: tuple[dict[str, Any], ...] = (
    {"name": "web", "type": "m6i.large", "group": True, "public": True, "volumes": 1, "interfaces": 1},
    {"name": "batch", "type": "c7g.2xlarge", "group": True, "spot": True, "volumes": 2, "interfaces": 1},
    {"name": "db", "type": "r6i.4xlarge", "volumes": 3, "interfaces": 1, "windows": True},
    {"name": "node", "type": "m6i.2xlarge", "group": True, "volumes": 2, "interfaces": 2, "hop": 2},
)


def _member(account_id: str, region: str, at: str, kind: Mapping[str, Any], tokens: str) -> dict[str, Any]:
    name, windows = kind["name"], kind.get("windows", False)
    public = {"dnsName": f"ec2-@dashed@.{region}.compute.amazonaws.com", "ipAddress": "52.@dotted@"}
    return {
        "instanceId": "i-@tail@",
        "imageId": "ami-0abcdef1234567890",
        "bootMode": "uefi-preferred",
        "currentInstanceBootMode": "uefi",
        "instanceState": {"code": 16, "name": "running"},
        "privateDnsName": f"ip-@dashed@.{region}.compute.internal",
        **(public | {"ipAddress": "@dotted@"} if kind.get("public") else {"dnsName": ""}),
        "reason": "",
        "keyName": f"{name}-operations",
        "amiLaunchIndex": 0,
        "productCodes": [],
        "instanceType": kind["type"],
        "launchTime": at,
        "placement": {
            "availabilityZone": f"{region}a",
            "availabilityZoneId": "use1-az4",
            "groupName": "",
            "tenancy": "default",
        },
        **({"platform": "windows"} if windows else {}),
        "monitoring": {"state": "disabled"},
        "subnetId": "subnet-0f1e2d3c4b5a69788",
        "networkPerformanceOptions": {"bandwidthWeighting": "default"},
        "vpcId": "vpc-0123456789abcdef0",
        "privateIpAddress": "@dotted@",
        "sourceDestCheck": "true",
        "groupSet": _security_groups(name),
        "architecture": "arm64" if kind.get("spot") else "x86_64",
        "rootDeviceType": "ebs",
        "rootDeviceName": "/dev/xvda",
        "blockDeviceMapping": [_volume(position, at) for position in range(kind["volumes"])],
        "virtualizationType": "hvm",
        "clientToken": "fleet-0a1b2c3d-@tail@",
        "tagSet": _tags(kind, account_id),
        "hypervisor": "xen",
        "networkInterfaceSet": [_interface(n, account_id, region, at, kind) for n in range(kind["interfaces"])],
        "iamInstanceProfile": {
            "arn": f"arn:aws:iam::{account_id}:instance-profile/{name}-profile",
            "id": "AIPAEXAMPLEREPLAY0001",
        },
        "ebsOptimized": "true",
        "enaSupport": "true",
        **({"instanceLifecycle": "spot", "spotInstanceRequestId": "sir-abcd1234"} if kind.get("spot") else {}),
        "cpuOptions": {"coreCount": 4, "threadsPerCore": 2},
        "capacityReservationSpecification": {"capacityReservationPreference": "open"},
        "hibernationOptions": {"configured": "false"},
        "enclaveOptions": {"enabled": "false"},
        "metadataOptions": {
            "state": "applied",
            "httpTokens": tokens,
            "httpPutResponseHopLimit": kind.get("hop", 1),
            "httpEndpoint": "enabled",
            "httpProtocolIpv6": "disabled",
            "instanceMetadataTags": "disabled",
        },
        "maintenanceOptions": {"autoRecovery": "default", "rebootMigration": "default"},
        "platformDetails": "Windows" if windows else "Linux/UNIX",
        "usageOperation": "RunInstances:0002" if windows else "RunInstances",
        "usageOperationUpdateTime": at,
        "privateDnsNameOptions": {
            "hostnameType": "ip-name",
            "enableResourceNameDnsARecord": "false",
            "enableResourceNameDnsAAAARecord": "false",
        },
        "operator": {"managed": "false"},
    }


def _security_groups(name: str) -> list[dict[str, str]]:
    return [
        {"groupId": "sg-0aa11bb22cc33dd44", "groupName": f"{name}-traffic"},
        {"groupId": "sg-0ee55ff66aa77bb88", "groupName": "baseline-egress"},
    ]


def _volume(position: int, at: str) -> dict[str, Any]:
    return {
        "deviceName": f"/dev/xvd{'abcdefgh'[position]}",
        "ebs": {
            "volumeId": f"vol-@tail@{position}",
            "status": "attached",
            "attachTime": at,
            "deleteOnTermination": "true",
            "ebsCardIndex": 0,
            "operator": {"managed": "false"},
        },
    }


def _interface(position: int, account_id: str, region: str, at: str, kind: Mapping[str, Any]) -> dict[str, Any]:
    association = {
        "ipOwnerId": "amazon",
        "publicDnsName": f"ec2-@dashed@.{region}.compute.amazonaws.com",
        "publicIp": "@dotted@",
    }
    reached = {"association": association} if kind.get("public") else {}
    dns = {"privateDnsName": f"ip-@dashed@.{region}.compute.internal"}
    secondary = [
        {"privateIpAddress": f"100.64.{position}.{n}", "primary": "false"} | dns
        for n in range(3 if kind["interfaces"] > 1 else 0)  # what a container network takes for its pods
    ]
    return {
        **reached,
        "attachment": {
            "attachmentId": f"eni-attach-@tail@{position}",
            "deviceIndex": position,
            "networkCardIndex": 0,
            "status": "attached",
            "attachTime": at,
            "deleteOnTermination": "true",
        },
        "description": "" if position == 0 else "aws-K8S-i-@tail@",
        "groupSet": _security_groups(kind["name"]),
        "interfaceType": "interface",
        "ipv6AddressesSet": [],
        "macAddress": "0a:58:0a:00:00:01",
        "networkInterfaceId": f"eni-@tail@{position}",
        "ownerId": account_id,
        **dns,
        "privateIpAddress": "@dotted@",
        "privateIpAddressesSet": [{**reached, "primary": "true", **dns, "privateIpAddress": "@dotted@"}, *secondary],
        "sourceDestCheck": "true",
        "status": "in-use",
        "subnetId": "subnet-0f1e2d3c4b5a69788",
        "vpcId": "vpc-0123456789abcdef0",
        "operator": {"managed": "false"},
    }


def _tags(kind: Mapping[str, Any], account_id: str) -> list[dict[str, str]]:
    name = kind["name"]
    tags = {
        "Name": f"{name}-@number@",
        "Owner": f"team-{name}",
        "Team": f"team-{name}",
        "Environment": "production",
        "Service": f"{name}-service",
        "CostCenter": f"cc-{account_id[-4:]}",
        "ManagedBy": "terraform",
        "Backup": "daily",
    }
    if kind.get("group"):
        tags |= {
            "aws:autoscaling:groupName": f"{name}-group",
            "aws:ec2launchtemplate:id": "lt-0a1b2c3d4e5f60718",
            "aws:ec2launchtemplate:version": "7",
        }
    if kind["interfaces"] > 1:
        tags |= {"kubernetes.io/cluster/main": "owned", "eks:cluster-name": "main", "eks:nodegroup-name": "general"}
    return [{"key": key, "value": value} for key, value in tags.items()]


# --- GetMetricData -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """Whole UTC hours, epoch seconds, half-open."""

    first: int
    end: int

    @property
    def hours(self) -> int:
        return max(0, (self.end - self.first) // HOUR)

    def within(self, other: "Span") -> "Span":
        return Span(max(self.first, other.first), min(self.end, other.end))


ALWAYS = Span(0, 2**40 // HOUR * HOUR)


def asked_span(start: float, end: float) -> Span:
    """StartTime included, rounded down to the hour; EndTime not included."""
    return Span(int(start) // HOUR * HOUR, -(-int(end) // HOUR) * HOUR)


@lru_cache(maxsize=4096)
def timestamps(span: Span, first: int, end: int, newest_first: bool) -> bytes:  # noqa: FBT001 -- a cache key
    """The JSON list of hours number `first` to `end` of the span."""
    every = range(span.first, span.end, HOUR)
    ordered = every[::-1] if newest_first else every
    return b"[%s]" % b",".join(b"%d.0" % at for at in ordered[first:end])


@lru_cache(maxsize=4096)
def values(span: Span, first: int, end: int, newest_first: bool, calls_v1: bool) -> bytes:  # noqa: FBT001
    """Zeros, or for a caller 10 plus the hour of the day, so that a point put on the wrong hour shows."""
    if not calls_v1:
        return b"[%s]" % b",".join([b"0.0"] * len(range(first, end)))
    every = range(span.first, span.end, HOUR)
    ordered = every[::-1] if newest_first else every
    return b"[%s]" % b",".join(b"%d.0" % (10 + at // HOUR % 24) for at in ordered[first:end])


@dataclass(frozen=True, slots=True)
class Series:
    """One query's answer: `points` of the span, at most all of it, and of which kind."""

    name: str
    points: int
    calls_v1: bool


def metric_page(
    wanted: Sequence[Series], span: Span, *, index: int, begin: int, most: int, newest_first: bool
) -> tuple[bytes, int, int, int]:
    """The results from point `begin` of series `index` on, how many points they are (`most` at the most), and the
    series and point where the next page begins (behind the last series: there is none).

    A series may be cut in two; then its first part says `PartialData`.
    """
    results, room = [], most
    while index < len(wanted) and room:
        one = wanted[index]
        end = min(one.points, begin + room)
        whole = end == one.points
        results.append(_result(one, span, begin, end, whole=whole, newest_first=newest_first))
        room -= end - begin
        index, begin = (index + 1, 0) if whole else (index, end)
    return b",".join(results), most - room, index, begin


def _result(one: Series, span: Span, begin: int, end: int, *, whole: bool, newest_first: bool) -> bytes:
    return b'{"Id":"%s","Label":"%s","Timestamps":%s,"Values":%s,"StatusCode":"%s"}' % (
        one.name.encode(),
        one.name.encode(),
        timestamps(span, begin, end, newest_first),
        values(span, begin, end, newest_first, one.calls_v1),
        b"Complete" if whole else b"PartialData",
    )
