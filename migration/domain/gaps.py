"""Why something could not be read: what each kind of gap means, what to do, and which of AWS's words say the same."""

import re
from collections.abc import Mapping

from migration.enums import GapKind

# What a person does about it. The kinds stand in the order they want a person: first what never mends itself.
ADVICE: Mapping[GapKind, str] = {
    GapKind.WRONG_ACCOUNT: "The role's ARN leads to another account. Nothing it said was believed: correct the ARN.",
    GapKind.DENIED: "The role may not make this call. Compare it with deploy/reader-role.json, and look for a service "
    "control policy on the account.",
    GapKind.REGION_DISABLED: "The Region is switched off in the account, or its key is not valid there yet. Leave it "
    "out with IMDSDASH_REGIONS, or switch it on.",
    GapKind.UNREACHABLE: "AWS did not answer in time. Look at the network, the proxy and AWS_ENDPOINT_URL; it is tried "
    "again by itself.",
    GapKind.ERROR: "AWS answered with an error that says nothing of rights or speed. Its words say what; it is tried "
    "again by itself.",
    GapKind.PARTIAL: "CloudWatch answered a part of what was asked. The hours it left out are unknown, not zero; the "
    "next pass asks again.",
    GapKind.THROTTLED: "Others call this API much in the same account and Region. It is tried again more slowly; if it "
    "stays, lower IMDSDASH_API_SHARE or lengthen the cadence.",
    GapKind.NONE: "A first reading that takes long is cut into slices. It goes on by itself, and what is read is not "
    "asked again.",
}
# What differs between two accounts or calls that say the same thing.
VARIES = re.compile(
    r"""
      \b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-zA-Z]{12}\b   # a request id
    | \b[a-z]+-[0-9a-f]{8,17}\b                            # i-0123456789abcdef0 and its like
    | \b[a-z]{2,4}(?:-[a-z]+)+-\d\b                        # a Region
    | \b\d+(?:\.\d+)*\b                                    # account numbers, counts, seconds
    """,
    re.VERBOSE,
)


def alike(words: str) -> str:
    """AWS's words without what names this account, Region, resource or request: the same for the same trouble."""
    return VARIES.sub("\u2026", words).strip()
