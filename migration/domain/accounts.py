"""Accounts as they are told to us: by the organization, by a file or by hand."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

# Account states in which nobody can enter (ORG-state): nothing of the account can be read, however often it is asked.
SHUT = frozenset({"PENDING_ACTIVATION", "SUSPENDED", "CLOSED"})
LEFT = "LEFT"  # our own word: the organization no longer lists the account
COLUMNS = {
    # column of a list: the longest value that is kept
    "account_id": 12,
    "name": 128,
    "owner": 200,
    "contact": 200,
    "ou_path": 700,
    "partition": 16,
    "reader_role_arn": 700,
    "enforcer_role_arn": 700,
    "external_id": 1224,
}
ACCOUNT_ID = re.compile(r"[0-9]{12}")
PARTITION = re.compile(r"aws(-[a-z0-9]+)*")
ROLE_ARN = re.compile(
    r"arn:(?P<partition>aws(?:-[a-z0-9]+)*):iam::(?P<account_id>[0-9]{12}):role/[\w+=,.@/-]+", re.ASCII
)
EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)  # STS API


@dataclass(frozen=True, slots=True)
class AccountFact:
    """One account as AWS Organizations tells it."""

    account_id: str
    name: str
    state: str  # AWS's word: PENDING_ACTIVATION, ACTIVE, SUSPENDED, PENDING_CLOSURE, CLOSED
    partition: str
    ou_path: str | None  # names of its units from the root down, slash separated, the root left out; None: not told
    management: bool  # the organization's management account
    owner: str | None = None  # None: the tags were not read
    contact: str | None = None

    @property
    def shut(self) -> bool:
        """Nobody can enter it. A word of AWS we do not know is not shut: entering it will tell."""
        return self.state in SHUT


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a list of accounts. Empty: not said."""

    account_id: str
    name: str = ""
    owner: str = ""
    contact: str = ""
    ou_path: str = ""
    partition: str = ""
    reader_role_arn: str = ""
    enforcer_role_arn: str = ""
    external_id: str = ""


class BadList(Exception):
    """A list that cannot be taken over; every fault of it, one a line."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def partition_of(arn: str) -> str:
    """`arn:aws-cn:…` -> `aws-cn`; "" of what is no ARN."""
    parts = arn.split(":")
    return parts[1] if len(parts) > 1 and parts[0] == "arn" else ""


def read_list(text: str) -> list[Listed]:
    """A CSV with a header that names an `account_id`, or plain ids one a line. Raises BadList with every fault.

    Empty lines, and those that begin with #, are passed over.
    """
    rows = list(_rows(text))
    if not rows:
        raise BadList(["the list holds no account"])
    columns = [cell.strip().lower() for cell in rows[0][1]]
    faults: list[str] = []
    if "account_id" in columns:
        faults = _header_faults(columns)
        rows = rows[1:]
    else:
        columns = ["account_id"]
    found = [] if faults else list(_listed(rows, columns, faults))
    if not faults and not found:
        faults.append("the list holds no account")
    if faults:
        raise BadList(faults)
    return found


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The number of the line a row begins in, and its cells. Raises BadList where it is no text of lines."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    begins = 1
    try:
        for cells in reader:
            said = any(cell.strip() for cell in cells)
            if said and not cells[0].lstrip().startswith("#"):
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        raise BadList([f"line {begins}: {error}"]) from error


def _header_faults(columns: list[str]) -> list[str]:
    unknown = [name or "(empty)" for name in columns if name not in COLUMNS]
    twice = sorted({name for name in columns if columns.count(name) > 1 and name in COLUMNS})
    faults = [f"line 1: no column is named {name}; there are {', '.join(COLUMNS)}" for name in unknown]
    return faults + [f"line 1: the column {name} is there more than once" for name in twice]


def _listed(rows: list[tuple[int, list[str]]], columns: list[str], faults: list[str]) -> Iterator[Listed]:
    first: dict[str, int] = {}
    for number, cells in rows:
        if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
            faults.append(f"line {number}: {len(cells)} values for {len(columns)} columns")
            continue
        said = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
        line = Listed(**(said | {"account_id": re.sub(r"[ -]", "", said["account_id"])}))
        wrong = faults_of(line)
        faults += [f"line {number}: {fault}" for fault in wrong]
        if line.account_id in first:
            faults.append(f"line {number}: {line.account_id} already stands in line {first[line.account_id]}")
        elif not wrong:
            first[line.account_id] = number
            yield line


def faults_of(line: Listed) -> list[str]:
    """What is wrong with one line, each as a clause; nothing when all is right."""
    return [*_id_faults(line.account_id), *_text_faults(line), *_arn_faults(line), *_word_faults(line)]


def _id_faults(account_id: str) -> Iterator[str]:
    if ACCOUNT_ID.fullmatch(account_id):
        return
    hint = ""
    if account_id.isascii() and account_id.isdigit() and len(account_id) < COLUMNS["account_id"]:
        hint = f", this has {len(account_id)} (spreadsheets drop leading zeros)"
    yield f"{account_id!r} is not an account id: it has 12 digits{hint}"


def _text_faults(line: Listed) -> Iterator[str]:
    for name, most in COLUMNS.items():
        value = getattr(line, name)
        if name != "account_id" and len(value) > most:
            yield f"{name} is longer than {most} characters"
        elif not value.isprintable():
            yield f"{name} holds a control character"


def _arn_faults(line: Listed) -> Iterator[str]:
    for name in ("reader_role_arn", "enforcer_role_arn"):
        arn = getattr(line, name)
        parts = ROLE_ARN.fullmatch(arn)
        if arn and not parts:
            yield f"{name} {arn!r} is not the ARN of a role, such as arn:aws:iam::123456789012:role/imdsdash-reader"
        elif parts and parts["account_id"] != line.account_id:
            yield f"{name} is of account {parts['account_id']}"


def _word_faults(line: Listed) -> Iterator[str]:
    if line.partition and not PARTITION.fullmatch(line.partition):
        yield f"partition {line.partition!r} does not look like aws, aws-cn or aws-us-gov"
    if line.external_id and not EXTERNAL_ID.fullmatch(line.external_id):
        yield "external_id has 2 to 1224 letters, digits or any of _+=,.@:/-"
    arns = [line.reader_role_arn, line.enforcer_role_arn]
    partitions = {partition_of(arn) for arn in arns if ROLE_ARN.fullmatch(arn)} | {line.partition} - {""}
    if len(partitions) > 1:
        yield f"its partitions differ: {', '.join(sorted(partitions))}"


def partition_said(line: Listed) -> str:
    """The partition the line names, or that of its role ARNs; "" when it says neither."""
    return line.partition or partition_of(line.reader_role_arn) or partition_of(line.enforcer_role_arn)
