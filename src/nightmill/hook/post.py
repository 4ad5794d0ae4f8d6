"""One request to somebody else's server: to the address that was judged and to no other, and of the answer only whether it is yes.

Nothing of the environment is asked (no proxies), nothing that the answer says is followed (no redirects), and no more of it is
read than its first lines. What may be reached is for `reach` to say, as for sandboxes.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import SplitResult, urlsplit

from nightmill.errors import SettingsError
from nightmill.hook.letter import Letter
from nightmill.sandbox.network.reach import Lookup, allowed, look_up, reachable

__all__ = ["Outside", "Undelivered", "post", "read_url"]

PATIENCE = 15.0
"""Seconds for all of it."""
HEAD = 16 << 10
"""Bytes of an answer that are read at most."""
LONGEST = 2_000
STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: [^\r\n]*)?\r?\n")
URL = re.compile(r"[\x21-\x7e]+")


class Undelivered(Exception):
    """A letter did not arrive; why, in words for the operator that repeat nothing of the answer.

    *status* is that of the answer, 0: there was none.
    """

    def __init__(self, reason: str, *, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """The network as letters reach it.

    Attributes:
        private: Names ("host" or "*.host") that may lead to private and loopback addresses, and be asked without TLS.
        lookup: How names become addresses.
        trust: Whose certificates are believed; None: the system's.
    """

    private: tuple[str, ...] = ()
    lookup: Lookup = look_up
    trust: ssl.SSLContext | None = None


def read_url(text: str, *, private: tuple[str, ...]) -> SplitResult:
    """The parts of a webhook's address.

    Raises:
        SettingsError: If nothing can be sent there.
    """
    hint = "such as https://hooks.example.org/nightmill"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or port == 0 or not URL.fullmatch(text) or len(text) > LONGEST or parts.fragment or "@" in parts.netloc:
        raise SettingsError("this is no address of a webhook", hint=hint)
    if parts.scheme != "https" and not (parts.scheme == "http" and allowed(host, private)):
        raise SettingsError(
            f"{host} is not among the `private_hosts`, so it is only told over https", hint=f"{hint}; or add it there"
        )
    return parts


async def post(letter: Letter, headers: Mapping[str, str], outside: Outside) -> int:
    """Send *letter* once; the status of the answer, which says that it arrived.

    Raises:
        Undelivered: If no answer said that it arrived.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            status = await _asked(letter, headers, outside)
    except TimeoutError as error:
        raise Undelivered(f"there was no answer within {PATIENCE:g} s") from error
    except ssl.SSLCertVerificationError as error:
        raise Undelivered(f"its certificate is not good: {error.verify_message}") from error
    except (OSError, EOFError, asyncio.LimitOverrunError, ValueError) as error:
        raise Undelivered(f"the connection failed: {type(error).__name__}") from error
    if 300 <= status < 400:
        raise Undelivered(f"it answered {status}, and no redirect is followed", status=status)
    if not 200 <= status < 300:
        raise Undelivered(f"it answered {status}", status=status)
    return status


async def _asked(letter: Letter, headers: Mapping[str, str], outside: Outside) -> int:
    """The status of the answer."""
    try:
        parts = read_url(letter.url, private=outside.private)
    except SettingsError as error:
        raise Undelivered(error.message) from error
    host, tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    address = await _address(host, port, outside)
    context = (outside.trust or _trust()) if tls else None
    reader, writer = await asyncio.open_connection(
        address, port, ssl=context, server_hostname=host if tls else None, limit=HEAD
    )
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        said = {"host": parts.netloc, **headers, "content-length": str(len(letter.body)), "connection": "close"}
        head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + letter.body)
        await writer.drain()
        return await _status(reader)
    finally:
        writer.transport.abort()  # whatever it still says is not for us, and nobody waits for its good-bye


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _address(host: str, port: int, outside: Outside) -> str:
    """Where *host* is: asked once, and that is where the letter goes. One address that may not be reached forbids the name."""
    try:
        found = await outside.lookup(host, port)
    except (OSError, UnicodeError) as error:
        raise Undelivered(f"{host} has no address") from error
    private = allowed(host, outside.private)
    if not found or not all(reachable(each, private=private) for each in found):
        raise Undelivered(f"{host} leads to an address that nothing is sent to; `private_hosts` has the exceptions")
    return found[0]


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of the first answer that is one; what comes before it (1xx) is read over, within bounds."""
    left = HEAD
    while True:
        line = await reader.readuntil(b"\n")
        left -= len(line)
        found = STATUS.fullmatch(line)
        if found is None:
            raise ValueError("no HTTP")
        if (status := int(found[1])) >= 200:
            return status
        while line.strip():
            line = await reader.readuntil(b"\n")
            left -= len(line)
            if left < 0:
                raise ValueError("it does not come to an end")
