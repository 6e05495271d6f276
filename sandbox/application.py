"""The WSGI application: journal, credentials, permissions, faults, then our own operation or moto's."""

from __future__ import annotations

import io
import os
import socket
import time
import traceback
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from sandbox import (
    autoscaling,
    cloudtrail,
    cloudwatch,
    control,
    credentials,
    ids,
    oam,
    organizations,
    permissions,
    protocol,
    scaling,
    sts,
)
from sandbox.calls import OPERATIONS, WRITES, Call, Principal
from sandbox.ec2 import defaults, describe, images, launch, options, regions, spot, tags, templates
from sandbox.errors import AwsError, ConnectionCut, NotOurs
from sandbox.faults import clock_shift
from sandbox.journal import Entry, Journal
from sandbox.partitions import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.faults import Faults
    from sandbox.protocol import Answer, Request
    from sandbox.world import World

    Start = Any

OPERATION_MODULES = (
    autoscaling, cloudtrail, cloudwatch, oam, organizations, scaling, sts,
    defaults, describe, images, launch, options, regions, spot, tags, templates,
)  # fmt: skip
"""Imported so that their operations are registered."""

_GLOBAL_SERVICES = frozenset({"sts", "iam", "organizations", "account"})
_HTTP_HEADERS = frozenset({"content-length", "content-type", "connection", "date"})
"""Headers that are the server's to give, not moto's."""


class Application:
    """One pretend AWS."""

    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults
        self.journal = Journal()
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        """Answer one HTTP request, or cut the connection."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if environ.get("PATH_INFO", "").startswith("/_sandbox/"):
            answer = control.answer(self, environ, body)
        else:
            try:
                answer = self._attempt(environ, body)
            except ConnectionCut:
                _cut(environ)
                raise ConnectionAbortedError from None
        answer.headers.setdefault("Date", formatdate(usegmt=True))
        start_response(
            f"{answer.status} {_phrase(answer.status)}",
            [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body))), *answer.headers.items()],
        )
        return [answer.body[: len(answer.body) // 2] if answer.truncated else answer.body]

    def _attempt(self, environ: dict[str, Any], body: bytes) -> Answer:
        request_id = ids.request_id()
        request = protocol.understand(
            protocol.Request(
                method=environ["REQUEST_METHOD"],
                path=environ.get("PATH_INFO", "/"),
                query=environ.get("QUERY_STRING", ""),
                headers=_headers(environ),
                body=body,
                request_id=request_id,
            )
        )
        entry = self.journal.open(time.time(), request.service, request.operation, request.region, request_id)
        entry.params = request.sent()
        try:
            answer = self._call(request, entry, environ)
        except AwsError as error:
            entry.error_code = error.code
            answer = protocol.refuse(request, error)
        except ConnectionCut:
            entry.error_code = "ConnectionCut"
            raise
        except Exception as error:  # noqa: BLE001 - a fault of the sandbox must reach the client as one, with a journal entry
            traceback.print_exc()
            entry.error_code = "InternalFailure"
            answer = protocol.refuse(request, AwsError("InternalFailure", f"The sandbox failed: {error!r}", 500))
        entry.status = answer.status
        answer.headers.setdefault("x-amzn-RequestId", request_id)
        answer.headers["Date"] = formatdate(time.time() + request.clock_shift, usegmt=True)
        return answer

    def _call(self, request: Request, entry: Entry, environ: dict[str, Any]) -> Answer:
        if request.protocol == "cbor":
            raise AwsError("SerializationException", "The sandbox speaks JSON, query and REST-JSON, not CBOR.")
        principal = credentials.identify(self.world, request)
        _note_caller(entry, principal)
        self._check_region(request, principal)
        handler = OPERATIONS.get((request.service, request.operation))
        params = request.params() if handler else {}
        call = Call(self.world, request, principal, params)
        hits = self.faults.hits(request, principal, params)
        request.clock_shift = clock_shift(hits)
        self.faults.before(hits, request, principal, call.effects)
        permissions.check(call.account, principal, request)
        call.now = time.time()
        try:
            result = handler(call) if handler else self._from_moto(environ, request, principal)
        except NotOurs:
            result = self._from_moto(environ, request, principal)
        answer = protocol.write(request, result) if isinstance(result, dict) else result
        entry.applied = call.applied and (request.service, request.operation) in WRITES
        entry.status = answer.status
        self.faults.after(hits, request, principal, answer)
        if answer.truncated:
            entry.error_code = "Truncated"
        return answer

    def _check_region(self, request: Request, principal: Principal) -> None:
        if request.service in _GLOBAL_SERVICES or request.region in self.world.accounts[principal.account_id].regions:
            return
        if (
            request.operation == "DescribeRegions"
            and request.region in PARTITIONS[self.world.partition].default_regions
        ):
            return
        raise credentials.not_enabled(request)

    def _from_moto(self, environ: dict[str, Any], request: Request, principal: Principal) -> Answer:
        """What moto answers, in the caller's account."""
        copy = {**environ, "wsgi.input": io.BytesIO(request.body), "HTTP_X_MOTO_ACCOUNT_ID": principal.account_id}
        got: dict[str, Any] = {}

        def start(status: str, headers: list[tuple[str, str]], _: object = None) -> None:
            got.update(status=int(status.split(maxsplit=1)[0]), headers=dict(headers))

        try:
            body = b"".join(self._moto(copy, start))
        except NotImplementedError as error:
            raise AwsError("UnsupportedOperation", f"The sandbox does not do {request.operation}.") from error
        if got["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR or (
            got["status"] == HTTPStatus.NOT_FOUND and b"<!doctype" in body
        ):
            raise AwsError("UnsupportedOperation", f"The sandbox does not do {request.operation or request.path}.")
        headers = {k: v for k, v in got["headers"].items() if k.lower() not in _HTTP_HEADERS}
        content_type = got["headers"].get("Content-Type", "text/xml")
        return protocol.Answer(got["status"], body, content_type, headers)


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    headers = {k[5:].replace("_", "-").lower(): str(v) for k, v in environ.items() if k.startswith("HTTP_")}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    headers["content-length"] = environ.get("CONTENT_LENGTH", "")
    return headers


def _note_caller(entry: Entry, principal: Principal) -> None:
    entry.account_id = principal.account_id
    entry.principal_arn = principal.arn
    entry.role_name = principal.role_name
    entry.session_name = principal.session_name
    entry.source_identity = principal.source_identity
    entry.external_id = principal.external_id


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _cut(environ: dict[str, Any]) -> None:
    """Close the connection without an answer."""
    connection = environ.get("werkzeug.socket")
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
