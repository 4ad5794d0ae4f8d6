"""The way out, attacked with what the proxy and the server behind it might read in two ways."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nightmill.sandbox.network.authority import Authority
from nightmill.sandbox.network.egress import Pace
from nightmill.sandbox.network.reach import Network
from tests.sandbox.web import ask, proxied, proxy

pytestmark = pytest.mark.wall("proxy")

POST = b"POST http://localhost:PORT/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
HIDDEN = b"GET /admin HTTP/1.1\r\nHost: other\r\n\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\nX-Trailer: y\r\n\r\n",
        b"3;ext=1\r\nabc\r\n0;x\r\n\r\n",
        b"0\r\n\r\n",
    ],
)
def test_a_request_hidden_behind_a_chunked_body_stays_here(tmp_path: Path, body: bytes) -> None:
    """Request smuggling: the second request's Host would be one that nobody looked at."""
    said, heads = proxied(POST + b"\r\n" + body + HIDDEN, tmp_path)

    assert said.endswith(b"hello")
    assert not [each for each in heads if b"admin" in each or b"other" in each]
    assert heads[-1].endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("size", [b"-1", b"0x3", b"3 ", b" 3", b"zz", b"", b"fffffffff", b"+3", b"3\n"])
def test_a_piece_whose_size_could_be_read_in_two_ways_ends_the_body(tmp_path: Path, size: bytes) -> None:
    _, heads = proxied(POST + b"\r\n" + size + b"\r\nabc\r\n0\r\n\r\n" + HIDDEN, tmp_path)

    assert not [each for each in heads if b"admin" in each or b"abc" in each]


@pytest.mark.parametrize(
    "header",
    [
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding\x0b: chunked",
        b"Content Length: 3",
        b"Host\x1f: other",
        b"(Host): other",
        b": x",
        b"H\xc3\xb6st: x",
        b"Content-Length: +3",
        b"Content-Length: 3, 3",
        b"Content-Length: 0x3",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    ],
)
def test_a_header_that_servers_read_differently_goes_nowhere(tmp_path: Path, header: bytes) -> None:
    said, heads = proxied(b"POST http://localhost:PORT/ HTTP/1.1\r\n" + header + b"\r\n\r\n", tmp_path)

    assert said.startswith(b"HTTP/1.1 400")
    assert heads == []


def refused(requests: list[bytes], folder: Path, *, hosts: tuple[str, ...], network: Network) -> list[bytes]:
    """How the proxy begins its answers."""

    async def whole() -> list[bytes]:
        async with proxy(folder, network, hosts=hosts) as egress:
            return [(await ask(egress.path, each + b"\r\n\r\n"))[:12] for each in requests]

    return asyncio.run(whole())


def test_a_tunnel_to_the_plain_port_would_carry_any_host_and_is_refused(tmp_path: Path) -> None:
    async def lookup(_host: str, _port: int) -> list[str]:
        raise AssertionError("it was not even looked up")

    requests = [b"CONNECT a.example:80 HTTP/1.1", b"CONNECT A.EXAMPLE.:80 HTTP/1.1"]
    answers = refused(requests, tmp_path, hosts=("a.example",), network=Network(lookup=lookup))

    assert answers == [b"HTTP/1.1 403"] * 2


def test_addresses_written_as_names_lead_nowhere_even_if_a_project_lists_them(tmp_path: Path) -> None:
    """Decimal, octal, hexadecimal and short forms are names to us and addresses to a resolver, which is the real one."""
    names = ["127.0.0.1", "127.1", "0x7f.0.0.1", "0177.0.0.1", "2130706433", "0", "169.254.169.254", "0xa9fea9fe"]
    requests = [f"CONNECT {name}:443 HTTP/1.1".encode() for name in names]

    answers = refused(requests, tmp_path, hosts=(*names, "*.0.0.1", "*.1"), network=Network())

    assert answers == [b"HTTP/1.1 403"] * len(names)


def test_connections_without_end_take_a_bounded_number_of_places(tmp_path: Path) -> None:
    """Slowloris: the next one waits outside, and gets the first place that is free."""

    async def whole() -> tuple[int, bool, bytes]:
        held = []
        async with proxy(tmp_path, Network()) as egress:
            for _ in range(64):
                _, writer = await asyncio.open_unix_connection(egress.path)
                writer.write(b"GET http://a/ HTTP/1.1\r\nX: ")
                held.append(writer)
            last = asyncio.create_task(ask(egress.path, b"GET http://a/ HTTP/1.1\r\n\r\n"))
            while len(egress.tasks) < 64:  # noqa: ASYNC110 - the proxy tells nobody
                await asyncio.sleep(0)
            await asyncio.wait({last}, timeout=0.2)
            taken, waits = len(egress.tasks), not last.done()
            held[0].close()
            said = await last
        for each in held:
            each.close()
        return taken, waits, said[:12]

    assert asyncio.run(whole()) == (64, True, b"HTTP/1.1 403")


def test_a_loop_of_connections_is_slowed_to_a_pace() -> None:
    """Each costs time of a worker that all runs share."""
    pace = Pace(rate=100.0, burst=5)

    assert [pace.wait(7.0) for _ in range(8)] == pytest.approx([0, 0, 0, 0, 0, 0.01, 0.02, 0.03])
    assert pace.wait(7.06) == 0


def test_names_without_end_below_a_wildcard_take_no_memory_without_end() -> None:
    """Each opened tunnel to a new name makes a certificate, before anybody asks whether the name exists."""
    authority = Authority(now=lambda: 1_800_000_000.0)

    first = authority.context("0.example")
    for number in range(200):
        authority.context(f"{number}.example")

    assert len(authority._contexts) <= 64
    assert authority.context("199.example") is authority.context("199.example")
    assert authority.context("0.example") is not first
