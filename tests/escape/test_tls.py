"""Tunnels, attacked: other names in TLS, requests hidden inside, certificates that were planted, secrets that are asked for."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightmill.sandbox.network.authority import Authority
from nightmill.sandbox.network.hello import AGAIN, server_name
from nightmill.sandbox.network.reach import Network
from tests.sandbox.test_tls import GET, SECRET, Far, credential, credited, hello, loopback, opened, tunnelled
from tests.sandbox.web import ask, client, proxied, proxy, through, web

pytestmark = pytest.mark.wall("proxy")

CHANGE = bytes.fromhex("140303000101")


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is refused here sends nothing more and waits for the end: the proxy need not hear them out."""
    monkeypatch.setattr("nightmill.sandbox.network.egress.LINGER_SECONDS", 0.05)


def careless() -> ssl.SSLContext:
    """How an attacker's tool speaks TLS: it trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize("name", ["other.example", "xlocalhost", "localhost.example", "a.localhost"])
def test_a_tunnel_in_which_tls_asks_for_another_host_is_cut(tmp_path: Path, name: str) -> None:
    """Fronting: the allowed host's address also serves others."""
    far = Far(tmp_path)
    with pytest.raises((OSError, EOFError)):
        tunnelled(far, tmp_path, name=name, tls=careless())

    assert far.heads == []
    assert [(made.allowed, made.reason) for made in far.told] == [(False, "another name in TLS")]


@pytest.mark.parametrize("name", ["other.example", "a.localhost"])
def test_an_opened_tunnel_in_which_tls_asks_for_another_host_is_cut(tmp_path: Path, name: str) -> None:
    far = Far(tmp_path)

    async def whole() -> None:
        async with web(far.heads, tls=far.authority.context("localhost")) as port:
            place = {"hosts": ("localhost",), "inspect": ("localhost",)}
            async with proxy(tmp_path, far.reaching(port), **place) as egress:
                await through(egress, f"localhost:{port}", GET, tls=careless(), name=name)

    with pytest.raises((OSError, EOFError)):
        asyncio.run(whole())
    assert far.heads == []
    assert [(made.allowed, made.reason) for made in far.told] == [(False, "no TLS for this host")]


def with_extension(record: bytes, kind: int) -> bytes:
    """The hello in *record* with one more extension."""
    body = bytearray(record)
    place = 5 + 4 + 34
    place += 1 + body[place]
    place += 2 + int.from_bytes(body[place : place + 2], "big")
    place += 1 + body[place]
    extra = kind.to_bytes(2, "big") + b"\0\4abcd"
    for at, width in ((3, 2), (6, 3), (place, 2)):
        size = int.from_bytes(body[at : at + width], "big") + len(extra)
        body[at : at + width] = size.to_bytes(width, "big")
    return bytes(body) + extra


HELLO = hello("localhost")

