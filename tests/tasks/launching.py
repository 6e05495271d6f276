"""Fleets with launch sources, for the tests of how these are read."""

from collections import Counter

from migration.enums import LaunchAnswer, LaunchSourceKind
from migration.models import LaunchSource
from tests import fleets

SAFE, V1, FAILS, UNKNOWN = LaunchAnswer.SAFE, LaunchAnswer.V1_ALLOWED, LaunchAnswer.FAILS, LaunchAnswer.UNKNOWN
PLAIN, GOLDEN = {"name": "plain"}, {"name": "golden", "imds_support": "v2.0"}
SECRET = "c2VjcmV0LXRoYXQtbm9ib2R5LW1heS1rZWVw"
LAUNCH_CALLS = (
    "DescribeAutoScalingGroups",
    "DescribeLaunchTemplates",
    "DescribeLaunchTemplateVersions",
    "DescribeLaunchConfigurations",
    "DescribeSpotInstanceRequests",
    "DescribeImages",
)


def template(*versions, name="web", **more):
    return {"name": name, "versions": list(versions), **more}


def group(name="web", **more):
    return {"name": name, **more}


def fleet(*instances, defaults=None, **more):
    """One account with two AMIs."""
    more.setdefault("images", [PLAIN, GOLDEN])
    return fleets.alone(*instances, regions={"us-east-1": {"defaults": defaults or {}}}, **more)


def source(kind: LaunchSourceKind, name: str) -> LaunchSource:
    return LaunchSource.objects.get(kind=kind, name=name, gone_at__isnull=True)


def the_group(name="web") -> LaunchSource:
    return source(LaunchSourceKind.GROUP, name)


def answers(one: LaunchSource) -> tuple[str, str]:
    return one.answer_now, one.answer_enforced


def launch_calls(sandbox) -> dict[str, int]:
    return dict(Counter(call["operation"] for call in sandbox.calls() if call["operation"] in LAUNCH_CALLS))
