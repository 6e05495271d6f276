"""Hints of containers: by tags, AMI names and user data."""

import pytest

from migration.domain.containers import Hint, hints, keeps, needed, of_text

CASES = {
    "EKS": ({"kubernetes.io/cluster/prod": "owned"}, "", {"Kubernetes"}, 2),
    "a managed node group": ({"eks:cluster-name": "prod"}, "", {"Kubernetes"}, 2),
    "Karpenter": ({"karpenter.sh/nodepool": "default"}, "", {"Kubernetes"}, 2),
    "ECS": ({"aws:ecs:clusterName": "web"}, "", {"ECS"}, 2),
    "Batch": ({"AWSBatchServiceTag": "batch"}, "", {"AWS Batch"}, 2),
    "an ECS AMI": ({}, "amzn2-ami-ecs-hvm-2.0.2026", {"ECS"}, 2),
    "an EKS AMI": ({}, "amazon-eks-node-al2023-x86_64-standard-1.31", {"Kubernetes"}, 2),
    "Bottlerocket": ({}, "bottlerocket-aws-k8s-1.31-x86_64", {"Kubernetes"}, 2),
    "an AMI with Docker": ({}, "acme-docker-2026", {"containers"}, 2),
    "an overlay network": ({"kubernetes.io/cluster/prod": "owned", "Name": "x"}, "k8s-flannel-node", {"Kubernetes"}, 3),
    "nothing": ({"Name": "web", "Team": "shop"}, "al2023-ami-2023.9", set(), 0),
}


@pytest.mark.parametrize(("tags", "image", "runtimes", "hops"), CASES.values(), ids=CASES.keys())
def test_each_hint_names_its_runtime_and_its_hops(tags, image, runtimes, hops):
    found = hints(tags=tags, image_name=image)

    assert {hint.runtime for hint in found} == runtimes
    assert needed(found) == hops


@pytest.mark.parametrize(
    ("text", "runtime", "hops"),
    [
        ("/etc/eks/bootstrap.sh prod", "Kubernetes", 2),
        ("echo ECS_CLUSTER=web >> /etc/ecs/ecs.config", "ECS", 2),
        ("docker run -d app", "containers", 2),
        ("docker swarm join --token x", "containers", 3),
    ],
)
def test_user_data_hints_too(text, runtime, hops):
    assert of_text(text) == (Hint(runtime, "its user data", hops),)


@pytest.mark.parametrize("key", ["kubernetes.io/cluster/prod", "aws:cloudformation:stack-name", "eks:cluster-name"])
def test_tags_that_services_set_are_kept(key):
    assert keeps(key)
    assert not keeps("CostCenter")
