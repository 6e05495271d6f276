"""Who is calling: SigV4 verified by botocore's own signer, temporary credentials that outlive a restart."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox import ids
from sandbox.calls import Principal
from sandbox.errors import AwsError

if TYPE_CHECKING:
    from sandbox.protocol import Request
    from sandbox.world import World

_SIGNATURE: Final = re.compile(r"SignedHeaders=(?P<headers>[^,\s]+),\s*Signature=(?P<signature>[0-9a-f]+)")


def issue(world: World, principal: Principal) -> dict[str, Any]:
    """Temporary credentials of a principal; the session token itself says whose, signed with the world's seed."""
    facts = json.dumps({**asdict(principal), "nonce": ids.request_id()}, separators=(",", ":")).encode()
    token = base64.urlsafe_b64encode(facts).decode() + "." + _seal(world, facts)
    key_id = "ASIA" + base64.b32encode(bytes.fromhex(ids.digest(token)[:20])).decode()[:16]
    return {
        "AccessKeyId": key_id,
        "SecretAccessKey": _secret(world, key_id),
        "SessionToken": token,
        "Expiration": principal.expires_at,
    }


def _seal(world: World, facts: bytes) -> str:
    return ids.digest("session", world.seed, facts.hex())[:32]


def _secret(world: World, key_id: str) -> str:
    return ids.digest("secret", world.seed, key_id)[:40]


def identify(world: World, request: Request) -> Principal:
    """The principal of a request, or the refusal that AWS gives in this protocol."""
    if not request.access_key_id:
        raise _refusal(request, "MissingAuthenticationToken", "Request is missing Authentication Token")
    if request.access_key_id.startswith("ASIA"):
        return _temporary(world, request)
    return _long_term(world, request)


def _long_term(world: World, request: Request) -> Principal:
    key = world.keys.get(request.access_key_id)
    if key is None and world.keys:
        raise _unknown(request)
    account_id = key.account_id if key else world.first_account.account_id
    if key:
        _verify(request, key.secret_access_key, None)
    arn = f"arn:{world.partition}:iam::{account_id}:user/imdsdash"
    return Principal(account_id, arn, "AIDA" + ids.digest(request.access_key_id)[:17].upper())


def _temporary(world: World, request: Request) -> Principal:
    token = request.headers.get("x-amz-security-token", "")
    encoded, _, seal = token.rpartition(".")
    try:
        facts = base64.urlsafe_b64decode(encoded.encode())
        read = json.loads(facts)
        read.pop("nonce")
    except (ValueError, binascii.Error, KeyError, AttributeError) as error:
        raise _unknown(request) from error
    if not hmac.compare_digest(seal, _seal(world, facts)) or read["account_id"] not in world.accounts:
        raise _unknown(request)
    principal = Principal(**read)
    _verify(request, _secret(world, request.access_key_id), token)
    if principal.expires_at is not None and time.time() >= principal.expires_at:
        raise expired(request)
    return principal


def _verify(request: Request, secret: str, token: str | None) -> None:
    """Sign again what was signed, with the secret we know."""
    found = _SIGNATURE.search(request.headers.get("authorization", ""))
    signed = found["headers"].split(";") if found else []
    copy = AWSRequest(
        request.method,
        f"http://{request.headers.get('host', '')}{request.path}" + (f"?{request.query}" if request.query else ""),
        headers={name: request.headers[name] for name in signed if name in request.headers and name != "host"},
        data=request.body,
    )
    if "x-amz-content-sha256" in request.headers:
        copy.headers["X-Amz-Content-SHA256"] = request.headers["x-amz-content-sha256"]
    copy.context["timestamp"] = request.headers.get("x-amz-date", "")
    service = _signing_name(request)
    signer = SigV4Auth(Credentials(request.access_key_id, secret, token), service, request.region)
    expected = signer.signature(signer.string_to_sign(copy, signer.canonical_request(copy)), copy)
    if found is None or not hmac.compare_digest(expected, found["signature"]):
        raise AwsError(
            _by_protocol(request, "SignatureDoesNotMatch", "SignatureDoesNotMatch", "InvalidSignatureException"),
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
            403,
        )


def _signing_name(request: Request) -> str:
    return request.headers["authorization"].partition("Credential=")[2].split("/")[3]


def _by_protocol(request: Request, ec2: str, query: str, json_code: str) -> str:
    return {"ec2": ec2, "query": query}.get(request.protocol, json_code)


def _unknown(request: Request) -> AwsError:
    code = _by_protocol(request, "AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException")
    if code == "AuthFailure":
        return AwsError(code, "AWS was not able to validate the provided access credentials", 401)
    return AwsError(code, "The security token included in the request is invalid.", 403)


def expired(request: Request) -> AwsError:
    """The answer to a session's credentials after their end, in the words of the protocol."""
    code = _by_protocol(request, "RequestExpired", "ExpiredToken", "ExpiredTokenException")
    return AwsError(
        code, "The security token included in the request is expired", 400 if code == "RequestExpired" else 403
    )


def _refusal(request: Request, code: str, message: str) -> AwsError:
    return AwsError("AuthFailure" if request.protocol == "ec2" else code, message, 403)


def not_enabled(request: Request) -> AwsError:
    """The answer in a Region that the account has not enabled: its credentials are not known there."""
    return _unknown(request)
