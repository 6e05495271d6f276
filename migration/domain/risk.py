"""Which instance first: how exposed one is that still allows IMDSv1. Pure; the pages print this very formula.

    risk = allows IMDSv1 x reachable x role x recent use

AWS's advice of 2019, when IMDSv2 came, was to begin where a forged request can come from outside and where
credentials are to be had. What is not known counts as the worse of what it may be: unknown is never zero.
"""

from dataclasses import dataclass

from migration.domain.facts import MetadataOptions

REACHABLE = {True: 4, False: 1}
ROLE = {True: 3, False: 1}
CALLS, UNKNOWN, QUIET = 3, 2, 1
FORMULA = (
    "allows IMDSv1 (1, else 0) x public address (4, without 1) x instance role (3, without 1) "
    "x IMDSv1 calls in the window (3; not fully measured 2; none 1)"
)
MOST = REACHABLE[True] * ROLE[True] * CALLS


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor with its words: what the page shows."""

    value: int
    words: str


def factors(
    *, options: MetadataOptions, public: bool, has_role: bool, v1_calls: int | None, fully_measured: bool
) -> tuple[Factor, ...]:
    """The four factors of an instance that is not gone. `v1_calls` None: nothing of the window is measured."""
    allowed = options.http_tokens != "required" and options.http_endpoint != "disabled"
    if v1_calls:
        use = Factor(CALLS, "IMDSv1 calls in the window")
    elif v1_calls is None or not fully_measured:
        use = Factor(UNKNOWN, "window not fully measured")
    else:
        use = Factor(QUIET, "no IMDSv1 call in the window")
    return (
        Factor(int(allowed), "allows IMDSv1" if allowed else "IMDSv1 is refused"),
        Factor(REACHABLE[public], "public address" if public else "no public address"),
        Factor(ROLE[has_role], "has an instance role" if has_role else "no instance role"),
        use,
    )


def score(found: tuple[Factor, ...]) -> int:
    """The product: 0 where IMDSv1 is refused, else 1 to MOST."""
    product = 1
    for factor in found:
        product *= factor.value
    return product
