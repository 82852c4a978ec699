import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from cogitate.web.protect import Receive, Scope, Send, key_name, protect
from cogitate.web.rules import Rules
from tests.web.served import ask, served

KEYS = {"ada": "a-key-of-twenty-chars", "lin": "another-key-of-many-chars"}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what it was sent, and by whom; fails where it is asked to."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    message = await receive()
    if scope["path"] == "/fails":
        raise RuntimeError("/secret/path")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    if scope["path"] == "/cut":
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise RuntimeError("in the middle")
    content = {"body": message["body"].decode(), "key": key_name(scope)}
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})


@pytest.fixture(scope="module")
def without_key() -> Iterator[str]:
    with served(protect(echo, Rules(max_body_bytes=1000, origins=frozenset({"https://known.example"})))) as url:
        yield url


@pytest.fixture(scope="module")
def with_key() -> Iterator[str]:
    with served(protect(echo, Rules(keys=KEYS, key_required=True, open_paths=("/", "/static/")))) as url:
        yield url


def test_a_request_of_this_machine_is_answered_with_its_whole_body(without_key: str) -> None:
    status, headers, text = ask(without_key, "/x", {"a": 1})
    assert (status, json.loads(text)) == (200, {"body": '{"a": 1}', "key": None})
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8000", "", "localhost@evil.example"])
def test_a_foreign_name_in_host_is_refused(without_key: str, host: str) -> None:
    status, _, text = ask(without_key, "/", headers={"Host": host})
    assert status == 421
    assert json.loads(text)["error"]["message"] == "the name in Host is none of this server's"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1:80", "[::1]:80"])
def test_the_names_of_this_machine_are_answered(without_key: str, host: str) -> None:
    assert ask(without_key, "/", headers={"Host": host})[0] == 200


def test_two_host_headers_are_refused(without_key: str) -> None:
    place = urlsplit(without_key)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert connection.recv(100).split()[1] in (b"400", b"421")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1", ""])
def test_a_page_of_another_origin_is_refused(without_key: str, origin: str) -> None:
    assert ask(without_key, "/x", {}, headers={"Origin": origin})[0] == 403


def test_its_own_page_may_ask(without_key: str) -> None:
    assert ask(without_key, "/x", {}, headers={"Origin": without_key, "Sec-Fetch-Site": "same-origin"})[0] == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_foreign_page_loads_without_an_origin_is_refused(without_key: str, site: str) -> None:
    assert ask(without_key, "/x", headers={"Sec-Fetch-Site": site})[0] == 403


def test_a_link_of_another_page_opens_a_page_of_ours_alone(with_key: str) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert [ask(with_key, path, headers=link)[0] for path in ("/", "/api")] == [200, 403]


def test_a_named_origin_may_ask_and_no_other_gets_a_cors_header(without_key: str) -> None:
    question = {"Access-Control-Request-Method": "POST"}
    status, headers, _ = ask(without_key, "/x", method="OPTIONS", headers={"Origin": "https://known.example", **question})
    assert (status, headers["access-control-allow-origin"]) == (204, "https://known.example")
    assert headers["access-control-allow-headers"] == "authorization, *"  # clients' libraries send x-stainless-os and more
    status, headers, _ = ask(without_key, "/x", {}, headers={"Origin": "https://known.example"})
    assert (status, headers["access-control-allow-origin"]) == (200, "https://known.example")
    status, headers, _ = ask(without_key, "/x", method="OPTIONS", headers={"Origin": "https://other.example", **question})
    assert (status, "access-control-allow-origin" in headers) == (403, False)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=utf-16", "text/json"]
)
def test_a_body_that_does_not_say_it_is_json_is_refused(without_key: str, kind: str) -> None:
    assert ask(without_key, "/x", b"{}", headers={"Content-Type": kind})[0] == 415


def test_a_compressed_body_is_refused(without_key: str) -> None:
    assert ask(without_key, "/x", b"{}", headers={"Content-Encoding": "gzip"})[0] == 415


def test_a_long_body_is_refused_whether_its_length_is_said_or_not(without_key: str) -> None:
    status, _, text = ask(without_key, "/x", b" " * 1001)
    assert (status, json.loads(text)["error"]["message"]) == (413, "the body is longer than 1000 bytes")
    place = urlsplit(without_key)
    head = f"POST /x HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(head.encode() + b"3e9\r\n" + b" " * 1001 + b"\r\n")
        assert connection.recv(100).split()[1] == b"413"


def test_a_body_that_does_not_arrive_is_not_waited_for() -> None:
    with served(protect(echo, Rules(body_seconds=0.1))) as url:
        place = urlsplit(url)
        head = f"POST / HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        with socket.create_connection((place.hostname, place.port)) as connection:
            connection.sendall(head.encode())
            assert connection.recv(100).split()[1] == b"408"


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key"])
def test_a_key_says_who_asks(with_key: str, name: str) -> None:
    value = KEYS["lin"] if name == "X-API-Key" else f"Bearer {KEYS['lin']}"
    assert json.loads(ask(with_key, "/x", {}, headers={name: value})[2])["key"] == "lin"


@pytest.mark.parametrize("value", ["", "Bearer ", "Bearer wrong", KEYS["ada"], f"Basic {KEYS['ada']}", "Bearer \u00e9"])
def test_a_wrong_key_is_refused(with_key: str, value: str) -> None:
    status, headers, text = ask(with_key, "/x", {}, headers={"Authorization": value})
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert not any(key in text for key in KEYS.values())


def test_a_key_in_the_url_is_none(with_key: str) -> None:
    assert ask(with_key, f"/x?api_key={KEYS['ada']}&key={KEYS['ada']}")[0] == 401


def test_open_paths_need_no_key_for_reading(with_key: str) -> None:
    assert [ask(with_key, path)[0] for path in ("/", "/static/page.js", "/static", "/x")] == [200, 200, 401, 401]
    assert ask(with_key, "/", {})[0] == 401


def test_a_failure_is_answered_without_its_details(without_key: str, caplog: pytest.LogCaptureFixture) -> None:
    status, _, text = ask(without_key, "/fails")
    assert status == 500
    assert json.loads(text)["error"] == {
        "type": "api_error", "message": "the server failed; its log says how", "param": None, "code": None,
    }  # fmt: skip
    assert "/secret/path" in caplog.text


def test_a_response_that_failed_in_the_middle_does_not_look_whole(without_key: str) -> None:
    place = urlsplit(without_key)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(f"GET /cut HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
        received = b""
        while part := connection.recv(1000):
            received += part
    assert b"{" in received
    assert b"\r\n0\r\n" not in received
