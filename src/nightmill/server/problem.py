"""Errors as RFC 9457 has them: every refusal of the API says what, which and what to do."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from nightmill.errors import EngineError, LimitReached, NightmillError, NotYet, SpecError
from nightmill.store.database import why_away

__all__ = [
    "MEDIA",
    "Problem",
    "Refused",
    "answer",
    "of_error",
    "of_fault",
    "of_http",
    "of_request",
    "of_store",
    "of_text",
]

MEDIA = "application/problem+json"

UNROUTED = {404: "there is nothing at this path", 405: "nothing here is asked by this method"}
"""What the framework refuses by itself."""

MOST = 20
"""Faults of one request that are named."""


class Problem(BaseModel):
    """What stands in the way."""

    type: str = "about:blank"
    title: str = Field(description="The kind of problem, in a few words.")
    status: int
    detail: str = Field(description="What happened, and to which thing.")
    hint: str = Field("", description="What to do about it.")
    errors: list[str] = Field(
        default_factory=list, description="Of a request that cannot be read: each fault and where."
    )


class Refused(Exception):
    """A request is answered with *status* and not carried out."""

    def __init__(self, status: int, detail: str, *, hint: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.hint, self.headers = status, detail, hint, headers or {}


def answer(
    status: int, detail: str, *, hint: str = "", errors: list[str] | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """The response with *status*."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, hint=hint, errors=errors or [])
    return JSONResponse(body.model_dump(), status_code=status, media_type=MEDIA, headers=headers)


def of_error(_request: Request, error: Exception) -> JSONResponse:
    """What `NightmillError` and `Refused` become: what a person must change is 409, of a spec 422, what the machine lacks 503."""
    if isinstance(error, Refused):
        return answer(error.status, error.detail, hint=error.hint, headers=error.headers)
    assert isinstance(error, NightmillError)  # noqa: S101 - it is registered for these two
    if isinstance(error, NotYet):
        return answer(503, error.message, hint=error.hint, headers={"Retry-After": str(max(1, round(error.seconds)))})
    if isinstance(error, SpecError):
        first, *reasons = error.message.splitlines() or [""]
        return answer(422, first, hint=error.hint, errors=[each.strip() for each in reasons])
    status = 503 if isinstance(error, EngineError) else 429 if isinstance(error, LimitReached) else 409
    return answer(status, error.message, hint=error.hint)


def of_http(request: Request, error: Exception) -> JSONResponse:
    """What the framework refuses by itself: no such path, or not by this method."""
    assert isinstance(error, HTTPException)  # noqa: S101
    said = UNROUTED.get(error.status_code, str(error.detail))
    hint = "see /api/openapi.json" if error.status_code in UNROUTED and request.url.path.startswith("/api/") else ""
    return answer(error.status_code, said, hint=hint, headers=dict(error.headers or {}))


def of_request(_request: Request, error: Exception) -> JSONResponse:
    """What does not fit the schema; what was sent is not sent back."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = [_fault(each) for each in error.errors()[:MOST]]
    return answer(422, "the request does not fit its schema", hint="see /api/openapi.json", errors=faults)


def of_text(_request: Request, _error: Exception) -> JSONResponse:
    """Text or a number that no database takes: a NUL, half of a pair of UTF-16, more than its column holds."""
    return answer(
        422, "the request holds signs or numbers that cannot be kept", hint="leave out NUL and lone surrogates"
    )


def of_store(request: Request, error: Exception) -> JSONResponse:
    """A database that is away, or busy for too long; one that does not know our tables is a fault of ours."""
    if isinstance(error, NightmillError):
        return of_error(request, error)
    if "no such" in str(getattr(error, "orig", None)):  # as SQLite calls it, of the same kind
        raise error
    why = why_away(error)
    logging.getLogger(__name__).warning("%s: %s", why.reason, getattr(error, "orig", None) or error)
    return answer(503, why.reason, hint=why.hint, headers={"Retry-After": "5"})


def of_fault(_request: Request, _error: Exception) -> JSONResponse:
    """A fault of ours; what it was stands in the log, and not in the answer."""
    return answer(500, "the server has a fault here", hint="whoever runs it finds it in its log")


def _fault(fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"])[:120]
    return f"{where}: {str(fault['msg'])[:300]}"
