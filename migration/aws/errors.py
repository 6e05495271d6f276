"""What can go wrong at the edge, in our own words. Nothing of botocore leaves this package.

`permanent` says that asking again will not help; `answered` says that AWS itself refused, so nothing was done;
without an answer a write may have happened.
"""

from botocore import exceptions as botocore
from botocore.parsers import ResponseParserError

THROTTLE_CODES = frozenset(
    {
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestThrottled",
        "BandwidthLimitExceeded",
        "SlowDown",
    }
)
DENIED_CODES = frozenset(
    {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation"}
)
CREDENTIAL_CODES = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidAccessKeyId"}
)
# EC2 answers a key it cannot validate and a Region that is not enabled with the same code.
REGION_CODES = frozenset({"AuthFailure", "OptInRequired", "RegionDisabledException"})
EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
# The last is Auto Scaling's: the group cannot be updated while it scales (UpdateAutoScalingGroup, Errors).
PASSING_CODES = frozenset(
    {"InternalError", "InternalFailure", "Unavailable", "ServiceUnavailable", "ScalingActivityInProgress"}
)


class AwsError(Exception):
    """Any failure at the edge; the message is a sentence with AWS's own words in it."""

    gap = "error"
    permanent = True
    answered = True

    def __init__(self, message: str, *, code: str = "", operation: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.operation = operation
        self.request_id = request_id


class Refused(AwsError):
    """AWS said no for a reason of its own (state, parameter, enforcement): asking again will not help."""


class Denied(AwsError):
    """IAM or an SCP said no."""

    gap = "denied"


class NoCredentials(AwsError):
    """There are no credentials, or AWS does not know them."""

    gap = "denied"
    answered = False


class RegionDisabled(AwsError):
    gap = "region_disabled"


class WrongAccount(AwsError):
    """The credentials work, and belong to another account than the one that was meant."""

    gap = "wrong_account"


class Throttled(AwsError):
    gap = "throttled"
    permanent = False


class Passing(AwsError):
    """AWS's own trouble, or an expired session: asking again may help."""

    permanent = False


class Unreachable(AwsError):
    """No answer: unreachable, hung or cut off. A write may or may not have happened."""

    gap = "unreachable"
    permanent = False
    answered = False


def translate(error: Exception, *, operation: str, place: str) -> AwsError:
    """A botocore exception as one of ours. `place` says whom and where was asked, for the sentence."""
    if isinstance(error, AwsError):
        return error
    if isinstance(error, botocore.ClientError):
        return _answered(error, operation=operation, place=place)
    if isinstance(error, botocore.NoCredentialsError | botocore.PartialCredentialsError):
        return NoCredentials(
            "No AWS credentials were found. Set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run "
            "where a role is attached.",
            operation=operation,
        )
    if isinstance(error, botocore.ProfileNotFound | botocore.CredentialRetrievalError | botocore.TokenRetrievalError):
        return NoCredentials(f"The AWS credentials cannot be used: {error}", operation=operation)
    if isinstance(error, botocore.SSLError):
        return Unreachable(f"{operation} in {place}: the TLS connection failed: {error}", operation=operation)
    if isinstance(error, botocore.HTTPClientError | botocore.EndpointConnectionError | botocore.ConnectionError):
        return Unreachable(f"{operation} in {place} got no answer: {error}", operation=operation)
    if isinstance(error, ResponseParserError):
        return Unreachable(f"{operation} in {place} got an answer that is not AWS's: {error}", operation=operation)
    if isinstance(error, botocore.BotoCoreError | ValueError):
        return Refused(f"{operation} in {place} could not be sent: {error}", operation=operation)
    raise error


def _answered(error: botocore.ClientError, *, operation: str, place: str) -> AwsError:
    told = error.response.get("Error", {})
    code, message = str(told.get("Code", "")), str(told.get("Message", ""))
    meta = error.response.get("ResponseMetadata", {})
    request_id = str(meta.get("RequestId", ""))
    sentence = f"{operation} in {place}: {code}: {message}"
    kind: type[AwsError] = Refused
    if code in THROTTLE_CODES:
        kind = Throttled
    elif code in DENIED_CODES:
        kind = Denied
    elif code in CREDENTIAL_CODES:
        kind = NoCredentials
    elif code in REGION_CODES:
        kind = RegionDisabled
    elif code in EXPIRED_CODES or code in PASSING_CODES or int(meta.get("HTTPStatusCode", 0)) >= 500:  # noqa: PLR2004
        kind = Passing
    return kind(sentence, code=code, operation=operation, request_id=request_id)
