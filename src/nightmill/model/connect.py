"""From the name of a model to the model."""

from __future__ import annotations

import asyncio
import random as randomness
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

import httpx2

from nightmill.errors import SettingsError
from nightmill.model import Model, price
from nightmill.model.again import Surroundings
from nightmill.model.anthropic import Anthropic
from nightmill.model.chat import Chat
from nightmill.model.dialect import Dialect
from nightmill.model.gate import Gate, Gates
from nightmill.model.gemini import Gemini
from nightmill.model.ollama import Ollama
from nightmill.model.responses import Responses
from nightmill.model.text import Spoken
from nightmill.model.transport import Endpoint, HttpModel, Key
from nightmill.settings import Settings

__all__ = [
    "ACCOUNTS",
    "PROVIDERS",
    "Client",
    "check",
    "client",
    "connect",
    "endpoint",
    "gate_of",
    "seller",
    "spoken",
    "window",
]

Client = httpx2.AsyncClient
"""The connections of one process; this room alone knows the library behind it."""


class Provider(NamedTuple):
    """What a name before the colon means.

    Attributes:
        account: Whose key it takes.
        own: The provider's own address.
        keyless: Its own address wants no key.
        prices: What the table of prices calls it.
    """

    account: str
    own: str
    dialect: Callable[[str, bool], Dialect]
    stem: Callable[[str], str]
    keyless: bool = False
    prices: str = ""


def _versioned(stem: str) -> str:
    return stem if VERSION.search(stem) else f"{stem}/v1beta"


VERSION = re.compile(r"/v\d\w*$")
OPENAI = "https://api.openai.com/v1"
TABLE = {
    "anthropic": Provider(
        "anthropic", "https://api.anthropic.com", lambda _, own: Anthropic(), lambda stem: stem.removesuffix("/v1")
    ),
    "openai": Provider("openai", OPENAI, lambda _, own: Chat(compatible=not own), lambda stem: stem or "/v1"),
    "openai-responses": Provider(
        "openai", OPENAI, lambda _, own: Responses(compatible=not own), lambda stem: stem or "/v1"
    ),
    "gemini": Provider(
        "gemini",
        "https://generativelanguage.googleapis.com",
        lambda model, own: Gemini(model=model),
        _versioned,
        prices="google",
    ),
    "ollama": Provider(
        "ollama",
        "http://127.0.0.1:11434",
        lambda _, own: Ollama(),
        lambda stem: stem.removesuffix("/v1").removesuffix("/api"),
        keyless=True,
    ),
}
PROVIDERS = tuple(TABLE)
"""The names that stand before the colon."""
ACCOUNTS = frozenset(provider.account for provider in TABLE.values())
"""Whose keys there are."""
IN_TEXT = "+text"
"""Behind such a name: the model calls tools in its text."""

MOST_STREAMS = 1200
KEYLESS = (
    "set {0}, or keep it with `nightmill secret set {0}`; a worker at work keeps the keys that it was started with"
)


def client(settings: Settings, *, proxy: str = "") -> httpx2.AsyncClient:
    """The connections of one process, for all of its models; whoever makes it closes it.

    Nothing is read from the environment: a `.netrc` would add credentials, and proxies are for a door to name. The
    time limit of a read is the silence that a stream may keep; a reply as a whole may take an hour.
    """
    return httpx2.AsyncClient(
        trust_env=False,
        proxy=proxy or None,
        timeout=httpx2.Timeout(connect=5.0, read=settings.idle_read, write=30.0, pool=60.0),
        limits=httpx2.Limits(max_connections=MOST_STREAMS, max_keepalive_connections=100, keepalive_expiry=30.0),
    )


def check(name: str, *, base_url: str = "", keys: Mapping[str, str] | None = None) -> None:
    """Look whether `connect` would give a model; nobody is asked. *keys* None: they are somebody else's to hold.

    Raises:
        SettingsError: If the name, the key or the address cannot be right.
    """
    provider, _ = _named(name)
    _address(base_url or provider.own, provider=provider, path="")
    if keys is not None:
        _key(keys.get(provider.account, ""), account=provider.account, needed=not (base_url or provider.keyless))


def seller(name: str) -> str:
    """What the table of prices calls the provider of the model *name*.

    Raises:
        SettingsError: If there is no such provider.
    """
    provider, _ = _named(name)
    return provider.prices or provider.account


