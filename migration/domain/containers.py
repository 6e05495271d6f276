"""Are containers to be expected on an instance? Hints, in words; never a proof that there are none. Pure.

Into a container is one hop more, so a token's answer with hop limit 1 does not arrive (EC2 User Guide, instance
metadata retrieval). Overlay networks and Docker in Docker take one more still (domain.md 8.3).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PLAIN, OVERLAY = 2, 3

# Tag keys that AWS's services and the well-known tools set by themselves: kept with an instance whatever is configured.
PROVIDER_TAGS = (
    "aws:cloudformation:stack-name",
    "aws:ecs:clusterName",
    "aws:eks:cluster-name",
    "eks:cluster-name",
    "eks:nodegroup-name",
    "AmazonECSManaged",
    "aws:elasticmapreduce:job-flow-id",
    "elasticbeanstalk:environment-name",
    "parallelcluster:cluster-name",
    "AWSBatchServiceTag",
    "karpenter.sh/nodepool",
    "karpenter.sh/provisioner-name",
    "k8s.io/role/node",
    "ManagedBy",
    "managed_by",
    "managed-by",
    "terraform",
    "Terraform",
)
PROVIDER_PREFIXES = ("kubernetes.io/cluster/", "aws:batch:", "terraform-")

TAGS = (
    (re.compile(r"^(?:kubernetes\.io/cluster/|k8s\.io/|eks:|aws:eks:|karpenter\.sh/)"), "Kubernetes"),
    (re.compile(r"^(?:aws:ecs:|AmazonECSManaged$)"), "ECS"),
    (re.compile(r"^(?:aws:batch:|AWSBatchServiceTag$)"), "AWS Batch"),
)
IMAGES = (
    (re.compile(r"(?i)\beks[-_]node|amazon-eks-|(?:^|[-_])k8s|kubernetes|\bkops\b|bottlerocket-aws-k8s"), "Kubernetes"),
    (re.compile(r"(?i)-ecs-|ecs-optimized|bottlerocket-aws-ecs"), "ECS"),
    (re.compile(r"(?i)docker|containerd|\bnomad\b|flatcar|coreos"), "containers"),
)
TEXTS = (
    (re.compile(r"/etc/eks/bootstrap\.sh|\bnodeadm\b|\bkubelet\b|\bkubeadm\b|\bk3s\b"), "Kubernetes"),
    (re.compile(r"\bECS_CLUSTER\b|/etc/ecs/ecs\.config"), "ECS"),
    (
        re.compile(r"\bdocker(?:-compose)?\s+(?:run|compose|swarm|pull|stack)\b|\bpodman\s+run\b|\bnomad\s+agent\b"),
        "containers",
    ),
)
OVERLAYS = re.compile(r"(?i)\bswarm\b|\bweave\b|\bflannel\b|\bcilium\b|\bcalico\b|\bdind\b|docker:.*dind|\boverlay\b")


@dataclass(frozen=True, slots=True)
class Hint:
    """One reason to expect containers."""

    runtime: str
    words: str
    hops: int = PLAIN


def hints(*, tags: Mapping[str, str], image_name: str = "", seen: Iterable[Hint] = ()) -> tuple[Hint, ...]:
    """From the instance's tags, its AMI's name, and what its user data showed (`of_text`)."""
    found = [
        Hint(runtime, f"tag {key}", _hops(f"{key} {tags[key]}"))
        for key in sorted(tags)
        for pattern, runtime in TAGS
        if pattern.search(key)
    ]
    found += [
        Hint(runtime, f"AMI {image_name}", _hops(image_name))
        for pattern, runtime in IMAGES
        if pattern.search(image_name)
    ]
    return (*found, *seen)


def of_text(text: str) -> tuple[Hint, ...]:
    """What user data says of containers."""
    return tuple(Hint(runtime, "its user data", _hops(text)) for pattern, runtime in TEXTS if pattern.search(text))


def _hops(text: str) -> int:
    return OVERLAY if OVERLAYS.search(text) else PLAIN


def needed(found: Iterable[Hint]) -> int:
    """The hop limit that its containers need; 0 where none are expected."""
    return max((hint.hops for hint in found), default=0)


def keeps(key: str) -> bool:
    """Is this tag kept with an instance, whatever is configured?"""
    return key in PROVIDER_TAGS or key.startswith(PROVIDER_PREFIXES)
