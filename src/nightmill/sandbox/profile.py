"""What a sandbox looks like inside, as the argument list of bubblewrap and the environment of commands.

Every flag was learned by its absence; docs/concepts/sandbox.md tells the story. The order matters: the overlay is
the last mount, because a mount destination below anything that an agent can write would let a symbolic link left
by an earlier run direct bubblewrap onto the host (CVE-2026-87766).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nightmill.errors import SandboxError
from nightmill.sandbox import Place
from nightmill.sandbox.owner import Owner
from nightmill.sandbox.program import Interpreter

__all__ = ["PROXY", "TRUSTED", "Descriptors", "arguments", "bundle", "check", "environment"]

UNSHARE = """
    --unshare-user --unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try
    --die-with-parent --new-session --as-pid-1 --hostname sandbox --cap-drop ALL --clearenv
""".split()

KERNEL = """
    --proc /proc --dev /dev --size 16777216 --tmpfs /run --dir /run/nightmill --size 536870912 --tmpfs /dev/shm
""".split()

SHUT = ("keys", "key-users", "timer_list", "sched_debug", "latency_stats", "kcore")
"""Files of /proc that tell of the whole machine: under root, names of the host's own keys among it."""

MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")

ETC = (
    # nothing here may hold a secret that the user nightmill runs as can read: so no /etc/ssl, which has private/
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/mime.types",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
)

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)

TRUSTED = "/run/nightmill/authorities.pem"
"""Certificates that are trusted inside, where they are not the host's own file."""

PROXY = "http://127.0.0.1:3128"
"""Where the proxy is inside; what offers it there is in `inside/relay.py`."""

OPEN_FOR_FILES = ("etc", "mnt", "opt", "srv")
"""Folders inside in which `Place.files` may show something: made anew for each start, never writable inside."""

OPTION_PAGE = 3500
"""mount(2) takes one page of options; bubblewrap puts every layer's path into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptors:
    """Open files that bubblewrap reads: the runner's code, the filter, small files; and where it tells the pid."""

    runner: int
    seccomp: int
    etc: dict[str, int]
    told: int


def bundle(more: bytes) -> bytes:
    """The certificates that the host trusts, and *more*, in one file."""
    known = next((Path(path) for path in BUNDLES if Path(path).is_file()), None)
    return (known.read_bytes() if known else b"") + b"\n" + more


def environment(place: Place) -> dict[str, str]:
    """Environment of every command: nothing of the host's own is in it."""
    found = {
        "HOME": "/work/home",
        "PATH": "/work/env/bin:/opt/nightmill/bin:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "USER": "agent",
        "LOGNAME": "agent",
        "SHELL": "/bin/bash",
        "TERM": "dumb",
    }
    certificates = TRUSTED if place.trusted else next((path for path in BUNDLES if Path(path).is_file()), "")
    if certificates:
        tools = (
            "SSL_CERT_FILE",
            "PIP_CERT",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "NODE_EXTRA_CA_CERTS",
            "GIT_SSL_CAINFO",
            "CARGO_HTTP_CAINFO",
            "npm_config_cafile",
        )
        found |= dict.fromkeys(tools, certificates) | {"UV_SYSTEM_CERTS": "1"}
    if place.hosts:
        names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
        local = "localhost,127.0.0.1,::1"
        found |= dict.fromkeys(names, PROXY)
        found |= {"no_proxy": local, "NO_PROXY": local, "NODE_USE_ENV_PROXY": "1"}
    return found | dict(place.env)


def arguments(place: Place, *, tmp: int, python: Interpreter, given: Descriptors) -> list[str]:
    """Everything between `bwrap` and `--`; paths of *place* and *python* are those that bubblewrap sees."""
    words = [*UNSHARE, *_system()]
    for path, fd in given.etc.items():
        words += ["--perms", "0644", "--ro-bind-data", str(fd), path]
    words += ["--perms", "0644", "--ro-bind-data", str(given.runner), "/run/nightmill/runner.pyc"]
    words += ["--perms", "1777", "--size", str(tmp), "--tmpfs", "/tmp"]  # noqa: S108 - the sandbox's own
    words += ["--dir", "/var", "--symlink", "../tmp", "/var/tmp"]  # noqa: S108 - as above
    if python.prefix:
        words += ["--ro-bind", python.source, python.prefix]
    for path, source in place.files.items():
        words += ["--ro-bind", str(source), path]
    words += ["--dir", "/opt/nightmill/bin"]
    for name, source in place.tools.items():
        words += ["--ro-bind", str(source), f"/opt/nightmill/bin/{name}"]
    if place.connected:
        words += ["--ro-bind", str(place.directory / "net" / "egress.sock"), "/run/nightmill/egress.sock"]
    return words + _overlay(place) + _last(given)