def connect(  # noqa: PLR0913 - three of them are the world, named apart so that a test holds just one
    name: str,
    *,
    keys: Mapping[str, str],
    settings: Settings,
    client: httpx2.AsyncClient,
    base_url: str = "",
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    random: Callable[[], float] = randomness.random,
    clock: Callable[[], float] = time.monotonic,
    gates: Gates | None = None,
) -> Model:
    """The model *name* (`provider:model`), at *base_url* if given, with the key that *keys* holds for its provider.

    *gates* keep the rates of all models of a key together; without them only this call's own manners do.

    Both OpenAI providers share the key "openai". A base URL without a path gets OpenAI's `/v1`, or Gemini's `/v1beta`.

    Raises:
        SettingsError: If the name, the key or the address cannot be right.
    """
    found = endpoint(name, keys=keys, base_url=base_url)
    gate = None if gates is None else gate_of(found, gates)
    surroundings = Surroundings(client=client, sleep=sleep, random=random, clock=clock, gate=gate)
    return HttpModel(endpoint=found, settings=settings, surroundings=surroundings)


def gate_of(found: Endpoint, gates: Gates) -> Gate:
    """The gate through which all calls to *found* go."""
    address = f"{found.url.scheme}://{found.url.netloc.decode()}"
    return gates.of(_named(found.name)[0].account, secret=found.key.reveal(), address=address)


def endpoint(name: str, *, keys: Mapping[str, str], base_url: str = "") -> Endpoint:
    """Where the model *name* is asked, and in which dialect.

    Raises:
        SettingsError: If the name, the key or the address cannot be right.
    """
    provider, model = _named(name)
    dialect = provider.dialect(model, not base_url)
    account = provider.account
    return Endpoint(
        name=name,
        provider=seller(name),
        model=model,
        dialect=dialect,
        url=_address(base_url or provider.own, provider=provider, path=dialect.path),
        base_url=base_url,
        variable=_variable(account),
        key=_key(keys.get(account, ""), account=account, needed=not (base_url or provider.keyless)),
    )


def spoken(name: str, *, base_url: str = "") -> Dialect:
    """The dialect in which the model *name* at *base_url* is asked.

    Raises:
        SettingsError: If the name cannot be right.
    """
    provider, model = _named(name)
    return provider.dialect(model, not base_url)


def window(name: str) -> int | None:
    """Tokens that the context of the model *name* holds, None if nobody has said.

    Raises:
        SettingsError: If the name cannot be right.
    """
    _, model = _named(name)
    return price.window(model=model, provider=seller(name))


def _named(name: str) -> tuple[Provider, str]:
    """(provider, model); the name of a model may have colons of its own."""
    before, _, model = name.partition(":")
    account = before.removesuffix(IN_TEXT)
    if account not in PROVIDERS or not model:
        raise SettingsError(
            f"no model can be had by the name {name!r}" if name else "no model is named",
            hint="--model " + ", ".join(f"{each}:NAME" for each in PROVIDERS),
        )
    provider = TABLE[account]
    if account != before:
        return provider._replace(dialect=lambda model, own: Spoken(provider.dialect(model, own))), model
    return provider, model


def _variable(account: str) -> str:
    return f"{account.upper()}_API_KEY"


def _key(text: str, *, account: str, needed: bool) -> Key:
    text = text.strip()
    if needed and not text:
        raise SettingsError(f"there is no API key for {account!r}", hint=KEYLESS.format(_variable(account)))
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise SettingsError(f"the API key for {account!r} holds characters that no key has", hint="copy it again")
    return Key(text)


def _address(base_url: str, *, provider: Provider, path: str) -> httpx2.URL:
    shown = re.sub(r"//[^/@]*@", "//…@", base_url)
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL as error:
        raise SettingsError(
            f"the base URL {shown!r} cannot be read", hint="it looks like http://127.0.0.1:8000/v1"
        ) from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise SettingsError(
            f"the base URL {shown!r} is no address of http or https", hint="it looks like http://127.0.0.1:8000/v1"
        )
    if url.userinfo:
        # A run's assignment is kept, and it names the endpoint.
        raise SettingsError(
            f"the base URL {shown!r} holds credentials",
            hint=f"take them out, and set {provider.account.upper()}_API_KEY",
        )
    path, _, query = path.partition("?")
    url = url.copy_with(path=provider.stem(url.path.rstrip("/")) + path)
    return url.copy_merge_params(dict(parse_qsl(query))) if query else url
