"""The same 1,000 instances with imdsdash, Cloud Custodian (c7n) and metabadger: calls, time, and what each gets wrong.

The two come from PyPI into throw-away virtual environments; where that fails, the result says so. All three ask the
same sandbox, one after another, and are judged by the fleet itself, with two questions: which running instances used
IMDSv1 in the last 14 days, and which are ready for `HttpTokens=required`.
"""

import json
import re
import signal
import subprocess
import sys
import urllib.request
import venv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.installation import ROOT, WAIT, Installation, NotMeasured, Spent, bare_environment, end, scratch

ACCOUNT = "111122223333"
SHARES = {"us-east-1": 0.5, "eu-west-1": 0.3, "ap-southeast-2": 0.2}
DAYS = 14
USED_V1 = ("steady", "burst5", "burst12")
READY = ("quiet",)
ID = re.compile(r"i-[0-9a-f]{17}")
# Of 1,000; the names say what they are. `silent` has never a datapoint.
OLD: dict[str, Any] = {"launched_days_ago": 100}
GROUPS: dict[str, tuple[int, dict[str, Any]]] = {
    "enforced": (380, {"http_tokens": "required", "enforced_days_ago": 60, "usage": "quiet"}),
    "off": (48, {"http_endpoint": "disabled", "usage": "quiet"}),
    "terminated": (21, {"state": "terminated", "usage": "quiet"}),
    "stopped": (39, {"state": "stopped", "stopped_days_ago": 30, "usage": "quiet"}),
    "silent": (31, {"usage": {"profile": "quiet", "missing_hours": 1}}),
    "quiet": (266, {"usage": "quiet"}),
    "steady": (100, {"usage": "steady"}),
    "burst5": (60, {"usage": "boot", "restarted_days_ago": 5}),
    "burst12": (55, {"usage": "boot", "restarted_days_ago": 12}),
}
OPEN = [
    {"State.Name": "running"},
    {"MetadataOptions.HttpTokens": "optional"},
    {"MetadataOptions.HttpEndpoint": "enabled"},
]
METRIC = {
    "type": "metrics",
    "namespace": "AWS/EC2",
    "name": "MetadataNoToken",
    "statistics": "Sum",
    "days": DAYS,
    "value": 0,
}


def measure(*, quick: bool = False) -> dict[str, Any]:
    """`quick`: the fleet a tenth as large."""
    part = 10 if quick else 1
    with scratch() as folder, pretend_aws(folder, part) as aws:
        return {
            "instances": sum(size for size, _ in sizes(part).values()),
            "truth": {
                "used_v1_in_14_days": len(aws.of(USED_V1)),
                "ready": len(aws.of(READY)),
                "not_ready_because_unknown": len(aws.of(("silent", "stopped"))),
            },
            "fewest_calls": {"DescribeInstances": len(SHARES), "GetMetricData": len(SHARES)},
            "tools": [attempt(name, tool, aws) for name, tool in TOOLS.items()],
        }


def attempt(name: str, tool: Callable[["Aws"], dict[str, Any]], aws: "Aws") -> dict[str, Any]:
    """One tool's result, or why there is none."""
    try:
        return {"tool": name, **tool(aws)}
    except NotMeasured as why:
        return {"tool": name, "not_measured": str(why)}


