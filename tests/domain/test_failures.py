"""Every class of failure has its words."""

import ast
from pathlib import Path

import pytest

from migration.domain.failures import ADVICE, OTHER, advice

HERE = Path(__file__).parent.parent.parent / "migration"


def test_a_change_that_has_not_failed_needs_no_advice():
    assert advice("") == ""


def test_an_unknown_code_points_to_what_aws_said():
    assert advice("SomethingNew") == OTHER


@pytest.mark.parametrize(
    "code",
    [
        "UnauthorizedOperation",
        "UnsupportedOperation",
        "IncorrectInstanceState",
        "OperationNotPermitted",
        "AccessDenied",
    ],
)
def test_the_codes_of_the_write_have_advice_of_their_own(code):
    assert advice(code) not in {"", OTHER}


def test_every_word_of_our_own_for_a_failure_has_advice():
    files = [HERE / "actions" / "enforcement.py", HERE / "actions" / "guards.py", *(HERE / "tasks").glob("*.py")]
    used = {
        keyword.value.value
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "error_class" and isinstance(keyword.value, ast.Constant)
    }

    assert used >= {"unknown_outcome", "unsettled", "refused_here"}
    assert used <= set(ADVICE)
