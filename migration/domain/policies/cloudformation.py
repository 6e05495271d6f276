"""CloudFormation templates, as YAML."""

import json
import shlex
from collections.abc import Iterable

from migration.domain.policies.wanted import Wanted

YOURS = "# MetadataOptions belongs into the resource you have; the other lines stand for yours."


def template(wanted: Wanted) -> str:
    return _document(
        wanted,
        file="template.yaml",
        resource=(
            "  LaunchTemplate:",
            "    Type: AWS::EC2::LaunchTemplate",
            "    Properties:",
            f"      LaunchTemplateName: {json.dumps(wanted.name or 'web')}",
            "      LaunchTemplateData:",
            *_options(wanted, indent=8),
        ),
    )


def instance(wanted: Wanted) -> str:
    return _document(
        wanted,
        file="instance.yaml",
        parameters=(
            "Parameters:",
            "  ImageId:",
            "    Type: AWS::EC2::Image::Id",
            "  InstanceType:",
            "    Type: String",
        ),
        resource=(
            "  Instance:",
            "    Type: AWS::EC2::Instance",
            "    Properties:",
            "      ImageId: {Ref: ImageId}",
            "      InstanceType: {Ref: InstanceType}",
            *_options(wanted, indent=6),
        ),
    )


def _document(wanted: Wanted, *, file: str, resource: Iterable[str], parameters: Iterable[str] = ()) -> str:
    stack = shlex.quote(wanted.stack or "YOUR-STACK")
    return "\n".join(
        (
            YOURS,
            f"# aws cloudformation deploy --stack-name {stack} --template-file {file}",
            'AWSTemplateFormatVersion: "2010-09-09"',
            *parameters,
            "Resources:",
            *resource,
            "",
        )
    )


def _options(wanted: Wanted, *, indent: int) -> Iterable[str]:
    """No HttpEndpoint: IMDS that is off stays off."""
    lines = ["MetadataOptions:", f"  HttpTokens: {wanted.tokens}"]
    if wanted.hop_limit is not None:
        lines.append(f"  HttpPutResponseHopLimit: {wanted.hop_limit}")
    return [" " * indent + line for line in lines]
