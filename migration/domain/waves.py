"""Waves in words: which accounts a pasted text names, and how long there is until the day they are due. Pure."""

import csv
import re
from datetime import date

GROUPED = re.compile(
    r"(?<!\d)(\d{4})[-\u00a0\u202f ](\d{4})[-\u00a0\u202f ](\d{4})(?!\d)"
)  # as the AWS console writes it
ACCOUNT_ID = re.compile(r"[0-9]{12}")
COLUMNS = {"account", "accountid", "accountnumber", "awsaccount", "awsaccountid", "id"}
AROUND = "\"'="  # what spreadsheets put around numbers that are to stay text


def account_ids(text: str) -> list[str]:
    """What a pasted list or a CSV names, in order and with what comes twice; not checked, so that a refusal can name
    it. Of a CSV with a header that has a column of accounts only that column is read.
    """
    lines = [line for line in text.replace("\ufeff", "").splitlines() if line.strip()]
    column = _column(lines[0]) if lines else None
    found: list[str] = []
    for line in lines if column is None else lines[1:]:
        if column is None:
            cells = re.split(r"[,;\s]+", GROUPED.sub(r"\1\2\3", line))
        else:
            row = _cells(line)
            cells = [GROUPED.sub(r"\1\2\3", row[column])] if column < len(row) else [""]
        found += [cell.strip().strip(AROUND) for cell in cells if cell.strip()]
    return found


def _column(header: str) -> int | None:
    """The place of the column of accounts, when the line is a header that has one."""
    names = [re.sub(r"[^a-z]", "", cell.lower()) for cell in _cells(header)]
    return next((place for place, name in enumerate(names) if name in COLUMNS), None)


def _cells(line: str) -> list[str]:
    delimiter = max(",;\t", key=line.count)
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a cell of more than 128 kB
        return [line]


def is_account_id(text: str) -> bool:
    return ACCOUNT_ID.fullmatch(text) is not None


def due(due_on: date | None, *, today: date) -> str:
    """How long there is, in words; "" without a day."""
    if due_on is None:
        return ""
    days = (due_on - today).days
    if days < 0:
        return f"{-days} days overdue" if days < -1 else "1 day overdue"
    return {0: "today", 1: "tomorrow"}.get(days, f"in {days} days")
