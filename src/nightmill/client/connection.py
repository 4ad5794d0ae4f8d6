"""HTTP to one server: what it refuses are our errors, and a write that may have arrived is sent once more."""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2

from nightmill.errors import EngineError, NightmillError, NotYet, SettingsError

__all__ = ["Away", "Connection"]

ANSWER, QUIET, KNOCK = 60.0, 45.0, 10.0
"""Seconds for an answer, for a stream's next byte (a server says every 15 s that all is well), and to be connected."""

GONE = frozenset({502, 504})
"""What a proxy says when the server behind it is not there."""


class Away(EngineError):
    """The server does not answer, or not now: whoever waits asks again."""


class Connection:
    """One server, at *address*, to whom *token* is shown. For one thread at a time, and one for each of its streams."""

    def __init__(
        self,
        address: str,
        token: str = "",
        *,
        authorities: Path | None = None,
        fresh: Callable[[], str] = secrets.token_urlsafe,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connect to nobody yet.

        Raises:
            SettingsError: If *address* is none, or one at which others could read the token.
        """
        self.address = checked(address)
        self.sleep = sleep
        self._fresh = fresh
        self.closed = False
        self._heard: socket.socket | None = None
        # Without sign-in, a server hears whoever is no page of somebody else's.
        shown = {"Authorization": f"Bearer {token}"} if token else {"Origin": self.address}
        self._http = httpx2.Client(
            base_url=self.address,
            headers={"Accept": "application/json", **shown},
            timeout=httpx2.Timeout(ANSWER, connect=KNOCK),
            verify=_trust(self.address, authorities),
            trust_env=False,
            follow_redirects=False,  # the token is for this server
        )

    def close(self) -> None:
        """Hang up. Whoever waits in another thread for what a stream says next waits no longer."""
        self.closed = True
        with contextlib.suppress(OSError):
            if self._heard is not None:
                self._heard.shutdown(socket.SHUT_RDWR)
        self._http.close()

    def get(self, path: str, /, **asked: Any) -> Any:
        """The JSON at *path*; asked once more, if nobody answered.

        Raises:
            SettingsError: If it is refused.
            EngineError: If the server is away, or says something else.
        """
        given = {name: each for name, each in asked.items() if each != ""}
        return self._twice(lambda: self._http.get(path, params=given))

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Do what is at *path*, once: it is sent again, with the same key, if nobody says what became of it. Raises as `get`."""
        return self._write("POST", path, json=body)

    def put(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Have *body* at *path*, once, as `post` does it."""
        return self._write("PUT", path, json=body)

    def delete(self, path: str, **asked: str) -> None:
        """Have nothing at *path* any more, once, as `post` does it."""
        self._write("DELETE", path, params=asked)

    def _write(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Idempotency-Key": self._fresh()}
        return self._twice(lambda: self._http.request(method, path, headers=headers, **more))

    @contextlib.contextmanager
    def lines(self, path: str, *, last: int | None, **asked: Any) -> Iterator[Iterator[str]]:
        """The lines of the stream at *path*, after the event *last*.

        Raises:
            Away: If there is nobody, and whenever the connection breaks.
            SettingsError: If it is refused.
        """
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": str(last)} if last is not None else {})}
        with self._streamed(path, headers, asked) as response:
            yield response.iter_lines()

    @contextlib.contextmanager
    def pieces(self, path: str, **asked: Any) -> Iterator[Iterator[bytes]]:
        """What is at *path*, which may be of any length, in pieces as they come. Raises as `lines`."""
        given = {name: each for name, each in asked.items() if each != ""}
        with self._streamed(path, {"Accept": "application/jsonl", "Accept-Encoding": "identity"}, given) as response:
            yield response.iter_bytes()

    @contextlib.contextmanager
    def _streamed(self, path: str, headers: dict[str, str], asked: dict[str, Any]) -> Iterator[httpx2.Response]:
        timeout = httpx2.Timeout(QUIET, connect=KNOCK)
        with (
            self._broken(),
            self._http.stream("GET", path, params=asked, headers=headers, timeout=timeout) as response,
        ):
            if response.status_code != httpx2.codes.OK:
                response.read()
                raise self._refusal(response)
            self._heard = response.extensions["network_stream"].get_extra_info("socket")
            try:
                yield response
            finally:
                self._heard = None

    def _twice(self, send: Callable[[], httpx2.Response]) -> Any:
        try:
            return self._once(send)
        except Away:
            self.sleep(1.0)
            return self._once(send)

    def _once(self, send: Callable[[], httpx2.Response]) -> Any:
        try:
            with self._broken():
                response = send()
        except UnicodeEncodeError as error:
            raise SettingsError("what is to be sent holds signs that are no text", hint="write it in UTF-8") from error
        if not response.is_success:
            raise self._refusal(response)
        if response.status_code == httpx2.codes.NO_CONTENT:
            return None
        try:
            return response.json()
        except (ValueError, RecursionError) as error:
            raise self._stranger(response) from error

    @contextlib.contextmanager
    def _broken(self) -> Iterator[None]:
        try:
            yield
        except (httpx2.TransportError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not self.closed:
                raise
            said = str(error) or type(error).__name__
            raise Away(
                f"nobody answers at {self.address}: {said}", hint="is `nightmill serve` at work there?"
            ) from error

    def _refusal(self, response: httpx2.Response) -> NightmillError:
        """What the problem that the server names is here."""
        try:
            problem = response.json()
            detail, hint = str(problem["detail"]), str(problem.get("hint", ""))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            if response.status_code in GONE:
                return Away(f"nobody is behind {self.address} ({response.status_code})", hint="ask again in a moment")
            return self._stranger(response)
        faults = problem.get("errors")
        more = f": {'; '.join(map(str, faults[:3]))}" if isinstance(faults, list) and faults else ""
        status = response.status_code
        if status == 401:
            hint = f"{hint}; NIGHTMILL_TOKEN holds what `nightmill token make` printed"
        if status == 429:
            return NotYet(detail, hint=hint, seconds=_seconds(response))
        return (Away if status >= 500 else SettingsError)(f"{detail}{more}", hint=hint)

    def _stranger(self, response: httpx2.Response) -> NightmillError:
        if response.is_redirect:
            where = response.headers.get("location", "")[:200]
            return SettingsError(f"{self.address} sends one on to {where!r}", hint="correct the setting server")
        kind = response.headers.get("content-type", "something")[:60]
        return EngineError(
            f"{self.address} answered {response.status_code} with {kind}", hint="is that address a nightmill server?"
        )


def checked(address: str) -> str:
    """*address* without what follows its host.

    Raises:
        SettingsError: If it is none, or one at which others could read the token.
    """
    try:
        parts = httpx2.URL(address)
        name = parts.host
        good = parts.scheme in {"http", "https"} and name and not parts.query and not parts.userinfo
        good = good and (parts.port or 1) < 65536
    except (httpx2.InvalidURL, ValueError):
        good = False
    if not good or parts.path.strip("/"):
        raise SettingsError(f"{address!r} is no address of a server", hint="such as https://mill.example.org")
    if parts.scheme == "http" and not _is_here(name):
        raise SettingsError(f"at {address!r} others could read the token", hint="reach it by https")
    return f"{parts.scheme}://{parts.netloc.decode()}"


def _trust(address: str, authorities: Path | None) -> ssl.SSLContext:
    """Whom the machine trusts, and *authorities*. Without TLS nobody is: to read all of them takes longer than most answers."""
    if not address.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust = ssl.create_default_context()
    try:
        if authorities:
            trust.load_verify_locations(authorities)
    except OSError as error:
        raise SettingsError(
            f"{str(authorities)!r} cannot be read: {error}",
            hint="authorities: it must be a file of certificates in PEM",
        ) from error
    return trust


def _is_here(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _seconds(response: httpx2.Response) -> float:
    said = response.headers.get("retry-after", "")
    return float(said) if said.isdecimal() and len(said) < 6 else 1.0