def sizes(part: int) -> dict[str, tuple[int, dict[str, Any]]]:
    return {name: (max(1, size // part), rest) for name, (size, rest) in GROUPS.items()}


def fleet(part: int) -> dict[str, Any]:
    """The fleet file. Each group lies in the Regions by their shares; the last one takes what is left."""
    groups = []
    for name, (size, rest) in sizes(part).items():
        left = size
        for region, share in SHARES.items():
            here = left if region == list(SHARES)[-1] else min(left, round(size * share))
            left -= here
            if here:
                groups.append({"count": here, "region": region, "name_prefix": f"{name}-{region}", **OLD, **rest})
    account = {"id": ACCOUNT, "name": "side-by-side", "regions": list(SHARES), "instances": groups}
    return {"accounts": [account]}


# --- the pretend AWS -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Aws:
    """A sandbox with the fleet, and what is true of it."""

    url: str
    folder: Path
    groups: dict[str, str]  # instance id -> group

    def of(self, groups: Iterable[str]) -> set[str]:
        wanted = set(groups)
        return {instance_id for instance_id, group in self.groups.items() if group in wanted}

    def calls(self) -> Counter[str]:
        """Since they were last forgotten."""
        return Counter(call["operation"] for call in _ask(self.url, "calls")["calls"])

    def forget(self) -> None:
        _ask(self.url, "calls", "DELETE")

    def judged(self, said: Iterable[str], truth: Iterable[str]) -> dict[str, Any]:
        """What is missing and what is wrong in an answer, by group."""
        found, wanted = set(said), self.of(truth)
        return {
            "right": len(found & wanted),
            "of": len(wanted),
            "missed": dict(Counter(self.groups[one] for one in wanted - found)),
            "wrong": dict(Counter(self.groups.get(one, "unheard of") for one in found - wanted)),
        }


@contextmanager
def pretend_aws(folder: Path, part: int) -> Iterator[Aws]:
    path = folder / "fleet.json"
    path.write_text(json.dumps(fleet(part)))
    environment = bare_environment(folder, MOTO_EC2_LOAD_DEFAULT_AMIS="false")
    words = [sys.executable, "-m", "benchmarks.statistics_door", "--port", "0", "--fleet", str(path)]
    process = subprocess.Popen(  # noqa: S603 -- our own module
        words, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None  # noqa: S101 -- for the type checker: it is a pipe
        url = next((word for word in process.stdout.readline().split() if word.startswith("http://")), "")
        if not url:
            raise NotMeasured("The sandbox did not come up.")
        yield Aws(url, folder, _groups(url))
    finally:
        end(process, first=signal.SIGTERM)
        if process.stdout is not None:
            process.stdout.close()


def _groups(url: str) -> dict[str, str]:
    return {
        one["instance_id"]: one["name"].partition("-")[0]
        for region in SHARES
        for one in _ask(url, f"instances/{ACCOUNT}/{region}")["instances"]
    }


def _ask(url: str, path: str, method: str = "GET") -> dict[str, Any]:
    request = urllib.request.Request(f"{url}/_sandbox/{path}", method=method)  # noqa: S310 -- our own sandbox on loopback
    with urllib.request.urlopen(request, timeout=WAIT) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    return found


# --- the tools -----------------------------------------------------------------------------------------


def imdsdash(aws: Aws) -> dict[str, Any]:
    """`collect`, asking as far back as the others do."""
    one = _place(aws, "imdsdash", IMDSDASH_BACKFILL_DAYS=str(DAYS + 1))
    one.manage("migrate", "--verbosity", "0")
    aws.forget()
    spent = one.manage("collect", "--json")
    calls = aws.calls()
    said = one.manage("shell", "--no-imports", "-c", STATUSES).last_object
    by_status = {status: {pair[0] for pair in said["rows"] if pair[1] == status} for status in ("in_use", "ready")}
    return {
        "does": "collect: inventory, usage and verdicts, into its database",
        **_cost(spent, calls),
        "used_v1_in_14_days": aws.judged(by_status["in_use"], USED_V1),
        "ready": aws.judged(by_status["ready"], READY),
    }


STATUSES = """
import json
from migration.models import Instance
print(json.dumps({"rows": list(Instance.objects.values_list("instance_id", "status"))}))
"""


def cloud_custodian(aws: Aws) -> dict[str, Any]:
    """Three policies, as its documentation writes them: the metric over one period, over days, and for those ready."""
    custodian = _install(aws, "c7n") / "custodian"
    policies: dict[str, list[dict[str, Any]]] = {
        "used": [*OPEN, METRIC | {"op": "greater-than"}],
        "used-by-day": [*OPEN, METRIC | {"op": "greater-than", "period": 86400}],
        "ready": [*OPEN, METRIC | {"op": "equal", "missing-value": 0}],
    }
    runs = {name: _policy(aws, custodian, name, filters) for name, filters in policies.items()}
    spent, calls, used = runs["used"]
    return {
        "does": "custodian run of one policy with the metrics filter, resources to JSON",
        **_cost(spent, calls),
        "used_v1_in_14_days": aws.judged(used, USED_V1),
        "used_v1_in_14_days_with_period_of_a_day": aws.judged(runs["used-by-day"][2], USED_V1),
        "ready": aws.judged(runs["ready"][2], READY),
    }


def _policy(
    aws: Aws, custodian: Path, name: str, filters: list[dict[str, Any]]
) -> tuple[Spent, Counter[str], set[str]]:
    one = _place(aws, f"c7n-{name}")
    policy = one.folder / "policy.json"
    policy.write_text(json.dumps({"policies": [{"name": name, "resource": "aws.ec2", "filters": filters}]}))
    aws.forget()
    regions = [word for region in SHARES for word in ("-r", region)]
    spent = one.run(str(custodian), "run", *regions, "-s", str(one.folder / "out"), "--cache-period", "0", str(policy))
    found = {
        member["InstanceId"]
        for path in (one.folder / "out").rglob("resources.json")
        for member in json.loads(path.read_text())
    }
    return spent, aws.calls(), found


def metabadger(aws: Aws) -> dict[str, Any]:
    """Its inventory over all Regions, and its usage Region by Region: over all at once it asks one Region's metrics."""
    program = _install(aws, "metabadger") / "metabadger"
    one = _place(aws, "metabadger")
    seconds = str(DAYS * 86400)
    aws.forget()
    inventory = one.run(str(program), "discover-metadata", "--all-region", "--json")
    usage = [one.run(str(program), "cloudwatch-metrics", "--region", each, "-t", seconds) for each in SHARES]
    calls = aws.calls()
    together = one.run(str(program), "cloudwatch-metrics", "--all-region", "-t", seconds)
    return {
        "does": "discover-metadata over all Regions, cloudwatch-metrics for each of the three",
        **_cost(_sum([inventory, *usage]), calls),
        "used_v1_in_14_days": aws.judged(_named(spent.out for spent in usage), USED_V1),
        "used_v1_in_14_days_with_all_region": aws.judged(_named([together.out]), USED_V1),
        "ready": None,  # it has no such answer
    }


TOOLS = {"imdsdash": imdsdash, "Cloud Custodian": cloud_custodian, "metabadger": metabadger}


def _place(aws: Aws, name: str, **more: str) -> Installation:
    """A folder for one tool, which is also its home."""
    folder = aws.folder / name
    folder.mkdir(exist_ok=True)
    return Installation(folder, bare_environment(folder, AWS_ENDPOINT_URL=aws.url, HOME=str(folder), **more))


def _install(aws: Aws, package: str) -> Path:
    """The package from PyPI in an environment of its own; its folder of programs. Raises NotMeasured."""
    place = aws.folder / f"{package}-venv"
    venv.create(place, with_pip=True)
    words = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", package]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 -- pip of the new environment
    if done.returncode:
        raise NotMeasured(f"{package} could not be installed from PyPI: {done.stderr.strip()[-500:]}")
    return place / "bin"


def _cost(spent: Spent, calls: Counter[str]) -> dict[str, Any]:
    return {
        "calls": sum(calls.values()),
        "calls_by_operation": dict(calls.most_common()),
        "seconds": round(spent.seconds, 1),
        "cpu_seconds": round(spent.cpu_seconds, 1),
        "peak_mib": round(spent.peak_mib),
    }


def _sum(every: list[Spent]) -> Spent:
    return Spent(
        seconds=sum(one.seconds for one in every),
        cpu_seconds=sum(one.cpu_seconds for one in every),
        peak_mib=max(one.peak_mib for one in every),
        peak_own_mib=max(one.peak_own_mib for one in every),
        out="".join(one.out for one in every),
    )


def _named(texts: Iterable[str]) -> set[str]:
    return {found for text in texts for found in ID.findall(text)}
