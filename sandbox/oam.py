"""CloudWatch cross-account observability: the sink of a monitoring account and the links of its source accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox import ids
from sandbox.calls import Call, operation
from sandbox.errors import AwsError
from sandbox.paging import paged

if TYPE_CHECKING:
    from sandbox.world import Monitoring

_SINKS_PAGE: Final = 100
_LINKS_PAGE: Final = 1000


@operation("oam", "ListSinks")
def list_sinks(call: Call) -> dict[str, Any]:
    """The one sink of a monitoring account in a Region; elsewhere there is none."""
    monitoring = call.world.monitoring
    sinks = [_sink(call, monitoring)] if monitoring and monitoring.has_sink(call.account, call.request.region) else []
    page, token = paged(call, sinks, _SINKS_PAGE)
    return {"Items": page, "NextToken": token}


@operation("oam", "ListAttachedLinks")
def list_attached_links(call: Call) -> dict[str, Any]:
    """The links of the sink; the account a link comes from stands in its ARN."""
    monitoring = call.world.monitoring
    wanted = call.params.get("SinkIdentifier")
    if not wanted:
        raise AwsError("MissingRequiredParameterException", "SinkIdentifier is required.")
    here = monitoring and monitoring.has_sink(call.account, call.request.region)
    if not monitoring or not here or wanted != _sink(call, monitoring)["Arn"]:
        raise AwsError("ResourceNotFoundException", f"The sink {wanted} was not found.", 404)
    links = [
        {
            "Label": call.world.accounts[source].name,
            "LinkArn": _arn(call, source, "link", monitoring.account_id),
            "ResourceTypes": ["AWS::CloudWatch::Metric"],
        }
        for source in monitoring.sources
        if monitoring.links(call.account, call.world.accounts[source], call.request.region)
    ]
    page, token = paged(call, links, _LINKS_PAGE)
    return {"Items": page, "NextToken": token}


def _sink(call: Call, monitoring: Monitoring) -> dict[str, Any]:
    arn = _arn(call, monitoring.account_id, "sink", monitoring.account_id)
    return {"Arn": arn, "Id": arn.rpartition("/")[2], "Name": "organization"}


def _arn(call: Call, owner: str, kind: str, monitoring: str) -> str:
    region = call.region
    return (
        f"arn:{region.partition}:oam:{region.name}:{owner}:{kind}/{ids.uuid_of(kind, owner, monitoring, region.name)}"
    )
