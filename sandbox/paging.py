"""NextToken for the lists that are short enough to be cut by position."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, TypeVar

from sandbox.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.calls import Call

T = TypeVar("T")


def paged(
    call: Call, items: Sequence[T], most: int, *, limit: str = "MaxResults", empty_pages: bool = False
) -> tuple[list[T], str | None]:
    """The page that NextToken asks for, and the next token; `empty_pages` gives an empty page before each real one."""
    token = call.params.get("NextToken")
    start, emptied = read_token(call.request.operation, token, 2) if token else (0, 0)
    if start < 0:
        code = "InvalidNextToken" if call.request.protocol in {"ec2", "query"} else "InvalidInputException"
        raise AwsError(code, "The specified NextToken is not valid.")
    size = min(most, int(call.params.get(limit) or most))
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
