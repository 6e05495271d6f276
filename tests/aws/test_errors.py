"""Every way the edge can fail, as one of our own words: permanent or passing, answered or not."""

from typing import Any

import pytest
from botocore import exceptions as botocore

from migration.aws import errors


def client_error(code: str, status: int = 400) -> botocore.ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": "told by AWS"},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "r-1"},
    }
    return botocore.ClientError(answer, "DescribeInstances")


TABLE = {
    # code: (class, gap, permanent, answered)
    "RequestLimitExceeded": (errors.Throttled, "throttled", False, True),
    "ThrottlingException": (errors.Throttled, "throttled", False, True),
    "UnauthorizedOperation": (errors.Denied, "denied", True, True),
    "AccessDenied": (errors.Denied, "denied", True, True),
    "AccessDeniedException": (errors.Denied, "denied", True, True),
    "InvalidClientTokenId": (errors.NoCredentials, "denied", True, False),
    "SignatureDoesNotMatch": (errors.NoCredentials, "denied", True, False),
    "AuthFailure": (errors.RegionDisabled, "region_disabled", True, True),
    "OptInRequired": (errors.RegionDisabled, "region_disabled", True, True),
    "RequestExpired": (errors.Passing, "error", False, True),
    "ExpiredToken": (errors.Passing, "error", False, True),
    "InternalError": (errors.Passing, "error", False, True),
    "IncorrectInstanceState": (errors.Refused, "error", True, True),
    "UnsupportedOperation": (errors.Refused, "error", True, True),
    "InvalidParameterValue": (errors.Refused, "error", True, True),
}


@pytest.mark.parametrize("code", TABLE)
def test_each_code_has_its_class_gap_and_whether_to_ask_again(code):
    found = errors.translate(client_error(code), operation="DescribeInstances", place="111122223333/us-east-1")

    assert (type(found), found.gap, found.permanent, found.answered) == TABLE[code]
    assert str(found) == f"DescribeInstances in 111122223333/us-east-1: {code}: told by AWS"
    assert (found.code, found.request_id) == (code, "r-1")


def test_a_5xx_without_a_known_code_may_pass():
    assert type(errors.translate(client_error("Odd", 503), operation="X", place="y")) is errors.Passing


@pytest.mark.parametrize(
    "error",
    [
        botocore.EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        botocore.ReadTimeoutError(endpoint_url="http://127.0.0.1:1"),
        botocore.ConnectTimeoutError(endpoint_url="http://127.0.0.1:1"),
        botocore.ConnectionClosedError(endpoint_url="http://127.0.0.1:1"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_answer_is_unreachable_and_not_answered(error):
    found = errors.translate(error, operation="X", place="y")

    assert (type(found), found.permanent, found.answered) == (errors.Unreachable, False, False)


def test_no_credentials_says_what_to_set():
    assert "Set AWS_PROFILE" in str(errors.translate(botocore.NoCredentialsError(), operation="X", place="y"))


def test_what_is_not_of_the_edge_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        errors.translate(ZeroDivisionError(), operation="X", place="y")
