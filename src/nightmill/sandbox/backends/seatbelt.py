"""What macOS is told of a sandbox: a Seatbelt profile. No Mac has read one yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nightmill.errors import SandboxError

__all__ = ["MACOS", "Mac", "Programs", "profile"]

SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/System",
    "/Library/Apple",
    "/private/var/db/dyld",
    "/Library/Developer",
    "/opt/homebrew",
)
"""Folders of programs and libraries; none holds anything of a user."""

DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/dtracehelper")

TERMINALS = (
    '(literal "/dev/ptmx")',
    '(require-all (regex #"^/dev/ttys[0-9]+$") (extension "com.apple.sandbox.pty"))',
)
"""Those that were made inside: what could type on a person's own terminal would be out."""

READABLE = (
    "/",
    "/private",
    "/private/etc/hosts",
    "/private/etc/protocols",
    "/private/etc/services",
    "/private/etc/ssl",
    "/dev/fd",
)

SERVICES = ("com.apple.system.opendirectoryd.libinfo", "com.apple.system.notification_center", "com.apple.logd")
"""What the C library asks before a program of its own runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """What puts up the wall and what copies: before the profile's file and the words to start; before source and target.

    A copy shares its blocks, as APFS can.
    """

    wall: tuple[str, ...] = ("/usr/bin/sandbox-exec", "-f")
    clone: tuple[str, ...] = ("/bin/cp", "-c", "-p", "-R")


MACOS = Programs()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mac:
    """One sandbox: folders that it may write, files that it may read, and what it may reach of this Mac's own ports.

    Attributes:
        port: That of its proxy; 0: no network.
        loopback: Whether it may listen on any port, and connect to any, whoever listens there.
    """

    writable: tuple[Path, ...]
    shown: tuple[Path, ...] = ()
    port: int = 0
    loopback: bool = False


def profile(mac: Mac) -> str:
    """The text for `sandbox-exec -f`: everything is denied but what stands here.

    Raises:
        SandboxError: If a path cannot stand in it.
    """
    readable = [f"(subpath {_quoted(Path(each))})" for each in SYSTEM]
    readable += [f"(literal {_quoted(Path(each))})" for each in (*READABLE, *DEVICES)]
    readable += [f"(subpath {_quoted(each)})" for each in mac.shown]
    own = " ".join(f"(subpath {_quoted(each)})" for each in mac.writable)
    lines = [
        "(version 1)",
        "(deny default)",
        "(allow process-fork)",
        "(allow process-exec " + " ".join(readable) + f" {own})",
        "(allow signal (target same-sandbox))",
        "(allow process-info* (target same-sandbox))",
        "(allow sysctl-read)",
        "(allow file-read-metadata)",
        "(allow file-read* " + " ".join(readable) + ")",
        f"(allow file-read* file-write* {own})",
        "(allow file-write-data " + " ".join(f"(literal {_quoted(Path(each))})" for each in DEVICES[:2]) + ")",
        "(allow pseudo-tty)",
        "(allow file-read* file-write* file-ioctl " + " ".join(TERMINALS) + ")",
        "(allow file-ioctl " + " ".join(f"(literal {_quoted(Path(each))})" for each in DEVICES) + ")",
        "(allow mach-lookup " + " ".join(f'(global-name "{each}")' for each in SERVICES) + ")",
    ]
    if mac.loopback:
        lines += ['(allow network-bind network-inbound (local ip "localhost:*"))']
        lines += ['(allow network-outbound (remote ip "localhost:*"))']
        lines += [f"(allow network-bind network-inbound network-outbound {own})"]  # sockets that are files
    elif mac.port:
        lines.append(f'(allow network-outbound (remote ip "localhost:{mac.port}"))')
    # last, because the last rule that fits decides
    lines.append(f"(deny file-write-setugid {own})")
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    """*path* as a string of the profile's language, which is Scheme's.

    Raises:
        SandboxError: If it is not absolute and plain, or holds what no line of text does.
    """
    text = str(path)
    if not path.is_absolute() or ".." in path.parts or not text.isprintable():
        hint = "use a path without line breaks and control characters"
        raise SandboxError(f"the path {text!r} cannot stand in a Seatbelt profile", hint=hint)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
