"""Start git with an environment made from nothing, bounded in time and output."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from nightmill.errors import EngineError, SettingsError

__all__ = ["HOST", "OLDEST", "Call", "Git", "Ran", "shown", "text"]

OLDEST = (2, 34)
"""The first git that signs with SSH keys."""

PATH = "/usr/local/bin:/usr/bin:/bin"
CHUNK = 1 << 16

QUIET = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "file",
}
HERMETIC = {
    **QUIET,
    "HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
}
INERT = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "protocol.allow=never",
    "protocol.file.allow=always",
    "gc.auto=0",
    "maintenance.auto=false",
    "core.bigFileThreshold=16m",  # larger blobs are streamed, so that a small pack cannot fill the memory
)
"""Settings of every call: nothing that a repository says makes git start a program or a job that outlives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One git command.

    Attributes:
        args: Arguments after the options that every call has.
        folder: Working folder.
        settings: More `name=value` settings for this call.
        env: More environment; what a caller does not name is not there.
        home: The user's home, whose git configuration is then read; None: no configuration but the repository's.
        stdin: Bytes, or an open file to read on from where it stands.
        output: Open file for standard output instead of `Ran.out`.
        seconds: Bound on the time; exceeding it is an EngineError.
        bytes: Bound on `Ran.out`; what is beyond is cut and the command ended.
        keep: File descriptors that git and its children hold until they end.
    """

    args: tuple[str, ...]
    folder: Path = Path("/")
    settings: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    home: Path | None = None
    stdin: bytes | IO[bytes] = b""
    output: IO[bytes] | None = None
    seconds: float = 60.0
    bytes: int = 256 << 20
    keep: tuple[int, ...] = ()


class Ran(NamedTuple):
    """How a call ended. *cut* says that `Call.bytes` was reached and git was ended for it."""

    exit: int
    out: bytes
    error: str
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """The git program of this machine; *path* is where it and ssh-keygen find their parts."""

    program: str = "git"
    path: str = PATH

    def run(self, call: Call) -> Ran:
        """Run *call* and wait for it; any exit status is an answer.

        Raises:
            SettingsError: If there is no such program.
            EngineError: If it ran longer than `Call.seconds`; it and its children are dead then.
        """
        with tempfile.TemporaryFile() as error, _source(call.stdin) as source:
            process = self._start(call, source, error)
            try:
                out, ended = _collect(process, call)
            finally:
                _end(process)
            error.seek(0)
            said = error.read(4000).decode("utf-8", "replace").strip()
        if not ended:
            raise EngineError(
                f"git {call.args[0]} did not end within {call.seconds:g} s", hint="see whether the disk is full or slow"
            )
        return Ran(process.returncode, out[: call.bytes], said, len(out) > call.bytes)

    def version(self) -> tuple[int, ...]:
        """The program's version, as far as it is numbers.

        Raises:
            SettingsError: If there is no git or it is older than `OLDEST`.
        """
        words = text(self.run(Call(args=("version",))).out).split()
        numbers = words[2].split(".") if len(words) > 2 else []  # "git version 2.39.5"
        found = tuple(int(number) for number in numbers if number.isdigit())
        if found < OLDEST:
            raise SettingsError(
                f"git {'.'.join(numbers)} is too old", hint=f"install git {OLDEST[0]}.{OLDEST[1]} or newer"
            )
        return found

    def _start(self, call: Call, source: IO[bytes], error: IO[bytes]) -> subprocess.Popen[bytes]:
        settings = [part for each in (*INERT, *call.settings) for part in ("-c", each)]
        argv = [self.program, "--no-optional-locks", "--no-pager", *settings, *call.args]
        own = HERMETIC if call.home is None else {**QUIET, "HOME": str(call.home)}
        try:
            return subprocess.Popen(
                [_bytes(part) for part in argv],
                cwd=call.folder,
                env={**own, "PATH": self.path, **call.env},
                stdin=source,
                stdout=subprocess.PIPE if call.output is None else call.output,
                stderr=error,
                pass_fds=call.keep,
                start_new_session=True,
            )
        except FileNotFoundError as missing:
            if not call.folder.is_dir():
                raise EngineError(f"there is no folder {str(call.folder)!r} to run git in") from missing
            raise SettingsError(f"there is no git program {self.program!r}", hint="install git") from missing


HOST = Git()
"""The git that the standard folders hold."""


def text(raw: bytes) -> str:
    """A path or a word of git as text; bytes that are not UTF-8 survive as lone surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def shown(path: str) -> str:
    """*path* as one printable line, for people and for stores that take only valid text."""
    return "".join(char if char.isprintable() else _escaped(char) for char in path)


def _escaped(char: str) -> str:
    raw = "\udc80" <= char <= "\udcff"
    return f"\\x{ord(char) - 0xDC00:02x}" if raw else char.encode("unicode_escape").decode()


def _bytes(part: str) -> bytes:
    return part.encode("utf-8", "surrogateescape")


def _source(stdin: bytes | IO[bytes]) -> IO[bytes]:
    if not isinstance(stdin, bytes):
        return os.fdopen(os.dup(stdin.fileno()), "rb")
    source = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it; a file cannot block like a pipe
    source.write(stdin)
    source.seek(0)
    return source


def _collect(process: subprocess.Popen[bytes], call: Call) -> tuple[bytes, bool]:
    """Standard output, one chunk beyond the bound at most, and whether git came to an end in time."""
    deadline = time.monotonic() + call.seconds
    kept = bytearray()
    if process.stdout is not None:
        ready = select.poll()
        ready.register(process.stdout, select.POLLIN)
        while len(kept) <= call.bytes:
            if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return bytes(kept), False
            chunk = os.read(process.stdout.fileno(), CHUNK)
            if not chunk:
                break
            kept += chunk
        if len(kept) > call.bytes:
            return bytes(kept), True
    try:
        process.wait(max(0.01, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return bytes(kept), False
    return bytes(kept), True


def _end(process: subprocess.Popen[bytes]) -> None:
    """End git and whatever it started; each call has a session of its own."""
    if process.returncode is None:  # not reaped, so the number is still its own
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
