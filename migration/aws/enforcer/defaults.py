from collections.abc import Mapping
from typing import Any

from migration.aws.enforcer.sending import only, request_id
from migration.aws.sessions import Edge, Target
from migration.domain.ladder import ENFORCED, HOP_LIMIT, TOKENS

ALLOWED = frozenset({TOKENS, HOP_LIMIT, ENFORCED})


def modify_defaults(
    edge: Edge, target: Target, region: str, named: str, send: Mapping[str, Any], *, trial: bool = False
) -> str:
    """Set what new launches in the Region get, or whether they are enforced. Returns the request id.

    What is left out keeps its value; `no-preference` and -1 take it away (EC2 API, ModifyInstanceMetadataDefaults), so
    null is refused here, as are HttpEndpoint and InstanceMetadataTags, which are not ours. `named` must be the Region
    that is asked. Sent again it changes nothing. `trial`: DryRun. Raises AwsError and ValueError.
    """
    only(send, ALLOWED)
    if named != region or None in send.values():
        raise ValueError(f"{dict(send)} for {named} may not be sent in {region}")
    answer = edge.ask(
        target,
        "ec2",
        region,
        "modify_instance_metadata_defaults",
        once=True,
        **({"DryRun": True} if trial else {}),
        **send,
    )
    return request_id(answer)
