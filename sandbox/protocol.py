"""From HTTP to a call with AWS's parameter names, and back, through moto's model-driven codecs."""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from botocore.utils import parse_timestamp
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import SERIALIZERS, SerializationContext
from moto.core.utils import get_service_model

from sandbox.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIGNING_NAMES: Final = {"monitoring": "cloudwatch"}
_TARGETS: Final = {
    "GraniteServiceVersion20100801": "cloudwatch",
    "AWSOrganizationsV20161128": "organizations",
    "CloudTrail_20131101": "cloudtrail",
}
_REST: Final = {
    ("account", "/listRegions"): "ListRegions",
    ("account", "/getAccountInformation"): "GetAccountInformation",
    ("oam", "/ListSinks"): "ListSinks",
    ("oam", "/ListAttachedLinks"): "ListAttachedLinks",
}
_LIST_HEAD: Final = 10
_LOADING: Final = threading.Lock()
_CREDENTIAL: Final = re.compile(
    r"Credential=(?P<key>[^/,\s]*)/(?P<date>\d*)/(?P<region>[^/,]*)/(?P<service>[^/,]*)/aws4_request"
)


@dataclass(slots=True)
class Answer:
    """An HTTP answer. `truncated` sends the first half of the body under a Content-Length that announces the whole."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    truncated: bool = False


@dataclass(slots=True)
class Request:
    """One HTTP attempt, understood as far as possible without knowing who sends it."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    request_id: str
    service: str = ""
    region: str = ""
    access_key_id: str = ""
    operation: str = ""
    protocol: str = ""
    clock_shift: float = 0.0
    form: dict[str, str] = field(default_factory=dict)

    def sent(self) -> dict[str, str]:
        """The parameters as sent, flattened; of a JSON list the first ten, and its length under `Name.#`."""
        if self.protocol in {"ec2", "query"}:
            return {k: v for k, v in self.form.items() if k not in {"Action", "Version"}}
        try:
            body = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        flat: dict[str, str] = {}
        _flatten(body, "", flat)
        return flat

    def params(self) -> dict[str, Any]:
        """The parameters with the names and types of the service model; times are seconds since 1970."""
        model = _operation_model(self.service, self.operation)
        parser = PROTOCOL_PARSERS[self.protocol](model, timestamp_parser=_seconds)
        try:
            parsed = parser.parse(_as_moto_reads(self))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            code = "InvalidParameterValue" if self.protocol == "ec2" else "ValidationError"
            raise AwsError(code, f"A parameter cannot be read: {error}") from error
        return dict(parsed or {})


def understand(request: Request) -> Request:
    """Fill in what the headers and the body of an HTTP attempt say."""
    headers = request.headers
    found = _CREDENTIAL.search(headers.get("authorization", ""))
    if found:
        request.access_key_id = found["key"]
        request.region = found["region"]
        request.service = _SIGNING_NAMES.get(found["service"], found["service"])
    _find_operation(request)
    return request


def _find_operation(request: Request) -> None:
    content_type = request.headers.get("content-type", "")
    target = request.headers.get("x-amz-target", "")
    if target:
        prefix, _, request.operation = target.rpartition(".")
        request.protocol = "json"
        request.service = request.service or _TARGETS.get(prefix, "")
    elif "cbor" in content_type or request.headers.get("smithy-protocol"):
        request.protocol = "cbor"
        request.operation = request.path.rpartition("/")[2]
    elif content_type.startswith("application/x-www-form-urlencoded") or "Action=" in request.query:
        text = request.body.decode("utf-8", "replace") or request.query
        request.form = dict(parse_qsl(text, keep_blank_values=True))
        request.operation = request.form.get("Action", "")
        request.protocol = "ec2" if request.service == "ec2" else "query"
    else:
        request.protocol = "rest-json"
        request.operation = _REST.get((request.service, request.path), "")


def write(request: Request, result: dict[str, Any]) -> Answer:
    """A result with AWS's names as the HTTP answer of the call's protocol."""
    model = _operation_model(request.service, request.operation)
    context = SerializationContext(request.request_id)
    made = SERIALIZERS[request.protocol](operation_model=model, context=context).serialize(result)
    body = made["body"]
    content_type = _CONTENT_TYPES[request.protocol]
    return Answer(int(made["status_code"]), body.encode() if isinstance(body, str) else body, content_type)


def refuse(request: Request, error: AwsError) -> Answer:
    """An error as the HTTP answer of the call's protocol."""
    if request.protocol == "ec2":
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
            f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error></Errors>"
            f"<RequestID>{request.request_id}</RequestID></Response>"
        )
        return Answer(error.status, body.encode(), "text/xml;charset=UTF-8")
    if request.protocol == "query":
        kind = "Receiver" if error.status >= 500 else "Sender"  # noqa: PLR2004 - server errors
        body = (
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{escape(error.code)}</Code>"
            f"<Message>{escape(error.message)}</Message></Error><RequestId>{request.request_id}</RequestId></ErrorResponse>"
        )
        return Answer(error.status, body.encode(), "text/xml")
    answer = Answer(error.status, json.dumps({"__type": error.code, "message": error.message}).encode())
    answer.content_type = _CONTENT_TYPES.get(request.protocol, "application/json")
    answer.headers["x-amzn-ErrorType"] = error.code
    if request.service == "cloudwatch":
        answer.headers["x-amzn-query-error"] = f"{error.code};{'Receiver' if error.status >= 500 else 'Sender'}"  # noqa: PLR2004
    return answer


def iso(seconds: float) -> dt.datetime:
    """A time as the serialisers take it: naive UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).replace(tzinfo=None)


@lru_cache(maxsize=512)
def _operation_model(service: str, operation: str) -> Any:
    with _LOADING:  # else a hundred first calls at once read EC2's model a hundred times
        return get_service_model(service).operation_model(operation)


def _as_moto_reads(request: Request) -> Any:
    """A plain dict is what moto's parsers need, though they ask for werkzeug's types."""
    return {
        "method": request.method,
        "values": request.form,
        "headers": request.headers,
        "body": request.body,
        "url_path": request.path,
        "url_params": {},
    }


def _seconds(value: str | float) -> float:
    return float(value) if isinstance(value, int | float) else parse_timestamp(value).timestamp()


def _flatten(value: object, name: str, into: dict[str, str]) -> None:
    if isinstance(value, dict):
        for key, member in value.items():
            _flatten(member, f"{name}.{key}" if name else str(key), into)
    elif isinstance(value, list):
        into[f"{name}.#"] = str(len(value))
        for index, member in enumerate(value[:_LIST_HEAD], 1):
            _flatten(member, f"{name}.{index}", into)
    elif value is not None:
        into[name] = str(value)


_CONTENT_TYPES: Final = {
    "ec2": "text/xml;charset=UTF-8",
    "query": "text/xml",
    "json": "application/x-amz-json-1.1",
    "rest-json": "application/json",
}
