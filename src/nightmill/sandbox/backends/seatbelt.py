"""What macOS would be told of a sandbox: a Seatbelt profile, and a copy-on-write clone.

**Untested: no Mac has run it**, and it is no backend yet. The runner inside reads /proc and adopts orphans, which only
Linux has, and `/work` cannot be mounted anywhere on macOS; what can be written down and read without a Mac is here, so
that it can be argued about.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nightmill.errors import SandboxError

__all__ = ["Mac", "clone", "command", "profile"]

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

READABLE = (
    "/",
    "/private",
    "/private/etc/hosts",
    "/private/etc/protocols",
    "/private/etc/services",
    "/private/etc/ssl",
)

SERVICES = ("com.apple.system.opendirectoryd.libinfo", "com.apple.system.notification_center", "com.apple.logd")
"""What the C library asks before a program of its own runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mac:
    """One sandbox: the folder that it may write, files that it may read, and the port of its proxy, 0 for no network."""

    work: Path
    shown: tuple[Path, ...] = ()
    port: int = 0


def profile(mac: Mac) -> str:
    """The text for `sandbox-exec -f`: everything is denied but what stands here.

    Raises:
        SandboxError: If a path cannot stand in it.
    """
    readable = [f"(subpath {_quoted(Path(each))})" for each in SYSTEM]
    readable += [f"(literal {_quoted(Path(each))})" for each in (*READABLE, *DEVICES)]
    readable += [f"(subpath {_quoted(each)})" for each in mac.shown]
    own = f"(subpath {_quoted(mac.work)})"
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
        "(allow file-ioctl " + " ".join(f"(literal {_quoted(Path(each))})" for each in DEVICES) + ")",
        "(allow mach-lookup " + " ".join(f'(global-name "{each}")' for each in SERVICES) + ")",
    ]
    if mac.port:
        lines.append(f'(allow network-outbound (remote ip "localhost:{mac.port}"))')
    # last, because the last rule that fits decides
    lines.append(f"(deny file-write-setugid {own})")
    return "\n".join(lines) + "\n"


def command(*words: str, file: Path) -> list[str]:
    """Start *words* in the sandbox whose profile is in *file*; the environment is to be given whole, and be empty."""
    return ["/usr/bin/sandbox-exec", "-f", str(file), *words]


def clone(source: Path, target: Path) -> list[str]:
    """Make the new folder *target* a copy of *source* that shares its blocks, as APFS can: a fork, or a snapshot."""
    return ["/bin/cp", "-c", "-p", "-R", f"{source}/.", str(target)]


def _quoted(path: Path) -> str:
    """*path* as a string of the profile's language.

    Raises:
        SandboxError: If it is not absolute, or holds what could end the string.
    """
    text = str(path)
    if not path.is_absolute() or ".." in path.parts or any(each in '"\\' or ord(each) < 32 for each in text):  # noqa: PLR2004
        hint = "use a path without quotes, backslashes and control characters"
        raise SandboxError(f"the path {text!r} cannot stand in a Seatbelt profile", hint=hint)
    return f'"{text}"'
