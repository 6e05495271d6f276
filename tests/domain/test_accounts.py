"""Lists of accounts: all of it, or every fault with its line."""

import pytest

from migration.domain import accounts
from migration.domain.accounts import AccountFact, BadList, Listed

READER = "arn:aws-us-gov:iam::111122223333:role/team/imdsdash-reader"
NO_ROLE = "is not the ARN of a role, such as arn:aws:iam::123456789012:role/imdsdash-reader"


def faults(text: str) -> list[str]:
    with pytest.raises(BadList) as caught:
        accounts.read_list(text)
    return caught.value.faults


@pytest.mark.parametrize(
    "text",
    [
        "111122223333\n444455556666\n",
        "# ours\n1111-2222-3333\r\n\r\n 4444 5555 6666 \n",
        "\ufeffaccount_id\n111122223333\n444455556666\n",
    ],
)
def test_plain_ids_one_a_line_are_a_list(text):
    assert accounts.read_list(text) == [Listed("111122223333"), Listed("444455556666")]


def test_columns_are_read_by_their_names_in_any_order():
    text = 'Owner,account_id,reader_role_arn,ou_path\n"Okafor, Ada",111122223333,' + READER + ",Root/Prod\n"

    (line,) = accounts.read_list(text)

    assert line == Listed("111122223333", owner="Okafor, Ada", reader_role_arn=READER, ou_path="Root/Prod")
    assert accounts.partition_said(line) == "aws-us-gov"


def test_a_line_may_end_early_and_may_end_in_commas():
    assert accounts.read_list("account_id,name\n111122223333\n444455556666,b,,\n") == [
        Listed("111122223333"),
        Listed("444455556666", name="b"),
    ]


def test_every_bad_line_is_named_with_its_number():
    text = (
        "account_id,name,partition,reader_role_arn,external_id\n"
        "111122223333,fine,,,\n"
        "12345678901,short,,,\n"
        '444455556666,"two\nlines",,,\n'
        f"555566667777,other,,{READER},x\n"
        "666677778888,china,cn-north-1,arn:aws:iam::666677778888:user/x,\n"
        "111122223333,again,,,\n"
        "777788889999,a,b,c,d,e\n"
    )

    assert faults(text) == [
        "line 3: '12345678901' is not an account id: it has 12 digits, this has 11 (spreadsheets drop leading zeros)",
        "line 4: name holds a control character",
        "line 6: reader_role_arn is of account 111122223333",
        "line 6: external_id has 2 to 1224 letters, digits or any of _+=,.@:/-",
        f"line 7: reader_role_arn 'arn:aws:iam::666677778888:user/x' {NO_ROLE}",
        "line 7: partition 'cn-north-1' does not look like aws, aws-cn or aws-us-gov",
        "line 8: 111122223333 already stands in line 2",
        "line 9: 6 values for 5 columns",
    ]


def test_roles_of_two_partitions_contradict_each_other():
    text = f"account_id,partition,reader_role_arn\n111122223333,aws,{READER}\n"

    assert faults(text) == ["line 2: its partitions differ: aws, aws-us-gov"]


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "account_id,name\n"])
def test_an_empty_list_is_refused(text):
    assert faults(text) == ["the list holds no account"]


def test_what_is_no_text_of_lines_is_refused():
    assert faults("account_id\n" + "x" * 200_000) == ["line 2: field larger than field limit (131072)"]


def test_a_header_that_is_not_ours_is_named():
    assert faults("account_id,nmae,name,name\n111122223333,a,b,c\n") == [
        f"line 1: no column is named nmae; there are {', '.join(accounts.COLUMNS)}",
        "line 1: the column name is there more than once",
    ]


def test_a_value_longer_than_its_column_is_refused():
    assert faults(f"account_id,name\n111122223333,{'x' * 129}\n") == ["line 2: name is longer than 128 characters"]


@pytest.mark.parametrize(
    ("state", "shut"),
    [
        ("ACTIVE", False),
        ("PENDING_CLOSURE", False),
        ("", False),
        ("A_WORD_OF_NEXT_YEAR", False),
        ("PENDING_ACTIVATION", True),
        ("SUSPENDED", True),
        ("CLOSED", True),
    ],
)
def test_an_account_that_waits_for_its_closure_still_runs_instances(state, shut):
    """PENDING_CLOSURE still works (domain.md 11)."""
    fact = AccountFact("111122223333", "a", state, "aws", "", management=False)

    assert fact.shut is shut


@pytest.mark.parametrize(("arn", "partition"), [("arn:aws-eusc:iam::1:role/x", "aws-eusc"), ("x", ""), ("", "")])
def test_a_partition_is_read_from_an_arn(arn, partition):
    assert accounts.partition_of(arn) == partition
