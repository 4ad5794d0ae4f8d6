"""TLS: tunnels that are for whom they say, and those that the proxy opens to add what a sandbox may not hold."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from nightmill.errors import SettingsError
from nightmill.sandbox.network.authority import Authority
from nightmill.sandbox.network.credential import Credential, Redaction
from nightmill.sandbox.network.hello import server_name
from nightmill.sandbox.network.reach import Network, Request
from tests.sandbox.web import ask, client, proxy, through, web

SECRET = "s3cret-of-the-operator"
GET = b"GET /a?q=1 HTTP/1.1\r\nHost: localhost:PORT\r\nAuthorization: Bearer mine\r\nX-Own: 1\r\n\r\n"


class Far:
    """A server with TLS on loopback, the network that leads there, and what was heard and told."""

    def __init__(self, folder: Path, **network: Any) -> None:
        self.authority = Authority(now=time.time)
        self.heads: list[bytes] = []
        self.told: list[Request] = []
        self.file = folder / "authority.pem"
        self.file.write_bytes(self.authority.certificate)
        self.network = network

    def reaching(self, port: int) -> Network:
        return Network(
            **{
                "private": frozenset({"localhost", "other.example"}),
                "ports": frozenset({port}),
                "authorities": self.file,
                "on_request": lambda _, made: self.told.append(made),
                **self.network,
            }
        )


def credential(port: int, **changed: Any) -> Credential:
    given = {"name": "own", "host": "localhost", "port": port, "secret": SECRET}
    return Credential(**{**given, **changed})


def opened(far: Far, folder: Path, request: bytes = GET, *, reply: bytes = b"", **place: Any) -> bytes:
    """What is answered to *request* inside a tunnel that the proxy opens."""

    async def whole() -> bytes:
        async with web(far.heads, reply=reply, tls=far.authority.context("localhost")) as port:
            network = far.reaching(port)
            given = {"hosts": ("localhost",), "inspect": ("localhost",), **place}
            async with proxy(folder, network, **given) as egress:
                assert egress.authority is not None
                tls = client(egress.authority.certificate)
                return await through(egress, f"localhost:{port}", request.replace(b"PORT", b"%d" % port), tls=tls)

    return asyncio.run(whole())


def credited(
    far: Far, folder: Path, request: bytes = GET, *, reply: bytes = b"", **changed: Any
) -> tuple[bytes, Credential]:
    """The same, with a credential."""

    async def whole() -> tuple[bytes, Credential]:
        async with web(far.heads, reply=reply, tls=far.authority.context("localhost")) as port:
            one = credential(port, **changed)
            far.network = {"credentials": (one,), "ports": frozenset({443})}
            async with proxy(folder, far.reaching(port), hosts=("localhost",), credentials=("own",)) as egress:
                tls = client(egress.trusted)
                asked = request.replace(b"PORT", b"%d" % port)
                return await through(egress, f"localhost:{port}", asked, tls=tls), one

    return asyncio.run(whole())


def tunnelled(far: Far, folder: Path, *, name: str, tls: ssl.SSLContext, **place: Any) -> bytes:
    """What is answered in a tunnel to localhost in which TLS asks for *name*."""

    async def whole() -> bytes:
        async with web(far.heads, answer=b"z" * 200_000, tls=far.authority.context("localhost")) as port:
            given = {"hosts": ("localhost",), **place}
            async with proxy(folder, far.reaching(port), **given) as egress:
                return await through(egress, f"localhost:{port}", b"GET / HTTP/1.1\r\n\r\n", tls=tls, name=name)

    return asyncio.run(whole())


def test_a_tunnel_carries_the_hosts_own_tls_both_ways_unread(tmp_path: Path) -> None:
    far = Far(tmp_path)
    said = tunnelled(far, tmp_path, name="localhost", tls=client(far.authority.certificate))

    assert said.endswith(b"z" * 200_000)
    assert far.heads[0] == b"GET / HTTP/1.1\r\n\r\n"
    assert [(made.method, made.path, made.allowed, made.reason) for made in far.told] == [("CONNECT", "", True, "")]
    assert far.told[0].down > 200_000


def test_a_request_inside_an_opened_tunnel_is_read_rewritten_and_recorded(tmp_path: Path) -> None:
    far = Far(tmp_path)
    said = opened(far, tmp_path)

    assert said.endswith(b"\r\n\r\nhello")
    assert b"Connection: close" in said
    assert far.heads[0].startswith(b"GET /a?q=1 HTTP/1.1\r\nHost: localhost:")
    assert b"Authorization: Bearer mine" in far.heads[0]
    [made] = far.told
    assert (made.method, made.host, made.path, made.status, made.credential) == ("GET", "localhost", "/a", 200, "")


def test_a_credential_is_added_and_never_seen_by_the_sandbox(tmp_path: Path) -> None:
    far = Far(tmp_path)
    echo = b"HTTP/1.1 200 OK\r\nX-Echo: Bearer " + SECRET.encode() + b"\r\n\r\n%b"
    said, _ = credited(far, tmp_path, reply=echo)

    assert f"Authorization: Bearer {SECRET}".encode() in far.heads[0]
    assert b"mine" not in far.heads[0]
    assert b"X-Echo: Bearer " + b"*" * len(SECRET) in said
    assert b"X-Own: 1" in said
    assert SECRET.encode() not in said
    [made] = far.told
    assert (made.credential, made.allowed) == ("own", True)
    assert SECRET not in repr(far.told)


def test_a_password_is_found_in_an_answer_however_it_was_sent(tmp_path: Path) -> None:
    far = Far(tmp_path)
    sent = base64.b64encode(f"x-access-token:{SECRET}".encode())
    said, _ = credited(far, tmp_path, scheme="basic", reply=b"HTTP/1.1 200 OK\r\n\r\n%b" + SECRET.encode())

    assert b"Authorization: Basic " + sent in far.heads[0]
    assert b"Authorization: Basic " + b"*" * len(sent) in said
    assert SECRET.encode() not in said


def test_another_header_may_carry_the_secret_and_the_sandboxs_own_is_dropped(tmp_path: Path) -> None:
    far = Far(tmp_path)
    request = GET.replace(b"X-Own: 1", b"PRIVATE-token: nightmill-placeholder-own")
    credited(far, tmp_path, request, header="Private-Token", scheme="raw")

    assert far.heads[0].lower().count(b"private-token") == 1
    assert f"Private-Token: {SECRET}".encode() in far.heads[0]
    assert b"Authorization: Bearer mine" in far.heads[0]
    assert b"placeholder" not in far.heads[0]


def test_an_answer_that_goes_elsewhere_takes_no_credential_along(tmp_path: Path) -> None:
    """Each request is decided by itself: what follows a redirect is another one, to another host."""
    far = Far(tmp_path)

    async def whole() -> bytes:
        async with web(far.heads, tls=far.authority.context("other.example")) as port:
            far.network = {"credentials": (credential(port),), "lookup": loopback}
            place = {"hosts": ("localhost", "other.example"), "inspect": ("other.example",)}
            async with proxy(tmp_path, far.reaching(port), credentials=("own",), **place) as egress:
                asked = GET.replace(b"localhost:PORT", b"other.example:%d" % port)
                return await through(egress, f"other.example:{port}", asked, tls=client(egress.trusted))

    assert asyncio.run(whole()).endswith(b"hello")
    assert SECRET.encode() not in far.heads[0]
    assert far.told[0].credential == ""


def test_a_place_without_the_credential_gets_a_plain_tunnel(tmp_path: Path) -> None:
    far = Far(tmp_path)
    far.network = {"credentials": (credential(443),)}
    said = tunnelled(far, tmp_path, name="localhost", tls=client(far.authority.certificate))

    assert said.endswith(b"z")
    assert SECRET.encode() not in far.heads[0]


async def loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def test_hosts_of_a_live_sandbox_are_swapped_and_what_goes_on_with_others_is_cut(tmp_path: Path) -> None:
    async def whole() -> tuple[bytes, list[bytes], bytes]:
        heads: list[bytes] = []
        async with web(heads) as port:
            network = Network(private=frozenset({"*.example"}), ports=frozenset({port}), lookup=loopback)
            async with proxy(tmp_path, network, hosts=("*.example",)) as egress:

                async def get(host: str) -> bytes:
                    return (await ask(egress.path, f"GET http://{host}:{port}/ HTTP/1.1\r\n\r\n".encode()))[:12]

                reader, writer = await asyncio.open_unix_connection(egress.path)
                writer.write(b"POST http://a.example:%d/ HTTP/1.1\r\nContent-Length: 9\r\n\r\n" % port)
                while not heads:  # noqa: ASYNC110 - the server only writes it down
                    await asyncio.sleep(0)
                await egress.reach(("b.example",))
                try:
                    cut = await reader.read()
                except ConnectionError:
                    cut = b""
                writer.close()
                answers = [await get(host) for host in ("a.example", "b.example")]
                await egress.reach(("*.example",))
                return cut, answers, await get("a.example")

    assert asyncio.run(whole()) == (b"", [b"HTTP/1.1 403", b"HTTP/1.1 200"], b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "changed",
    [
        {"secret": "short"},
        {"secret": "two\nlines-of-it"},
        {"secret": "s3cret-of-the-\u00f6perator"},
        {"secret": " spaces-around "},
        {"header": "Host"},
        {"header": "Content-Length"},
        {"header": "X: y\r\nZ"},
        {"user": "a:b"},
        {"name": "Own Name"},
    ],
)
def test_a_credential_that_would_break_a_head_is_refused_without_its_value(changed: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        credential(443, **changed)

    assert changed.get("secret", SECRET) not in str(caught.value)


def test_a_credential_does_not_show_its_secret() -> None:
    one = credential(443)

    assert SECRET not in repr(one) + str(one) + f"{one!r} {[one]} {Network(credentials=(one,))}"


def test_secrets_are_found_across_pieces_and_lengths_stay() -> None:
    body = b"x" * 50 + SECRET.encode() + b"y" * 50 + SECRET[:10].encode()
    for size in range(1, 40):
        redaction = Redaction([credential(443)])
        pieces = [redaction.feed(body[start : start + size]) for start in range(0, len(body), size)]
        found = b"".join([*pieces, redaction.end()])
        assert found == body.replace(SECRET.encode(), b"*" * len(SECRET))


def test_the_name_in_a_hello_is_read_from_a_real_one() -> None:
    assert server_name(hello("a.example")) == "a.example"
    assert server_name(hello("A.Example")) == "a.example"
    assert server_name(hello(None)) == ""


def hello(name: str | None) -> bytes:
    """A ClientHello as OpenSSL makes it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        near.do_handshake()
    return outgoing.read()
