"""The organization as its accounts see it."""

import pytest

from migration.aws import organizations
from migration.aws.errors import Denied, Refused
from migration.aws.pace import Pace
from migration.aws.sessions import Edge, Limits, Target
from migration.domain.accounts import AccountFact
from tests import fleets


def read() -> organizations.Discovery:
    edge = Edge(limits=Limits(attempts=1), pace=Pace(sleep=lambda _: None))
    return organizations.read(edge, edge.ambient())


def many(count: int, **settings) -> dict:
    fleet = fleets.pair()
    fleet["settings"] |= settings
    fleet["accounts"] += [{"id": f"{n:012d}", "name": f"more-{n}"} for n in range(1, count - 2)]
    return fleet


def test_accounts_are_asked_for_twenty_at_a_time(aws):
    sandbox = aws(many(45))

    found = read()

    assert len(found.accounts) == 45
    asked = sandbox.calls(operation="ListAccounts")
    assert [call["params"]["MaxResults"] for call in asked] == ["20", "20", "20"]


def test_an_empty_page_with_a_token_is_not_the_end(aws):
    sandbox = aws(many(25, empty_pages=True))

    assert len(read().accounts) == 25
    assert len(sandbox.calls(operation="ListAccounts")) == 4


def test_an_account_is_told_with_its_units_owner_and_state(aws):
    fleet = fleets.pair(ou="Root/Payments/Prod", tags={"Owner": "Ada", "CONTACT": "ada@example.com"})
    fleet["accounts"][2]["state"] = "CLOSED"
    aws(fleet)

    found = {fact.account_id: fact for fact in read().accounts}

    assert found == {
        fleets.CENTRAL: AccountFact(fleets.CENTRAL, "central", "ACTIVE", "aws", "", True, "", ""),
        fleets.MEMBER: AccountFact(
            fleets.MEMBER, "member", "ACTIVE", "aws", "Payments/Prod", False, "Ada", "ada@example.com"
        ),
        fleets.CLOSED: AccountFact(fleets.CLOSED, "closed", "CLOSED", "aws", "", False, None, None),
    }


def test_tags_that_are_refused_leave_the_owners_unknown_and_are_asked_for_once(aws):
    sandbox = aws(fleets.pair(), faults=[{"kind": "access_denied", "operation": "ListTagsForResource"}])

    found = read()

    assert {(fact.owner, fact.contact) for fact in found.accounts} == {(None, None)}
    assert found.note.startswith("The accounts' tags could not be read, so owners and contacts stay as they were. ")
    assert len(sandbox.calls(operation="ListTagsForResource")) == 1


def test_an_account_in_no_organization_is_told_how_to_go_on(aws):
    aws(fleets.alone())

    with pytest.raises(Refused, match=r"is in no AWS Organization.*`manage\.py accounts add --file FILE`\.$"):
        read()


def test_a_member_is_told_who_may_ask(aws):
    fleet = fleets.pair()
    fleet["organization"] = {"id": "o-exampleorgid", "management_account": fleets.MEMBER}
    aws(fleet)

    with pytest.raises(Denied) as caught:
        read()

    assert f"Run this in the management account {fleets.MEMBER}, or register the member" in str(caught.value)
    assert "AccessDeniedException" in str(caught.value)


def test_the_management_account_without_the_permission_is_told_which_policy_has_it(aws):
    aws(fleets.pair(), faults=[{"kind": "access_denied", "operation": "ListAccounts"}])

    with pytest.raises(Denied, match=r"permission is missing: deploy/central-policy\.json has it"):
        read()


GOV = "arn:aws-us-gov:organizations::111122223333"
# An organization of another partition, and an AWS that does not tell everything.
SPARSE = {
    "describe_organization": {
        "Organization": {"Id": "o-x", "MasterAccountId": "111122223333", "Arn": f"{GOV}:organization/o-x"}
    },
    "list_roots": {"Roots": [{"Id": "r-1"}]},
    "list_organizational_units_for_parent": {},
    "list_accounts": {
        "Accounts": [
            {"Id": "444455556666", "Arn": f"{GOV}:account/o-x/444455556666", "Status": "ACTIVE"},
            {"Id": "555566667777"},
        ]
    },
    "list_tags_for_resource": {},
}


def test_the_partition_is_that_of_the_arns_and_what_is_not_told_is_not_made_up(monkeypatch):
    monkeypatch.setattr(organizations, "_ask", lambda _edge, _target, operation, **_: SPARSE[operation])

    found = organizations.read(Edge(limits=Limits()), Target("111122223333"))

    assert found.organization == organizations.Organization("o-x", "111122223333", "aws-us-gov")
    assert [(fact.partition, fact.state, fact.ou_path) for fact in found.accounts] == [
        ("aws-us-gov", "ACTIVE", None),
        ("aws-us-gov", "", None),
    ]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("o-x/r-y/ou-1/ou-2/", "Prod/ou-2"),
        ("o-x/r-y/ou-1/111122223333/", "Prod"),
        ("o-x/r-y/", ""),
    ],
)
def test_a_path_is_the_names_of_its_units(path, names):
    assert organizations.ou_path(path, "111122223333", {"ou-1": "Prod"}) == names
