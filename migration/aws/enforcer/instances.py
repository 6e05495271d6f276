from collections.abc import Mapping
from typing import Any

from migration.aws.enforcer.sending import only, request_id
from migration.aws.sessions import Edge, Target

ALLOWED = frozenset({"HttpTokens", "HttpPutResponseHopLimit"})
ALONE = frozenset({"HttpEndpoint"})  # only by itself: a plan that switches IMDS off, or puts just that back


def modify_metadata_options(
    edge: Edge, target: Target, region: str, instance_id: str, send: Mapping[str, Any], *, trial: bool = False
) -> str:
    """Send exactly the given options for one instance, once. Returns AWS's request id.

    An omitted option keeps its present value (EC2 API, ModifyInstanceMetadataOptions). HttpEndpoint is refused beside
    anything else: sending it along would re-open IMDS on an instance that has it off. `trial`: DryRun. Raises AwsError,
    and ValueError for an option that must not travel.
    """
    only(send, ALONE if set(send) == ALONE else ALLOWED)
    answer = edge.ask(
        target,
        "ec2",
        region,
        "modify_instance_metadata_options",
        once=True,
        InstanceId=instance_id,
        **({"DryRun": True} if trial else {}),
        **send,
    )
    return request_id(answer)
