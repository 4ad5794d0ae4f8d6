"""Asking an identity provider, which may be slow, gone, or not who it says."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2

from nightmill.server.problem import Refused

__all__ = ["Line"]

PATIENCE = 10.0
"""Seconds for one answer."""
MOST = 1 << 20
"""Bytes of one."""


class Line:
    """HTTP to a provider. Nothing is followed that leads elsewhere. *authorities*: trusted besides the system's."""

    def __init__(self, authorities: Path | None = None) -> None:
        context = ssl.create_default_context()
        if authorities is not None:
            context.load_verify_locations(authorities)
        self._client = httpx2.Client(verify=context, timeout=PATIENCE, follow_redirects=False)

    def json(self, address: str, *, bearer: str = "") -> dict[str, Any]:
        """What stands at *address*.

        Raises:
            Refused: If there is no JSON object.
        """
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
        return _object(self._asked("GET", address, headers=headers))

    def post(self, url: str, *, data: dict[str, str], headers: dict[str, str], auth: Any, **_: Any) -> _Answer:
        """As authlib's client asks for a token."""
        url, headers, body = auth.prepare("POST", url, headers, urlencode(data))
        return _Answer(self._asked("POST", url, headers=headers, content=body))

    def _asked(self, method: str, address: str, **named: Any) -> tuple[int, bytes]:
        try:
            with self._client.stream(method, address, **named) as answer:
                body = b""
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MOST:
                        raise _gone(f"{_short(address)} says more than {MOST >> 20} MB")
                return answer.status_code, body
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _gone(f"{_short(address)} does not answer: {type(error).__name__}") from error


class _Answer:
    """What authlib reads of an answer."""

    def __init__(self, found: tuple[int, bytes]) -> None:
        self.found = found
        self.status_code = found[0]

    def raise_for_status(self) -> None:
        """Refusals are told in the body."""

    def json(self) -> dict[str, Any]:
        """The body."""
        if self.status_code == 400:
            return _object((200, self.found[1]))
        return _object(self.found)


def _object(found: tuple[int, bytes]) -> dict[str, Any]:
    status, body = found
    if status != 200:
        raise _gone(f"the provider answers with {status}")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _gone("the provider answers with what is no JSON") from error
    if not isinstance(said, dict):
        raise _gone("the provider answers with what is no object")
    return said


def _short(address: str) -> str:
    return address.partition("?")[0][:200]


def _gone(what: str) -> Refused:
    return Refused(
        503, f"the identity provider cannot be asked: {what}", hint="try again in a while; passwords work as ever"
    )
