"""The cut models: less is parsed, and what is parsed is the same."""

import ast
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import botocore.session
import pytest
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.aws import models, parse
from migration.aws.sessions import timestamp

AWS = Path(models.__file__).parent
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=30)
WORD = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=20)
MOMENT = st.datetimes(datetime(2015, 1, 1), datetime(2026, 11, 1)).map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.000Z"))


def service(name: str, *, cut: bool) -> ServiceModel:
    loader = models.TrimmedLoader() if cut else create_loader()
    return ServiceModel(loader.load_service_model(name, "service-2"), name)


STOCK, CUT = service("ec2", cut=False), service("ec2", cut=True)
UNREAD = models.unread(
    "ec2", create_loader().load_service_model("ec2", "service-2")["shapes"], "DescribeInstancesResult"
)


def tag(name: str, inner: str | None) -> str:
    return "" if inner is None else f"<{name}>{inner}</{name}>"


@st.composite
def member(draw) -> str:
    """One `<item>` of instancesSet, any of its parts absent, with much that nobody reads."""
    maybe = lambda strategy: draw(st.none() | strategy)  # noqa: E731 -- read thirty times below
    keys = WORD | st.sampled_from(["Name", "Owner", "aws:autoscaling:groupName", "aws:ec2launchtemplate:id"])
    tags = draw(st.none() | st.lists(st.tuples(keys, TEXT), max_size=4))
    interfaces = draw(st.lists(st.tuples(st.none() | st.integers(0, 3), st.none() | MOMENT), max_size=3))
    options = draw(
        st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "state": st.sampled_from(["pending", "applied"]),
                "httpTokens": st.sampled_from(["optional", "required"]),
                "httpPutResponseHopLimit": st.integers(1, 64).map(str),
                "httpEndpoint": st.sampled_from(["enabled", "disabled"]),
                "httpProtocolIpv6": st.sampled_from(["enabled", "disabled"]),
                "instanceMetadataTags": st.sampled_from(["enabled", "disabled"]),
            },
        )
    )
    written = [
        tag("instanceId", f"i-{draw(st.integers(0, 16**17 - 1)):017x}"),
        tag(
            "instanceState",
            f"<code>16</code><name>{draw(st.sampled_from(['running', 'stopped', 'terminated']))}</name>",
        ),
        tag("reason", maybe(st.sampled_from(["", "User initiated (2026-10-01 10:00:00 GMT)"]))),
        tag("launchTime", maybe(MOMENT)),
        tag("imageId", maybe(WORD)),
        tag("instanceType", maybe(WORD)),
        tag("platformDetails", maybe(TEXT.map(escape))),
        tag("instanceLifecycle", maybe(st.sampled_from(["spot", "scheduled"]))),
        tag("ipAddress", maybe(WORD)),
        tag("privateIpAddress", maybe(WORD)),
        tag("iamInstanceProfile", maybe(WORD.map(lambda name: f"<arn>{name}</arn><id>AIPA</id>"))),
        tag("operator", maybe(WORD.map(lambda name: f"<managed>true</managed><principal>{name}</principal>"))),
        tag(
            "metadataOptions", None if options is None else "".join(tag(name, value) for name, value in options.items())
        ),
        tag("placement", "<availabilityZone>us-east-1a</availabilityZone><tenancy>default</tenancy>"),
        tag("blockDeviceMapping", "<item><deviceName>/dev/xvda</deviceName><ebs><volumeId>v</volumeId></ebs></item>"),
        tag("cpuOptions", "<coreCount>1</coreCount><threadsPerCore>2</threadsPerCore>"),
        tag(
            "networkInterfaceSet",
            "".join(
                "<item><networkInterfaceId>eni-1</networkInterfaceId><attachment>"
                + tag("deviceIndex", None if index is None else str(index))
                + tag("attachTime", at)
                + "</attachment></item>"
                for index, at in interfaces
            ),
        ),
        tag(
            "tagSet",
            None
            if tags is None
            else "".join(f"<item><key>{escape(key)}</key><value>{escape(value)}</value></item>" for key, value in tags),
        ),
    ]
    return f"<item>{''.join(draw(st.permutations(written)))}</item>"


