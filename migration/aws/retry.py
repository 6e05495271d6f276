"""What is asked again, how often, and after how long. Only for reads: a write is sent once."""

import random
import time

from migration.aws import errors

BASE, LONGEST = 0.2, 20.0  # seconds
PASSING_ATTEMPTS = 4  # AWS's own trouble, or an expired session
UNREACHABLE_ATTEMPTS = 2  # a hung endpoint costs a whole time-out each time, and must not hold up the other accounts


def attempts(error: errors.AwsError, *, most: int) -> int:
    """How often a call that failed like this is tried altogether."""
    if error.permanent:
        return 1
    if isinstance(error, errors.Throttled):
        return most
    if isinstance(error, errors.Unreachable):
        return min(most, UNREACHABLE_ATTEMPTS)
    return min(most, PASSING_ATTEMPTS)


def pause(attempt: int, *, throttled: bool) -> None:
    """Sleep before the next attempt: exponential with full jitter, at least half of it when AWS said "too fast"."""
    most = min(LONGEST, BASE * 2**attempt)
    least = most / 2 if throttled else 0.0
    time.sleep(random.uniform(least, most))  # noqa: S311 -- jitter, not a secret
