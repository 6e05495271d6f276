"""Terraform, as `terraform fmt` would have it."""

import json
import re
from collections.abc import Iterable

from migration.domain.policies.wanted import Wanted

PROVIDER = """\
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}
"""
YOURS = "# The block metadata_options belongs into the resource you have; the other lines stand for yours.\n"


def defaults(wanted: Wanted) -> str:
    """Each Region by a provider of its own: the resource speaks for the Region of its provider."""
    return "\n".join([PROVIDER, *(_default(region, wanted) for region in wanted.regions or (wanted.region,))])


def _default(region: str, wanted: Wanted) -> str:
    alias = label(region)
    return "\n".join(
        (
            'provider "aws" {',
            *_aligned({"alias": _quoted(alias), "region": _quoted(region)}, indent=2),
            "}",
            "",
            f'resource "aws_ec2_instance_metadata_defaults" "{alias}" {{',
            f"  provider = aws.{alias}",
            "",
            *_aligned(_options(wanted), indent=2),
            "}",
            "",
        )
    )


def template(wanted: Wanted) -> str:
    name = wanted.name or "web"
    return "\n".join(
        (
            YOURS,
            f'resource "aws_launch_template" "{label(name)}" {{',
            *_aligned({"name": _quoted(name), "update_default_version": "true"}, indent=2),
            "",
            *_block(wanted),
            "}",
            "",
        )
    )


def instance(wanted: Wanted) -> str:
    variables = "".join(f'variable "{name}" {{\n  type = string\n}}\n\n' for name in ("ami", "instance_type"))
    return "\n".join(
        (
            YOURS,
            f'{variables}resource "aws_instance" "{label(wanted.name or "web")}" {{',
            *_aligned({"ami": "var.ami", "instance_type": "var.instance_type"}, indent=2),
            "",
            *_block(wanted),
            "}",
            "",
        )
    )


def label(name: str) -> str:
    """A name as Terraform takes one for a resource."""
    made = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return made if made[:1].isalpha() else f"_{made}"


def _block(wanted: Wanted) -> Iterable[str]:
    """No http_endpoint: IMDS that is off stays off."""
    return ("  metadata_options {", *_aligned(_options(wanted), indent=4), "  }")


def _options(wanted: Wanted) -> dict[str, str]:
    options = {"http_tokens": _quoted(wanted.tokens)}
    if wanted.hop_limit is not None:
        options["http_put_response_hop_limit"] = str(wanted.hop_limit)
    return options


def _aligned(pairs: dict[str, str], *, indent: int) -> Iterable[str]:
    width = max(len(name) for name in pairs)
    return [f"{' ' * indent}{name:{width}} = {value}" for name, value in pairs.items()]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
