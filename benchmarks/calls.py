"""AWS calls of a pass beside the fewest that can answer, for each API: counted by the server, not by the client."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from benchmarks import passes
from benchmarks.installation import installed, replay
from benchmarks.passes import SHORT, Pass
from benchmarks.recorded import HOUR, MOST_POINTS, Fleet
from benchmarks.replay import ACCOUNTS_A_PAGE, LARGEST_PAGE, METRICS_A_PAGE, MOST_QUERIES, UNITS

SIZES = (1_000, 10_000, 100_000)
QUICK = (200,)
BACKFILL = {False: 10_000, True: 150}  # instances, by quick
ORGANIZATION = {False: (3_000, 25, 3), True: (120, 3, 2)}  # instances, accounts, Regions


@dataclass(frozen=True, slots=True)
class Fewest:
    """The fewest calls for a fleet, from what it is and not from what was asked."""

    fleet: Fleet
    roles: int = 0  # accounts entered by a role

    def of(self, operation: str, seen: dict[str, Any]) -> int:
        accounts = self.fleet.accounts
        plain = {
            "AssumeRole": self.roles,
            # Of a fleet with no launch template and one AMI.
            "DescribeAutoScalingGroups": accounts * self.fleet.regions,
            "DescribeImages": accounts * self.fleet.regions,
            "DescribeLaunchConfigurations": accounts * self.fleet.regions,
            "DescribeLaunchTemplates": accounts * self.fleet.regions,
            "DescribeSpotInstanceRequests": accounts * self.fleet.regions,
            "DescribeOrganization": 1,
            "DescribeRegions": accounts,
            "GetCallerIdentity": self.roles + 1,
            "GetInstanceMetadataDefaults": accounts * self.fleet.regions,
            "ListAccounts": math.ceil(accounts / ACCOUNTS_A_PAGE),
            "ListOrganizationalUnitsForParent": 1 + len(UNITS),  # the root's, and those that each unit has not
            "ListRoots": 1,
            "ListTagsForResource": accounts,
        }
        by_size = {"DescribeInstances": LARGEST_PAGE, "ListMetrics": METRICS_A_PAGE}
        if operation in by_size:
            return sum(max(1, math.ceil(size / by_size[operation])) for _, size in self._places())
        if operation == "GetMetricData":
            asked = {place: tallies.get(operation, {}) for place, tallies in seen["places"].items()}
            return sum(metric_calls(size, asked.get(place, {})) for place, size in self._places())
        return plain.get(operation, 0)

    def _places(self) -> Iterator[tuple[str, int]]:
        for account_id in self.fleet.account_ids:
            for region in self.fleet.region_names:
                yield f"{account_id}/{region}", len(self.fleet.share(account_id, region))


def metric_calls(size: int, asked: dict[str, Any]) -> int:
    """For each window that was asked for: by queries or by points, whichever needs more calls.

    An instance needs one query a window. No window: there is nothing to ask where no instance is, else one call each
    500 at the least.
    """
    windows = asked.get("windows", [{"start": 0, "end": 0, "queries": size}])
    return sum(
        max(math.ceil(queries / MOST_QUERIES), math.ceil(queries * hours / MOST_POINTS))
        for queries, hours in (
            (min(size, window["queries"]), (window["end"] - window["start"]) // HOUR) for window in windows
        )
    )


def measure(*, quick: bool = False) -> dict[str, Any]:
    return {
        "a_day_of_points": [by_size(size) for size in (QUICK if quick else SIZES)],
        "63_days_of_points": backfill(BACKFILL[quick]),
        "organization": organization(*ORGANIZATION[quick]),
    }


def by_size(instances: int) -> dict[str, Any]:
    first, later = passes.two(instances)
    fewest = Fewest(Fleet(instances))
    return {
        "instances": instances,
        "first_pass": beside(first, fewest),
        "later_pass": beside(later, fewest),
    }


def backfill(instances: int) -> dict[str, Any]:
    """With the settings as they come: 63 days of hours at the first look, which fill many pages."""
    with replay(instances=instances, usage="mixed") as server, installed(server.url) as one:
        first, later = passes.collect(one, server), passes.collect(one, server)
    fewest = Fewest(Fleet(instances))
    return {"instances": instances, "first_pass": beside(first, fewest), "later_pass": beside(later, fewest)}


def organization(instances: int, accounts: int, regions: int) -> dict[str, Any]:
    """Every account but the first entered by its role; the fleet is cut into many small shares."""
    fewest = Fewest(Fleet(instances, accounts=accounts, regions=regions), roles=accounts - 1)
    with (
        replay(instances=instances, accounts=accounts, regions=regions, **passes.a_day()) as server,
        installed(server.url, **SHORT) as one,
    ):
        one.manage("accounts", "discover")
        discovered = server.calls(forget=True)
        first = passes.collect(one, server)
    return {
        "instances": instances,
        "accounts": accounts,
        "regions": regions,
        "discover": by_operation(discovered, replace(fewest, roles=0)),
        "first_pass": beside(first, fewest),
    }


def beside(one: Pass, fewest: Fewest) -> dict[str, Any]:
    """Every operation that was called. What the pass says of itself must be what the server saw."""
    return {
        "instances": one.told["instances"],
        "metric_queries": one.told["metric_queries"],
        "told_as_seen": one.told["api_calls"]
        == {name: tally["calls"] for name, tally in one.seen["operations"].items()},
        "calls": by_operation(one.seen, fewest),
    }


def by_operation(seen: dict[str, Any], fewest: Fewest) -> dict[str, Any]:
    return {name: ratio(tally["calls"], fewest.of(name, seen)) for name, tally in sorted(seen["operations"].items())}


def ratio(made: int, fewest: int) -> dict[str, Any]:
    """`fewest` 0: none of these is needed."""
    return {"made": made, "fewest": fewest, "ratio": round(made / fewest, 3) if fewest else None}
