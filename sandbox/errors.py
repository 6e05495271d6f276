"""What AWS answers when it refuses."""

from __future__ import annotations


class AwsError(Exception):
    """An AWS error: the code a client switches on, and a sentence."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class ConnectionCut(Exception):
    """The answer is never sent: the connection is closed."""


class NotOurs(Exception):
    """The sandbox has no answer of its own for this call: moto gives it."""


def bad_value(value: object, name: str) -> AwsError:
    """The EC2 answer to a value outside a parameter's enum or range."""
    return AwsError("InvalidParameterValue", f"Value ({value}) for parameter {name} is invalid.")
