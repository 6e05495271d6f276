"""AMIs and their ImdsSupport flag, which can be set and never cleared."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from sandbox import ids
from sandbox.calls import Call, operation
from sandbox.errors import AwsError, bad_value
from sandbox.paging import paged
from sandbox.protocol import iso
from sandbox.world import Image

_PAGE = 1000


def _find(call: Call, image_id: str) -> Image:
    image = call.region.images.get(image_id)
    if image is None or image.hidden:
        raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    return image


def _support(value: object) -> str | None:
    if value is not None and value != "v2.0":
        raise bad_value(value, "ImdsSupport")
    return "v2.0" if value else None


@operation("ec2", "RegisterImage", writes=True)
def register_image(call: Call) -> dict[str, Any]:
    """A new AMI, with ImdsSupport=v2.0 if so asked."""
    support = _support(call.params.get("ImdsSupport"))
    call.stop_if_dry_run()
    image = Image(f"ami-{ids.request_id().replace('-', '')[:17]}", call.params.get("Name", ""), call.region.account_id)
    image.imds_support, image.created_at = support, call.now
    call.region.images[image.image_id] = image
    call.applied = True
    return {"ImageId": image.image_id}


@operation("ec2", "DeregisterImage", writes=True)
def deregister_image(call: Call) -> dict[str, Any]:
    """Gone."""
    image = _find(call, call.params.get("ImageId", ""))
    call.stop_if_dry_run()
    del call.region.images[image.image_id]
    call.applied = True
    return {"Return": True}


@operation("ec2", "ModifyImageAttribute", writes=True)
def modify_image_attribute(call: Call) -> dict[str, Any]:
    """ImdsSupport only; the way back does not exist."""
    image = _find(call, call.params.get("ImageId", ""))
    wanted = call.params.get("ImdsSupport", {}).get("Value")
    if wanted is None:
        raise AwsError("UnsupportedOperation", "The sandbox modifies no image attribute but imdsSupport.")
    support = _support(wanted)
    if image.owner_id != call.region.account_id:
        raise AwsError("AuthFailure", f"Not authorized for image:{image.image_id}", 403)
    call.stop_if_dry_run()
    image.imds_support = support
    call.applied = True
    return {}


@operation("ec2", "DescribeImageAttribute")
def describe_image_attribute(call: Call) -> dict[str, Any]:
    """ImdsSupport only."""
    image = _find(call, call.params.get("ImageId", ""))
    if call.params.get("Attribute") != "imdsSupport":
        raise AwsError("UnsupportedOperation", "The sandbox describes no image attribute but imdsSupport.")
    return {"ImageId": image.image_id, "ImdsSupport": {"Value": image.imds_support}}


@operation("ec2", "DescribeImages")
def describe_images(call: Call) -> dict[str, Any]:
    """By ids, owners and the filters name, image-id and state. A deprecated one of another account is not shown by
    default, but by its id.
    """
    call.stop_if_dry_run()
    images = [_find(call, image_id) for image_id in call.params.get("ImageIds", [])] or [
        image
        for image in call.region.images.values()
        if not image.hidden
        and (not image.deprecated or call.params.get("IncludeDeprecated") or image.owner_id == call.region.account_id)
    ]
    owners = {call.region.account_id if o == "self" else o for o in call.params.get("Owners", [])}
    if owners:
        images = [image for image in images if image.owner_id in owners]
    for each in call.params.get("Filters", []):
        images = [image for image in images if _passes(image, each)]
    page, token = paged(call, images, _PAGE)
    return {"Images": [_image(image) for image in page], "NextToken": token}


def _passes(image: Image, one: dict[str, Any]) -> bool:
    values = {"name": image.name, "image-id": image.image_id, "state": "available", "owner-id": image.owner_id}
    name = one.get("Name", "")
    if name not in values:
        raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return any(fnmatchcase(values[name], pattern) for pattern in one.get("Values", []))


def _image(image: Image) -> dict[str, Any]:
    return {
        "ImageId": image.image_id,
        "Name": image.name,
        "OwnerId": image.owner_id,
        "State": "available",
        "ImageType": "machine",
        "Architecture": "x86_64",
        "RootDeviceType": "ebs",
        "VirtualizationType": "hvm",
        "Platform": "windows" if image.platform == "windows" else None,
        "CreationDate": iso(image.created_at).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "ImdsSupport": image.imds_support,
    }
