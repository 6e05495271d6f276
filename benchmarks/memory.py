"""Peak memory of a pass by the size of one account: it should not grow with it."""

from typing import Any

from benchmarks import calls, passes, services
from benchmarks.installation import Installation, NotMeasured, Spent, bare_environment, replay, scratch
from benchmarks.passes import SHORT

AIM = 1.5  # times the smallest fleet's


def measure(*, quick: bool = False) -> dict[str, Any]:
    """The `collect` process over one account in one Region: as a worker works, on PostgreSQL, and on SQLite.

    `peak_mib` is the kernel's ru_maxrss. SQLite maps its file into memory and keeps pages of it, so there it grows
    with the file, up to what the settings allow each connection; `peak_own_mib` is without mapped files.
    """
    sizes = calls.QUICK if quick else calls.SIZES
    return {"aim": AIM, "postgresql": _postgresql(sizes), "sqlite": _grown([_sqlite(size) for size in sizes])}


def _postgresql(sizes: tuple[int, ...]) -> dict[str, Any]:
    try:
        return _grown([_on_postgresql(size) for size in sizes])
    except NotMeasured as why:
        return {"not_measured": str(why)}


def _on_postgresql(instances: int) -> dict[str, Any]:
    with (
        scratch() as folder,
        services.postgres(folder) as server,
        replay(instances=instances, usage="mixed", **passes.a_day()) as aws,
    ):
        database = services.create_database(server, "memory")
        one = Installation(folder, bare_environment(folder, AWS_ENDPOINT_URL=aws.url, DATABASE_URL=database, **SHORT))
        one.manage("migrate", "--verbosity", "0")
        return _told(instances, {"first_pass": passes.collect(one, aws).spent})


def _sqlite(instances: int) -> dict[str, Any]:
    first, later = passes.two(instances)
    return _told(instances, {"first_pass": first.spent, "later_pass": later.spent})


def _told(instances: int, passed: dict[str, Spent]) -> dict[str, Any]:
    told: dict[str, Any] = {"instances": instances}
    for name, spent in passed.items():
        told[name] = {
            "peak_mib": round(spent.peak_mib, 1),
            "peak_own_mib": round(spent.peak_own_mib, 1),
            "seconds": round(spent.seconds, 1),
            "cpu_seconds": round(spent.cpu_seconds, 1),
        }
    return told


def _grown(by_size: list[dict[str, Any]]) -> dict[str, Any]:
    """Beside the figures: those of the largest fleet over those of the smallest."""
    smallest, largest = by_size[0], by_size[-1]
    grown = {
        name: {which: round(largest[name][which] / smallest[name][which], 2) for which in ("peak_mib", "peak_own_mib")}
        for name in smallest
        if name != "instances"
    }
    return {"by_size": by_size, "largest_over_smallest": grown}