def _system() -> list[str]:
    """The host's programs and the parts of /etc that they need."""
    words = ["--ro-bind", "/usr", "/usr"]
    for name in MERGED:
        path = f"/{name}"
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            words += ["--ro-bind", path, path]
    etc = [word for path in ETC for word in ("--ro-bind-try", path, path)]
    return [*words, "--dir", "/etc", *etc, *KERNEL, *_proc()]


def _proc() -> list[str]:
    """Cover what is not of one process in /proc.

    Under root, the sandbox's user owns these files, and the kernel asks for no more than that: /proc/sys holds
    settings that run programs on the host. bubblewrap covers a folder there only if the folder can be written.
    """
    with os.scandir("/proc") as entries:
        known = [entry for entry in entries if not entry.name.isdigit() and not entry.is_symlink()]
    covered = [each.path for each in known if each.is_dir() or each.stat().st_mode & 0o222]
    shut = [each.path for each in known if each.name in SHUT]
    words = [word for path in sorted(set(covered) - set(shut)) for word in ("--ro-bind", path, path)]
    return words + [word for path in sorted(shut) for word in ("--ro-bind", os.devnull, path)]


def _overlay(place: Place) -> list[str]:
    layers = place.layers or (place.directory / "empty",)
    words = [word for layer in layers for word in ("--overlay-src", str(layer))]
    return [*words, "--overlay", str(place.directory / "upper"), str(place.directory / "work"), "/work"]


def _last(given: Descriptors) -> list[str]:
    # without these /, /run, /dev and /dev/shm's parent would be memory that any command can fill
    words = ["--remount-ro", "/run", "--remount-ro", "/dev", "--remount-ro", "/"]
    return [
        *words,
        "--info-fd",
        str(given.told),
        "--seccomp",
        str(given.seccomp),
        "--disable-userns",
        "--chdir",
        "/work",
    ]


def check(place: Place, owner: Owner | None) -> None:
    """Refuse a place that cannot be built for *owner*, or that would show more than it says.

    Raises:
        SandboxError: Which part, and why.
    """
    if not place.directory.is_absolute() or not place.directory.is_dir():
        raise SandboxError(f"the run's folder {str(place.directory)!r} is not an absolute path of a folder")
    _check_layers(place, owner)
    for path, source in place.files.items():
        _check_file(path, source)
    for name, source in place.tools.items():
        if "/" in name or name in {"", ".", ".."} or not source.is_file():
            raise SandboxError(f"tool {name!r} cannot be shown: {str(source)!r} is not a file or the name is none")


def _check_layers(place: Place, owner: Owner | None) -> None:
    for layer in place.layers:
        if not layer.is_absolute() or not layer.is_dir():
            raise SandboxError(
                f"layer {str(layer)!r} is not an absolute path of a folder", hint="the base must be built again"
            )
        if owner and layer.stat().st_uid != owner.user:
            why = f"layer {str(layer)!r} is of user {layer.stat().st_uid}, and sandboxes here run as {owner.user}"
            raise SandboxError(why, hint="delete it: it is built again when it is next needed")
    size = sum(len(str(layer)) + len("/oldroot:") for layer in place.layers) + 2 * len(str(place.directory))
    if size > OPTION_PAGE:
        hint = "flatten them or use a shorter home folder"
        raise SandboxError(f"{len(place.layers)} layers have paths too long for one mount", hint=hint)


def _check_file(path: str, source: Path) -> None:
    if not source.exists():
        raise SandboxError(f"file {str(source)!r} to be shown as {path!r} does not exist")
    parts = PurePosixPath(path).parts
    taken = path in ETC or any(path.startswith(f"{each}/") for each in ETC)
    if str(PurePosixPath(path)) != path or ".." in parts or len(parts) < 3 or parts[1] not in OPEN_FOR_FILES or taken:
        allowed = ", ".join(f"/{name}" for name in OPEN_FOR_FILES)
        raise SandboxError(f"{path!r} is not a place for a file", hint=f"use a plain absolute path below {allowed}")
