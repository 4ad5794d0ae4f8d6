"""Where packages come from, asked of the tools themselves, so that no address is written down here.

A project says `hosts: [pypi]`; which hosts that means depends on the machine: the tool's own default, or the mirror
that its operator configured. So each preset is resolved when it is needed, by the package manager on the host.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import uv

from nightmill.errors import SettingsError

__all__ = ["Reach", "resolve"]

PROBE = "pip"
"""A package that every index has: where its files lie says which hosts files come from."""

AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
PYTHON = "/usr/bin/python3"
SECONDS = 60.0

PIP_COMPILE = (
    *("pip", "compile", "-", "--quiet", "--no-deps", "--no-cache", "--no-header"),
    *("--python", PYTHON, "--no-python-downloads"),
)

url = re.compile(r"https?://[^\s\"'<>]+")
host_name = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What an installation may reach, and the settings by which its tools go there and nowhere else."""

    hosts: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)


async def resolve(hosts: tuple[str, ...], *, environment: Mapping[str, str]) -> Reach:
    """The names of *hosts* with each preset replaced by what the machine's own tool uses.

    *environment* is the operator's, for those tools; nothing of it goes further.

    Raises:
        SettingsError: If a name is no host, or a preset's tool is absent or does not say.
    """
    found: list[str] = []
    env = _trust()
    for name in hosts:
        if name in PRESETS:
            reach = await PRESETS[name](environment)
            found += reach.hosts
            env |= reach.env
        elif host_name.fullmatch(name) and "." in name:
            found.append(name.lower())
        else:
            known = ", ".join(PRESETS)
            raise SettingsError(
                f"{name!r} under `hosts` is no host and no preset", hint=f"presets: {known}; or host names"
            )
    return Reach(hosts=tuple(dict.fromkeys(found)), env=env)


async def _pypi(environment: Mapping[str, str]) -> Reach:
    ask = (uv.find_uv_bin(), *PIP_COMPILE)
    index, files = await asyncio.gather(
        _ask((*ask, "--emit-index-url"), environment, stdin=PROBE),
        _ask((*ask, "--format", "pylock.toml"), environment, stdin=PROBE),
    )
    main = re.search(r"^--index-url (\S+)$", index, re.MULTILINE)
    more = re.findall(r"^--extra-index-url (https?://\S+)$", index, re.MULTILINE)
    if not main:
        raise SettingsError("uv does not say which package index it uses", hint="write the host names under `hosts`")
    env = {"UV_DEFAULT_INDEX": _clean(main[1])} | ({"UV_INDEX": " ".join(map(_clean, more))} if more else {})
    return Reach(hosts=_hosts([main[1], *more, *url.findall(files)]), env=env)


async def _npm(environment: Mapping[str, str]) -> Reach:
    found = (await _ask(("npm", "config", "get", "registry"), environment)).strip()
    return Reach(hosts=_hosts([found]), env={"npm_config_registry": _clean(found)})


async def _go(environment: Mapping[str, str]) -> Reach:
    proxy, _, sums = (await _ask(("go", "env", "GOPROXY", "GOSUMDB"), environment)).strip().partition("\n")
    names = [word for word in sums.split()[:1] if host_name.fullmatch(word) and "." in word]
    return Reach(hosts=(*_hosts(url.findall(proxy.replace(",", " ").replace("|", " "))), *names))


async def _untold(_: Mapping[str, str]) -> Reach:
    raise SettingsError(
        "the presets 'crates' and 'debian' have no tool that says which hosts they mean",
        hint="write the host names under `hosts` in nightmill.yaml",
    )


PRESETS: dict[str, Callable[[Mapping[str, str]], Awaitable[Reach]]] = {
    "pypi": _pypi,
    "npm": _npm,
    "go": _go,
    "crates": _untold,
    "debian": _untold,
}


async def _ask(argv: tuple[str, ...], environment: Mapping[str, str], *, stdin: str = "") -> str:
    """What a program on the host says. It starts in "/", so that no project's configuration is obeyed."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd="/",
            env=_trust() | dict(environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise SettingsError(
            f"{argv[0]!r} cannot be started: {error.strerror}", hint="install it, or name the hosts"
        ) from error
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), SECONDS)
    except TimeoutError as error:
        raise SettingsError(
            f"{argv[0]!r} did not say within {SECONDS:.0f} s where packages come from", hint="is the network up?"
        ) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = err.decode("utf-8", "replace").strip()[-500:]
        raise SettingsError(f"{argv[0]!r} cannot say where packages come from: {said}", hint="is the network up?")
    return out.decode("utf-8", "replace")


def _trust() -> dict[str, str]:
    """Settings that make tools trust what this machine trusts, a company's own authority included."""
    return {"UV_SYSTEM_CERTS": "1", "NODE_EXTRA_CA_CERTS": str(AUTHORITIES)} if AUTHORITIES.exists() else {}


def _hosts(urls: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(host for each in urls if (host := urlsplit(each).hostname)))


def _clean(address: str) -> str:
    """*address*, refused if it holds a password: secrets never enter a sandbox (law 4)."""
    parts = urlsplit(address)
    if parts.username or parts.password:
        raise SettingsError(
            f"the package index at {parts.hostname!r} is configured with a password, which may not enter a sandbox",
            hint="use an index that needs none, or a mirror of it inside your network",
        )
    return urlunsplit(parts)