BAD = {
    "no TLS": b"GET / HTTP/1.1\r\nHost: other\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "no name": hello(None),
    "a name hidden in ECH": with_extension(HELLO, 0xFE0D),
    "a name hidden in ESNI": with_extension(HELLO, 0xFFCE),
    "two names": with_extension(HELLO, 0),
    "a hello in two records": HELLO[:3] + b"\0\x20" + HELLO[5:37] + HELLO[:3] + (len(HELLO) - 37).to_bytes(2, "big") + HELLO[37:],
    "application data first": b"\x17" + HELLO[1:],
    "SSL 2": b"\x80\x2e\x01\x03\x01" + b"\0" * 60,
    "a longer hello than its record": HELLO[:6] + b"\0\x40\0" + HELLO[9:],
    "an alert": bytes.fromhex("15030300020100"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_tunnel_that_does_not_begin_with_tls_for_its_host_is_cut(tmp_path: Path, what: str) -> None:
    said, heads = proxied(b"CONNECT localhost:PORT HTTP/1.1\r\n\r\n" + BAD[what], tmp_path)

    assert said == b"HTTP/1.1 200 Connection established\r\n\r\n"
    assert heads == []


def test_an_extension_that_hides_nothing_goes_through() -> None:
    assert server_name(with_extension(HELLO, 0xABCD)) == "localhost"


def test_a_second_hello_may_not_name_another_host_either(tmp_path: Path) -> None:
    """A server may ask for the hello again; what the client then names is what some servers go by."""
    retry = b"\x02\x00\x00\x26\x03\x03" + AGAIN + b"\0\0"
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(len(HELLO)))
        writer.write(b"\x16\x03\x03" + len(retry).to_bytes(2, "big") + retry)
        while piece := await reader.read(1 << 16):
            heard.append(piece)
        writer.close()

    async def whole(second: bytes) -> None:
        heard.clear()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        network = Network(private=frozenset({"localhost"}), ports=frozenset({port}))
        async with server, proxy(tmp_path, network, hosts=("localhost",)) as egress:
            reader, writer = await asyncio.open_unix_connection(egress.path)
            writer.write(b"CONNECT localhost:%d HTTP/1.1\r\n\r\n" % port + HELLO)
            await reader.readuntil(AGAIN + b"\0\0")
            writer.write(CHANGE + second + b"after")
            writer.write_eof()
            await reader.read()
            writer.close()

    asyncio.run(whole(hello("other.example")))
    assert b"".join(heard) == HELLO + CHANGE
    asyncio.run(whole(HELLO))
    assert b"".join(heard) == HELLO + CHANGE + HELLO + b"after"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost:PORT\r\nHost: other\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost:PORT.\r\n\r\n",
        b"GET https://other.example/ HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n",
        b"CONNECT other.example:443 HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n",
        b"GET /\tx HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n",
        b"GET / HTTP/2\r\nHost: localhost:PORT\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost:PORT\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost:PORT\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: localhost:PORT\r\nX: a\n\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost:PORT\r\nX: a\r\n Host: other\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost:PORT\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost:PORT\r\nTransfer_Encoding : chunked\r\n\r\n",
    ],
)
def test_a_request_inside_tls_that_could_be_read_otherwise_goes_nowhere(tmp_path: Path, head: bytes) -> None:
    far = Far(tmp_path)

    assert opened(far, tmp_path, head).startswith(b"HTTP/1.1 400")
    assert far.heads == []
    assert [(made.allowed, made.reason) for made in far.told] == [(False, "not understood")]


def test_a_second_request_inside_tls_goes_nowhere(tmp_path: Path) -> None:
    far = Far(tmp_path)
    said = opened(far, tmp_path, GET + b"GET /hidden HTTP/1.1\r\nHost: other\r\n\r\n")

    assert said.endswith(b"hello")
    assert len(far.heads) == 1


