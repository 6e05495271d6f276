"""A member account with a template, groups, AMIs and defaults, and an edge that reads and writes them."""

from functools import cache
from typing import Any

from migration.aws.enforcer import WRITERS
from migration.aws.ladder import READERS, Mark
from migration.aws.pace import Pace
from migration.aws.sessions import Edge, Limits, Target
from migration.domain import ladder
from tests import fleets

REGION = "us-east-1"
DISK = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-1", "VolumeSize": 30, "VolumeType": "gp3"}}
TOKEN = "imdsdash-change-7"
SPEC = {"LaunchTemplateId": "lt-1", "LaunchTemplateName": "web", "Version": "1"}
SCRATCH = {"DeviceName": "/dev/xvdb", "Ebs": {"VolumeSize": 8}}


def fleet(**member: Any) -> dict[str, Any]:
    return fleets.pair(
        {"name": "a", **fleets.QUIET},
        **{
            "images": [{"name": "plain"}, {"name": "theirs", "owner": "137112412989"}],
            "launch_templates": [
                {"name": "web", "versions": [{"ami": "plain"}, {"ami": "plain", "hop_limit": 3}]},
                {"name": "other", "versions": [{"ami": "plain"}]},
                {"name": "eks", "versions": [{"ami": "plain"}], "managed": "eks.amazonaws.com"},
            ],
            "auto_scaling_groups": [
                {"name": "one", "launch_template": "web:1"},
                {"name": "mixed", "launch_template": "web:1", "overrides": [{"instance_type": "m5.large"}]},
                {"name": "eks", "launch_template": "eks", "managed": "eks.amazonaws.com"},
            ],
            **member,
        },
    )


@cache
def edge() -> Edge:
    """One for a test: `edge.cache_clear()` after it, for the next test has another pretend AWS."""
    return Edge(limits=Limits(connect_timeout=2, read_timeout=5, attempts=4), pace=Pace(sleep=lambda _: None))


def target(role: str) -> Target:
    return Target(fleets.MEMBER, f"arn:aws:iam::{fleets.MEMBER}:role/imdsdash-{role}", fleets.EXTERNAL_ID, "run-7")


READER, ENFORCER = target("reader"), target("enforcer")


class Scripted:
    """An edge that gives these answers, one after the other, and keeps what it was asked."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def ask(self, *words: object, **params: Any):
        self.asked.append({"operation": words[-1], **params})
        return self.answers.pop(0)


def write(kind, resource_id, before, send, token=TOKEN, *, by=None):
    return WRITERS[kind](by or edge(), ENFORCER, REGION, resource_id, before, send, token)


def read(kind, resource_id, *, source=1, token=TOKEN):
    return READERS[kind](edge(), READER, REGION, [resource_id], {resource_id: Mark(source, token)})[resource_id]


def group_change(sandbox, name="mixed", version="2"):
    """A change as it is planned: what was read, and the same with another version."""
    before = read(ladder.GROUP, name).state
    after = ladder.with_version(ladder.GROUP, waiting(before), int(version))
    return ladder.GROUP, name, before, after


def waiting(value):
    """The same, with every version still to be made."""
    if isinstance(value, dict):
        made = {key: waiting(inner) for key, inner in value.items()}
        if "LaunchTemplateId" in made:
            made["Version"] = {ladder.MADE_BY: made["LaunchTemplateId"]}
        return made
    return [waiting(inner) for inner in value] if isinstance(value, list) else value


def member(sandbox: Any) -> Any:
    """What the member account has in the Region, in the pretend AWS's own store."""
    return sandbox.world.accounts[fleets.MEMBER].regions[REGION]


def template(sandbox: Any, name: str = "web") -> Any:
    return member(sandbox).template_named(name)


def image(sandbox: Any, name: str) -> str:
    return next(one.image_id for one in member(sandbox).images.values() if one.name == name)
