"""A letter goes to the address that was judged or nowhere, signed, and whatever answers can do nothing with that."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from nightmill.errors import SettingsError
from nightmill.hook import Letter, Undelivered, fresh, post
from nightmill.hook.post import Outside, read_url
from nightmill.sandbox.network.authority import Authority

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
NAME = "hooks.example"
GUIDE = Path(__file__).parents[2] / "docs/guides/webhooks.md"


class Far:
    """A server on loopback that answers *reply* and notes what it was sent."""

    def __init__(
        self, reply: bytes = OK, *, tls: ssl.SSLContext | None = None, then: Callable[..., Any] | None = None
    ) -> None:
        self.reply, self.tls, self.then = reply, tls, then
        self.heard: list[bytes] = []
        self.hearing = asyncio.Event()
        self.port = 0

    @contextlib.asynccontextmanager
    async def there(self) -> AsyncIterator[int]:
        tasks = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.current_task())
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
                self.heard.append(head + await reader.readexactly(size))
                self.hearing.set()
                writer.write(self.reply)
                await writer.drain()
                if self.then:
                    await self.then(writer)
            writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self.port
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Names:
    """A resolver whose answers are a list for each question, the last one for all later ones."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = answers, 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


def parts(far: Far) -> tuple[dict[str, str], bytes]:
    """The headers and the body of the first letter to *far*."""
    head, _, body = far.heard[0].partition(b"\r\n\r\n")
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:]), body