def test_no_other_protocol_is_spoken_inside_tls(tmp_path: Path) -> None:
    far = Far(tmp_path)
    asked = GET.replace(b"X-Own: 1", b"Connection: Upgrade\r\nUpgrade: websocket")
    said = opened(far, tmp_path, asked, reply=b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")

    assert said.startswith(b"HTTP/1.1 502")
    assert b"pgrade" not in far.heads[0]


@pytest.mark.parametrize(
    "reply",
    [b"hello\r\n\r\n", b"HTTP/1.1 200 OK\nX: y\r\n\r\n", b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 100 \r\n\r\n" * 30, b"HTTP/1.1 2"],
)  # fmt: skip
def test_what_is_no_answer_is_not_passed_on(tmp_path: Path, reply: bytes) -> None:
    said = opened(Far(tmp_path), tmp_path, reply=reply)

    assert said.replace(b"HTTP/1.1 100 \r\n\r\n", b"").startswith(b"HTTP/1.1 502")


def test_a_planted_certificate_of_the_host_is_refused(tmp_path: Path) -> None:
    """Whoever answers in the host's place gets neither the request nor the credential."""
    far, planted = Far(tmp_path), Authority(now=lambda: 1.8e9)
    far.authority = planted

    said, _ = credited(far, tmp_path)

    assert said.startswith(b"HTTP/1.1 502")
    assert b"not trusted" in said
    assert far.heads == []
    assert far.told[0].reason == "certificate"


def test_a_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    far = Far(tmp_path)

    async def whole() -> bytes:
        async with web(far.heads, tls=far.authority.context("other.example")) as port:
            place = {"hosts": ("localhost",), "inspect": ("localhost",)}
            async with proxy(tmp_path, far.reaching(port), **place) as egress:
                asked = GET.replace(b"PORT", b"%d" % port)
                return await through(egress, f"localhost:{port}", asked, tls=client(egress.trusted))

    assert asyncio.run(whole()).startswith(b"HTTP/1.1 502")
    assert far.heads == []


def test_the_authority_of_one_sandbox_is_not_trusted_by_another(tmp_path: Path) -> None:
    far = Far(tmp_path)

    async def whole() -> None:
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        place = {"hosts": ("localhost",), "inspect": ("localhost",)}
        network = far.reaching(443)
        async with proxy(tmp_path / "one", network, **place) as one, proxy(tmp_path / "two", network, **place) as two:
            await through(one, "localhost:443", GET, tls=client(two.trusted))

    with pytest.raises(ssl.SSLCertVerificationError):
        asyncio.run(whole())
    assert far.heads == []


def test_an_authority_that_signs_for_itself_signs_nothing_for_others() -> None:
    """The certificate inside is one, without its key; a leaf that the proxy shows can sign nothing."""
    authority = Authority(now=lambda: 1.8e9)

    assert b"PRIVATE" not in authority.certificate
    assert authority.certificate.count(b"BEGIN CERTIFICATE") == 1


@pytest.mark.parametrize(
    ("request_line", "why"),
    [
        (b"GET http://localhost:PORT/ HTTP/1.1", "by plain HTTP, which others on the way can read"),
        (b"GET http://localhost:PORT/nightmill-placeholder-own HTTP/1.1\r\nX: nightmill-placeholder-own", "in a path"),
    ],
)
def test_a_credential_is_not_added_outside_tls(tmp_path: Path, request_line: bytes, why: str) -> None:
    async def whole() -> tuple[bytes, list[bytes]]:
        heads: list[bytes] = []
        async with web(heads) as port:
            network = Network(private=frozenset({"localhost"}), credentials=(credential(port),))
            async with proxy(tmp_path, network, hosts=("localhost",), credentials=("own",)) as egress:
                asked = request_line.replace(b"PORT", b"%d" % port) + b"\r\n\r\n"
                return await ask(egress.path, asked), heads

    said, heads = asyncio.run(whole())
    assert said.endswith(b"hello"), why
    assert SECRET.encode() not in heads[0]


@pytest.mark.parametrize("other", [{"port": 1}, {"host": "other.example"}])
def test_a_credential_is_not_added_for_another_port_or_host(tmp_path: Path, other: dict[str, Any]) -> None:
    far = Far(tmp_path)

    async def whole() -> bytes:
        async with web(far.heads, tls=far.authority.context("localhost")) as port:
            far.network = {
                "credentials": (
                    credential(port).__class__(
                        **{"name": "own", "host": "localhost", "port": port, "secret": SECRET, **other}
                    ),
                )
            }
            place = {"hosts": ("localhost", "other.example"), "inspect": ("localhost",), "credentials": ("own",)}
            async with proxy(tmp_path, far.reaching(port), **place) as egress:
                asked = GET.replace(b"PORT", b"%d" % port).replace(b"mine", b"nightmill-placeholder-own")
                return await through(egress, f"localhost:{port}", asked, tls=client(egress.trusted))

    assert asyncio.run(whole()).endswith(b"hello")
    assert SECRET.encode() not in far.heads[0]
    assert b"Authorization: Bearer nightmill-placeholder-own" in far.heads[0]


def test_a_sandbox_sends_no_more_than_it_may(tmp_path: Path) -> None:
    """A brake on what could be carried out, through tunnels and heads, too."""
    told: list[tuple[str, bool, int]] = []

    async def whole() -> tuple[list[bytes], int]:
        heads: list[bytes] = []
        async with web(heads) as port:
            network = Network(
                private=frozenset({"*.example"}),
                ports=frozenset({port}),
                lookup=loopback,
                upload=100_000,
                on_request=lambda _, made: told.append((made.reason, made.allowed, made.up)),
            )
            async with proxy(tmp_path, network, hosts=("*.example",)) as egress:
                head = b"POST http://%%b.example:%d/ HTTP/1.1\r\nContent-Length: %%d\r\n\r\n" % port
                said = [
                    await ask(egress.path, head % (b"a", 60_000) + b"x" * 60_000),
                    await ask(egress.path, head % (b"b", 60_000) + b"x" * 60_000),
                    await ask(egress.path, head % (b"c", 0)),
                ]
        return said, sum(map(len, heads))

    said, heard = asyncio.run(whole())
    assert said[0].endswith(b"hello")
    assert not said[1].startswith(b"HTTP/1.1 200")
    assert said[2].startswith(b"HTTP/1.1 403")
    assert heard < 101_000
    assert [(reason, passed) for reason, passed, _ in told] == [
        ("", True),
        ("upload limit", True),
        ("upload limit", False),
    ]


@given(cut=st.integers(0, len(HELLO)), body=st.binary(max_size=40), keep=st.integers(0, 40))
def test_a_hello_that_was_tampered_with_is_read_as_itself_or_not_at_all(cut: int, body: bytes, keep: int) -> None:
    record = HELLO[:5] + (HELLO[5:cut] + body + HELLO[max(5, cut) + keep :] or b"x")
    try:
        name = server_name(record)
    except ValueError:
        return
    assert name == "" or name.encode() in record.lower()
