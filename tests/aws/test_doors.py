"""The two doors: what may be sent, by whom, and how often."""

import ast
from pathlib import Path

import pytest

from migration.aws import sessions
from migration.aws.enforcer import modify_metadata_options
from migration.aws.sessions import Edge, Limits, Target

AWS = Path(__file__).parent.parent.parent / "migration" / "aws"
WRITES = ("modify_", "create_", "delete_", "run_", "terminate_", "update_", "put_", "attach_", "start_", "stop_")


@pytest.mark.parametrize(
    "send",
    [
        {},
        {"HttpPutResponseHopLimit": 2, "HttpEndpoint": "enabled"},
        {"HttpTokens": "required", "HttpEndpoint": "enabled"},
        {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "HttpEndpoint": "enabled"},
        {"HttpEndpoint": "disabled", "InstanceMetadataTags": "disabled"},
        {"InstanceMetadataTags": "disabled"},
    ],
)
def test_only_tokens_and_hop_limit_may_travel_together(send):
    """Sending HttpEndpoint re-opens IMDS on an instance that has it off (domain.md 13, case 1)."""
    with pytest.raises(ValueError, match="only"):
        modify_metadata_options(Edge(limits=Limits()), Target("1"), "us-east-1", "i-1", send)


@pytest.mark.parametrize("endpoint", ["disabled", "enabled"])
def test_the_endpoint_travels_alone_and_exactly_as_given(monkeypatch, endpoint):
    """Switching IMDS off, and putting just that back: what is not sent keeps its value (EC2 API)."""
    asked: list[dict[str, object]] = []

    def ask(*_: object, **sent: object) -> dict[str, object]:
        asked.append(sent)
        return {}

    monkeypatch.setattr(Edge, "ask", ask)

    modify_metadata_options(Edge(limits=Limits()), Target("1"), "us-east-1", "i-1", {"HttpEndpoint": endpoint})

    assert asked == [{"once": True, "InstanceId": "i-1", "HttpEndpoint": endpoint}]


def test_no_reader_module_calls_anything_that_writes():
    for path in AWS.glob("*.py"):
        called = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert not [name for name in called if name.startswith(WRITES)], path.name


def test_no_client_asks_again_by_itself():
    """Asking again is `Edge.ask`'s, which never does it with a write."""
    assert Edge(limits=Limits(attempts=8))._config("ec2").retries == {"mode": "standard", "total_max_attempts": 1}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("imdsdash-run-7-adam", "imdsdash-run-7-adam"),
        ("imdsdash-run-7-ada müller", "imdsdash-run-7-ada-m-ller"),
        ("x", "x-"),
        ("y" * 80, "y" * 64),
    ],
)
def test_a_session_name_is_what_sts_takes(text, name):
    """RoleSessionName: 2-64 of `[\\w+=,.@-]` (domain.md 11)."""
    assert sessions.session_name(text) == name
