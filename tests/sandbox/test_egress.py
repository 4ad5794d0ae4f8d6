"""The way out: allowed names only, at addresses that were checked, as what they are."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nightmill.sandbox import Command
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.network import reach
from nightmill.sandbox.network.head import read_target
from nightmill.sandbox.network.reach import Network, Request, allowed, reachable
from tests.sandbox.box import Box, Within
from tests.sandbox.web import ask, proxied, proxy, web

FETCH = """
import sys, urllib.request, urllib.error
for url in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(url, timeout=20).read().decode())
    except urllib.error.HTTPError as error:
        print(error.code, error.headers.get("X-Proxy-Error"))
    except OSError as error:
        print(error)
"""


def test_a_sandbox_reaches_allowed_hosts_and_no_others(within: Within) -> None:
    asked: list[tuple[str, Request]] = []

    heads: list[bytes] = []

    async def scenario(box: Box) -> None:
        async with web(heads, answer=b"x" * 300_000) as port:
            box.sandbox.egress.network = Network(  # type: ignore[union-attr]
                private=frozenset({"localhost"}),
                ports=frozenset({port}),
            )
            urls = [f"http://localhost:{port}/a?b", "http://denied.example/", "https://denied.example/"]
            found = await box.sandbox.run(fetching(urls))
        lines = found.text.splitlines()
        assert lines[0] == "x" * 300_000
        assert lines[1].startswith("403 denied.example:80")
        assert "403" in lines[2]
        direct = await box.python("import socket; socket.create_connection(('192.0.2.1', 80), 3)")
        assert "unreachable" in direct.text
        names = await box.python("import socket; socket.getaddrinfo('localhost.example', 80)")
        assert "gaierror" in names.text

    sandboxes = BubblewrapSandboxes(network=Network(on_request=lambda run, made: asked.append((run, made))))
    within(scenario, hosts=("localhost",), run="run-7", sandboxes=sandboxes)
    assert {run for run, _ in asked} == {"run-7"}
    told = [(made.method, made.host, made.path, made.status, made.allowed, made.reason) for _, made in asked]
    assert told == [
        ("GET", "localhost", "/a", 200, True, ""),
        ("GET", "denied.example", "/", 403, False, "not allowed"),
        ("CONNECT", "denied.example", "", 403, False, "not allowed"),
    ]
    assert asked[0][1].down > 300_000
    assert 0 < asked[0][1].up < 1_000
    assert heads[0].startswith(b"GET /a?b HTTP/1.1\r\nHost: localhost")


def fetching(urls: list[str]) -> Command:
    """Fetch *urls* through the proxy, also those on loopback."""
    env = {"no_proxy": "", "NO_PROXY": ""}
    return Command(argv=("/usr/bin/python3", "-c", FETCH, *urls), cwd="/work", env=env)


def test_many_requests_at_once_go_through_and_a_killed_relay_comes_back(within: Within) -> None:
    heads: list[bytes] = []

    async def scenario(box: Box) -> None:
        async with web(heads) as port:
            box.sandbox.egress.network = Network(private=frozenset({"localhost"}), ports=frozenset({port}))  # type: ignore[union-attr]
            await box.sh("kill -9 $(ps -e -o pid,ppid | awk '$2 == 1 {print $1}' | head -1); sleep 0.1")
            urls = [f"http://localhost:{port}/{number}" for number in range(5)]
            found = await asyncio.gather(*(box.sandbox.run(fetching(urls)) for _ in range(8)))
        assert [each.text for each in found] == ["hello\n" * 5] * 8

    within(scenario, hosts=("localhost",))


def test_without_hosts_there_is_no_network_at_all(within: Within) -> None:
    async def scenario(box: Box) -> None:
        assert (
            await box.sh("env | grep -i proxy; ls /run/nightmill; cat /proc/net/dev | wc -l")
        ).text == "runner.pyc\n3\n"
        assert not (box.place.directory / "net").exists()

    within(scenario)


def test_host_is_rewritten_and_the_proxys_headers_stay_here(tmp_path: Path) -> None:
    request = b"GET http://localhost:PORT/x HTTP/1.1\r\nHost: evil\r\nProxy-Authorization: secret\r\n"
    request += b"X-Own: 1\r\nConnection: keep-alive\r\n\r\n"
    said, heads = proxied(request, tmp_path)

    assert said.endswith(b"\r\n\r\nhello")
    assert heads[0].split(b"\r\n")[0] == b"GET /x HTTP/1.1"
    assert heads[0].count(b"Host:") == 1
    assert b"evil" not in heads[0]
    assert b"secret" not in heads[0]
    assert b"X-Own: 1" in heads[0]
    assert b"Connection: close" in heads[0]


def test_a_second_request_on_the_same_connection_goes_nowhere(tmp_path: Path) -> None:
    first = b"POST http://localhost:PORT/x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
    said, heads = proxied(first + b"GET /y HTTP/1.1\r\nHost: evil\r\n\r\n", tmp_path)

    assert said.endswith(b"hello")
    assert heads[1:] == [b"abc", b"rest:"]


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET http://localhost:1/ HTTP/1.1", b"403"),
        (b"CONNECT localhost:22 HTTP/1.1", b"403"),
        (b"CONNECT evil.localhost:PORT HTTP/1.1", b"403"),
        (b"CONNECT 127.0.0.1:PORT HTTP/1.1", b"403"),
        (b"CONNECT 2130706433:PORT HTTP/1.1", b"403"),
        (b"CONNECT [::1]:PORT HTTP/1.1", b"400"),
        (b"CONNECT localhost@evil:PORT HTTP/1.1", b"400"),
        (b"GET http://localhost:PORT@evil/ HTTP/1.1", b"400"),
        (b"GET http://evil#localhost:PORT/ HTTP/1.1", b"400"),
        (b"GET http://localhost\\.evil:PORT/ HTTP/1.1", b"400"),
        (b"GET http://localhost%00.evil/ HTTP/1.1", b"400"),
        (b"GET https://localhost:PORT/ HTTP/1.1", b"400"),
        (b"GET ftp://localhost:PORT/ HTTP/1.1", b"400"),
        (b"GET / HTTP/1.1", b"400"),
        (b"GET  http://localhost:PORT/ HTTP/1.1", b"400"),
        (b"GET http://localhost:PORT/a b HTTP/1.1", b"400"),
        (b"GET http://localhost:PORT/ HTTP/2", b"400"),
        (b"GET http://localhost:99999999/ HTTP/1.1", b"400"),
        (b"GET http://localhost:PORT/\r\nHost : x\r\n HTTP/1.1", b"400"),
        (b"GET http://localhost:PORT/ HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4", b"400"),
        (b"GET http://localhost:PORT/ HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked", b"400"),
        (b"GET http://localhost:PORT/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked", b"400"),
        (b"GET http://localhost:PORT/ HTTP/1.1\r\nX: a\nHost: evil", b"400"),
        (b"GET http://localhost:PORT/ HTTP/1.1\r\n folded", b"400"),
    ],
)
def test_requests_that_could_mean_something_else_are_refused(
    tmp_path: Path, request_line: bytes, status: bytes
) -> None:
    said, heads = proxied(request_line + b"\r\n\r\n", tmp_path)

    assert said.startswith(b"HTTP/1.1 " + status), said
    assert heads == []


def test_a_head_without_end_is_cut(tmp_path: Path) -> None:
    said, heads = proxied(b"GET http://localhost:PORT/ HTTP/1.1\r\n" + b"X: y\r\n" * 20_000, tmp_path)

    assert said == b""
    assert heads == []


def test_a_name_that_leads_to_a_forbidden_address_is_refused_however_it_is_resolved(tmp_path: Path) -> None:
    answers = iter([["203.0.113.9", "169.254.169.254"], ["127.0.0.1"], ["::ffff:10.0.0.1"], []])

    async def lookup(_host: str, _port: int) -> list[str]:
        return next(answers)

    async def whole() -> list[bytes]:
        async with proxy(tmp_path, Network(lookup=lookup), hosts=("*.example",)) as egress:
            return [await ask(egress.path, b"CONNECT a.example:443 HTTP/1.1\r\n\r\n") for _ in range(4)]

    assert [said[:12] for said in asyncio.run(whole())] == [b"HTTP/1.1 403"] * 4


def test_the_checked_address_is_the_one_that_is_connected_to(tmp_path: Path) -> None:
    asked = 0

    async def whole() -> bytes:
        async with web([]) as port:

            async def lookup(_host: str, _port: int) -> list[str]:
                nonlocal asked
                asked += 1
                return ["127.0.0.1"] if asked == 1 else ["192.0.2.1"]

            network = Network(private=frozenset({"a.example"}), ports=frozenset({port}), lookup=lookup)
            async with proxy(tmp_path, network, hosts=("a.example",)) as egress:
                return await ask(egress.path, b"GET http://a.example:%d/ HTTP/1.1\r\n\r\n" % port)

    assert asyncio.run(whole()).endswith(b"hello")
    assert asked == 1


@pytest.mark.parametrize(
    ("host", "hosts", "passes"),
    [
        ("index.example", ("index.example",), True),
        ("index.example", ("Index.Example.",), True),
        ("evilindex.example", ("index.example",), False),
        ("index.example.evil", ("index.example",), False),
        ("files.index.example", ("index.example",), False),
        ("files.index.example", ("*.index.example",), True),
        ("a.b.index.example", ("*.index.example",), True),
        ("index.example", ("*.index.example",), False),
        ("evilindex.example", ("*.index.example",), False),
        (".index.example", ("*.index.example",), False),
    ],
)
def test_names_are_matched_whole(host: str, hosts: tuple[str, ...], passes: bool) -> None:  # noqa: FBT001 - a column of the table
    assert allowed(host, hosts) is passes


@pytest.mark.parametrize(
    ("name", "hosts", "inside"),
    [
        ("a.example", ("a.example",), True),
        ("A.Example.", ("*.example",), True),
        ("*.example", ("*.example",), True),
        ("*.a.example", ("*.example",), True),
        ("*.example", ("*.a.example",), False),
        ("*.example", ("a.example", "x.example"), False),
        ("example", ("*.example",), False),
        ("a.example", (), False),
    ],
)
def test_a_list_of_names_is_inside_another_or_not(name: str, hosts: tuple[str, ...], inside: bool) -> None:  # noqa: FBT001 - a column of the table
    assert reach.within(name, hosts) is inside


@pytest.mark.parametrize(
    ("address", "plain", "named"),
    [
        ("203.0.113.7", True, True),
        ("93.184.216.34", True, True),
        ("2606:2800:220:1::1", True, True),
        ("10.1.2.3", False, True),
        ("172.31.0.1", False, True),
        ("192.168.1.1", False, True),
        ("100.64.0.1", False, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("fd12::1", False, True),
        ("::ffff:192.168.1.1", False, True),
        ("64:ff9b::10.0.0.1", False, True),
        ("2002:0a00:0001::1", False, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("fe80::1%eth0", False, False),
        ("fd00:ec2::254", False, False),
        ("100.100.100.200", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("255.255.255.255", False, False),
        ("ff02::1", False, False),
        ("not an address", False, False),
    ],
)
def test_addresses_are_judged_by_what_they_mean(address: str, plain: bool, named: bool) -> None:  # noqa: FBT001 - columns of the table
    assert reachable(address, private=False) is plain
    assert reachable(address, private=True) is named


def test_a_request_line_is_read_in_one_way() -> None:
    found = read_target(b"GET http://Index.Example./simple/?a=b HTTP/1.1")
    assert found is not None
    assert (found.host, found.port, found.path) == ("index.example", 80, "/simple/?a=b")
    assert read_target("GET http://pypi.örg/ HTTP/1.1".encode()) is None


def test_the_proxys_socket_may_have_a_long_path(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()

    async def whole() -> None:
        async with proxy(folder, Network()) as egress:
            assert (egress.path.stat().st_mode & 0o777) == 0o600
        assert not egress.path.exists()

    asyncio.run(whole())
