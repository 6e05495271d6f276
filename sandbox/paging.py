"""NextToken for the lists that are short enough to be cut by position."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Final, TypeVar

from sandbox.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.calls import Call

T = TypeVar("T")

_REFUSALS: Final = {
    "account": ("ValidationException", "ValidationException"),
    "autoscaling": ("ValidationError", "InvalidNextToken"),
    "ec2": ("InvalidParameterValue", "InvalidNextToken"),
    "cloudtrail": ("InvalidNextTokenException", "InvalidMaxResultsException"),
    "oam": ("InvalidParameterException", "InvalidParameterException"),
    "organizations": ("InvalidInputException", "InvalidInputException"),
}
"""What a service calls a page size out of range, and a token that is none."""


def paged(
    call: Call, items: Sequence[T], most: int, *, limit: str = "MaxResults", empty_pages: bool = False
) -> tuple[list[T], str | None]:
    """The page that NextToken asks for, of at most `most` or as many as the parameter `limit` says, and the next token.

    `empty_pages` gives an empty page before each real one.
    """
    token = call.params.get("NextToken")
    start, emptied = read_token(call.request.operation, token, 2) if token else (0, 0)
    bad_size, bad_token = _REFUSALS[call.request.service]
    if start < 0:
        raise AwsError(bad_token, "The specified NextToken is not valid.")
    size = int(call.params.get(limit, most))
    if not 1 <= size <= most:
        raise AwsError(bad_size, f"The value {size} for {limit} is not valid: it must be 1 to {most}.")
    if empty_pages and not emptied and start < len(items):
        return [], make_token(call.request.operation, start, 1)
    page = list(items[start : start + size])
    return page, make_token(call.request.operation, start + size, 0) if start + size < len(items) else None


def make_token(kind: str, *numbers: int) -> str:
    """An opaque token that remembers numbers."""
    return base64.urlsafe_b64encode(json.dumps([kind, *numbers]).encode()).decode()


def read_token(kind: str, token: str, length: int) -> tuple[int, ...]:
    """The numbers of a token; -1 for each when it is not one of this kind."""
    try:
        found, *numbers = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, binascii.Error):
        found, numbers = "", []
    if found != kind or len(numbers) != length or not all(isinstance(n, int) for n in numbers):
        return (-1,) * length
    return tuple(numbers)
