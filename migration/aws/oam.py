"""Cross-account observability (OAM): whose metrics a monitoring account may read."""

from collections.abc import Iterator
from typing import Any

from migration.aws.sessions import Edge, Target

METRICS = "AWS::CloudWatch::Metric"  # of the kinds of data that a link may share
PAGE = 1000  # the most ListAttachedLinks gives


def sources(edge: Edge, target: Target, region: str) -> set[str]:
    """The ids of the accounts that let the target account read their metrics in the Region.

    An account has one sink in a Region or none, and each link to it is another account's, which only the link's ARN
    names (OAM API). A link may be narrowed to some namespaces, and the list does not say to which. Raises AwsError.
    """
    return {
        link["LinkArn"].split(":")[4]
        for sink in _all(edge, target, region, "list_sinks")
        for link in _all(edge, target, region, "list_attached_links", SinkIdentifier=sink["Arn"], MaxResults=PAGE)
        if METRICS in link.get("ResourceTypes", ())
    }


def _all(edge: Edge, target: Target, region: str, operation: str, **params: Any) -> Iterator[dict[str, Any]]:
    """The items of every page: only a missing token ends a list."""
    more: dict[str, Any] = {}
    while True:
        answer = edge.ask(target, "oam", region, operation, **params, **more)
        yield from answer.get("Items", ())
        token = answer.get("NextToken")
        if not token:
            return
        more = {"NextToken": token}
