"""Why a change failed, and what to do, in words: by AWS's error code or by our own word for it. Pure.

Codes: domain.md 9, from the EC2 API's list of error codes and the user guide's troubleshooting of IMDS.
"""

from collections.abc import Mapping

ADVICE: Mapping[str, str] = {
    # AWS's
    "UnauthorizedOperation": (
        "The enforcer role, an SCP or a declarative policy forbids it. Compare the role with deploy/, then plan anew."
    ),
    "AccessDenied": "The enforcer role could not be entered or may not do it. Test the role, then plan anew.",
    "AuthFailure": "AWS does not accept the credentials for this account or Region. Is the Region enabled there?",
    "OptInRequired": "The Region is not enabled in this account.",
    "UnsupportedOperation": (
        "AWS refuses this state: HttpTokensEnforced is on here, so HttpTokens=optional cannot be set. Lift it first."
    ),
    "IncorrectInstanceState": "The instance is starting, stopping or ending. Plan anew once it runs or is stopped.",
    "IncorrectState": "The resource is in a state that takes no change. Plan anew once it has settled.",
    "InvalidInstanceID.NotFound": "AWS no longer knows this instance: it has ended. Nothing is to be done.",
    "OperationNotPermitted": "A service of AWS keeps this resource; change it through that service.",
    "UnsupportedInstanceAttribute": "This type of instance does not take the option.",
    "InvalidParameterValue": "AWS does not take the value that was sent. Nothing was changed.",
    "InvalidParameterCombination": "AWS does not take these values together. Nothing was changed.",
    "IdempotentParameterMismatch": "An earlier attempt with other values bears this mark. Look at the template.",
    "Blocked": "AWS has blocked this account. Ask AWS support.",
    "PendingVerification": "AWS is still verifying this account. Try again in some hours.",
    # ours
    "attempts": "Its worker died each time. Look at the worker's log, then plan anew.",
    "writes": "Two calls went out and neither was answered. Look at the resource in AWS before anything else.",
    "unsettled": "AWS did not show an end state in time. Look at the resource in AWS.",
    "unknown_outcome": "The answer was lost, and AWS shows something else by now. Look at the resource in AWS.",
    "disturbed": "It was done, and another field moved at the same time: somebody else changes this resource too.",
    "not_in_plan": "The stored change is not the approved one. Somebody changed the database; verify the audit log.",
    "refused_here": "imdsdash's own door refuses to send it. Please report this.",
}
OTHER = "See AWS's own words above; nothing of it was changed unless they say so."


def advice(error_class: str) -> str:
    """What to do about a failed change; "" for one that has not failed."""
    return ADVICE.get(error_class, OTHER) if error_class else ""
