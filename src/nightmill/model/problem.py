"""What a provider's error means for us: try again, or refused for good."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from nightmill.errors import ModelError, ModelRefused, ModelUnavailable

__all__ = ["CONTEXT_HINT", "SOME_KEY", "from_event", "from_status", "retry_after", "tidy_text"]

CONTEXT_HINT = "the conversation is longer than the model's context: compact it or give the task in smaller parts"
"""The hint of every refusal for length, so that callers can tell it apart."""

SOME_KEY = "the provider's API key"
"""Stands in hints until it is known which one."""

LONGEST_MESSAGE = 1000
LONGEST_WAIT = 86_400.0

AGAIN = frozenset({408, 409, 425, 429})
"""Statuses below 500 that are worth another try."""

FINAL = frozenset({
    "FAILED_PRECONDITION",
    "INVALID_ARGUMENT",
    "MISSING_THOUGHT_SIGNATURE",
    "NOT_FOUND",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "authentication_error",
    "billing_error",
    "content_policy_violation",
    "context_length_exceeded",
    "cyber_policy_violation",
    "invalid_api_key",
    "invalid_prompt",
    "invalid_request_error",
    "model_not_found",
    "not_found_error",
    "permission_error",
    "request_too_large",
    "unsupported_parameter",
})  # fmt: skip
"""Types and codes of errors inside a stream that no second try can heal; all others are tried again."""

WHOLE = frozenset({
    "authentication_error",
    "billing_error",
    "invalid_api_key",
    "model_not_found",
    "not_found_error",
    "permission_error",
})  # fmt: skip
"""Those of them that any request to this model would meet."""

WHOLE_STATUS = frozenset({401, 402, 403, 404})

TOO_LONG = re.compile(
    r"context_length|context length|context window|prompt is too long|input is too long|too many (input )?tokens|"
    r"exceeds the (maximum number of tokens|available context size)|exceeds maximum context",
    re.IGNORECASE,
)
HINTS = {
    401: f"check {SOME_KEY}",
    403: f"check what {SOME_KEY} may use",
    404: "check the model's name and the base URL",
    413: CONTEXT_HINT,
}
DELAY = re.compile(r"\d{1,9}(\.\d{1,9})?s")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def tidy_text(text: str, *, secret: str = "") -> str:
    """A stranger's *text* made fit to show: without *secret*, control characters and endless length."""
    shown = text[: 4 * LONGEST_MESSAGE]
    if secret:
        shown = shown.replace(secret, "[key]")
    shown = CONTROL.sub(" ", shown).strip()
    return f"{shown[:LONGEST_MESSAGE]}…" if len(shown) > LONGEST_MESSAGE else shown


def from_status(status: int, body: Any, headers: Mapping[str, str]) -> ModelError:
    """The error that a reply with *status* is; *body* is its JSON, or its text where it is none."""
    kind, code, message = _words(body)
    said = f"{status} {kind or code}".strip() + (f": {message}" if message else "")
    # The provider's own `x-should-retry` is honoured in the direction that costs nothing.
    again = status in AGAIN or status >= 500 or headers.get("x-should-retry") == "true"
    if again:
        hint = "the account is out of credit: the provider's billing page says more" if "quota" in code else ""
        wait = retry_after(headers)
        return ModelUnavailable(said, hint=hint, retry_after=_delay(body) if wait is None else wait)
    whole = status in WHOLE_STATUS or bool({kind, code} & WHOLE)
    return ModelRefused(said, hint=_hint(status, f"{code} {message}"), whole=whole)


def from_event(error: Any) -> ModelError:
    """The error that an error event inside a stream is."""
    kind, code, message = _words({"error": error})
    said = f"{kind or code or 'error'} in the stream" + (f": {message}" if message else "")
    if kind in FINAL or code in FINAL:
        return ModelRefused(said, hint=_hint(0, f"{code} {message}"), whole=bool({kind, code} & WHOLE))
    return ModelUnavailable(said)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks to wait, None if it asks for nothing that can be understood.

    `retry-after-ms` comes first. A date is measured against the reply's own `Date`, so that no two clocks are compared.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return min(seconds, LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(headers.get("retry-after", ""))
        seconds = (until - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _words(body: Any) -> tuple[str, str, str]:
    """(type, code, message) of an error body in any dialect."""
    error = _error(body)
    if not isinstance(error, dict):
        return "", "", str(error or "")
    kind = error.get("type") or error.get("status") or ""
    message = error.get("message") or error.get("detail") or ("" if kind else error)
    return str(kind), str(error.get("code") or ""), str(message)


def _error(body: Any) -> Any:
    """The error in *body*; Google puts it in a list where it was not asked for events."""
    body = body[0] if isinstance(body, list) and body else body
    return body.get("error", body) if isinstance(body, dict) else body


def _delay(body: Any) -> float | None:
    """Seconds that Google asks to wait: `retryDelay` ("12.5s") of an error's details."""
    error = _error(body)
    for detail in (error.get("details") if isinstance(error, dict) else None) or ():
        delay = str(detail.get("retryDelay") or "") if isinstance(detail, dict) else ""
        if DELAY.fullmatch(delay):
            return min(float(delay[:-1]), LONGEST_WAIT)
    return None


def _hint(status: int, words: str) -> str:
    return CONTEXT_HINT if TOO_LONG.search(words) else HINTS.get(status, "")
