"""How fast one account, Region and API is asked: a part of AWS's own limit, less as soon as AWS says "too fast".

The limits are the account's, shared with whoever else works in it (domain.md 9): a collector that takes them all
makes the owners' deployments fail. So each gets `share` of AWS's published rate, and a throttled answer halves it at
once; it grows back by a twentieth of the whole with each answer that was not throttled.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Key = tuple[str, str, str]  # account id, Region, operation


class Rate(NamedTuple):
    """A token bucket: how many at once, and how many a second after that."""

    burst: float
    refill: float


# EC2 API throttling: non-mutating actions 100 / 20 per s, writes above the instance 100 / 5, defaults 2 / 2. CloudWatch
# quotas: GetMetricData 500 per s, but 50 in older accounts; 396,000 datapoints per s for data older than three hours;
# ListMetrics 25 per s. Organizations (its user guide, "Throttling limits") by the calling account. What is not named
# takes OTHER. All are per account and Region.
LIMITS: Mapping[str, Rate] = {
    "DescribeInstances": Rate(100, 20),
    "DescribeInstanceAttribute": Rate(100, 20),
    "DescribeRegions": Rate(100, 20),
    "GetInstanceMetadataDefaults": Rate(100, 20),
    "DescribeAutoScalingGroups": Rate(100, 20),
    "DescribeImages": Rate(100, 20),
    "DescribeLaunchConfigurations": Rate(100, 20),
    "DescribeLaunchTemplateVersions": Rate(100, 20),
    "DescribeLaunchTemplates": Rate(100, 20),
    "DescribeScalingActivities": Rate(100, 20),
    "DescribeSpotInstanceRequests": Rate(100, 20),
    "CreateLaunchTemplateVersion": Rate(100, 5),
    "ModifyLaunchTemplate": Rate(100, 5),
    "ModifyImageAttribute": Rate(100, 5),
    "ModifyInstanceMetadataDefaults": Rate(2, 2),
    "LookupEvents": Rate(2, 2),  # CloudTrail quotas
    "GetMetricData": Rate(50, 50),
    "GetMetricData points": Rate(396_000, 396_000),
    "ListMetrics": Rate(25, 25),
    "DescribeOrganization": Rate(2, 1),
    "ListRoots": Rate(2, 1),
    "ListAccounts": Rate(12, 8),
    "ListOrganizationalUnitsForParent": Rate(8, 5),
    "ListTagsForResource": Rate(15, 10),
    "AssumeRole": Rate(600, 600),  # charged to the caller alone (IAM quotas)
    "GetCallerIdentity": Rate(600, 600),
}
OTHER = Rate(10, 5)
LEAST = 1 / 64  # of the whole rate: however often it is throttled, it asks again now and then
FULL = 1.0


@dataclass
class _Bucket:
    rate: Rate
    tokens: float
    at: float
    pace: float = FULL  # what is left of the rate after throttled answers

    def take(self, amount: float, now: float) -> float:
        """Take, going into debt if need be; seconds to wait until the debt is paid."""
        refill = self.rate.refill * self.pace
        self.tokens = min(self.rate.burst * self.pace, self.tokens + (now - self.at) * refill)
        self.at = now
        self.tokens -= amount
        return max(0.0, -self.tokens / refill)


@dataclass
class Pace:
    """All buckets of a process. Safe to share between threads.

    One process collects an account in a Region at a time (the scope's lease), so its bucket is the only one.
    """

    share: float = 0.5
    limits: Mapping[str, Rate] = field(default_factory=lambda: LIMITS)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _buckets: dict[Key, _Bucket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, key: Key, amount: float = 1) -> float:
        """Sleep until the call may be sent. Returns the seconds slept."""
        with self._lock:
            seconds = self._bucket(key).take(amount, self.clock())
        if seconds > 0:
            self.sleep(seconds)
        return seconds

    def answered(self, key: Key, *, throttled: bool) -> None:
        """AWS has answered: slower at once when it was too fast, else a little faster up to the share again."""
        with self._lock:
            bucket = self._bucket(key)
            if throttled:
                bucket.pace = max(LEAST, bucket.pace / 2)
                bucket.tokens = min(bucket.tokens, 0.0)
            else:
                bucket.pace = min(FULL, bucket.pace + FULL / 20)

    def _bucket(self, key: Key) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            whole = self.limits.get(key[2], OTHER)
            rate = Rate(max(1.0, whole.burst * self.share), whole.refill * self.share)
            bucket = self._buckets[key] = _Bucket(rate, rate.burst, self.clock())
            if len(self._buckets) > MOST:
                self._forget()
        return bucket

    def _forget(self) -> None:
        """Drop the buckets longest unused: a full bucket and a new one are the same."""
        for key in sorted(self._buckets, key=lambda key: self._buckets[key].at)[: MOST // 2]:
            del self._buckets[key]


MOST = 50_000  # buckets kept
