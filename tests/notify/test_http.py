"""One POST, whatever the other side does."""

import socket
import time

import pytest

from migration.notify import http
from migration.notify.errors import NotDelivered


def post(url, **headers):
    http.post(url, b"{}", headers, who="The receiver")


def test_the_whole_address_is_used_and_the_body_arrives(receiver):
    post(f"{receiver.url}/a/b?token=c", Colour="blue")

    (got,) = receiver.got
    assert (got.path, got.body, got.headers["Colour"]) == ("/a/b?token=c", b"{}", "blue")


@pytest.mark.parametrize(
    ("status", "rest"), [(400, False), (404, False), (408, True), (429, True), (500, True), (503, True)]
)
def test_an_answer_that_is_no_success_is_a_failure_and_says_whether_it_is_the_channel_s(receiver, status, rest):
    receiver.says(status)

    with pytest.raises(NotDelivered) as caught:
        post(receiver.url)

    assert (str(caught.value), caught.value.rest) == (f"The receiver answered {status}.", rest)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(receiver, status):
    receiver.says(status, Location=f"{receiver.url}/elsewhere")

    with pytest.raises(NotDelivered, match=f"answered {status}, a redirect, which is not followed"):
        post(receiver.url)

    assert [one.path for one in receiver.got] == ["/"]


def test_one_that_is_silent_is_left_after_a_while(receiver, monkeypatch):
    monkeypatch.setattr(http, "SILENCE", 0.2)
    receiver.hangs()

    with pytest.raises(NotDelivered) as caught:
        post(receiver.url)

    assert (str(caught.value), caught.value.rest) == ("The receiver did not answer in time.", True)


@pytest.mark.parametrize("first", [b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\nX-Drip: "])
def test_one_that_drips_is_cut_off_although_it_is_never_silent(receiver, monkeypatch, first):
    monkeypatch.setattr(http, "LONGEST", 0.5)

    def drip(handler):
        handler.wfile.write(first)
        while not receiver.ended.wait(0.05):
            handler.wfile.write(b"9")

    receiver.answer = swallowing(drip)

    with pytest.raises(NotDelivered, match=r"did not answer in time|could not be reached"):
        post(receiver.url)


def test_a_flood_is_not_read_to_its_end(receiver):
    sent = []

    def flood(handler):
        handler.send_response(200)
        handler.end_headers()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            handler.wfile.write(b"x" * 65536)
            sent.append(1)

    receiver.answer = swallowing(flood)

    post(receiver.url)

    receiver.ended.wait(0.5)
    assert len(sent) < 1000


def swallowing(answer):
    """Without the server's traceback when we hang up on it."""

    def calm(handler):
        try:
            answer(handler)
        except OSError:
            handler.close_connection = True

    return calm


def test_one_that_is_not_there_is_told_as_such():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    with pytest.raises(NotDelivered) as caught:
        post(f"http://127.0.0.1:{port}/secret-path")

    assert (str(caught.value), caught.value.rest) == ("The receiver could not be reached: Connection refused.", True)


def test_an_answer_that_is_no_http_is_a_failure(receiver):
    receiver.answer = lambda handler: handler.wfile.write(b"220 mail.example.com\r\n")

    with pytest.raises(NotDelivered, match="no answer that is HTTP"):
        post(receiver.url)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://", "gopher://127.0.0.1:70/"])
def test_only_http_is_spoken(url):
    with pytest.raises(NotDelivered, match="neither http nor https"):
        post(url)


def test_a_server_without_a_certificate_is_not_trusted(receiver):
    with pytest.raises(NotDelivered, match="could not be trusted"):
        post(receiver.url.replace("http:", "https:"))


def test_a_header_cannot_be_smuggled_in(receiver):
    with pytest.raises(ValueError, match="Invalid header value"):
        post(receiver.url, Colour="blue\r\nX-Evil: yes")

    assert receiver.got == []
