from collections.abc import Mapping
from typing import Any

from migration.aws.enforcer.sending import request_id
from migration.aws.sessions import Edge, Target

SUPPORT = {"ImdsSupport": "v2.0"}  # the one value there is


def require_by_image(
    edge: Edge, target: Target, region: str, image_id: str, send: Mapping[str, Any], *, trial: bool = False
) -> str:
    """Flag an AMI with ImdsSupport v2.0, which can never be taken back. Returns the request id.

    Sent again it changes nothing. `trial`: DryRun. Raises AwsError; ValueError for anything else.
    """
    if dict(send) != SUPPORT:
        raise ValueError(f"only {SUPPORT} may be sent, not {dict(send)}")
    answer = edge.ask(
        target,
        "ec2",
        region,
        "modify_image_attribute",
        once=True,
        ImageId=image_id,
        ImdsSupport={"Value": SUPPORT["ImdsSupport"]},
        **({"DryRun": True} if trial else {}),
    )
    return request_id(answer)
