"""ClientToken: the same request with the same token is carried out once, and answered the same each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.calls import Call

_APART: Final = frozenset({"ClientToken", "DryRun"})


def once(call: Call, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Act, unless this token has acted before; with other parameters than then it is refused.

    A token is its account's, its Region's and its operation's. botocore sends a random one where none is given.
    """
    token = call.params.get("ClientToken")
    asked = {name: value for name, value in call.params.items() if name not in _APART}
    with call.world.lock:
        known = call.region.client_tokens.get((call.request.operation, token)) if token else None
        if known is None:
            answer = act()
            call.applied = True
            if token:
                call.region.client_tokens[call.request.operation, token] = (asked, answer)
            return answer
        if known[0] != asked:
            raise AwsError(
                "IdempotentParameterMismatch",
                f"The client token {token} was used before, with other parameters.",
            )
        return known[1]
