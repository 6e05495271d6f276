"""Every list of launch sources is read until its token is null, a page that is empty included."""

from typing import Any

import pytest

from migration.aws import autoscaling, ec2
from migration.aws.sessions import Target

TARGET = Target("111122223333")
TEMPLATE = {"LaunchTemplateId": "lt-1", "DefaultVersionNumber": 1, "LatestVersionNumber": 1}
VERSION = {"LaunchTemplateId": "lt-1", "VersionNumber": 1}
READERS = {
    "groups": (lambda edge: autoscaling.groups(edge, TARGET, "r"), "AutoScalingGroups", {"AutoScalingGroupName": "g"}),
    "configurations": (
        lambda edge: autoscaling.launch_configurations(edge, TARGET, "r"),
        "LaunchConfigurations",
        {"LaunchConfigurationName": "c"},
    ),
    "templates": (lambda edge: ec2.launch_templates(edge, TARGET, "r"), "LaunchTemplates", TEMPLATE),
    "versions": (lambda edge: ec2.current_versions(edge, TARGET, "r"), "LaunchTemplateVersions", VERSION),
    "numbered": (
        lambda edge: [ec2.numbered_versions(edge, TARGET, "r", "lt-1", [1])],
        "LaunchTemplateVersions",
        VERSION,
    ),
    "spot": (
        lambda edge: ec2.spot_requests(edge, TARGET, "r"),
        "SpotInstanceRequests",
        {"SpotInstanceRequestId": "s", "Type": "persistent", "State": "open"},
    ),
    "images": (lambda edge: [ec2.images(edge, TARGET, "r", ["ami-1"])], "Images", {"ImageId": "ami-1"}),
}


class Scripted:
    """An edge that gives an empty page with a token, then a page with one member."""

    def __init__(self, key: str, member: Any) -> None:
        self.pages = [{key: [], "NextToken": "next"}, {key: [member]}]
        self.asked: list[object] = []

    def ask(self, *_: object, **params: object):
        self.asked.append(params.get("NextToken"))
        return self.pages[len(self.asked) - 1]


@pytest.mark.parametrize("name", READERS)
def test_an_empty_page_with_a_token_is_not_the_end(name):
    read, key, member = READERS[name]
    edge = Scripted(key, member)

    facts = [fact for page in read(edge) for fact in page]

    assert (len(facts), edge.asked) == (1, [None, "next"])


def test_no_ami_to_ask_about_is_no_call():
    edge = Scripted("Images", {})

    assert ec2.images(edge, TARGET, "r", []) == []  # type: ignore[arg-type]
    assert edge.asked == []
