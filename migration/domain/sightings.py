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
REGION = re.compile(r"[a-z0-9-]{5,32}")
MOST_CALLS = 10**15  # what fits the column, with room to add
# As the analyzer writes it: [2026-11-20T03:00:00] [WARNING] IMDSv1(!) (pid:1:curl argv:...) called by -> (...)
# From its 1.4.0 on the message is in small letters and ends in "req details: get /... http/1.1, user-agent: ...":
# recurseHideToken of its src/imds_snoop.py. An argv may hold line breaks: what begins no entry belongs to the last.
BEGINS = re.compile(r"\[\d{4}-\d\d-\d\d[ T]|\[[A-Z]+\] ")
WARNING = re.compile(
    r"(?:\[(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)[^\]]*\]\s+)?\[WARNING\]\s+(?i:imdsv1)\b(.*)", re.DOTALL
)
DETAILS = re.compile(r"(?i)\s+req details:\s")
PROCESS = re.compile(
    r"(?is)\(pid:(\d+)(?::(\S+?))?(?:\s+argv:(.*?)|\s+unable to get argv information)?"
    r"(?:\)(?=\s+(?:called by )?->|\s*$)|\Z)"
)
AGENT = re.compile(r"(?i)(?:^|,\s)user-agent:\s*(.*?)(?=,\s+[\w-]+:\s|,?\s*$)")
UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # what PostgreSQL has no text for
LONGEST = 20_000  # letters of one entry
SECRET = re.compile(
    r"(?i)((?:pass(?:word|wd)?|secret|token|api[_-]?key|access[_-]?key|credential)[\w-]*[\"']?(?:\s*[:=]\s*|\s+)|\bbearer\s+)"
    r"(?!-)(?:bearer\s+)?\S+"
)
IN_ADDRESS = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")


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
    first_seen: datetime | None = None  # None: as `last_seen`

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
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield rows.line_num, BadLine(f"it is no CSV from here on ({error})")
            return
        if row is None:
            return
        try:
            yield rows.line_num, _row(row)
        except BadLine as error:
            yield rows.line_num, error


def _row(row: dict[str, str]) -> Sighting:
    account, region = (row["recipientaccountid"] or "").strip(), (row["awsregion"] or "").strip()
    if not re.fullmatch(r"\d{12}", account):
        raise BadLine(f"{account!r} is no account id of 12 digits")
    if not REGION.fullmatch(region):
        raise BadLine(f"{region[:40]!r} is no Region")
    instance = (row["instance_id"] or "").strip()
    if instance and not INSTANCE.match(instance):
        raise BadLine(f"{instance[:40]!r} is no instance id")
    try:
        calls = int(row["calls"])
        seen = datetime.fromisoformat(row["last_seen"].strip())
        seen = (seen if seen.tzinfo else seen.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, AttributeError, TypeError, OverflowError) as error:
        raise BadLine("calls must be a number and last_seen a time such as 2026-11-20T03:00:00Z") from error
    if not 0 <= calls <= MOST_CALLS:
        raise BadLine("calls is less than nothing, or more than there can be")
    return Sighting(
        account_id=account,
        region=region,
        instance_id=instance,
        last_seen=seen,
        found_by=FoundBy.ATHENA,
        role_arn=told(row["role_arn"], 700),
        user_agent=told(row["useragent"], 1000),
        event_source=told(row.get("eventsource"), 120),
        calls=calls,
    )


def told(text: object, most: int) -> str:
    """Hostile text as it can be kept."""
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", str(text or ""))[:most]


def analyzer(
    lines: Iterable[str], *, account_id: str, region: str, instance_id: str
) -> Iterator[tuple[int, Sighting | BadLine]]:
    """Calls of IMDSv1 in /var/log/imds/imds-trace.log of one instance; lines of IMDSv2 and noise are passed over.

    Its times name no zone and are taken as UTC.
    """
    if not REGION.fullmatch(region) or not INSTANCE.fullmatch(instance_id):
        yield 1, BadLine("the log needs a Region such as eu-west-1 and an instance id such as i-0123456789abcdef0")
        return
    for number, entry in _entries(lines):
        found = WARNING.match(entry)
        if not found:
            continue
        day, time, message = found.groups()
        chain, *details = DETAILS.split(message, maxsplit=1)
        processes = PROCESS.findall(chain)
        seen = _time(day, time)
        if seen is None or not processes:
            yield number, BadLine("it is a warning of IMDSv1 without a time or a process")
            continue
        caller, *parents = [_process(argv or name or f"process {pid}") for pid, name, argv in processes]
        agent = AGENT.search(details[0].replace("\n", " ")) if details else None
        yield (
            number,
            Sighting(
                account_id=account_id,
                region=region,
                instance_id=instance_id,
                last_seen=seen,
                found_by=FoundBy.ANALYZER,
                user_agent=told(agent[1] if agent else "", 1000),
                process=caller,
                parents=tuple(parents[:4]),
            ),
        )


def _time(day: str | None, time: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(f"{day}T{time}+00:00")
    except ValueError:
        return None


def _entries(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Entries of a log, each with the number of its first line; one longer than LONGEST is cut."""
    begun, entry = 1, ""
    for number, line in enumerate(lines, 1):
        if BEGINS.match(line):
            if entry:
                yield begun, entry
            begun, entry = number, line[:LONGEST]
        else:
            entry = (entry + line)[:LONGEST]
    if entry:
        yield begun, entry


def _process(text: str) -> str:
    """A command line on one line, without what looks like a secret."""
    return told(SECRET.sub(r"\1•••", IN_ADDRESS.sub("•••", " ".join(text.split()))), 500)