@st.composite
def page(draw) -> bytes:
    reservations = draw(st.lists(st.lists(member(), max_size=3), max_size=3))
    token = draw(st.none() | WORD)
    body = "".join(
        f"<item><ownerId>1</ownerId><instancesSet>{''.join(items)}</instancesSet></item>" for items in reservations
    )
    name = "DescribeInstancesResponse"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><{name} xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<requestId>r</requestId><reservationSet>{body}</reservationSet>{tag('nextToken', token)}</{name}>"
    ).encode()


def read(model: ServiceModel, body: bytes, *, ours: bool):
    parser = create_parser("ec2")
    if ours:
        factory = botocore.session.Session().get_component("response_parser_factory")
        factory.set_parser_defaults(timestamp_parser=timestamp)
        parser = factory.create_parser("ec2")
        body = models.cut(body, UNREAD)
    answer = parser.parse(
        {"body": body, "headers": {}, "status_code": 200},
        model.operation_model("DescribeInstances").output_shape,  # type: ignore[arg-type]
    )
    return parse.instances(answer, keep_tags=["Owner"]), answer.get("NextToken")


@settings(max_examples=200, deadline=None)
@given(page())
def test_the_cut_model_and_botocores_own_give_the_same_facts(body):
    assert read(CUT, body, ours=True) == read(STOCK, body, ours=False)


@pytest.mark.parametrize("name", ["placement", "blockDeviceMapping", "groupSet", "privateIpAddressesSet", "cpuOptions"])
def test_what_is_large_and_not_read_is_taken_out_before_it_is_parsed(name):
    element = f"<{name}><item><x>1</x></item></{name}>".encode()

    assert models.cut(b"<a>" + element + b"<b/></a>", UNREAD) == b"<a><b/></a>"


@pytest.mark.parametrize("name", ["operator", "item", "tagSet", "value", "attachment", "networkInterfaceSet", "state"])
def test_what_is_read_anywhere_is_left_everywhere(name):
    """An instance's operator is read, its volumes' operator is not; the name decides."""
    body = f"<a><{name}>1</{name}></a>".encode()

    assert models.cut(body, UNREAD) == body


def test_a_tag_whose_value_looks_like_an_element_is_kept():
    body = b"<value>&lt;placement&gt;x&lt;/placement&gt;</value>"

    assert models.cut(body, UNREAD) == body


def test_an_answer_with_a_cdata_section_is_left_as_it_is():
    body = b"<value><![CDATA[<placement>x</placement>]]></value><placement>y</placement>"

    assert models.cut(body, UNREAD) == body


def test_every_operation_that_is_called_is_in_the_cut_model():
    """A call that the model lacks would fail in production only."""
    session = botocore.session.Session()
    for name, operations in models.OPERATIONS.items():
        client = session.create_client(name, region_name="us-east-1")
        called = set(_operations_asked_of(name))
        assert {client.meta.method_to_api_mapping[one] for one in called} <= set(operations), name


def _operations_asked_of(service_name: str):
    for path in AWS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "ask":
                words = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                if words and words[0] == service_name:
                    yield words[-1]


@pytest.mark.parametrize("name", sorted(models.OPERATIONS))
def test_every_shape_that_is_left_is_reachable_and_whole(name):
    model = models.TrimmedLoader().load_service_model(name, "service-2")

    for shape in model["shapes"].values():
        for member_ in shape.get("members", {}).values():
            assert member_["shape"] in model["shapes"]
    assert len(model["shapes"]) < 200


def test_a_service_that_is_not_cut_is_botocores_own():
    assert models.TrimmedLoader().load_service_model("sts", "service-2") == create_loader().load_service_model(
        "sts", "service-2"
    )


@pytest.mark.parametrize(
    "value",
    [
        1764082800,
        1764082800.0,
        "2025-11-25T15:00:00.000Z",
        "2025-11-25T15:00:00Z",
        "2025-11-25T16:00:00+01:00",
        "Tue, 25 Nov 2025 15:00:00 GMT",
    ],
)
def test_a_time_is_read_as_utc_in_whatever_form_it_comes(value):
    read_ = timestamp(value)

    assert (read_, read_.tzinfo) == (datetime(2025, 11, 25, 15, tzinfo=UTC), UTC)
