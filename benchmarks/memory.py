"""Peak memory of a pass by the size of one account: it should not grow with it."""

from typing import Any

from benchmarks import calls, passes

AIM = 1.5  # times the smallest fleet's


def measure(*, quick: bool = False) -> dict[str, Any]:
    """ru_maxrss of the `collect` process over one account in one Region, first pass and next."""
    sizes = calls.QUICK if quick else calls.SIZES
    by_size = [_of(size) for size in sizes]
    smallest, largest = by_size[0], by_size[-1]
    return {
        "by_size": by_size,
        "aim": AIM,
        "largest_over_smallest": {
            which: round(largest[which] / smallest[which], 2) for which in ("first_pass_mib", "later_pass_mib")
        },
    }


def _of(instances: int) -> dict[str, Any]:
    first, later = passes.two(instances)
    return {
        "instances": instances,
        "first_pass_mib": round(first.spent.peak_mib, 1),
        "later_pass_mib": round(later.spent.peak_mib, 1),
        "first_pass_seconds": round(first.spent.seconds, 1),
        "later_pass_seconds": round(later.spent.seconds, 1),
    }
