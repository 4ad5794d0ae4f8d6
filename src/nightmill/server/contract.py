"""What the OpenAPI file says of every route beside its own words: how one signs in, and how it refuses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from starlette.routing import BaseRoute

from nightmill.server.api.events import DraftOut, Resume
from nightmill.server.api.ledger import End
from nightmill.server.guard import SAFE, Guarded, Need
from nightmill.server.problem import MEDIA, Problem

__all__ = ["guarded", "whole"]

REFUSALS = {
    400: "The request cannot be read.",
    401: "Nobody is signed in, or what was shown is not good.",
    403: "You may not do that.",
    404: "There is no such thing that you may see.",
    405: "Not by this method.",
    408: "The request was not there in time.",
    409: "It cannot be done as things stand; the hint says what to change.",
    413: "The request is too large.",
    421: "This server does not go by that name.",
    422: "The request does not fit its schema.",
    429: "Too many requests, or a bound is reached.",
    503: "The store is away; try again.",
}

SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token from /api/v1/tokens."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "nightmill",
        "description": "A browser that has signed in; by https the cookie is called `__Host-nightmill`.",
    },
}

KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Sent again with the same key within a day, it is answered again and not done again. An answer with a secret "
    "is so only to who shows the same token or session again.",
    "schema": {"type": "string", "maxLength": 200, "pattern": "^[ -~]*$"},
}


def whole(schema: dict[str, Any], routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """*schema* with that."""
    parts = schema.setdefault("components", {})
    parts["securitySchemes"] = SCHEMES
    kinds = parts.setdefault("schemas", {})
    kinds.pop("HTTPValidationError", None)
    kinds.pop("ValidationError", None)
    kinds["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    for each in (DraftOut, Resume, End):  # no route answers with these: they are in the data of a stream
        made = each.model_json_schema(ref_template="#/components/schemas/{model}")
        kinds |= {**made.pop("$defs", {}), each.__name__: made}
    for route in guarded(routes):
        for method in route.methods or ():
            if said := schema["paths"].get(route.path_format, {}).get(method.lower()):
                _complete(said, route.need, method)
    return schema


def guarded(routes: Iterable[BaseRoute]) -> Iterator[Guarded]:
    """Those of *routes* that have a rule."""
    return (route for route in routes if isinstance(route, Guarded))


def _complete(said: dict[str, Any], need: Need, method: str) -> None:
    signed = need.act is not None
    said["security"] = [{"token": []}, {"session": []}] if signed else []
    left_out = set() if signed else {401} if need.of == "signed" else {401, 429}
    left_out |= set() if signed or method not in SAFE else {403}
    for status, words in REFUSALS.items():
        if status not in left_out:
            content = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
            said["responses"][str(status)] = {"description": words, "content": content}
    # To look on is said again and again, and what forges say has numbers of its own.
    if method not in SAFE and (need.of == "own" or need.act not in {None, "view"}):
        said.setdefault("parameters", []).append(KEY)
