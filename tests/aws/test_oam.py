"""Whose metrics a monitoring account may read, Region by Region."""

import pytest

from migration.aws import oam
from migration.aws.errors import Denied, Unreachable
from migration.aws.pace import Pace
from migration.aws.sessions import Edge, Limits, Target
from tests import fleets

REGION = "us-east-1"


def organization(count: int, *, linked="all", **more) -> dict:
    """The central account watches `count` others, of which the first also uses eu-west-1."""
    ids = [f"{700_000_000_000 + number}" for number in range(count)]
    return {
        "monitoring": {"account": fleets.CENTRAL, "linked": linked, **more},
        "accounts": [
            {"id": fleets.CENTRAL, "regions": [REGION, "eu-west-1"]},
            {"id": ids[0], "regions": [REGION, "eu-west-1"]},
            *[{"id": one, "regions": [REGION]} for one in ids[1:]],
        ],
    }


def sources(region: str = REGION) -> set[str]:
    edge = Edge(limits=Limits(attempts=1, read_timeout=5), pace=Pace(sleep=lambda _: None))
    return oam.sources(edge, edge.ambient(), region)


def answers(monkeypatch, *links: dict, sinks: int = 1) -> set[str]:
    """The sources where OAM gives one page for each link."""
    pages = [{"Items": [link], "NextToken": "more"} for link in links] + [{"Items": []}]
    given = iter([{"Items": [], "NextToken": "more"}, {"Items": [{"Arn": "arn:sink"}] * sinks}, *pages])
    edge = Edge(limits=Limits())
    monkeypatch.setattr(edge, "ask", lambda *_, **__: next(given))
    return oam.sources(edge, Target(fleets.CENTRAL), REGION)


def link(account_id: str, *kinds: str) -> dict:
    return {"Label": "$AccountName", "LinkArn": f"arn:aws:oam:{REGION}:{account_id}:link/1", "ResourceTypes": kinds}


def test_the_linked_accounts_of_a_region_are_told(aws):
    sandbox = aws(organization(3, linked=["700000000000", "700000000001"]))

    assert sources() == {"700000000000", "700000000001"}
    assert sources("eu-west-1") == {"700000000000"}
    assert {call["region"] for call in sandbox.calls(service="oam")} == {REGION, "eu-west-1"}


def test_links_are_asked_for_a_thousand_at_a_time_and_every_page_counts(aws):
    sandbox = aws(organization(1050))

    assert len(sources()) == 1050
    assert [call["params"]["MaxResults"] for call in sandbox.calls(operation="ListAttachedLinks")] == ["1000", "1000"]


def test_where_there_is_no_sink_nobody_is_linked_and_no_link_is_asked_for(aws):
    sandbox = aws(organization(2, regions=["eu-west-1"]))

    assert sources() == set()
    assert not sandbox.calls(operation="ListAttachedLinks")


def test_a_link_that_shares_no_metrics_is_none(monkeypatch):
    found = answers(
        monkeypatch,
        link("700000000001", "AWS::Logs::LogGroup"),
        link("700000000002", "AWS::Logs::LogGroup", "AWS::CloudWatch::Metric"),
    )

    assert found == {"700000000002"}


def test_an_empty_page_with_a_token_is_not_the_end(monkeypatch):
    """`answers` begins with one; the sink comes on the second page."""
    assert answers(monkeypatch, link("700000000001", "AWS::CloudWatch::Metric")) == {"700000000001"}


@pytest.mark.parametrize("operation", ["ListSinks", "ListAttachedLinks"])
def test_a_refusal_is_told_as_one(aws, operation):
    aws(organization(1), faults=[{"kind": "access_denied", "operation": operation}])

    with pytest.raises(Denied, match=operation):
        sources()


def test_half_a_list_is_not_a_list(aws):
    aws(organization(1), faults=[{"kind": "truncate", "operation": "ListAttachedLinks"}])

    with pytest.raises(Unreachable):
        sources()
