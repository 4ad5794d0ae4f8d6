"""What reads hostile bytes on the host, read by chance: frames, heads of HTTP, the first words of TLS."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from nightmill.errors import SandboxError
from nightmill.sandbox.channel import Channel
from nightmill.sandbox.network.head import ALL, CHUNKED, body_size, read_answer, read_inner, read_target, rewritten
from nightmill.sandbox.network.hello import server_name
from nightmill.sandbox.network.reach import allowed, reachable
from nightmill.sandbox.runner import outcome

pytestmark = pytest.mark.wall("proxy")

bounded = settings(max_examples=300)

# Frames


def as_json(found: object) -> bytes:
    """Text of it; numbers that JSON does not have, and halves of characters, too."""
    return json.dumps(found).encode("utf-8", "surrogatepass")


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
HEADER = some.dictionaries(
    some.sampled_from(["id", "live", "ready", "exit", "seconds", "stopped", "cut", "dropped", "error", "text", "size"]),
    JSON | some.sampled_from([1, 0, "", "timeout", 0.5, True]),
)
FRAME = some.builds(
    lambda header, body: struct.pack(">II", len(header), len(body)) + header + body,
    HEADER.map(as_json) | some.binary(max_size=30),
    some.binary(max_size=40),
)


@pytest.mark.wall("channel")
@bounded
@given(said=some.lists(FRAME | some.binary(max_size=20), max_size=4).map(b"".join))
def test_whatever_a_runner_says_is_an_answer_or_ends_the_sandbox(said: bytes) -> None:
    async def whole() -> None:
        mine, theirs = socket.socketpair()
        channel = Channel(mine, broken=broken.append)
        await channel.start()
        asked = asyncio.create_task(channel.ask({"op": "run"}, most=20, live=pieces.append))
        await asyncio.sleep(0)
        with theirs:
            theirs.sendall(said)
            theirs.shutdown(socket.SHUT_WR)
            try:
                found = outcome(await asyncio.wait_for(asked, 60))
                assert len(found.output) <= 20
                assert found.seconds >= 0
                assert -255 <= found.exit < 1 << 60
            except SandboxError as error:
                told.append(error.message)
            await channel.close()
        assert all(len(each.encode("utf-8")) < 1000 for each in told)
        assert broken

    told: list[str] = []
    broken: list[str] = []
    pieces: list[bytes] = []
    asyncio.run(whole())


# Heads

WORDS = [
    "GET", "POST", "CONNECT", "get", " ", "  ", "\t", "HTTP/1.1", "HTTP/1.0", "HTTP/2", "http://", "https://", "//", "/", ":",
    "a.example", "b.example", "evil.example", "A.EXAMPLE", "a.example.", "a.example:443", ":80", ":0", ":99999", "@", "user@", "[::1]",
    "127.0.0.1", "%2e", "#", "?", "\\", "\x00", "\x0b", "\xa0", "*", "..", "Host", "host", "Content-Length", "Transfer-Encoding",
    "chunked", "identity", "0", "5", "-1", "+1", "1_0", "Connection", "close", "Proxy-Authorization", "X", "\n", "\r", "\u0130",
]  # fmt: skip
TEXT = some.lists(some.sampled_from(WORDS), min_size=1, max_size=8).map(lambda words: "".join(words).encode("utf-8"))
SOUND = some.sampled_from([
    b"Host: b.example", b"Accept: */*", b"Connection: keep-alive, host", b"Content-Length: 5", b"Transfer-Encoding: chunked",
    b"Proxy-Authorization: x", b"Upgrade: h2c", b"X: a\tb", b"Host : a", b"X-Host: a", b"TE: trailers", b"Content-Length: 05",
])  # fmt: skip
LINES = some.lists(SOUND, max_size=3) | some.lists(SOUND | TEXT | some.tuples(TEXT, TEXT).map(b": ".join), max_size=4)
REQUEST = some.tuples(
    some.sampled_from([b"GET ", b"POST ", b"CONNECT ", b"TRACE "]),
    some.sampled_from([b"http://", b"http://", b"", b"HTTP://", b"ftp://"]),
    some.sampled_from([b"a.example/x", b"a.example", b"A.example.:8080/", b"a.example:443"]) | TEXT,
    some.sampled_from([b"", b"", b"", b"#", b"?a b", b"/..%2f"]) | TEXT,
    some.sampled_from([b" HTTP/1.1", b" HTTP/1.1", b" HTTP/1.0", b" HTTP/1.1 "]),
).map(b"".join)


def read_strictly(head: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """A head as a server reads it: by the letter of RFC 9112, and failing at whatever it does not allow."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    found = [re.fullmatch(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*", line) for line in lines]
    assert all(found), head
    assert re.fullmatch(rb"[A-Z]+ /[\x21-\x7e]* HTTP/1\.1", first), first
    return first, [(each[1].lower(), each[2]) for each in found if each]


@bounded
@given(request=REQUEST, headers=LINES)
@example(request=b"GET http://a.example/ HTTP/1.1", headers=[b"Host: b.example", b"X: y"])
@example(request=b"GET http://a.example:80@evil.example/ HTTP/1.1", headers=[])
def test_whatever_goes_out_names_the_one_host_that_was_looked_at_and_is_one_request(
    request: bytes, headers: list[bytes]
) -> None:
    lines = [line for head in headers for line in head.split(b"\r\n")]
    target, size = read_target(request), body_size(lines)
    if target is None or size is None:
        return
    assert re.fullmatch(r"[a-z0-9_.-]+", target.host)
    assert target.method.isupper()
    if target.method == "CONNECT":
        return
    head = rewritten(target, lines, dropped=frozenset(), added=[])
    first, found = read_strictly(head)
    assert head.count(b"\r\n\r\n") == 1
    assert [value for name, value in found if name == b"host"] == [target.authority.encode()]
    assert [value for name, value in found if name == b"connection"] == [b"close"]
    assert not [name for name, _ in found if name.startswith(b"proxy-") or name in {b"upgrade", b"te", b"expect"}]
    lengths = [value for name, value in found if name in {b"content-length", b"transfer-encoding"}]
    assert len(lengths) <= 1
    assert size in {0, CHUNKED} or lengths == [b"%d" % size] or int(lengths[0]) == size
    assert first.startswith(target.method.encode())