def judge() -> Any:
    """What the guide tells receivers to judge letters with."""
    code = re.search(r"```python\n(.+?)\n```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert code
    space: dict[str, Any] = {}
    exec(code[1], space)
    return space["is_from_nightmill"]


HERE = Names(["127.0.0.1"])
SECRET = fresh()


def sent(
    far: Far, *, url: str = "http://{name}:{port}/in?a=b", secrets: Sequence[str] = (SECRET,), **network: Any
) -> None:
    """Send a letter to *far*."""

    async def whole() -> None:
        async with far.there() as port:
            made = Letter(url=url.format(name=NAME, port=port), id="h1.7", body=b'{"type":"run_done"}')
            outside = Outside(**{"private": (NAME,), "lookup": HERE, **network})
            await post(made, made.headers(secrets, at=1_800_000_000), outside)

    asyncio.run(whole())


def test_a_letter_that_is_signed_with_two_secrets_is_good_for_who_has_either() -> None:
    far, newer = Far(), fresh()
    sent(far, secrets=(newer, SECRET))

    headers, body = parts(far)
    assert [judge()(headers, body, each, now=1_800_000_010) for each in (newer, SECRET, fresh())] == [True, True, False]


def test_a_letter_arrives_and_the_snippet_of_the_guide_finds_it_good() -> None:
    far = Far()
    sent(far)

    head, _, body = far.heard[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers, _ = parts(far)
    assert lines[0] == "POST /in?a=b HTTP/1.1"
    assert headers["host"] == f"{NAME}:{far.port}"
    good = judge()
    assert good(headers, body, SECRET, now=1_800_000_010)
    assert not good(headers, body + b" ", SECRET, now=1_800_000_010)
    assert not good(headers, body, fresh(), now=1_800_000_010)
    assert not good(headers, body, SECRET, now=1_800_000_000 + 301), "a letter that was kept back"
    assert not good({**headers, "webhook-id": "h1.8"}, body, SECRET, now=1_800_000_010)


BAD = """
    127.0.0.1 127.1.2.3 10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 169.254.169.254 0.0.0.0 224.0.0.1 255.255.255.255
    240.0.0.1 168.63.129.16 100.100.100.200 198.18.0.1
    ::1 :: fe80::1 fe80::1%1 fc00::1 fd00:ec2::254 ff02::1 fec0::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:a9fe:a9fe
    ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b:1::1 2002:7f00:1:: 2002:a00:1::1 ::ffff:0:127.0.0.1 2001:0:7f00:1::80ff:fffe
""".split()


@pytest.mark.parametrize("address", BAD)
def test_nothing_goes_to_an_address_that_is_not_of_the_internet(address: str) -> None:
    for answer in ([address], ["93.184.216.34", address], [address, "93.184.216.34"]):
        with pytest.raises(Undelivered, match="leads to an address that nothing is sent to"):
            sent(Far(), url="https://{name}:{port}/", private=(), lookup=Names(answer))


@pytest.mark.parametrize(
    "address",
    [
        *(
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "224.0.0.1",
            "0.0.0.0",
            "fd00:ec2::254",
            "fd20:ce::254",
        ),
        *("168.63.129.16", "100.100.100.200", "::ffff:100.100.100.200", "192.0.0.192"),
    ],
)
def test_a_name_that_is_called_private_does_not_lead_to_what_none_may(address: str) -> None:
    with pytest.raises(Undelivered, match="leads to an address"):
        sent(Far(), lookup=Names([address]))


def test_an_answer_that_changes_is_of_no_use_because_it_is_asked_for_once() -> None:
    far, names = Far(), Names(["127.0.0.1"], ["127.0.0.2"], ["127.0.0.3"])
    sent(far, lookup=names)
    assert (names.asked, len(far.heard)) == (1, 1)

    names = Names(["10.0.0.1"], ["127.0.0.1"])
    with pytest.raises(Undelivered, match="leads to"):
        sent(far, url="https://{name}:{port}/", private=(), lookup=names)
    assert (names.asked, len(far.heard)) == (1, 1)


def test_a_name_without_an_address_is_no_way_in() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError

    with pytest.raises(Undelivered, match="has no address"):
        sent(Far(), lookup=nowhere)
    with pytest.raises(Undelivered, match="leads to"):
        sent(Far(), lookup=Names([]))


def test_over_tls_the_certificate_has_to_be_that_of_the_name(tmp_path: Path) -> None:
    authority = Authority(now=time.time)
    file = tmp_path / "authority.pem"
    file.write_bytes(authority.certificate)
    trust = ssl.create_default_context(cafile=str(file))
    far = Far(tls=authority.context(NAME))

    sent(far, url="https://{name}:{port}/", trust=trust)
    assert len(far.heard) == 1
    with pytest.raises(Undelivered, match=r"certificate is not good|connection failed"):
        sent(Far(tls=authority.context("another.example")), url="https://{name}:{port}/", trust=trust)
    with pytest.raises(Undelivered, match=r"certificate is not good|connection failed"):
        sent(far, url="https://{name}:{port}/")
    assert len(far.heard) == 1


async def endless(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


def test_a_redirect_is_not_followed_and_a_body_is_not_read() -> None:
    inner = Far()
    with pytest.raises(Undelivered, match="answered 302, and no redirect"):
        sent(Far(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n"))
    with pytest.raises(Undelivered, match="answered 500"):
        sent(Far(b"HTTP/1.1 500 Oh\r\nContent-Length: 99999999999\r\n\r\n", then=endless))
    sent(Far(b"HTTP/1.1 200 OK\r\n\r\n", then=endless))
    assert inner.heard == []


@pytest.mark.parametrize(
    "reply",
    [
        *(b"", b"SSH-2.0-OpenSSH_9.9\r\n", b"HTTP/1.1 99 Oh\r\n\r\n", b"HTTP/1.1 200" + b"x" * 100_000, b"x" * 100_000),
        *(
            b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000 + OK,
            b"HTTP/1.1 103 Early\r\n" + b"link: x\r\n" * 50_000 + b"\r\n" + OK,
            b"\r\n" * 50_000,
        ),
    ],
    ids=["nothing", "another protocol", "no status", "a long line", "no line", "goes on", "a long head", "empty lines"],
)
def test_what_answers_no_http_has_not_taken_the_letter(reply: bytes) -> None:
    with pytest.raises(Undelivered, match="the connection failed"):
        sent(Far(reply))


def test_what_a_server_says_first_is_read_over() -> None:
    sent(Far(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK))


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    far = Far()

    sent(far)

    assert len(far.heard) == 1


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "hooks.example",
            "ftp://hooks.example/",
            "https://",
            "https://ada:word@hooks.example/",
            "file:///etc/passwd",
        ),
        *(
            "https://hooks.example:0/",
            "https://hooks.example:99999/",
            "https://hooks.example/#x",
            "https://hooks.example/a b",
        ),
        *(
            "https://hooks.example/\r\nX: y",
            "https://[::1",
            "https://hooks.example/ä",
            "https://hooks.example/" + "x" * 2000,
        ),
    ],
)
def test_what_is_no_address_is_refused_when_it_is_added(url: str) -> None:
    with pytest.raises(SettingsError):
        read_url(url, private=(NAME,))


def test_without_tls_only_what_the_operator_calls_private_is_told() -> None:
    assert read_url("http://a.lan.example/x", private=("*.lan.example",)).hostname == "a.lan.example"
    with pytest.raises(SettingsError, match="only told over https"):
        read_url("http://hooks.example/x", private=())
