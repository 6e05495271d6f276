"""What the writes have in common: what must not travel is refused here, before AWS hears of it."""

from collections.abc import Iterable, Mapping
from typing import Any

LONGEST_TOKEN = 128  # ASCII characters of a ClientToken (EC2 API)


def only(send: Mapping[str, Any], allowed: Iterable[str]) -> None:
    """ValueError where something else is sent, or nothing at all."""
    named = sorted(allowed)
    if not send or not set(send) <= set(named):
        raise ValueError(f"only {named} may be sent, not {sorted(send)}")


def client_token(token: str) -> str:
    """The token, if AWS takes it: without one botocore makes up another for each call, and a repeated write is done
    twice.
    """
    if not (token and token.isascii() and len(token) <= LONGEST_TOKEN):
        raise ValueError(f"a ClientToken has 1 to {LONGEST_TOKEN} ASCII characters, which {token!r} has not")
    return token


def request_id(answer: Mapping[str, Any]) -> str:
    return str(answer.get("ResponseMetadata", {}).get("RequestId", ""))
