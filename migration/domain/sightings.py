"""Files that tell who calls IMDSv1: an Athena result over CloudTrail, a log of the IMDS packet analyzer. Pure.

Line by line, so that a large file takes no more memory than a small one; a line that cannot be used is named.
"""

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from migration.enums import FoundBy

NEEDED = ("recipientaccountid", "awsregion", "role_arn", "instance_id", "useragent", "calls", "last_seen")
INSTANCE = re.compile(r"^i-[0-9a-f]{8,17}$")
# As the analyzer writes it: [2026-11-20T03:00:00] [WARNING] IMDSv1(!) (pid:1:curl argv:...) called by -> (...)
WARNING = re.compile(r"\[?WARNING\]?.*?IMDSv1")
STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)")
PROCESS = re.compile(r"\(pid:(\d+)(?::(\S+?))?(?:\s+argv:(.*?)|\s+Unable to get argv information)?\)(?=\s|$|,)")
TOKEN = re.compile(r"(?i)(x-aws-ec2-metadata-token:\s*)\S+")


class BadLine(Exception):
    """A line that cannot be used, in words."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One caller as a file tells of it."""

    account_id: str
    region: str
    instance_id: str
    last_seen: datetime
    found_by: FoundBy
    role_arn: str = ""
    user_agent: str = ""
    event_source: str = ""
    process: str = ""
    parents: tuple[str, ...] = ()
    calls: int = 1

    @property
    def key(self) -> str:
        """One caller, however often it is told of."""
        told = (self.found_by, self.instance_id, self.role_arn, self.user_agent, self.event_source, self.process)
        return hashlib.sha256("\0".join(told).encode()).hexdigest()


def athena(lines: Iterable[str]) -> Iterator[tuple[int, Sighting | BadLine]]:
    """Rows of the CSV that Athena writes for our query, with their line numbers."""
    rows = csv.DictReader(lines)
    missing = [name for name in NEEDED if name not in (rows.fieldnames or ())]
    if missing:
        yield 1, BadLine(f"the columns {', '.join(missing)} are not there; export the result of the query as it is")
        return
    for row in rows:
        try:
            yield rows.line_num, _row(row)
        except BadLine as error:
            yield rows.line_num, error


def _row(row: dict[str, str]) -> Sighting:
    account, region = (row["recipientaccountid"] or "").strip(), (row["awsregion"] or "").strip()
    if not re.fullmatch(r"\d{12}", account):
        raise BadLine(f"{account!r} is no account id of 12 digits")
    instance = (row["instance_id"] or "").strip()
    if instance and not INSTANCE.match(instance):
        raise BadLine(f"{instance!r} is no instance id")
    try:
        calls = int(row["calls"])
        seen = datetime.fromisoformat(row["last_seen"].strip())
    except (ValueError, AttributeError, TypeError) as error:
        raise BadLine("calls must be a number and last_seen a time such as 2026-11-20T03:00:00Z") from error
    if calls < 0:
        raise BadLine("calls is less than nothing")
    return Sighting(
        account_id=account,
        region=region,
        instance_id=instance,
        last_seen=seen if seen.tzinfo else seen.replace(tzinfo=UTC),
        found_by=FoundBy.ATHENA,
        role_arn=(row["role_arn"] or "")[:700],
        user_agent=(row["useragent"] or "")[:1000],
        event_source=(row.get("eventsource") or "")[:120],
        calls=calls,
    )


def analyzer(
    lines: Iterable[str], *, account_id: str, region: str, instance_id: str
) -> Iterator[tuple[int, Sighting | BadLine]]:
    """Calls of IMDSv1 in /var/log/imds/imds-trace.log of one instance; lines of IMDSv2 and noise are passed over."""
    for number, line in enumerate(lines, 1):
        if not WARNING.search(line):
            continue
        stamp, processes = STAMP.search(line), PROCESS.findall(TOKEN.sub(r"\1•••", line))
        if not stamp or not processes:
            yield number, BadLine("it is a warning of IMDSv1 without a time or a process")
            continue
        caller, *parents = [" ".join((argv or name or f"process {pid}").split())[:500] for pid, name, argv in processes]
        yield (
            number,
            Sighting(
                account_id=account_id,
                region=region,
                instance_id=instance_id,
                last_seen=datetime.fromisoformat(f"{stamp[1]}T{stamp[2]}+00:00"),
                found_by=FoundBy.ANALYZER,
                process=caller,
                parents=tuple(parents[:4]),
            ),
        )
