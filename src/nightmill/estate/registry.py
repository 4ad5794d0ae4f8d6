"""Where packages come from, asked of the tools themselves, so that no address is written down here.

A project says `hosts: [pypi]`; which hosts that means depends on the machine: the tool's own default, or the mirror
that its operator configured. So each preset is resolved when it is needed, by the package manager on the host.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import uv

from nightmill.errors import SettingsError
from nightmill.sandbox.network.reach import within

__all__ = ["Reach", "check", "resolve"]

PROBE = "pip"
"""A package that every index has: where its files lie says which hosts files come from."""

CARGO_PROBE = """[package]
name = "probe"
version = "0.0.0"
edition = "2021"
[lib]
path = "lib.rs"
[dependencies]
cfg-if = "1"
"""
"""A package that wants one small crate, which depends on none."""

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
    """What a sandbox may reach, whose TLS is opened, and the settings by which tools go there and nowhere else."""

    hosts: tuple[str, ...]
    inspect: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)


def check(hosts: tuple[str, ...], *, allow: tuple[str, ...]) -> None:
    """Refuse what a project asks for beyond the presets and the operator's own list *allow*.

    A repository is a stranger's until its operator says otherwise: each host is a place that it could send things to.

    Raises:
        SettingsError: If a name is no host, or one that the operator did not allow.
    """
    for name in (*allow, *hosts):
        if name in PRESETS and name not in allow:
            continue
        wide = name.startswith("*.") and "." not in name[2:]
        if not host_name.fullmatch(name) or wide or (name in hosts and "." not in name):
            known = f"presets: {', '.join(PRESETS)}; or host names, or *.host with at least two labels"
            raise SettingsError(f"{name!r} is no host and no preset", hint=known)
        if name in hosts and not within(name, allow):
            hint = f"if it should, add {name.lower()} to the setting allow_hosts, or set NIGHTMILL_ALLOW_HOSTS"
            raise SettingsError(
                f"{name!r} may not be reached: nightmill.yaml asks for it, its operator must", hint=hint
            )


async def resolve(hosts: tuple[str, ...], *, environment: Mapping[str, str], allow: tuple[str, ...]) -> Reach:
    """The names of *hosts* with each preset replaced by what the machine's own tool uses.

    *environment* is the operator's, for those tools; nothing of it goes further.

    Raises:
        SettingsError: If a name is not allowed, or a preset's tool is absent or does not say.
    """
    check(hosts, allow=allow)
    found: list[str] = []
    env: dict[str, str] = {}
    for name in hosts:
        reach = await PRESETS[name](environment) if name in PRESETS else Reach(hosts=(name.lower(),))
        found += reach.hosts
        env |= reach.env
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


async def _crates(environment: Mapping[str, str]) -> Reach:
    """Watch cargo while it fetches one crate: it has no command that says where it goes."""
    with tempfile.TemporaryDirectory(prefix="nightmill-cargo-") as folder:
        own = await asyncio.to_thread(_cargo_probe, Path(folder), environment)
        ask = ("cargo", "fetch", "--manifest-path", f"{folder}/Cargo.toml")
        said = await _ask(ask, {**environment, **own}, told=True)
        said += await asyncio.to_thread(_cargo_found, Path(folder, "home"))
    return Reach(hosts=_hosts(url.findall(said)))


def _cargo_probe(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """A package to fetch for, in a home with the operator's settings and without what was fetched before."""
    home = folder / "home"
    home.mkdir()
    (folder / "Cargo.toml").write_text(CARGO_PROBE, encoding="utf-8")
    (folder / "lib.rs").touch()
    theirs = Path(environment.get("CARGO_HOME") or Path(environment.get("HOME", "/"), ".cargo"))
    for name in ("config.toml", "config"):
        with contextlib.suppress(OSError):
            (home / name).write_bytes((theirs / name).read_bytes())
    return {"CARGO_HOME": str(home), "CARGO_LOG": "network=debug"}


def _cargo_found(home: Path) -> str:
    """What the index says of where the files are."""
    return "\n".join(each.read_text(encoding="utf-8") for each in home.glob("registry/index/*/config.json"))


async def _debian(environment: Mapping[str, str]) -> Reach:
    said = await _ask(("apt-get", "indextargets", "--format", "$(SITE)"), environment)
    return Reach(hosts=_hosts(said.split()))


PRESETS: dict[str, Callable[[Mapping[str, str]], Awaitable[Reach]]] = {
    "pypi": _pypi,
    "npm": _npm,
    "go": _go,
    "crates": _crates,
    "debian": _debian,
}


async def _ask(argv: tuple[str, ...], environment: Mapping[str, str], *, stdin: str = "", told: bool = False) -> str:
    """What a program on the host says, on its standard error if *told*.

    It starts in "/", so that no project's configuration is obeyed.
    """
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
    return (err if told else out).decode("utf-8", "replace")


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
            hint="take it out of the address, and put it into credentials.yaml for that host",
        )
    return urlunsplit(parts)
