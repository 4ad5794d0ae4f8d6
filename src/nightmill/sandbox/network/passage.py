"""One request on its way out: where it goes, what is added, what is carried, and what is written down of it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from functools import cache
from pathlib import Path

from nightmill.sandbox.network.credential import Credential, Redaction
from nightmill.sandbox.network.head import Target, read_answer, rewritten
from nightmill.sandbox.network.hello import asks_again, is_gesture, read_record, server_name
from nightmill.sandbox.network.pump import IDLE_SECONDS, Budget, Flow, Refusal, Streams, carry, pump, pump_body
from nightmill.sandbox.network.reach import Network, Request, addresses

__all__ = ["ESTABLISHED", "Passage"]

CONNECT_SECONDS, HELLO_SECONDS = 20.0, 30.0
ANSWER_MOST, PATH_MOST, INTERIM_MOST = 1 << 16, 200, 20
SWITCHING = 101

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

NOWHERE = Target(host="", port=0, method="", path="")


class Passage:
    """One request, from a sandbox to a host and back."""

    def __init__(self, network: Network, budget: Budget, *, credentials: list[Credential]) -> None:
        self.network, self.credentials = network, credentials
        self.flow = Flow(budget, asyncio.get_running_loop().time)
        self.target = NOWHERE
        self.status, self.reason, self.credential, self.passed = 0, "", "", False

    def request(self) -> Request:
        """What is written down."""
        target, flow = self.target, self.flow
        return Request(
            host=target.host,
            port=target.port,
            method=target.method,
            path=target.path.partition("?")[0][:PATH_MOST],
            status=self.status,
            up=flow.up,
            down=flow.down,
            seconds=flow.clock() - flow.began,
            allowed=self.passed,
            reason=self.reason,
            credential=self.credential,
        )

    async def exchange(self, near: Streams, headers: list[bytes], size: int) -> None:
        """Send the request to `target`, whose *headers* were read, with *size* bytes of body, and bring its answer back.

        Raises:
            Refusal: If it does not go out, or what comes back is no answer.
            ValueError: If its body is not framed as it should be.
        """
        used = [each for each in self.credentials if self._fits(each)]
        head = rewritten(self.target, headers, dropped=_dropped(used), added=_added(used))
        far = await self._dial()
        try:
            self.credential = " ".join(each.name for each in used)
            self.passed = True
            self.flow.rise(len(head))
            far[1].write(head)
            back = self._come_back(near, far, Redaction(used) if used else None)
            await carry(pump_body(near[0], far[1], self.flow, size), back)
        finally:
            far[1].transport.abort()

    async def tunnel(self, near: Streams) -> None:
        """Carry TLS that is for the host of `target`, unread.

        Raises:
            Refusal: If the host is not reached, or TLS is not for it.
            ValueError: If it is no TLS.
        """
        far = await self._dial()
        try:
            near[1].write(ESTABLISHED)
            self.status, self.reason = 200, "no TLS for this host"
            await self._greet(near, far)
            self.reason = ""
            up = pump(near[0], far[1], self.flow, self.flow.rise)
            await carry(up, pump(far[0], near[1], self.flow, self.flow.fall))
        finally:
            far[1].transport.abort()

    async def _come_back(self, near: Streams, far: Streams, redaction: Redaction | None) -> None:
        for _ in range(INTERIM_MOST):
            head = await self._head(far)
            answer = read_answer(redaction.all(head) if redaction else head, method=self.target.method)
            if answer is None or answer.status == SWITCHING:
                break
            self.flow.fall(len(head))
            near[1].write(answer.head)
            if not answer.interim:
                self.status = answer.status
                await pump(far[0], near[1], self.flow, self.flow.fall, left=answer.size, redaction=redaction)
                return
        raise self._silent()

    async def _head(self, far: Streams) -> bytes:
        """The head of an answer, which may take as long as the body of the request moves."""
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    return await far[0].readuntil(b"\r\n\r\n")
            except (TimeoutError, OSError, EOFError, asyncio.LimitOverrunError) as error:
                if not isinstance(error, TimeoutError) or self.flow.idle:
                    raise self._silent() from error

    async def _greet(self, near: Streams, far: Streams) -> None:
        """Pass the hellos on. A server may ask for a second one, in which the name could have changed."""
        async with asyncio.timeout(HELLO_SECONDS):
            hello = await read_record(near[0])
            self._named(hello)
            self.passed = True
            self._rise(far, hello)
            answer = await read_record(far[0])
            self.flow.fall(len(answer))
            near[1].write(answer)
            while asks_again(answer):
                again = await read_record(near[0])
                if not is_gesture(again):
                    self._named(again)
                    answer = again
                self._rise(far, again)

    def _named(self, hello: bytes) -> None:
        if server_name(hello) != self.target.host:
            raise Refusal("403 Forbidden", "another name in TLS", "TLS must name the host of its tunnel, openly")

    def _rise(self, far: Streams, record: bytes) -> None:
        self.flow.rise(len(record))
        far[1].write(record)

    async def _dial(self) -> Streams:
        """Connect to the first address that answers: addresses, not a name, so nothing is looked up again."""
        self.flow.rise(0)  # refuses a sandbox that has sent all it may
        where = f"{self.target.host}:{self.target.port}"
        found: list[str] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                found = await addresses(self.target, self.network)
        if not found:
            raise Refusal("403 Forbidden", "address", f"{where} may not be reached from here")
        for address in found:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await self._connected(address)
            except ssl.SSLCertVerificationError as error:
                said = f"{where} has a certificate that is not trusted: {error.verify_message}"
                raise Refusal("502 Bad Gateway", "certificate", said) from error
            except OSError:
                continue
        raise self._silent()

    async def _connected(self, address: str) -> Streams:
        port = self.target.port
        if self.target.scheme == "http":
            return await asyncio.open_connection(address, port, limit=ANSWER_MOST)
        context = trust(self.network.authorities)
        return await asyncio.open_connection(
            address, port, limit=ANSWER_MOST, ssl=context, server_hostname=self.target.host
        )

    def _silent(self) -> Refusal:
        where = f"{self.target.host}:{self.target.port}"
        return Refusal("502 Bad Gateway", "no answer", f"{where} does not answer, or not in HTTP")

    def _fits(self, credential: Credential) -> bool:
        """Whether *credential* is for exactly this host and port, and nobody on the way can read it."""
        target = self.target
        return target.scheme == "https" and (credential.host, credential.port) == (target.host, target.port)


@cache
def trust(authorities: Path | None) -> ssl.SSLContext:
    """How the proxy speaks TLS to hosts: the system's authorities, and those in the file *authorities*."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if authorities:
        context.load_verify_locations(authorities)
    return context


def _dropped(used: list[Credential]) -> frozenset[bytes]:
    names = [each.header.lower().encode() for each in used]
    return frozenset([*names, b"accept-encoding"] if used else [])


def _added(used: list[Credential]) -> list[bytes]:
    """Secrets, and the wish to be answered plainly, so that they would be found in the answer."""
    return [*(each.line() for each in used), b"Accept-Encoding: identity"] if used else []