@bounded
@given(request=REQUEST, headers=LINES)
def test_whatever_is_asked_in_an_opened_tunnel_is_for_its_own_host(request: bytes, headers: list[bytes]) -> None:
    tunnel = read_target(b"CONNECT a.example:443 HTTP/1.1")
    assert tunnel
    lines = [line for head in headers for line in head.split(b"\r\n")]
    found = read_inner(request, lines, tunnel=tunnel)
    if found is None or body_size(lines) is None:
        return
    assert (found.host, found.port, found.scheme) == ("a.example", 443, "https")
    asked = [line.partition(b":")[2].strip().lower() for line in lines if line.partition(b":")[0].lower() == b"host"]
    assert asked in ([b"a.example"], [b"a.example:443"])


@bounded
@given(
    head=some.lists(TEXT, min_size=1, max_size=5).map(b"\r\n".join),
    status=some.sampled_from([b"200", b"100", b"304", b"999"]),
)
def test_whatever_a_server_answers_is_one_answer(head: bytes, status: bytes) -> None:
    for first in (b"HTTP/1.1 " + status + b" x\r\n", b""):
        answer = read_answer(first + head.split(b"\r\n\r\n")[0] + b"\r\n\r\n", method="GET")
        if answer:
            assert answer.head.count(b"\r\n\r\n") == 1
            assert answer.interim or answer.head.lower().count(b"\r\nconnection: close\r\n") == 1
            assert answer.size >= ALL


# Names and addresses


@bounded
@given(
    host=some.lists(some.sampled_from(["a", "example", "evil", "x", ".", "*", "xn--", "-"]), max_size=6).map("".join),
    hosts=some.lists(some.sampled_from(["example", "*.example", "a.example", "*.a.example", "*."]), max_size=3),
)
def test_whatever_a_name_looks_like_it_is_below_an_allowed_one_or_is_one(host: str, hosts: list[str]) -> None:
    if allowed(host, tuple(hosts)):
        assert any(
            host == each.rstrip(".") or (each[:2] == "*." and host.endswith(each[1:].rstrip("."))) for each in hosts
        )


@bounded
@given(address=some.ip_addresses(v=6) | some.ip_addresses(v=4))
def test_an_address_that_is_reached_is_nobodys_but_the_internets(address: object) -> None:
    if reachable(str(address), private=False):
        assert not address.is_loopback  # type: ignore[attr-defined]
        assert not address.is_link_local  # type: ignore[attr-defined]
        assert not address.is_multicast  # type: ignore[attr-defined]
        assert not address.is_unspecified  # type: ignore[attr-defined]


# TLS


def extensions(*kinds: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack(">HH", kind, len(body)) + body for kind, body in kinds)


def names(*found: bytes) -> bytes:
    listed = b"".join(b"\0" + struct.pack(">H", len(name)) + name for name in found)
    return struct.pack(">H", len(listed)) + listed


def hello(body: bytes) -> bytes:
    """A record with a ClientHello that has the extensions *body*."""
    inner = b"\3\3" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0" + struct.pack(">H", len(body)) + body
    message = b"\1" + len(inner).to_bytes(3, "big") + inner
    return b"\x16\3\1" + struct.pack(">H", len(message)) + message


@bounded
@given(
    kinds=some.lists(
        some.tuples(
            some.sampled_from([0, 0, 16, 0xFE0D, 0xFFCE, 43]),
            some.binary(max_size=6)
            | some.lists(some.sampled_from([b"a.example", b"evil", b"A.example", b""]), max_size=2).map(
                lambda found: names(*found)
            ),
        ),
        max_size=4,
    ),
    cut=some.integers(0, 200),
    flip=some.none() | some.tuples(some.integers(0, 150), some.integers(0, 255)),
)
def test_whatever_hello_names_a_host_names_it_once_and_openly(
    kinds: list[tuple[int, bytes]], cut: int, flip: tuple[int, int] | None
) -> None:
    record = bytearray(hello(extensions(*kinds)))
    if flip:
        record[flip[0] % len(record)] = flip[1]
    for body in (bytes(record), bytes(record[: cut % len(record)])):
        try:
            name = server_name(body)
        except (ValueError, IndexError):
            continue
        if name and not flip:
            assert [kind for kind, _ in kinds].count(0) == 1
            assert not {0xFE0D, 0xFFCE} & {kind for kind, _ in kinds}
            assert next(inner for kind, inner in kinds if kind == 0).lower().endswith(name.encode())


def test_the_parsers_are_given_what_they_accept() -> None:
    """Else the tests above would pass for a parser that refuses everything."""

    def checks() -> Iterator[bool]:
        yield server_name(hello(extensions((0, names(b"a.example"))))) == "a.example"
        yield read_target(b"GET http://a.example/x HTTP/1.1") is not None
        yield body_size([b"Content-Length: 5"]) == 5
        yield reachable("8.8.8.8", private=False)
        yield allowed("a.example", ("*.example",))

    assert all(checks())
